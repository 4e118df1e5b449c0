"""The schema in the database: the roles it needs, its migrations, and whether it is the one this version knows."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import to_tuple
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from timebank.database import connector, reached, refuse_old
from timebank.refusal import Refusal

BRANCHES = ("ledger", "bank")
# Any fixed number: "timebank" in ASCII. Two services that start at once migrate one after the other.
MIGRATION_LOCK = int.from_bytes(b"timebank")
# Insufficient privilege: what a role without CREATEROLE is told.
NOT_ALLOWED = "42501"

ROLES = {
    "ledger": ("ledger_owner", "ledger_service"),
    "bank": ("timebank_service",),
}
CREATE_ROLE = """
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""
JOIN_ROLE = """
DO $$ BEGIN
  IF NOT pg_has_role({member_name}, '{role}', 'USAGE') THEN GRANT {role} TO {member}; END IF;
END $$
"""
CAN_READ_VERSIONS = text("SELECT has_table_privilege('timebank_service', 'alembic_version', 'SELECT')")
# What a database administrator runs instead: whatever of it is missing.
MISSING = text("""
    SELECT format('CREATE ROLE %I NOLOGIN;', wanted) FROM unnest(CAST(:roles AS text[])) AS wanted
    WHERE wanted NOT IN (SELECT rolname FROM pg_roles)
    UNION ALL
    SELECT format('GRANT %I TO %I;', role, member) FROM unnest(CAST(:joined AS text[]), CAST(:members AS text[]))
      AS j (role, member)
    WHERE NOT EXISTS (
      SELECT FROM pg_roles AS r, pg_roles AS m
      WHERE r.rolname = j.role AND m.rolname = j.member AND pg_has_role(m.oid, r.oid, 'USAGE')
    )
""")


async def migrate(
    owner_url: str, branches: Sequence[str] = BRANCHES, describe: Callable[[str], None] = lambda _: None
) -> None:
    """Bring the schema to what this version needs: all of it or nothing. Does nothing when it is there already.

    `branches`: "ledger" alone installs the ledger without the bank. `describe` hears each step's name. Refusal
    `schema_newer` when a newer version has been here, `roles_missing` when the role may not create roles, with the
    SQL that a database administrator would run.
    """
    async with alone(owner_url) as connection:
        await prepare_roles(connection, branches)
        await connection.run_sync(upgrade, branches, describe)
        if "bank" in branches and not await connection.scalar(CAN_READ_VERSIONS):
            await connection.execute(text("GRANT SELECT ON alembic_version TO timebank_service"))


async def make_roles(owner_url: str) -> None:
    """Create the roles that the schema belongs to, before it is restored. Refusal as for `migrate`."""
    async with alone(owner_url) as connection:
        await prepare_roles(connection, BRANCHES)


@contextlib.asynccontextmanager
async def alone(owner_url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction as the owner, while nobody else migrates; committed at the end."""
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connector(owner_url, "timebank migrate", {"lock_timeout": "60s"}),
        poolclass=NullPool,
    )
    try:
        async with reached(engine) as connection:
            await refuse_old(connection)
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            yield connection
            await connection.commit()
    finally:
        await engine.dispose()


async def prepare_roles(connection: AsyncConnection, branches: Sequence[str]) -> None:
    """Create the roles that are missing, and let this one act as the ledger's owner."""
    roles = [role for branch in branches for role in ROLES[branch]]
    joins = [("ledger_owner", "CURRENT_USER", "current_user")]
    if "bank" in branches:
        joins.append(("ledger_service", "timebank_service", "'timebank_service'"))
    try:
        for role in roles:
            await connection.execute(text(CREATE_ROLE.format(role=role)))
        for role, member, member_name in joins:
            await connection.execute(text(JOIN_ROLE.format(role=role, member=member, member_name=member_name)))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != NOT_ALLOWED:
            raise
        await connection.rollback()
        sql = await missing(connection, roles)
        raise Refusal(
            "roles_missing", f"This role may not create others. A database administrator runs: {sql}", sql=sql
        ) from None


async def missing(connection: AsyncConnection, roles: Sequence[str]) -> str:
    """The SQL that makes what of these roles is missing."""
    me = await connection.scalar(text("SELECT current_user::text"))
    joins = [("ledger_owner", me), *([("ledger_service", "timebank_service")] if "timebank_service" in roles else [])]
    joined, members = zip(*joins, strict=True)
    statements = await connection.scalars(MISSING, {"roles": roles, "joined": joined, "members": members})
    return " ".join(statements)


def upgrade(connection: Connection, branches: Sequence[str], describe: Callable[[str], None]) -> None:
    """Run what is missing, in this connection's transaction."""
    versions = MigrationContext.configure(connection).get_current_heads()
    refuse_newer(versions)
    config = configuration()
    config.attributes["connection"] = connection
    known = reached_revisions(versions)
    for branch in branches:
        wanted = [script.revision for script in scripts().iterate_revisions(f"{branch}@head", "base")]
        for revision in reversed(wanted):
            if revision not in known:
                describe(f"Migrating: {revision}")
                known.add(revision)
        command.upgrade(config, f"{branch}@head")


async def versions_of(connection: AsyncConnection) -> Sequence[str]:
    """The revisions that the database says it has; none where it has none, or keeps them to itself."""
    if not await connection.scalar(text("SELECT has_table_privilege(to_regclass('public.alembic_version'), 'SELECT')")):
        return ()
    return (await connection.scalars(text("SELECT version_num FROM public.alembic_version"))).all()


def refuse_newer(versions: Collection[str]) -> None:
    """Refusal `schema_newer` when the database has a revision that this version does not know."""
    if strange := sorted(set(versions) - {script.revision for script in scripts().walk_revisions()}):
        raise Refusal(
            "schema_newer",
            f"The database was migrated by a newer version ({', '.join(strange)}): run that one, or restore a backup",
            revisions=strange,
        )


@cache
def configuration() -> Config:
    """Where Alembic finds the migrations of this version."""
    home = Path(str(files("migrations")))
    config = Config()
    config.set_main_option("script_location", str(home))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(str(home / branch) for branch in BRANCHES))
    return config


@cache
def scripts() -> ScriptDirectory:
    """The migrations that this version ships."""
    return ScriptDirectory.from_config(configuration())


def reached_revisions(versions: Collection[str]) -> set[str]:
    """The known revisions behind these rows of `alembic_version`. One that another depends on has no row of its own."""
    reached: set[str] = set()
    waiting = list(versions)
    known = {script.revision: script for script in scripts().walk_revisions()}
    while waiting:
        revision = waiting.pop()
        if revision in known:
            reached.add(revision)
            script = known[revision]
            waiting += [*to_tuple(script.down_revision, ()), *to_tuple(script.dependencies, ())]
    return reached
