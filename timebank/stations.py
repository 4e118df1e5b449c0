"""Stations, where service happens, and the devices there that show codes or scan cards."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Row, Table, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, regions, texts, trail
from timebank.errors import Conflict, Invalid, NotFound
from timebank.ids import uuid7
from timebank.tables import device, fund, service_kind, station

NAME_LIMIT = 80
ADDRESS_LIMIT = 200
DEVICE_KINDS = ("screen", "kiosk", "scanner")


async def add(
    connection: AsyncConnection,
    book_id: int,
    *,
    region_id: UUID,
    fund_id: UUID,
    service_kind_id: UUID,
    name_zh: str,
    name_en: str,
    address: str,
    organising_unit: str,
    person_in_charge: str,
    id: UUID,
    now: datetime,
    cap_minutes: int = 240,
    number: int | None = None,
    actor_id: UUID | None = None,
) -> Row[Any]:
    """Open a station, with one device of kind `screen` that shows its rotating code. Answers the station's row.

    `number` is carried in codes and printed on posters; without one the station gets the next free. The fund must
    belong to the station's region or to one above it. `cap_minutes` is the longest stay that closes by itself.
    Errors: `not_found` (region, fund, service kind), `invalid`, `conflict` (number).
    """
    place = await regions.require(connection, book_id, region_id, actor_id, now)
    await require_fund(connection, book_id, fund_id, place.path)
    await require_kind(connection, book_id, service_kind_id)
    if not 1 <= cap_minutes <= 1440:
        raise Invalid(field="cap_minutes", reason="range")
    values = {
        "book_id": book_id,
        "id": id,
        "region_id": region_id,
        "fund_id": fund_id,
        "service_kind_id": service_kind_id,
        "name_zh": texts.line("name_zh", name_zh, NAME_LIMIT),
        "name_en": texts.line("name_en", name_en, NAME_LIMIT),
        "address": texts.line("address", address, ADDRESS_LIMIT),
        "organising_unit": texts.line("organising_unit", organising_unit, NAME_LIMIT),
        "person_in_charge": texts.line("person_in_charge", person_in_charge, NAME_LIMIT),
        "cap_minutes": cap_minutes,
        "state": "open",
        "created_at": now,
    }
    row = await insert_numbered(connection, station, values, number)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="station.add",
        subject_kind="station",
        subject_id=id,
        after={"number": row.number, "name_zh": row.name_zh, "region_id": str(region_id), "fund_id": str(fund_id)},
        now=now,
    )
    await enrol_device(connection, book_id, station_id=id, kind="screen", name="screen", id=uuid7(now), now=now)
    return row


async def insert_numbered(
    connection: AsyncConnection, table: Table, values: dict[str, Any], number: int | None
) -> Row[Any]:
    """Insert a row under `number`, or under the next free one; `Conflict` when the number is taken."""
    taken: Column[int] = table.c.number
    following = select(func.coalesce(func.max(taken), 0) + 1).where(table.c.book_id == values["book_id"])
    while True:
        statement = (
            insert(table)
            .values(**values, number=following.scalar_subquery() if number is None else number)
            .on_conflict_do_nothing(index_elements=["book_id", "number"])
            .returning(table)
        )
        row: Row[Any] | None = (await connection.execute(statement)).one_or_none()
        if row is not None:
            return row
        # Another transaction has just committed this number. A free one is looked for again; a chosen one is gone.
        if number is not None:
            raise Conflict(field="number")


async def require_fund(connection: AsyncConnection, book_id: int, fund_id: UUID, path: list[UUID]) -> None:
    """Raise `NotFound` unless the fund belongs to one of the regions of `path`."""
    query = select(fund.c.id).where(fund.c.book_id == book_id, fund.c.id == fund_id, fund.c.region_id.in_(path))
    if (await connection.execute(query)).one_or_none() is None:
        raise NotFound(kind="fund")


async def require_kind(connection: AsyncConnection, book_id: int, service_kind_id: UUID) -> None:
    """Raise `NotFound` unless the service kind is in use."""
    query = select(service_kind.c.id).where(
        service_kind.c.book_id == book_id, service_kind.c.id == service_kind_id, service_kind.c.active
    )
    if (await connection.execute(query)).one_or_none() is None:
        raise NotFound(kind="service_kind")


async def require(
    connection: AsyncConnection, book_id: int, station_id: UUID, actor_id: UUID | None, now: datetime
) -> Row[Any]:
    """The station, when it exists and the actor, unless the operator, administers it; `NotFound` otherwise."""
    if actor_id is not None:
        return await access.visible_station(
            connection, book_id, station_id, actor_id=actor_id, roles=("admin",), now=now
        )
    query = select(station).where(station.c.book_id == book_id, station.c.id == station_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(kind="station")
    return row


async def set_state(
    connection: AsyncConnection,
    book_id: int,
    station_id: UUID,
    *,
    state: str,
    now: datetime,
    actor_id: UUID | None = None,
) -> None:
    """Open or close a station. A closed one refuses check-ins; who is in can still check out."""
    if state not in ("open", "closed"):
        raise Invalid(field="state", reason="unknown")
    before = await require(connection, book_id, station_id, actor_id, now)
    await connection.execute(
        update(station).where(station.c.book_id == book_id, station.c.id == station_id).values(state=state)
    )
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="station.state",
        subject_kind="station",
        subject_id=station_id,
        before={"state": before.state},
        after={"state": state},
        now=now,
    )


async def enrol_device(
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
    if kind not in DEVICE_KINDS:
        raise Invalid(field="kind", reason="unknown")
    await require(connection, book_id, station_id, actor_id, now)
    values = {
        "book_id": book_id,
        "id": id,
        "station_id": station_id,
        "kind": kind,
        "name": texts.line("name", name, NAME_LIMIT),
        "public_key": public_key,
        "enrolled_at": now,
    }
    row = await insert_numbered(connection, device, values, None)
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


async def revoke_device(
    connection: AsyncConnection, book_id: int, device_id: UUID, *, now: datetime, actor_id: UUID | None = None
) -> None:
    """Refuse whatever a device shows or scans from now on. Revoking twice changes nothing."""
    query = select(device).where(device.c.book_id == book_id, device.c.id == device_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(kind="device")
    await require(connection, book_id, row.station_id, actor_id, now)
    revoked = await connection.execute(
        update(device)
        .where(device.c.book_id == book_id, device.c.id == device_id, device.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if revoked.rowcount:
        await trail.write(
            connection,
            book_id,
            actor_id=actor_id,
            action="device.revoke",
            subject_kind="device",
            subject_id=device_id,
            after={"number": row.number},
            now=now,
        )


async def devices(connection: AsyncConnection, book_id: int, station_id: UUID) -> list[Row[Any]]:
    """The devices of a station that are not revoked, by number; its screen comes first."""
    query = (
        select(device)
        .where(device.c.book_id == book_id, device.c.station_id == station_id, device.c.revoked_at.is_(None))
        .order_by(device.c.number)
    )
    return list((await connection.execute(query)).all())
