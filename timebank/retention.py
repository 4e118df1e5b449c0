"""What is kept for a while only: after so many months nobody needs to know which phone a scan came from."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.tables import punch

# How many scans forget their phone at a time.
BATCH = 1000
MONTH = timedelta(days=30)


def forgetting(months: int) -> Callable[[AsyncConnection, int, datetime], Awaitable[int]]:
    """The job that `forget_phones` is, for what is older than so many months of 30 days."""

    async def job(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        return await forget_phones(connection, book_id, now - months * MONTH)

    return job


def dropping(table: Table) -> Callable[[AsyncConnection, int, datetime], Awaitable[int]]:
    """The job that `drop_expired` is, for one table."""

    async def job(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        return await drop_expired(connection, book_id, table, now)

    return job


async def drop_expired(connection: AsyncConnection, book_id: int, table: Table, now: datetime) -> int:
    """Drop the rows of a table whose `expires_at` has come, for good; answers how many."""
    dropped = await connection.execute(delete(table).where(table.c.book_id == book_id, table.c.expires_at <= now))
    return dropped.rowcount


async def forget_phones_of(connection: AsyncConnection, book_id: int, member_id: UUID) -> None:
    """Let every scan of a member forget its phone and the phone's clock."""
    await connection.execute(
        update(punch)
        .where(
            punch.c.book_id == book_id,
            punch.c.member_id == member_id,
            func.num_nonnulls(punch.c.phone_id, punch.c.phone_time) > 0,
        )
        .values(phone_id=None, phone_time=None)
    )


async def forget_phones(
    connection: AsyncConnection, book_id: int, recorded_before: datetime, limit: int = BATCH
) -> int:
    """Let scans of before a moment forget their phone and its clock; answers how many. Done when it answers 0.

    The reasons that a phone gave for a closer look stay with the scan, and so does everything else.
    """
    old = (
        select(punch.c.id)
        .where(
            punch.c.book_id == book_id,
            punch.c.recorded_at < recorded_before,
            func.num_nonnulls(punch.c.phone_id, punch.c.phone_time) > 0,
        )
        .order_by(punch.c.recorded_at)
        .limit(limit)
    )
    forgotten = await connection.execute(
        update(punch).where(punch.c.book_id == book_id, punch.c.id.in_(old)).values(phone_id=None, phone_time=None)
    )
    return forgotten.rowcount
