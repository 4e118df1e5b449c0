"""Who looked at whose data: kept for the person, once a day for each reader and each kind of look."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

from sqlalchemy import Row, Select, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import purses
from timebank.cursors import CursorInvalid, Page, Ranked
from timebank.tables import reading

# A person's file in the office; a search by name, number or id that found them; a record with its scans; a statement.
What = Literal["file", "search", "record", "statement"]
KINDS = sorted(get_args(What))
FIRST_DAY = date(1970, 1, 1)


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


async def all_of(connection: AsyncConnection, book_id: int, member_id: UUID) -> Sequence[Row[Any]]:
    """Every look at a member, the latest day first: `day`, `reader_id`, `what`, `at`."""
    rows: Sequence[Row[Any]] = (await connection.execute(looks(book_id, member_id))).all()
    return rows


async def of(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    what: str | None = None,
    before: Ranked | None = None,
    limit: int = 20,
) -> Page:
    """Some of the looks at a member, of one kind or all, the latest day first. Rows as of `all_of`. CursorInvalid."""
    query = looks(book_id, member_id)
    if what is not None:
        query = query.where(reading.c.what == what)
    if before is not None:
        query = query.where(tuple_(reading.c.day, reading.c.what, reading.c.reader_id) < tuple_(*place(before)))
    rows = (await connection.execute(query.limit(limit + 1))).all()
    return Page(rows[:limit], cursor(rows[limit - 1]) if len(rows) > limit else None)


def looks(book_id: int, member_id: UUID) -> Select[Any]:
    """The looks at a member in their order, which leaves none beside another."""
    return (
        select(reading.c.day, reading.c.reader_id, reading.c.what, reading.c.at)
        .where(reading.c.book_id == book_id, reading.c.member_id == member_id)
        .order_by(reading.c.day.desc(), reading.c.what.desc(), reading.c.reader_id.desc())
    )


def cursor(row: Row[Any]) -> Ranked:
    """Where the list goes on behind a look: its day and kind as one number, and who looked."""
    return Ranked((row.day - FIRST_DAY).days * len(KINDS) + KINDS.index(row.what), row.reader_id)


def place(cursor: Ranked) -> tuple[date, str, UUID]:
    """The day, kind and reader that `cursor` wrote."""
    days, kind = divmod(cursor.rank, len(KINDS))
    try:
        return FIRST_DAY + timedelta(days=days), KINDS[kind], cursor.id
    except OverflowError:
        raise CursorInvalid() from None
