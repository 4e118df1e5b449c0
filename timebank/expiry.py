"""The end of points: what is left in a purse when its last local day is over.

A refund goes back into the purse it came from, whatever the day, and what comes back into a purse that is past expires
at the next turn: no redemption gives points a longer life.
"""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import and_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import postings, purses
from timebank.clock import local_day
from timebank.postings import Left
from timebank.tables import member, purse


async def expire(connection: AsyncConnection, book_id: int, now: datetime, limit: int = 500) -> int:
    """Let what is left in past purses expire; answers how many purses were looked at.

    Leaves alone whoever another process has in hand, and never looks twice at a purse to which nothing came back. In a
    bank that has no city yet there is nothing to do.
    """
    if (zone := await purses.time_zone_if_any(connection, book_id)) is None:
        return 0
    today = local_day(now, zone)
    ids = await past_purses(connection, book_id, today, limit)
    if not ids:
        return 0
    standing = await purses.standing(connection, book_id, ids)
    await connection.execute(update(purse).where(purse.c.book_id == book_id, purse.c.id.in_(ids)).values(swept_at=now))
    left = [Left(id_, points, version) for id_, (points, version) in standing.items() if points]
    await postings.expire(connection, book_id, left, now)
    return len(ids)


async def past_purses(connection: AsyncConnection, book_id: int, today: date, limit: int) -> Sequence[UUID]:
    """Purses whose last day is over and that were not swept since. Their members are locked, so that nobody takes
    anything out, and then they themselves, so that nobody puts anything in."""
    unswept = and_(purse.c.book_id == book_id, purse.c.expires_on < today, purse.c.swept_at.is_(None))
    query = select(purse.c.id, purse.c.member_id).where(unswept).order_by(purse.c.expires_on, purse.c.id)
    found = (await connection.execute(query.limit(limit))).all()
    free = await connection.scalars(
        select(member.c.id)
        .where(member.c.book_id == book_id, member.c.id.in_({row.member_id for row in found}))
        .order_by(member.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    locked: Sequence[UUID] = (
        await connection.scalars(
            select(purse.c.id)
            .where(unswept, purse.c.id.in_([row.id for row in found]), purse.c.member_id.in_(free.all()))
            .order_by(purse.c.id)
            .with_for_update(key_share=True, skip_locked=True)
        )
    ).all()
    return locked
