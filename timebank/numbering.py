"""Short numbers for what is printed and carried in codes: a book's stations and its devices, counted from 1."""

from typing import Any

from sqlalchemy import Column, Row, Table, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.errors import Conflict


async def insert_numbered(
    connection: AsyncConnection, table: Table, values: dict[str, Any], number: int | None
) -> Row[Any]:
    """Insert a row under `number`, or under the next free one; `Conflict` when the number is taken."""
    taken: Column[int] = table.c.number
    following = select(func.coalesce(func.max(taken), 0) + 1).where(table.c.book_id == values["book_id"])
    while True:
        statement = (
            insert(table)
            .values(**values, number=following.scalar_subquery() if number is None else number)
            .on_conflict_do_nothing(index_elements=["book_id", "number"])
            .returning(table)
        )
        row: Row[Any] | None = (await connection.execute(statement)).one_or_none()
        if row is not None:
            return row
        # Another transaction has just committed this number. A free one is looked for again; a chosen one is gone.
        if number is not None:
            raise Conflict(field="number")
