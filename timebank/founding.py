"""The first day of a book: its ledger, its region tree, the catalogue of service kinds, its first policy."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import kinds, purses, regions
from timebank.refusal import Refusal
from timebank.regions import Division
from timebank.tables import region


async def found(
    connection: AsyncConnection,
    book_id: int,
    *,
    name: str,
    time_zone: str,
    divisions: Iterable[Division],
    now: datetime,
) -> int:
    """Create a book and what every city needs before its first station; the operator only. Answers how many regions
    are new.

    Can be done again, with the same name and time zone: then it adds what is missing. Errors: as
    `regions.import_divisions`.
    """
    await purses.create_book(connection, book_id, name, time_zone, now=now)
    await kinds.install(connection, book_id, now=now)
    return await regions.import_divisions(connection, book_id, divisions, now=now)


async def refuse_missing(connection: AsyncConnection, book_id: int) -> None:
    """Refusal `book_missing` where nobody has founded the book yet."""
    root = select(region.c.id).where(region.c.book_id == book_id, region.c.parent_id.is_(None))
    if await connection.scalar(root) is None:
        raise Refusal("book_missing", f"There is no book {book_id} yet: timebank book create --name … --regions FILE")
