"""Who looked at whose data: kept for the person, once a day for each reader and each kind of look."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import purses
from timebank.tables import reading

# A person's file in the office; a search by name, number or id that found them; a record with its scans; a statement.
What = Literal["file", "search", "record", "statement"]
# How many looks a page shows.
SHOWN = 50


async def note(
    connection: AsyncConnection, book_id: int, reader_id: UUID, member_ids: Iterable[UUID], what: What, now: datetime
) -> None:
    """Keep that somebody looked at these members; one's own data are looked at without a trace."""
    day = now.astimezone(await purses.time_zone(connection, book_id)).date()
    looked = [
        {
            "book_id": book_id,
            "member_id": member_id,
            "day": day,
            "reader_id": reader_id,
            "what": what,
            "at": now,
        }
        for member_id in sorted(set(member_ids) - {reader_id})
    ]
    if looked:
        await connection.execute(insert(reading).values(looked).on_conflict_do_nothing())


async def of(
    connection: AsyncConnection, book_id: int, member_id: UUID, limit: int | None = SHOWN
) -> Sequence[Row[Any]]:
    """The looks at a member, the latest first; all of them without a limit."""
    query: Select[Any] = (
        select(reading.c.day, reading.c.reader_id, reading.c.what, reading.c.at)
        .where(reading.c.book_id == book_id, reading.c.member_id == member_id)
        .order_by(reading.c.day.desc(), reading.c.at.desc())
        .limit(limit)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows
