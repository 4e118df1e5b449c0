"""Stations, where service happens."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType
from sqlalchemy import Row, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, devices, numbering, overview, regions, texts, trail
from timebank.cursors import Cursor, Page, rising
from timebank.errors import Invalid, NotFound
from timebank.ids import uuid7
from timebank.tables import fund, service_kind, station

NAME_LIMIT = 80
ADDRESS_LIMIT = 200
TEXT_LIMITS = {
    "name_zh": NAME_LIMIT,
    "name_en": NAME_LIMIT,
    "address": ADDRESS_LIMIT,
    "organising_unit": NAME_LIMIT,
    "person_in_charge": NAME_LIMIT,
}
POSITION = ("latitude", "longitude")
# What the trail keeps of a new station.
WRITTEN = ("region_id", "fund_id", "service_kind_id", *TEXT_LIMITS, "cap_minutes", *POSITION)


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
    latitude: float | None = None,
    longitude: float | None = None,
    actor_id: UUID | None = None,
) -> Row[Any]:
    """Open a station, with one device of kind `screen` that shows its rotating code. Answers the station's row.

    `number` is carried in codes and printed on posters; without one the station gets the next free. The fund must
    belong to the station's region or to one above it. `cap_minutes` is the longest stay that closes by itself. By its
    position, in degrees, a member is seen to be in two places at once; without one nothing is asked.
    Errors: `not_found` (region, fund, service kind), `invalid`, `conflict` (number).
    """
    place = await regions.require(connection, book_id, region_id, actor_id, now)
    await require_fund(connection, book_id, fund_id, place.path)
    await require_kind(connection, book_id, service_kind_id)
    if not 1 <= cap_minutes <= 1440:
        raise Invalid(field="cap_minutes", reason="range")
    check_position(latitude, longitude)
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
        "latitude": latitude,
        "longitude": longitude,
        "state": "open",
        "created_at": now,
    }
    row = await numbering.insert_numbered(connection, station, values, number)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="station.add",
        subject_kind="station",
        subject_id=id,
        after={"number": row.number, **{name: kept(value) for name, value in values.items() if name in WRITTEN}},
        now=now,
    )
    await devices.add(connection, book_id, station_id=id, kind="screen", name="screen", id=uuid7(now), now=now)
    return row


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
    before = await access.administered_station(connection, book_id, station_id, actor_id, now)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What shall be different about a station; what is None stays."""

    region_id: UUID | None = None
    fund_id: UUID | None = None
    service_kind_id: UUID | None = None
    name_zh: str | None = None
    name_en: str | None = None
    address: str | None = None
    organising_unit: str | None = None
    person_in_charge: str | None = None
    cap_minutes: int | None = None
    latitude: float | UnsetType | None = UNSET
    """In degrees, north above zero; both or neither. Unlike the others it stays where it is not set, and None takes
    the position away."""
    longitude: float | UnsetType | None = UNSET


async def edit(
    connection: AsyncConnection,
    book_id: int,
    station_id: UUID,
    changes: Changes,
    *,
    now: datetime,
    actor_id: UUID | None = None,
) -> None:
    """Change a station. Records that were made there keep what they say; points not yet paid come from the new fund.

    Errors: `not_found` (station, region, fund, service kind), `invalid`.
    """
    await access.administered_station(connection, book_id, station_id, actor_id, now)
    query = select(station).where(station.c.book_id == book_id, station.c.id == station_id).with_for_update()
    row = (await connection.execute(query)).one()
    given = {field.name: getattr(changes, field.name) for field in fields(changes)}
    at = {name: value for name in POSITION if (value := given.pop(name)) is not UNSET}
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None} | at
    check_position(*(values.get(name, getattr(row, name)) for name in POSITION))
    for name in TEXT_LIMITS.keys() & values.keys():
        values[name] = texts.line(name, values[name], TEXT_LIMITS[name])
    if not 1 <= values.get("cap_minutes", 1) <= 1440:
        raise Invalid(field="cap_minutes", reason="range")
    values = {name: value for name, value in values.items() if value != getattr(row, name)}
    if not values:
        return
    if values.keys() & {"region_id", "fund_id"}:
        place = await regions.require(connection, book_id, values.get("region_id", row.region_id), actor_id, now)
        await require_fund(connection, book_id, values.get("fund_id", row.fund_id), place.path)
    if "service_kind_id" in values:
        await require_kind(connection, book_id, values["service_kind_id"])
    await connection.execute(
        update(station).where(station.c.book_id == book_id, station.c.id == station_id).values(**values)
    )
    written: dict[str, Any] = {
        "actor_id": actor_id,
        "subject_kind": "station",
        "subject_id": station_id,
        "now": now,
        "before": {name: kept(getattr(row, name)) for name in sorted(values)},
        "after": {name: kept(values[name]) for name in sorted(values)},
    }
    await trail.write(connection, book_id, action="station.edit", **written)
    if "region_id" in values:
        # The branch that loses a station sees that, too.
        await trail.write(connection, book_id, action="station.move_out", region_id=row.region_id, **written)


def check_position(latitude: float | None, longitude: float | None) -> None:
    """Raise Invalid unless both are there, within the earth's, or neither."""
    for name, value, other, limit in (
        ("latitude", latitude, longitude, 90),
        ("longitude", longitude, latitude, 180),
    ):
        if value is None and other is not None:
            raise Invalid(field=name, reason="missing")
        if value is not None and not -limit <= value <= limit:
            raise Invalid(field=name, reason="range")


def kept(value: Any) -> Any:
    """A value as the trail keeps it."""
    return str(value) if isinstance(value, UUID) else value


async def listed(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    roles: Sequence[str],
    now: datetime,
    region_id: UUID | None = None,
    state: str | None = None,
    name: str | None = None,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """The stations of the actor's branch, the oldest first: of one region and below it, in one state, with a `name`.

    `name` is a part of the name in either language, or the whole number. Rows are those of `overview.of_stations`.
    """
    query = overview.of_stations().add_columns(station.c.created_at)
    query = query.where(station.c.book_id == book_id, access.in_branch(actor_id, roles, now))
    if region_id is not None:
        query = query.where(access.below(region_id))
    if state is not None:
        query = query.where(station.c.state == state)
    if name:
        parts = [column.icontains(name, autoescape=True) for column in (station.c.name_zh, station.c.name_en)]
        if name.isascii() and name.isdigit() and len(name) < 8:
            parts.append(station.c.number == int(name))
        query = query.where(or_(*parts))
    return await rising(connection, query, station.c.created_at, station.c.id, after, limit)
