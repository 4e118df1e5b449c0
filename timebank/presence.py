"""Who is at a station now, for whoever looks after it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.tables import attendance, punch, shift


async def who_is_in(
    connection: AsyncConnection, book_id: int, station_id: UUID, *, limit: int = 500
) -> Sequence[Row[Any]]:
    """Who is checked in, the first first: `member_id`, `started_at`, `source`, `holds`, and the shift's times."""
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
        .order_by(attendance.c.started_at, attendance.c.id)
        .limit(limit)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows
