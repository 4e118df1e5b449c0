"""Connections to PostgreSQL: how each is opened, and on what kind of database the bank refuses to serve."""

import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg
import msgspec
from sqlalchemy import Row, event, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

import migrations
from timebank.refusal import Refusal

OLDEST_VERSION = 15
SERVING_LIMITS = {
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    # What a machine that has vanished holds is let go of in minutes, not in hours.
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "15",
    "tcp_keepalives_count": "4",
}
# Without each of these an acknowledged posting could be lost (docs/reference/guarantees.md).
DURABLE_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")
# Connection lost; server shutting down, crashed or still starting; no connection to be had.
AWAY_SQLSTATES = ("08", "57P", "53300")
# For how long after its last use a connection is taken to live; where the pool's note of a connection has that moment.
SURELY_ALIVE_SECONDS = 30
USED_AT = "used_at"


def create_engine(
    url: str,
    *,
    application_name: str = "timebank",
    pool_size: int = 10,
    limits: dict[str, str] | None = None,
) -> AsyncEngine:
    """An engine on asyncpg for `url`, which may be `postgresql://` or `postgresql+asyncpg://`.

    All that libpq understands in a URL works: a socket directory as `host`, `sslmode`, several hosts. At most
    `pool_size` connections; who asks for one more waits 10 seconds. `limits` are server settings of each connection.
    A connection that the server has closed, or that a network may have dropped, is replaced when it is asked for.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connector(url, application_name, SERVING_LIMITS if limits is None else limits),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_recycle=1800,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
    )
    event.listen(engine.sync_engine, "checkout", refuse_dead)
    event.listen(engine.sync_engine, "checkin", note_use)
    return engine


def refuse_dead(adapted: Any, record: ConnectionPoolEntry, _: Any) -> None:
    """Have the pool open another connection in place of one that is gone.

    The driver knows at once when the server has closed one. Only one that nobody has used for a while is asked whether
    it lives, as `pool_pre_ping` would ask each time: that is three round trips, as many as a small request needs.
    """
    if adapted.driver_connection.is_closed():
        raise InvalidatePoolError()
    if time.monotonic() - record.info.get(USED_AT, math.inf) > SURELY_ALIVE_SECONDS:
        try:
            adapted.ping()
        except Exception as error:
            raise InvalidatePoolError() from error


def note_use(_: Any, record: ConnectionPoolEntry) -> None:
    """Remember when a connection came back."""
    record.info[USED_AT] = time.monotonic()


def connector(url: str, application_name: str, limits: dict[str, str]) -> Callable[[], Awaitable[Any]]:
    """How to open one connection. asyncpg reads the URL itself, for it knows more of libpq's spellings."""
    source = plain_url(url)
    server_settings = {"application_name": application_name, "timezone": "UTC", "jit": "off", **limits}

    async def connect() -> Any:
        return await asyncpg.connect(source, server_settings=server_settings, timeout=10)

    return connect


def plain_url(url: str) -> str:
    """`url` as PostgreSQL's own programs and asyncpg spell it."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


def for_clients(url: str) -> tuple[str, dict[str, str]]:
    """`url` without its password, and the environment that has it: arguments are there for every process to read."""
    parts = urlsplit(plain_url(url))
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    netloc = f"{name}@{host}" if name else host
    return urlunsplit(parts._replace(netloc=netloc)), {"PGPASSWORD": unquote(password)} if password else {}


@contextlib.asynccontextmanager
async def reached(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection for a command of the operator's; Refusal `database_unreachable` where there is none."""
    try:
        connection = await engine.connect()
    except ValueError:
        # What asyncpg says of a URL that it cannot read repeats parts of it.
        raise unreachable("its URL cannot be read") from None
    except (OSError, DBAPIError) as error:
        raise unreachable(words_of(error)) from None
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection that only reads, and to which everything is as it was when it first asked."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


def unreachable(words: str) -> Refusal:
    """What is said of a database that does not answer. Never the URL: it may hold a password."""
    return Refusal("database_unreachable", f"The database cannot be reached: {words}")


def words_of(error: OSError | DBAPIError) -> str:
    """The first line of what a failed connection said."""
    cause = error if isinstance(error, OSError) else error.orig
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__


async def is_current(connection: AsyncConnection) -> bool:
    """Whether the schema is the one that this version needs: every migration has run, and none of a newer version."""
    # Where only the ledger is installed, the bank's role may not even read it.
    if not await connection.scalar(text("SELECT has_table_privilege(to_regclass('public.alembic_version'), 'SELECT')")):
        return False
    versions = await connection.scalars(text("SELECT version_num FROM public.alembic_version"))
    return set(versions) == migrations.HEADS


def sqlstate(error: BaseException) -> str:
    """The SQLSTATE of what the database or its driver raised; empty where there is none."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def is_away(error: BaseException) -> bool:
    """Whether `error` says that the database cannot be reached, or went away. Whether a COMMIT that was under way
    arrived is then unknown."""
    # The last is what the driver says of a connection to which the server has said goodbye, until it sees it closed.
    if isinstance(error, OSError | PoolTimeout | asyncpg.InternalClientError):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return sqlstate(error).startswith(AWAY_SQLSTATES)


async def refuse_old(connection: AsyncConnection) -> None:
    """Refusal `database_too_old` below PostgreSQL 15."""
    refuse_old_number(int((await connection.execute(text("SHOW server_version_num"))).scalar_one()))


def refuse_old_number(number: int) -> None:
    """The same for a `server_version_num`."""
    if number < OLDEST_VERSION * 10_000:
        raise Refusal(
            "database_too_old",
            f"This is PostgreSQL {number // 10_000}; the bank needs {OLDEST_VERSION} or newer",
            version=number // 10_000,
        )


# Whoever is one of these could write what the ledger's function would refuse. A role that may create roles can make
# itself a member of any but a superuser on PostgreSQL 15; one that writes files or runs programs on the server is as
# good as a superuser. Who signed in counts as well as whom that role acts as: RESET ROLE is open to everybody.
STANDING = text("""
    SELECT session_user AS name,
      bool_or(r.rolsuper) AS is_superuser,
      bool_or(r.rolcreaterole AND current_setting('server_version_num')::int < 160000) AS may_join_any,
      bool_or(EXISTS (
        SELECT FROM pg_roles AS o WHERE pg_has_role(r.oid, o.oid, 'MEMBER')
          AND o.rolname IN ('ledger_owner', 'pg_execute_server_program', 'pg_write_server_files')
      )) AS is_owner,
      bool_or(EXISTS (
        SELECT FROM pg_namespace AS n WHERE n.nspname IN ('ledger', 'timebank')
          AND pg_has_role(r.oid, n.nspowner, 'MEMBER')
      )) AS owns_schema,
      bool_or(EXISTS (
        SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('ledger', 'timebank') AND c.relkind IN ('r', 'p')
          AND (
            pg_has_role(r.oid, c.relowner, 'MEMBER')
            OR has_table_privilege(r.oid, c.oid, 'TRUNCATE')
            OR n.nspname = 'ledger' AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE')
          )
      )) AS writes_tables
    FROM pg_roles AS r WHERE r.rolname IN (current_user, session_user)
""")
# What of these is true of a role that could write the ledger's rows by itself.
MIGHTY = ("is_superuser", "may_join_any", "is_owner", "owns_schema", "writes_tables")


async def refuse_unsafe(service_url: str) -> None:
    """Refuse to serve where a promise could not be kept.

    Refusal `database_unreachable`, `database_too_old`, `not_durable` (a setting that loses acknowledged postings
    when the power fails), or `role_too_mighty` (the role that serves could write the ledger's rows by itself).
    """
    engine = create_engine(service_url, application_name="timebank check", pool_size=1)
    try:
        async with reached(engine) as connection:
            await refuse_old(connection)
            for name in DURABLE_SETTINGS:
                value = (await connection.execute(text(f"SHOW {name}"))).scalar_one()
                if value == "off":
                    raise Refusal(
                        "not_durable",
                        f"The database runs with {name} off: an acknowledged posting could be lost. Turn it on",
                        setting=name,
                    )
            refuse_mighty((await connection.execute(STANDING)).one())
    finally:
        await engine.dispose()


def refuse_mighty(standing: Row[Any]) -> None:
    """Refusal `role_too_mighty` for a role that is or could become an owner, or writes past the ledger's functions."""
    reasons = [name for name in MIGHTY if standing._mapping[name]]
    if reasons:
        raise Refusal(
            "role_too_mighty",
            f"The role {standing.name} owns the tables or could: serve as a role that is a member of timebank_service "
            "and of nothing else, and give the owner's URL in TIMEBANK_MIGRATION_URL",
            role=standing.name,
            reasons=reasons,
        )


async def refuse_other_schema(connection: AsyncConnection) -> None:
    """Refusal `schema_not_current` unless the schema is the one that this version needs."""
    if not await is_current(connection):
        raise Refusal(
            "schema_not_current",
            "The database has not the schema that this version needs. Run timebank migrate, on a database of your own "
            "with the owner's URL in TIMEBANK_MIGRATION_URL",
        )
