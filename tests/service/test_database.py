"""What the bank refuses to serve from: a database that could lose postings, or a role that could write them itself."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.conftest import Database, with_database
from tests.directories import short_directory
from tests.service.processes import SELF, ask, copy_data, free_port
from timebank import postgres
from timebank.database import (
    create_engine,
    for_clients,
    is_current,
    plain_url,
    reached,
    refuse_old_number,
    refuse_other_schema,
    refuse_unsafe,
)
from timebank.postgres import EmbeddedPostgres, Server
from timebank.refusal import Refusal

PASSWORD = "heron"


async def refusal_of(url: str) -> Refusal:
    """Why nobody may serve from this URL."""
    with pytest.raises(Refusal) as caught:
        await refuse_unsafe(url)
    return caught.value


# Settings that lose acknowledged postings when the power fails.


@pytest.fixture(scope="module")
def careless(made: Path) -> Iterator[Server]:
    """A server whose administrator may turn anything off."""
    with short_directory() as directory:
        data = copy_data(made, directory / "data", SELF)
        embedded = EmbeddedPostgres(data, options={"shared_buffers": "16MB"})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(postgres, "DURABLE", {})
            server = embedded.start()
        yield server
        embedded.stop()


async def administer(server: Server, *statements: str) -> None:
    """Run statements as the superuser of the careless server."""
    await ask(server.superuser_url, *statements, "SELECT 1")


async def wait_for_setting(server: Server, name: str, value: str) -> None:
    """Until new connections see it."""
    for _ in range(500):
        if await ask(server.service_url, f"SHOW {name}") == value:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{name} never became {value}")


@contextlib.asynccontextmanager
async def configured(server: Server, name: str, value: str) -> AsyncIterator[None]:
    """The whole server with another setting."""
    await administer(server, f"ALTER SYSTEM SET {name} = {value}", "SELECT pg_reload_conf()")
    try:
        await wait_for_setting(server, name, value)
        yield
    finally:
        await administer(server, f"ALTER SYSTEM RESET {name}", "SELECT pg_reload_conf()")
        await wait_for_setting(server, name, "on")


async def test_a_durable_database_is_served_from(careless: Server) -> None:
    await refuse_unsafe(careless.service_url)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_a_setting_that_loses_postings_is_refused(careless: Server, name: str) -> None:
    async with configured(careless, name, "off"):
        refusal = await refusal_of(careless.service_url)
    assert (refusal.code, refusal.data) == ("not_durable", {"setting": name})
    await refuse_unsafe(careless.service_url)


@pytest.mark.parametrize("where", ["ROLE timebank", "DATABASE timebank", "ROLE timebank IN DATABASE timebank"])
async def test_a_setting_of_the_role_or_the_database_alone_is_refused(careless: Server, where: str) -> None:
    await administer(careless, f"ALTER {where} SET synchronous_commit = off")
    try:
        refusal = await refusal_of(careless.service_url)
        # Where PostgreSQL is ours, the command line turns everything on, but a role's own setting comes after it.
        assert (refusal.code, refusal.data) == ("not_durable", {"setting": "synchronous_commit"})
    finally:
        await administer(careless, f"ALTER {where} RESET synchronous_commit")


async def test_our_own_server_turns_everything_on(own_data: Path) -> None:
    with EmbeddedPostgres(own_data, options={"fsync": "off", "shared_buffers": "16MB"}) as server:
        await ask(server.superuser_url, "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")
        await refuse_unsafe(server.service_url)


# Roles that could write what the ledger's function refuses.


def as_role(url: str, role: str, password: str = PASSWORD) -> str:
    """`url` for another role."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.netloc.rpartition('@')[2]}"))


class Administrator:
    """Makes roles on the tests' server, and undoes what was done for one test."""

    def __init__(self, connection: asyncpg.Connection, database: Database) -> None:
        self.connection = connection
        self.database = database
        self.undo: list[str] = []

    async def role(self, *attributes: str) -> str:
        """A new role that signs in, with these attributes; a member of timebank_service."""
        name = f"timebank_test_{secrets.token_hex(4)}"
        try:
            await self.connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' {' '.join(attributes)}")
        except asyncpg.InsufficientPrivilegeError as error:
            pytest.skip(f"the role that makes databases here may not make this one: {error}")
        self.undo.insert(0, f"DROP ROLE {name}")
        await self.run(f"GRANT timebank_service TO {name}")
        return name

    async def run(self, statement: str, undo: str | None = None) -> None:
        """Run a statement that this test is about."""
        try:
            await self.connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError as error:
            pytest.skip(f"the role that makes databases here may not do this: {error}")
        if undo:
            self.undo.insert(0, undo)

    def url(self, role: str) -> str:
        """How the role signs in."""
        return as_role(self.database.service_url, role)


@pytest.fixture
async def administrator(server: dict[str, str], database: Database) -> AsyncIterator[Administrator]:
    """On the worker's own database, as the role that made it."""
    name = urlsplit(database.service_url).path.strip("/")
    connection = await asyncpg.connect(plain_url(with_database(server["maker"], name)))
    administrator = Administrator(connection, database)
    try:
        yield administrator
    finally:
        for statement in administrator.undo:
            await connection.execute(statement)
        await connection.close()


async def test_a_member_of_timebank_service_and_of_nothing_else_serves(administrator: Administrator) -> None:
    await refuse_unsafe(administrator.url(await administrator.role()))
    await refuse_unsafe(administrator.database.service_url)


async def test_the_owner_does_not_serve(administrator: Administrator) -> None:
    refusal = await refusal_of(administrator.database.owner_url)
    assert refusal.code == "role_too_mighty"
    assert {"is_owner", "owns_schema", "writes_tables"} <= set(refusal.data["reasons"])
    assert "timebank_service" in refusal.sentence
    assert "TIMEBANK_MIGRATION_URL" in refusal.sentence


async def test_a_superuser_does_not_serve(administrator: Administrator) -> None:
    role = await administrator.role("SUPERUSER")
    refusal = await refusal_of(administrator.url(role))
    assert (refusal.code, refusal.data["role"]) == ("role_too_mighty", role)
    assert "is_superuser" in refusal.data["reasons"]


async def test_a_superuser_that_acts_as_a_lesser_role_does_not_serve(administrator: Administrator) -> None:
    role = await administrator.role("SUPERUSER")
    await administrator.run(f"ALTER ROLE {role} SET role = 'timebank_service'")
    assert await ask(plain_url(administrator.url(role)), "SELECT current_user::text") == "timebank_service"
    refusal = await refusal_of(administrator.url(role))
    assert (refusal.code, refusal.data["role"]) == ("role_too_mighty", role)


async def test_who_may_create_roles_does_not_serve_where_that_is_as_good_as_any_role(
    administrator: Administrator,
) -> None:
    role = await administrator.role("CREATEROLE")
    if administrator.connection.get_server_version().major >= 16:
        await refuse_unsafe(administrator.url(role))
    else:
        refusal = await refusal_of(administrator.url(role))
        assert (refusal.code, refusal.data["reasons"]) == ("role_too_mighty", ["may_join_any"])


@pytest.mark.parametrize("group", ["ledger_owner", "pg_execute_server_program", "pg_write_server_files"])
async def test_a_member_of_a_mighty_role_does_not_serve(administrator: Administrator, group: str) -> None:
    role = await administrator.role("NOINHERIT")
    await administrator.run(f"GRANT {group} TO {role}")
    refusal = await refusal_of(administrator.url(role))
    assert refusal.code == "role_too_mighty"
    assert "is_owner" in refusal.data["reasons"]


@pytest.mark.parametrize(
    ("statement", "undo", "reason"),
    [
        (
            "ALTER TABLE timebank.attempt OWNER TO {role}",
            "ALTER TABLE timebank.attempt OWNER TO {owner}",
            "writes_tables",
        ),
        ("ALTER SCHEMA timebank OWNER TO {role}", "ALTER SCHEMA timebank OWNER TO {owner}", "owns_schema"),
        ("GRANT INSERT ON ledger.transfer TO {role}", "REVOKE INSERT ON ledger.transfer FROM {role}", "writes_tables"),
        ("GRANT TRUNCATE ON timebank.attempt TO {role}", "REVOKE ALL ON timebank.attempt FROM {role}", "writes_tables"),
        ("GRANT pg_write_all_data TO {role}", None, "writes_tables"),
    ],
)
async def test_who_writes_past_the_ledgers_functions_does_not_serve(
    administrator: Administrator, statement: str, undo: str | None, reason: str
) -> None:
    names = {"role": await administrator.role(), "owner": urlsplit(administrator.database.owner_url).username}
    await administrator.run(statement.format(**names), undo and undo.format(**names))
    refusal = await refusal_of(administrator.url(names["role"]))
    assert (refusal.code, refusal.data["reasons"]) == ("role_too_mighty", [reason])


# Databases that do not answer, and what is never said of them.


async def test_a_database_that_does_not_answer_is_said_to_be_unreachable(database: Database, place: Path) -> None:
    name = urlsplit(database.service_url).path
    unanswered = [
        f"postgresql://timebank:{PASSWORD}@127.0.0.1:{free_port()}/timebank",
        f"postgresql://timebank:{PASSWORD}@/timebank?host={place}",
        f"postgresql://timebank:{PASSWORD}@127.0.0.1:{PASSWORD}/timebank",
        f"postgresql://timebank:{PASSWORD}@127.0.0.1/timebank?sslmode={PASSWORD}",
        as_role(database.service_url, "timebank", PASSWORD),
        database.service_url.replace(name, "/no_such_database"),
    ]
    for url in unanswered:
        refusal = await refusal_of(url)
        assert refusal.code == "database_unreachable", url
        assert PASSWORD not in refusal.sentence.replace("sslmode", ""), refusal.sentence


def test_versions_below_15_are_too_old() -> None:
    for number in (90_624, 140_023):
        with pytest.raises(Refusal) as caught:
            refuse_old_number(number)
        assert (caught.value.code, caught.value.data) == ("database_too_old", {"version": number // 10_000})
    for number in (150_000, 180_006):
        refuse_old_number(number)


async def test_a_schema_of_another_version_is_refused(database: Database) -> None:
    engine = create_engine(database.owner_url, pool_size=1)
    async with reached(engine) as connection:
        await refuse_other_schema(connection)
        await connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('bank_2099_01_01_tomorrow')")
        with pytest.raises(Refusal) as caught:
            await refuse_other_schema(connection)
        assert caught.value.code == "schema_not_current"
        await connection.exec_driver_sql("DROP TABLE alembic_version")
        assert not await is_current(connection)
        await connection.rollback()
    await engine.dispose()


@pytest.mark.parametrize(
    ("url", "place", "secret"),
    [
        ("postgresql://u:p%40ss@h:1/d", "postgresql://u@h:1/d", {"PGPASSWORD": "p@ss"}),
        ("postgresql+asyncpg://u:p:q@h/d", "postgresql://u@h/d", {"PGPASSWORD": "p:q"}),
        ("postgresql://u@/d?host=%2Ftmp%2Fx", "postgresql://u@/d?host=%2Ftmp%2Fx", {}),
        ("postgresql://h/d", "postgresql://h/d", {}),
    ],
)
def test_no_password_is_among_the_arguments_of_a_program(url: str, place: str, secret: dict[str, Any]) -> None:
    assert for_clients(url) == (place, secret)
