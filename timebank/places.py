"""Where scans are made: from the numbers in codes, and from what a manager chose, to stations, screens and posters."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Row, any_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.codes import Scan, digits_slot
from timebank.hourly import HourlyKeys
from timebank.rows import Query
from timebank.tables import device, member, poster, region, station

# What shows codes, and the digits beside them.
SHOWING = ("screen", "kiosk")


@dataclass
class Places:
    """The stations that a batch names, each way of naming one."""

    # Each with its station; also the revoked ones, to say so.
    by_device: dict[int, Row[Any]] = field(default_factory=dict)
    by_number: dict[int, Row[Any]] = field(default_factory=dict)
    by_id: dict[UUID, Row[Any]] = field(default_factory=dict)
    # The devices of a station whose digits may be typed.
    screens: dict[UUID, list[Row[Any]]] = field(default_factory=lambda: defaultdict(list))
    # (station, number) of the posters that still hang.
    posters: set[tuple[UUID, int]] = field(default_factory=set)

    def all(self) -> list[Row[Any]]:
        """Every station of the batch, once or more."""
        return [*self.by_device.values(), *self.by_id.values()]

    def of(self, scan: Scan, station_id: UUID | None) -> Row[Any] | None:
        """The station of a scan."""
        if scan.device_number is not None:
            return self.by_device.get(scan.device_number)
        if scan.station_number is not None:
            return self.by_number.get(scan.station_number)
        return self.by_id.get(station_id) if station_id is not None else None

    def screen_of(self, keys: HourlyKeys, place: Row[Any], digits: str, now: datetime) -> tuple[UUID, int] | None:
        """The device whose six digits these are, and their slot."""
        for row in self.screens[place.id]:
            slot = digits_slot(keys, place.number, row.number, digits, now)
            if slot is not None:
                return row.id, slot
        return None


async def named(
    connection: AsyncConnection, book_id: int, scans: Collection[Scan], station_ids: Collection[UUID]
) -> Places:
    """Every station that these scans and ids name: one statement where only screens were scanned, three at most more
    where anything else was."""
    found = Places()
    devices = {scan.device_number for scan in scans if scan.device_number is not None}
    scanned = await BY_DEVICE.rows(connection, book_id=book_id, numbers=list(devices))
    found.by_device = {row.device_number: row for row in scanned}
    numbers = {scan.station_number for scan in scans if scan.device_number is None and scan.station_number is not None}
    if not numbers and not station_ids:
        return found
    rows = await connection.execute(
        select(station).where(
            station.c.book_id == book_id, or_(station.c.number.in_(numbers), station.c.id.in_(station_ids))
        )
    )
    found.by_id = {row.id: row for row in rows}
    found.by_number = {row.number: row for row in found.by_id.values()}
    if any(scan.digits is not None for scan in scans):
        rows = await connection.execute(
            select(device)
            .where(
                device.c.book_id == book_id,
                device.c.station_id.in_(found.by_id),
                device.c.kind.in_(SHOWING),
                device.c.revoked_at.is_(None),
            )
            .order_by(device.c.number)
        )
        for row in rows:
            found.screens[row.station_id].append(row)
    if any(scan.poster_number is not None for scan in scans):
        rows = await connection.execute(
            select(poster.c.station_id, poster.c.number).where(
                poster.c.book_id == book_id, poster.c.station_id.in_(found.by_id), poster.c.revoked_at.is_(None)
            )
        )
        found.posters = {(row.station_id, row.number) for row in rows}
    return found


BY_DEVICE = Query(
    select(device.c.number.label("device_number"), device.c.id.label("device_id"), device.c.revoked_at, station)
    .join(station, (station.c.book_id == device.c.book_id) & (station.c.id == device.c.station_id))
    .where(
        device.c.book_id == bindparam("book_id"),
        device.c.number == any_(bindparam("numbers", type_=ARRAY(Integer))),
    )
)


async def of_resident(connection: AsyncConnection, book_id: int, member_id: UUID) -> list[Row[Any]]:
    """The open stations of where a member lives, and of the regions above it: those whose home visits they may be."""
    rows = await connection.execute(
        select(station)
        .select_from(member)
        .join(region, (region.c.book_id == member.c.book_id) & (region.c.id == member.c.region_id))
        .join(station, (station.c.book_id == region.c.book_id) & (station.c.region_id == any_(region.c.path)))
        .where(member.c.book_id == book_id, member.c.id == member_id, station.c.state == "open")
        .order_by(station.c.number)
    )
    return list(rows.all())
