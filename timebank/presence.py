"""Who is at a station now, for whoever looks after it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Text, Uuid, and_, any_, cast, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.cursors import Cursor, Page, rising
from timebank.tables import attendance, punch, shift


async def who_is_in(
    connection: AsyncConnection,
    book_id: int,
    station_id: UUID,
    *,
    shift_id: UUID | None = None,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """Who is checked in, the first first: `member_id`, `started_at`, `source`, `holds`, and the shift's times.

    `shift_id` leaves only those who came for that shift.
    """
    query: Select[Any] = (
        select(
            attendance.c.id,
            attendance.c.member_id,
            attendance.c.started_at,
            punch.c.source,
            punch.c.holds,
            shift.c.starts_at.label("shift_starts_at"),
            shift.c.ends_at.label("shift_ends_at"),
        )
        .join_from(
            attendance, punch, and_(punch.c.book_id == attendance.c.book_id, punch.c.id == attendance.c.in_punch_id)
        )
        .outerjoin(shift, and_(shift.c.book_id == attendance.c.book_id, shift.c.id == attendance.c.shift_id))
        .where(attendance.c.book_id == book_id, attendance.c.station_id == station_id, attendance.c.state == "open")
    )
    if shift_id is not None:
        query = query.where(attendance.c.shift_id == shift_id)
    return await rising(connection, query, attendance.c.started_at, attendance.c.id, after, limit)


async def shifts_of_those_in(connection: AsyncConnection, book_id: int, station_id: UUID) -> Sequence[Row[Any]]:
    """The shifts that who is checked in came for, the first to begin first: `id`, `starts_at`, `ends_at`."""
    of_shift = and_(shift.c.book_id == attendance.c.book_id, shift.c.id == attendance.c.shift_id)
    query: Select[Any] = (
        select(shift.c.id, shift.c.starts_at, shift.c.ends_at)
        .distinct()
        .join_from(attendance, shift, of_shift)
        .where(attendance.c.book_id == book_id, attendance.c.station_id == station_id, attendance.c.state == "open")
        .order_by(shift.c.starts_at, shift.c.id)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def marks(connection: AsyncConnection, book_id: int, station_ids: Sequence[UUID]) -> dict[UUID, str]:
    """For each station a text that is another one as soon as somebody comes or goes."""
    people = func.bit_xor(func.hashtextextended(cast(attendance.c.id, Text), 0))
    query = (
        select(attendance.c.station_id, func.count().label("number"), people.label("people"))
        .where(
            attendance.c.book_id == book_id,
            attendance.c.station_id == any_(literal(list(station_ids), ARRAY(Uuid))),
            attendance.c.state == "open",
        )
        .group_by(attendance.c.station_id)
    )
    found = {row.station_id: f"{row.number} {row.people}" for row in await connection.execute(query)}
    return {station_id: found.get(station_id, "0") for station_id in station_ids}
