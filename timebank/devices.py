"""The devices of a station, which show codes or scan cards there."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, numbering, texts, trail
from timebank.errors import Invalid, NotFound
from timebank.tables import device

NAME_LIMIT = 80
KINDS = ("screen", "kiosk", "scanner")


async def enrol(
    connection: AsyncConnection,
    book_id: int,
    *,
    station_id: UUID,
    kind: str,
    name: str,
    id: UUID,
    now: datetime,
    public_key: bytes | None = None,
    actor_id: UUID | None = None,
) -> Row[Any]:
    """Give a station one more device, under the next free device number of the book. Answers its row."""
    if kind not in KINDS:
        raise Invalid(field="kind", reason="unknown")
    await access.administered_station(connection, book_id, station_id, actor_id, now)
    return await add(
        connection,
        book_id,
        station_id=station_id,
        kind=kind,
        name=name,
        id=id,
        now=now,
        public_key=public_key,
        actor_id=actor_id,
    )


async def new_screen(
    connection: AsyncConnection,
    book_id: int,
    station_id: UUID,
    *,
    id: UUID,
    now: datetime,
    actor_id: UUID | None = None,
) -> Row[Any]:
    """Give a station a new screen in place of those it has: codes that the old ones still show are refused."""
    await access.administered_station(connection, book_id, station_id, actor_id, now)
    for row in await of_station(connection, book_id, station_id):
        if row.kind == "screen":
            await revoke(connection, book_id, row.id, now=now, actor_id=actor_id)
    return await enrol(
        connection, book_id, station_id=station_id, kind="screen", name="screen", id=id, now=now, actor_id=actor_id
    )


async def add(
    connection: AsyncConnection,
    book_id: int,
    *,
    station_id: UUID,
    kind: str,
    name: str,
    id: UUID,
    now: datetime,
    public_key: bytes | None = None,
    actor_id: UUID | None = None,
) -> Row[Any]:
    """The row of a new device. Whether the actor may add one is asked before."""
    values = {
        "book_id": book_id,
        "id": id,
        "station_id": station_id,
        "kind": kind,
        "name": texts.line("name", name, NAME_LIMIT),
        "public_key": public_key,
        "enrolled_at": now,
    }
    row = await numbering.insert_numbered(connection, device, values, None)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="device.enrol",
        subject_kind="device",
        subject_id=id,
        after={"number": row.number, "kind": kind, "station_id": str(station_id)},
        now=now,
    )
    return row


async def revoke(
    connection: AsyncConnection, book_id: int, device_id: UUID, *, now: datetime, actor_id: UUID | None = None
) -> None:
    """Refuse whatever a device shows or scans from now on. Revoking twice changes nothing."""
    query = select(device).where(device.c.book_id == book_id, device.c.id == device_id)
    row = await access.one(connection, query, "device")
    try:
        await access.administered_station(connection, book_id, row.station_id, actor_id, now)
    except NotFound:
        raise NotFound(kind="device") from None
    await take_out(connection, book_id, row, now=now, actor_id=actor_id)


async def take_out(
    connection: AsyncConnection, book_id: int, row: Row[Any], *, now: datetime, actor_id: UUID | None
) -> None:
    """Revoke a device. Whether the actor may is asked before; one that is revoked already is left alone."""
    revoked = await connection.execute(
        update(device)
        .where(device.c.book_id == book_id, device.c.id == row.id, device.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if revoked.rowcount:
        await trail.write(
            connection,
            book_id,
            actor_id=actor_id,
            action="device.revoke",
            subject_kind="device",
            subject_id=row.id,
            before={"number": row.number, "revoked_at": None},
            after={"number": row.number, "revoked_at": now.isoformat()},
            now=now,
        )


async def of_station(
    connection: AsyncConnection, book_id: int, station_id: UUID, *, revoked: bool = False
) -> list[Row[Any]]:
    """The devices of a station by number, its screen first; those that are revoked only where that is asked for."""
    query = select(device).where(device.c.book_id == book_id, device.c.station_id == station_id)
    if not revoked:
        query = query.where(device.c.revoked_at.is_(None))
    query = query.order_by(device.c.number)
    return list((await connection.execute(query)).all())
