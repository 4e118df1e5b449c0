"""A member's shifts for the calendar of their phone, at a secret address that they make and take away.

Nobody signs up for a shift: whoever comes is welcome. So one's own shifts are those that one planned or came for, and
those of the stations where one holds a role or has served within the last half year.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, trail
from timebank.sessions import token_hash
from timebank.tables import attendance, member, role_grant, service_kind, shift, shift_feed, station

# How far back a calendar goes, and after how long a station at which one does not serve any more is left out.
BACK = timedelta(days=90)
SERVED_WITHIN = timedelta(days=183)
# The latest to begin are left out beyond.
MOST = 1000


async def renew(connection: AsyncConnection, book_id: int, *, actor_id: UUID, now: datetime) -> str:
    """Make the address of the actor's calendar; the one before leads to nothing. Answers its secret part, which is kept
    nowhere: 256 random bits, of which the table holds the SHA-256."""
    secret = secrets.token_urlsafe(32)
    values = {"token_hash": token_hash(secret), "made_at": now}
    await connection.execute(
        insert(shift_feed)
        .values(book_id=book_id, member_id=actor_id, **values)
        .on_conflict_do_update(index_elements=["book_id", "member_id"], set_=values)
    )
    await trail.write_own(connection, book_id, actor_id, action="shift_feed.renew", now=now)
    return secret


async def end(connection: AsyncConnection, book_id: int, *, actor_id: UUID, now: datetime) -> None:
    """Take the address away. Without one, nothing happens."""
    gone = await connection.execute(
        delete(shift_feed).where(shift_feed.c.book_id == book_id, shift_feed.c.member_id == actor_id)
    )
    if gone.rowcount:
        await trail.write_own(connection, book_id, actor_id, action="shift_feed.end", now=now)


async def made_at(connection: AsyncConnection, book_id: int, member_id: UUID) -> datetime | None:
    """Since when the member's present address leads to their shifts; None where there is none."""
    query = select(shift_feed.c.made_at).where(shift_feed.c.book_id == book_id, shift_feed.c.member_id == member_id)
    found: datetime | None = await connection.scalar(query)
    return found


async def owner(connection: AsyncConnection, book_id: int, secret: str) -> Row[Any]:
    """Whose calendar an address is: `id` and `locale`. `not_found` for what is none, and of who is suspended."""
    query: Select[Any] = (
        select(member.c.id, member.c.locale)
        .join_from(
            shift_feed, member, (member.c.book_id == shift_feed.c.book_id) & (member.c.id == shift_feed.c.member_id)
        )
        .where(
            shift_feed.c.book_id == book_id,
            shift_feed.c.token_hash == token_hash(secret),
            member.c.state == "active",
        )
    )
    return await access.one(connection, query, "calendar")


async def shifts_of(connection: AsyncConnection, book_id: int, member_id: UUID, now: datetime) -> Sequence[Row[Any]]:
    """The member's shifts, those taken back among them, from 90 days ago on, the first to begin first; each with its
    station and kind of service, `station_zh`, `station_en`, `address`, `kind_zh` and `kind_en`."""
    theirs = (attendance.c.book_id == book_id, attendance.c.member_id == member_id)
    served_at = select(attendance.c.station_id).where(*theirs, attendance.c.started_at > now - SERVED_WITHIN)
    came_for = select(attendance.c.shift_id).where(*theirs, attendance.c.shift_id.is_not(None))
    holds = select(role_grant.c.station_id).where(
        role_grant.c.book_id == book_id,
        role_grant.c.member_id == member_id,
        role_grant.c.station_id.is_not(None),
        access.in_force(now),
    )
    of_station = (station.c.book_id == shift.c.book_id) & (station.c.id == shift.c.station_id)
    of_kind = (service_kind.c.book_id == shift.c.book_id) & (service_kind.c.id == shift.c.service_kind_id)
    query: Select[Any] = (
        select(
            shift.c.id,
            shift.c.starts_at,
            shift.c.ends_at,
            shift.c.state,
            shift.c.created_at,
            station.c.name_zh.label("station_zh"),
            station.c.name_en.label("station_en"),
            station.c.address,
            service_kind.c.name_zh.label("kind_zh"),
            service_kind.c.name_en.label("kind_en"),
        )
        .join_from(shift, station, of_station)
        .outerjoin(service_kind, of_kind)
        .where(
            shift.c.book_id == book_id,
            shift.c.ends_at > now - BACK,
            or_(
                shift.c.created_by == member_id,
                shift.c.station_id.in_(served_at),
                shift.c.station_id.in_(holds),
                shift.c.id.in_(came_for),
            ),
        )
        .order_by(shift.c.starts_at, shift.c.id)
        .limit(MOST)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows
