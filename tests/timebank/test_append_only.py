"""What happened stays as it was: evidence, decisions, answers and the trail refuse every change, to the owner too."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.passing import PASSING
from timebank.tables import metadata

KEPT = (
    "audit_entry",
    "certificate",
    "certificate_record",
    "command",
    "confirmation",
    "consent",
    "correction",
    "decision",
    "fulfilment",
    "fulfilment_undo",
    "policy_version",
    "punch",
    "punch_decision",
    "reading",
    "redemption_part",
)
TABLES = sorted(table.name for table in metadata.tables.values())
# SQLSTATE insufficient_privilege, which our guards use too.
REFUSED = "42501"


@pytest.fixture
async def as_owner(database: Any) -> AsyncIterator[AsyncConnection]:
    """A transaction of the role that owns the tables, rolled back afterwards."""
    engine = create_async_engine(database.owner_url)
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()
    await engine.dispose()


async def refusal(connection: AsyncConnection, statement: str) -> str:
    """What the database says to a statement that it refuses; the transaction goes on."""
    with pytest.raises(DBAPIError) as refused:
        async with connection.begin_nested():
            await connection.execute(text(statement))
    assert getattr(refused.value.orig, "sqlstate", None) == REFUSED
    return str(refused.value.orig)


def changes(table: str) -> list[str]:
    """Every way to change or lose what a table holds."""
    return [
        f"UPDATE timebank.{table} SET book_id = book_id",
        f"DELETE FROM timebank.{table}",
        f"TRUNCATE timebank.{table} CASCADE",
    ]


@pytest.mark.parametrize("table", KEPT)
async def test_the_service_cannot_change_what_happened(connection: AsyncConnection, table: str) -> None:
    for change in changes(table):
        assert f"permission denied for table {table}" in await refusal(connection, change)


@pytest.mark.parametrize("table", KEPT)
async def test_guards_stop_the_owner_too(as_owner: AsyncConnection, table: str) -> None:
    for change in changes(table):
        assert f"timebank.{table} is append-only" in await refusal(as_owner, change)


@pytest.mark.parametrize("table", [table for table in TABLES if table not in PASSING])
async def test_the_service_deletes_no_row(connection: AsyncConnection, table: str) -> None:
    for change in (f"DELETE FROM timebank.{table}", f"TRUNCATE timebank.{table} CASCADE"):
        assert f"permission denied for table {table}" in await refusal(connection, change)


@pytest.mark.parametrize("table", TABLES)
async def test_the_service_cannot_take_a_guard_away(connection: AsyncConnection, table: str) -> None:
    for statement in (f"ALTER TABLE timebank.{table} DISABLE TRIGGER ALL", f"DROP TABLE timebank.{table} CASCADE"):
        assert "must be owner" in await refusal(connection, statement)
