"""Statements of the hot paths: many rows at once, in the driver's own words."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import Select, Table, TextClause, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

DIALECT = make_url("postgresql+asyncpg://").get_dialect()()


class Row(asyncpg.Record):  # type: ignore[misc]  # asyncpg has no types
    """A row whose columns are attributes, as those of SQLAlchemy's are; `dict(row)` has them all."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


async def run(connection: AsyncConnection, statement: str, *values: object) -> list[Any]:
    """The rows of a statement that writes or locks, with `$1`, `$2` … for `values`.

    Costs a quarter of what it costs by way of SQLAlchemy, and is part of the same transaction, which an earlier
    statement of SQLAlchemy's must have begun. Raises DBAPIError, as SQLAlchemy does.
    """
    driver: Any = (await connection.get_raw_connection()).driver_connection
    if not driver.is_in_transaction():
        raise RuntimeError("no transaction has begun: this statement would be one by itself")
    return await fetch(driver, statement, values)


class Query:
    """A query of SQLAlchemy's that is put into words once; then it costs what `run` costs. Needs no transaction.

    Lists are compared by `= ANY(...)` with a parameter that is an array: the statement must be the same for any number.
    """

    def __init__(self, query: Select[Any] | TextClause) -> None:
        compiled = query.compile(dialect=DIALECT)
        self.statement = compiled.string
        self.names = tuple(compiled.positiontup or ())
        self.constants = compiled.params

    async def rows(self, connection: AsyncConnection, **values: object) -> list[Any]:
        """The rows for these parameters, as `run` gives them. Raises DBAPIError."""
        driver: Any = (await connection.get_raw_connection()).driver_connection
        known = self.constants | values
        return await fetch(driver, self.statement, [known[name] for name in self.names])


async def fetch(driver: Any, statement: str, values: Sequence[object]) -> list[Any]:
    """What the driver answers, and its errors as SQLAlchemy puts them."""
    try:
        return list(await driver.fetch(statement, *values, record_class=Row))
    except asyncpg.InternalClientError as error:
        # The server has said goodbye to it, or the driver has lost its place: nothing can be asked of it any more.
        driver.terminate()
        raise DBAPIError(statement, None, error, connection_invalidated=True) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DBAPIError(statement, None, error, connection_invalidated=driver.is_closed()) from error


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of one shape, as `insert_all` does."""
    await insert_all(connection, {table: rows})


async def insert_all(connection: AsyncConnection, parts: Mapping[Table, Sequence[dict[str, Any]]]) -> None:
    """Insert rows into several tables at once; those of one table have one shape. Foreign keys between them are checked
    at the end. Each table's rows travel as one JSON parameter, so a thousand cost one round trip and one plan.

    Keys are column names; columns that are left out get their default. Binary values as `binary` writes them. The
    transaction must have begun, as for `run`.
    """
    parts = {table: rows for table, rows in parts.items() if rows}
    if parts:
        statement = insertion(tuple((table.fullname, *rows[0]) for table, rows in parts.items()))
        await run(connection, statement, *(msgspec.json.encode(rows).decode() for rows in parts.values()))


@cache
def insertion(shapes: tuple[tuple[str, ...], ...]) -> str:
    """The statement for tables and their columns, made once for each combination."""
    parts = []
    for number, (table_name, *columns) in enumerate(shapes, 1):
        names = ", ".join(columns)
        parts.append(
            f"part_{number} AS (INSERT INTO {table_name} ({names}) SELECT {names} "  # noqa: S608  our own names
            f"FROM jsonb_populate_recordset(NULL::{table_name}, CAST(CAST(${number} AS text) AS jsonb)))"
        )
    return f"WITH {', '.join(parts)} SELECT"


def binary(value: bytes) -> str:
    """Bytes as PostgreSQL reads them from text."""
    return f"\\x{value.hex()}"
