"""Statements of the hot paths: many rows at once, in the driver's own words."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import Select, Table, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

DIALECT = make_url("postgresql+asyncpg://").get_dialect()()


async def run(connection: AsyncConnection, statement: str, *values: object) -> list[Any]:
    """The rows of a statement that writes or locks, with `$1`, `$2` … for `values`; each row is a mapping.

    Costs a quarter of what it costs by way of SQLAlchemy, and is part of the same transaction, which an earlier
    statement of SQLAlchemy's must have begun. JSON columns come as text. Raises DBAPIError, as SQLAlchemy does.
    """
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if not driver.is_in_transaction():
        raise RuntimeError("no transaction has begun: this statement would be one by itself")
    return await fetch(driver, statement, values)


class Query:
    """A query of SQLAlchemy's that is put into words once; then it costs what `run` costs. Needs no transaction."""

    def __init__(self, query: Select[Any]) -> None:
        compiled = query.compile(dialect=DIALECT)
        self.statement = compiled.string
        self.names = tuple(compiled.positiontup or ())
        self.constants = compiled.params

    async def rows(self, connection: AsyncConnection, **values: object) -> list[Any]:
        """The rows for these parameters; each unpacks in the order of the columns. Raises DBAPIError."""
        driver: Any = (await connection.get_raw_connection()).driver_connection
        known = self.constants | values
        return await fetch(driver, self.statement, [known[name] for name in self.names])


async def fetch(driver: Any, statement: str, values: Sequence[object]) -> list[Any]:
    """What the driver answers, and its errors as SQLAlchemy puts them."""
    try:
        return list(await driver.fetch(statement, *values))
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DBAPIError(statement, None, error, connection_invalidated=driver.is_closed()) from error


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of one shape. They travel as one JSON parameter, so a thousand cost one round trip and one plan.

    Keys are column names; columns that are left out get their default. Binary values as `binary` writes them. The
    transaction must have begun, as for `run`.
    """
    if not rows:
        return
    await run(connection, insertion(table.fullname, tuple(rows[0])), msgspec.json.encode(rows).decode())


@cache
def insertion(table_name: str, columns: tuple[str, ...]) -> str:
    """The statement, made once for each shape of rows."""
    names = ", ".join(columns)
    return (
        f"INSERT INTO {table_name} ({names}) SELECT {names} "  # noqa: S608  names of our own columns
        f"FROM jsonb_populate_recordset(NULL::{table_name}, CAST(CAST($1 AS text) AS jsonb))"
    )


def binary(value: bytes) -> str:
    """Bytes as PostgreSQL reads them from text."""
    return f"\\x{value.hex()}"
