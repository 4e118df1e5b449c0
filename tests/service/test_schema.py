"""The schema in the database: migrated whole or not at all, the same as what Python reads, and guarded."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

import migrations
from tests.conftest import Database, with_database
from tests.passing import PASSING
from tests.service.processes import ask, copy_data
from timebank import schema, tables
from timebank.database import is_current, plain_url, sqlstate
from timebank.postgres import EmbeddedPostgres
from timebank.refusal import Refusal

# Evidence, answers and decisions: what must be among the tables that are written once.
EVIDENCE = {"audit_entry", "command", "decision", "policy_version", "punch", "redemption_part"}
LEDGER = ("account", "book", "checkpoint", "leaf", "transfer")
FUNCTIONS = {"create_book", "open_accounts", "close_accounts", "post"}


@pytest.fixture
async def empty(server: dict[str, str]) -> AsyncIterator[str]:
    """The owner's URL of a database that has nothing in it."""
    name = f"timebank_empty_{secrets.token_hex(4)}"
    owner = urlsplit(plain_url(server["owner"])).username
    await ask(plain_url(server["maker"]), f'CREATE DATABASE "{name}" OWNER "{owner}"', "SELECT 1")
    yield plain_url(with_database(server["owner"], name))
    await ask(plain_url(server["maker"]), f'DROP DATABASE "{name}" WITH (FORCE)', "SELECT 1")


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction of the owner on a migrated database; rolled back."""
    engine = create_async_engine(database.owner_url)
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()
    await engine.dispose()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncConnection]:
    """A transaction at a URL; rolled back."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def versions(url: str) -> set[str]:
    """What the database says it is at."""
    connection = await asyncpg.connect(url)
    try:
        return {row["version_num"] for row in await connection.fetch("SELECT version_num FROM alembic_version")}
    finally:
        await connection.close()


async def objects(url: str) -> list[tuple[str, str]]:
    """Everything in the schemas of the bank, by kind and name, with the moment in which it was made."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("""
            SELECT c.relkind::text || ' ' || n.nspname || '.' || c.relname AS name, c.xmin::text || c.oid AS made
            FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname IN ('ledger', 'timebank', 'public')
            UNION ALL
            SELECT 'f ' || p.proname, p.xmin::text || p.oid FROM pg_proc AS p JOIN pg_namespace AS n
              ON n.oid = p.pronamespace WHERE n.nspname IN ('ledger', 'timebank')
            ORDER BY 1
        """)
        return [tuple(row) for row in rows]
    finally:
        await connection.close()


# Migrating.


async def test_an_empty_database_is_migrated_to_what_this_version_needs(empty: str) -> None:
    async with connected(empty) as connection:
        assert not await is_current(connection)
    steps: list[str] = []
    await schema.migrate(empty, describe=steps.append)
    assert await versions(empty) == migrations.HEADS
    async with connected(empty) as connection:
        assert await is_current(connection)
    # Each step once, what others stand on first.
    known = [script.revision for script in schema.scripts().walk_revisions()]
    assert sorted(steps) == sorted(f"Migrating: {revision}" for revision in known)
    assert steps[0].startswith("Migrating: ledger_")


async def test_migrating_again_changes_nothing(empty: str) -> None:
    await schema.migrate(empty)
    before, steps = await objects(empty), []
    await schema.migrate(empty, describe=steps.append)
    assert await objects(empty) == before
    assert steps == []


async def test_two_that_migrate_at_once_do_it_once(empty: str) -> None:
    heard: list[list[str]] = [[], [], []]
    await asyncio.gather(*(schema.migrate(empty, describe=steps.append) for steps in heard))
    assert await versions(empty) == migrations.HEADS
    assert sorted(map(len, heard)) == [0, 0, len(list(schema.scripts().walk_revisions()))]


async def test_a_migration_that_fails_leaves_nothing(empty: str) -> None:
    # Something of the same name is in the way of the second branch.
    await ask(empty, "CREATE SCHEMA timebank", "SELECT 1")
    before = await objects(empty)
    with pytest.raises(Exception, match="already exists"):
        await schema.migrate(empty)
    assert await objects(empty) == before


async def test_the_ledger_installs_alone_and_the_bank_comes_later(empty: str) -> None:
    await schema.migrate(empty, ("ledger",))
    names = [name for name, _ in await objects(empty)]
    assert "r ledger.transfer" in names
    assert not [name for name in names if "timebank." in name]
    async with connected(empty) as connection:
        assert not await is_current(connection)
    steps: list[str] = []
    await schema.migrate(empty, describe=steps.append)
    assert steps
    assert not [step for step in steps if "ledger" in step]
    assert await versions(empty) == migrations.HEADS


async def test_what_a_newer_version_migrated_is_left_alone(empty: str) -> None:
    await schema.migrate(empty)
    await ask(empty, "INSERT INTO alembic_version VALUES ('bank_2099_01_01_tomorrow')", "SELECT 1")
    before = await objects(empty)
    with pytest.raises(Refusal) as caught:
        await schema.migrate(empty)
    assert (caught.value.code, caught.value.data) == ("schema_newer", {"revisions": ["bank_2099_01_01_tomorrow"]})
    assert await objects(empty) == before


async def test_no_process_has_to_ask_alembic_what_is_current() -> None:
    """`migrations.HEADS` is written by hand; this is what it must be."""
    heads = set(schema.scripts().get_heads())
    # A revision that another one stands on has no row of its own.
    below = {script.revision for script in schema.scripts().walk_revisions() if script.revision in stood_on()}
    assert heads - below == migrations.HEADS


def stood_on() -> set[str]:
    """The revisions that a revision of another branch depends on, and all before them."""
    found: set[str] = set()
    for script in schema.scripts().walk_revisions():
        if script.dependencies:
            found |= schema.reached_revisions(schema.to_tuple(script.dependencies))
    return found


@pytest.fixture
def bare(made: Path, place: Path) -> Iterator[str]:
    """The superuser's URL of a cluster that knows none of the bank's roles."""
    with EmbeddedPostgres(copy_data(made, place / "data"), options={"shared_buffers": "16MB"}) as server:
        roles = "timebank, timebank_owner, timebank_service, ledger_service, ledger_owner"
        statements = ("DROP DATABASE timebank", f"DROP ROLE {roles}", "SELECT 1")
        asyncio.run(ask(server.superuser_url, *statements))
        yield server.superuser_url


def as_city(superuser_url: str, role: str) -> str:
    """The URL of a role and database that an administrator made for the bank."""
    host = superuser_url.partition("@")[2].partition("?")[2]
    return f"postgresql://{role}:heron@/city?{host}"


def test_who_may_not_create_roles_is_told_what_an_administrator_runs(bare: str) -> None:
    make = ("CREATE ROLE city LOGIN PASSWORD 'heron'", "CREATE DATABASE city OWNER city", "SELECT 1")
    asyncio.run(ask(bare, *make))
    url = as_city(bare, "city")
    with pytest.raises(Refusal) as caught:
        asyncio.run(schema.migrate(url))
    assert caught.value.code == "roles_missing"
    sql = caught.value.data["sql"]
    assert sql in caught.value.sentence
    assert sql.count(";") == 5
    # Word for word, in one go.
    asyncio.run(ask(bare, sql, "SELECT 1"))
    asyncio.run(schema.migrate(url))
    assert asyncio.run(versions(url)) == migrations.HEADS

    # A second bank beside the first needs less.
    more = ("CREATE ROLE town LOGIN PASSWORD 'heron'", "CREATE DATABASE town OWNER town", "SELECT 1")
    asyncio.run(ask(bare, *more))
    with pytest.raises(Refusal) as caught:
        asyncio.run(schema.migrate(as_city(bare, "town").replace("/city", "/town")))
    assert caught.value.data["sql"] == "GRANT ledger_owner TO town;"


def test_who_may_create_roles_needs_nobody(bare: str) -> None:
    make = ("CREATE ROLE city LOGIN CREATEROLE PASSWORD 'heron'", "CREATE DATABASE city OWNER city", "SELECT 1")
    asyncio.run(ask(bare, *make))
    url = as_city(bare, "city")
    asyncio.run(schema.migrate(url))
    assert asyncio.run(versions(url)) == migrations.HEADS


# The same in PostgreSQL as in Python.


SHAPES = {
    "columns": """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
          pg_get_expr(d.adbin, d.adrelid)
        FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'timebank'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
          AND NOT a.attisdropped
        ORDER BY c.relname, a.attname
    """,
    # 'n', NOT NULL, is among the columns; PostgreSQL 18 lists it here too.
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'timebank'::regnamespace AND contype <> 'n' ORDER BY 1, 2
    """,
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'timebank' ORDER BY indexname",
}


async def shape(connection: AsyncConnection) -> dict[str, list[tuple[object, ...]]]:
    """The bank's schema as PostgreSQL describes it."""
    return {name: [tuple(row) for row in await connection.execute(text(sql))] for name, sql in SHAPES.items()}


async def test_the_tables_are_those_of_the_migrations(owner: AsyncConnection) -> None:
    migrated = await shape(owner)
    await owner.exec_driver_sql("DROP SCHEMA timebank CASCADE")
    await owner.exec_driver_sql("CREATE SCHEMA timebank")
    await owner.run_sync(tables.metadata.create_all)
    declared = await shape(owner)
    for name, rows in migrated.items():
        assert set(declared[name]) ^ set(rows) == set(), name
    assert declared == migrated


# What nobody may do.


GUARDED = text("""
    SELECT c.relname FROM pg_class AS c JOIN pg_trigger AS t ON t.tgrelid = c.oid
    WHERE c.relnamespace = 'timebank'::regnamespace AND t.tgname = 'append_only' AND t.tgenabled <> 'D'
""")


async def rights(connection: AsyncConnection) -> dict[str, set[str]]:
    """The bank's tables, with what the service's role may do with each beside reading and adding."""
    guarded = set(await connection.scalars(GUARDED))
    assert guarded >= EVIDENCE
    names = {table.name for table in tables.metadata.tables.values()}
    return {
        name: set() if name in guarded else {"UPDATE"} | ({"DELETE"} if name in PASSING else set()) for name in names
    }


async def refused(connection: AsyncConnection, statement: str) -> str:
    """The SQLSTATE that a statement is refused with; nothing of it stays."""
    async with connection.begin_nested() as attempt:
        with pytest.raises(DBAPIError) as caught:
            await connection.exec_driver_sql(statement)
        await attempt.rollback()
    return sqlstate(caught.value)


async def test_what_is_written_once_is_not_changed_by_its_owner(owner: AsyncConnection) -> None:
    for name in await owner.scalars(GUARDED):
        column = tables.metadata.tables[f"timebank.{name}"].columns.keys()[0]
        for statement in (
            f"UPDATE timebank.{name} SET {column} = {column}",
            f"DELETE FROM timebank.{name}",
            f"TRUNCATE timebank.{name} CASCADE",
        ):
            assert await refused(owner, statement) == "42501", statement


async def test_the_service_has_its_grants_and_no_others(owner: AsyncConnection) -> None:
    found: dict[str, set[str]] = {}
    rows = await owner.execute(
        text("""
            SELECT c.relname, a.privilege_type FROM pg_class AS c, aclexplode(c.relacl) AS a
            WHERE c.relnamespace = 'timebank'::regnamespace AND a.grantee <> c.relowner
              AND a.grantee = 'timebank_service'::regrole
        """)
    )
    for table, privilege in rows:
        found.setdefault(table, set()).add(privilege)
    assert found == {name: {"SELECT", "INSERT"} | more for name, more in (await rights(owner)).items()}


async def test_the_service_reads_the_ledger_and_writes_through_its_functions(owner: AsyncConnection) -> None:
    query = text("""
        SELECT c.relname, array_agg(a.privilege_type ORDER BY 1) FROM pg_class AS c, aclexplode(c.relacl) AS a
        WHERE c.relnamespace = 'ledger'::regnamespace AND a.grantee = 'ledger_service'::regrole GROUP BY c.relname
    """)
    found = {name: list(privileges) for name, privileges in await owner.execute(query)}
    assert found == {name: ["SELECT"] for name in LEDGER}
    query = text("""
        SELECT p.proname FROM pg_proc AS p
        WHERE p.pronamespace IN ('ledger'::regnamespace, 'timebank'::regnamespace)
          AND p.prorettype <> 'trigger'::regtype AND has_function_privilege('timebank_service', p.oid, 'EXECUTE')
    """)
    assert set(await owner.scalars(query)) == FUNCTIONS


async def test_nobody_else_was_given_anything(owner: AsyncConnection) -> None:
    query = text("""
        SELECT n.nspname || '.' || c.relname, a.grantee::regrole::text FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace, aclexplode(c.relacl) AS a
        WHERE n.nspname IN ('ledger', 'timebank', 'public') AND a.grantee <> c.relowner
          AND a.grantee NOT IN ('timebank_service'::regrole, 'ledger_service'::regrole)
    """)
    assert (await owner.execute(query)).all() == []
    query = text("""
        SELECT n.nspname, a.privilege_type FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
        WHERE n.nspname IN ('ledger', 'timebank') AND a.grantee <> n.nspowner ORDER BY 1, 2
    """)
    assert [tuple(row) for row in await owner.execute(query)] == [("ledger", "USAGE"), ("timebank", "USAGE")]
    query = text("SELECT version_num FROM alembic_version")
    assert set(await owner.scalars(query)) == migrations.HEADS


async def test_the_serving_role_cannot_change_what_was_written_once(database: Database) -> None:
    async with connected(plain_url(database.service_url)) as service:
        for name, allowed in (await rights(service)).items():
            column = tables.metadata.tables[f"timebank.{name}"].columns.keys()[0]
            statements = {
                "UPDATE": f"UPDATE timebank.{name} SET {column} = {column}",
                "DELETE": f"DELETE FROM timebank.{name}",
                "TRUNCATE": f"TRUNCATE timebank.{name}",
            }
            for right in statements.keys() - allowed:
                assert await refused(service, statements[right]) == "42501", statements[right]
        for name in LEDGER:
            assert await refused(service, f"DELETE FROM ledger.{name}") == "42501"
            assert await refused(service, f"TRUNCATE ledger.{name}") == "42501"
            assert await refused(service, f"INSERT INTO ledger.{name} SELECT * FROM ledger.{name}") == "42501"
        assert await refused(service, "CREATE TABLE timebank.mine (n int)") == "42501"
        assert await refused(service, "ALTER TABLE timebank.punch DISABLE TRIGGER append_only") == "42501"
        assert await refused(service, "DROP TABLE timebank.session") == "42501"
        assert await refused(service, "SET ROLE ledger_owner") == "42501"
