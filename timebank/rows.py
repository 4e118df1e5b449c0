"""Many rows in one statement."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows of one shape. They travel as one JSON parameter, so a thousand cost one round trip and one plan.

    Keys are column names; columns that are left out get their default. Binary values as `binary` writes them.
    """
    if not rows:
        return
    names = ", ".join(rows[0])
    await connection.execute(
        text(
            f"INSERT INTO {table.fullname} ({names}) SELECT {names} "  # noqa: S608  names of our own columns
            f"FROM jsonb_populate_recordset(NULL::{table.fullname}, CAST(:rows AS jsonb))"
        ),
        {"rows": msgspec.json.encode(rows).decode()},
    )


def binary(value: bytes) -> str:
    """Bytes as PostgreSQL reads them from text."""
    return f"\\x{value.hex()}"
