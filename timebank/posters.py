"""Station posters: printed codes that name the station and nothing else. A new print takes the old ones out of use."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, codes, trail
from timebank.errors import Invalid
from timebank.tables import poster, station

POSTER_ROLES = ("manager", "admin")


async def live(connection: AsyncConnection, book_id: int, station_id: UUID) -> Row[Any] | None:
    """The poster that hangs at a station now."""
    query = select(poster).where(
        poster.c.book_id == book_id, poster.c.station_id == station_id, poster.c.revoked_at.is_(None)
    )
    return (await connection.execute(query)).one_or_none()


async def replace(
    connection: AsyncConnection, book_id: int, station_id: UUID, *, id: UUID, now: datetime, actor_id: UUID
) -> Row[Any]:
    """A new poster for a station of the actor's; the old one is revoked in the same step. Sent twice, it is one.

    Errors: `not_found` (station), `invalid` (after 32767 prints).
    """
    await access.visible_station(connection, book_id, station_id, actor_id=actor_id, roles=POSTER_ROLES, now=now)
    # One print at a time for each station.
    await connection.execute(
        select(station.c.id)
        .where(station.c.book_id == book_id, station.c.id == station_id)
        .with_for_update(key_share=True)
    )
    query = select(poster).where(poster.c.book_id == book_id, poster.c.id == id, poster.c.station_id == station_id)
    known = (await connection.execute(query)).one_or_none()
    if known is not None:
        return known
    before = await revoke_live(connection, book_id, station_id, now)
    highest = await connection.scalar(
        select(func.max(poster.c.number)).where(poster.c.book_id == book_id, poster.c.station_id == station_id)
    )
    number = (highest or 0) + 1
    if number >= codes.POSTER_NUMBER_LIMIT:
        raise Invalid(field="number", reason="range")
    added = await connection.execute(
        insert(poster)
        .values(book_id=book_id, id=id, station_id=station_id, number=number, printed_at=now)
        .returning(poster)
    )
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="poster.replace",
        subject_kind="station",
        subject_id=station_id,
        before={"number": before.number} if before else None,
        after={"number": number},
        now=now,
    )
    row: Row[Any] = added.one()
    return row


async def revoke(connection: AsyncConnection, book_id: int, station_id: UUID, *, now: datetime, actor_id: UUID) -> None:
    """Take the poster of a station out of use without a new one. Without a poster, nothing happens."""
    await access.visible_station(connection, book_id, station_id, actor_id=actor_id, roles=POSTER_ROLES, now=now)
    before = await revoke_live(connection, book_id, station_id, now)
    if before is not None:
        await trail.write(
            connection,
            book_id,
            actor_id=actor_id,
            action="poster.revoke",
            subject_kind="station",
            subject_id=station_id,
            before={"number": before.number},
            after={"number": None},
            now=now,
        )


async def revoke_live(connection: AsyncConnection, book_id: int, station_id: UUID, now: datetime) -> Row[Any] | None:
    """The poster that hung there until now."""
    gone = await connection.execute(
        update(poster)
        .where(poster.c.book_id == book_id, poster.c.station_id == station_id, poster.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(poster)
    )
    row: Row[Any] | None = gone.one_or_none()
    return row
