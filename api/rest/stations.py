"""Stations: the ones somebody looks after, what their screens show, and new ones."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import member_of
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    Operation,
    ShortText,
    body_of,
    command_id,
    give,
    reading,
    shaped,
    writing,
)
from api.state import bank_of
from timebank import access, codes, overview, stations
from timebank.errors import NotFound
from timebank.records import QUEUE_ROLES

# Five minutes' worth, so that a short loss of the network is not seen on the screen.
SLOTS_AHEAD = 15


class Station(Answered, frozen=True):
    """A station of the branch."""

    id: UUID
    number: int
    name_zh: str
    name_en: str
    address: str
    state: str
    region_zh: str
    region_en: str | None
    fund_zh: str
    fund_en: str
    people_in: int
    """How many are checked in now."""
    waiting: int
    """How many records nobody has decided yet."""


class Stations(Answered, frozen=True):
    """The stations that somebody looks after, by number."""

    stations: list[Station]


class ScreenCode(Answered, frozen=True):
    """What a screen shows during one slot."""

    slot: int
    starts_at: datetime
    code: str
    """What its QR code says."""
    digits: str
    """The six digits that stand beside it."""


class ScreenCodes(Answered, frozen=True):
    """The codes of the next minutes."""

    now: datetime
    """The bank's clock, by which the screen corrects its own."""
    slot_seconds: int
    codes: list[ScreenCode]


class NewStation(Body, frozen=True):
    """A station to be opened. Its fund belongs to its region or to one above."""

    id: UUID
    """UUID version 7, made by the sender; the station's id."""
    region_id: UUID
    fund_id: UUID
    service_kind_id: UUID
    name_zh: ShortText
    name_en: ShortText
    address: ShortText
    organising_unit: ShortText
    person_in_charge: ShortText
    cap_minutes: Annotated[int, Meta(ge=1, le=1440)] = 240
    """The longest stay that closes by itself."""
    number: Annotated[int, Meta(ge=1, le=1048575)] | None = None
    """Printed on posters; without one, the next free."""


class OpenedStation(Answered, frozen=True):
    """The station that was opened."""

    id: UUID
    number: int


@reading("/stations", Operation(Stations))
async def my_stations(request: AnyRequest) -> Response[Any]:
    """The stations of the branch."""
    bank, actor_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        rows = await overview.stations(connection, bank.book_id, actor_id=actor_id, roles=QUEUE_ROLES, now=bank.clock())
    return give(Stations(stations=[shaped(row, Station) for row in rows]))


@reading("/stations/{number:int}/codes", Operation(ScreenCodes, refusals=("not_found",)))
async def screen_codes(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """What the screen of a station shows from now on."""
    bank, actor_id, now = bank_of(request), member_of(request).member_id, bank_of(request).clock()
    async with bank.engine.connect() as connection:
        place = await overview.place(connection, bank.book_id, number=number)
        await access.visible_station(connection, bank.book_id, place.id, actor_id=actor_id, roles=QUEUE_ROLES, now=now)
        screens = [row for row in await stations.devices(connection, bank.book_id, place.id) if row.kind == "screen"]
    if not screens:
        raise NotFound(kind="device")
    first = codes.slot_at(now)
    shown = [
        ScreenCode(
            slot=slot,
            starts_at=codes.slot_start(slot),
            code=f"/K/{codes.station_code(bank.keys.station, number, screens[0].number, slot)}",
            digits=codes.station_digits(bank.keys.station, number, screens[0].number, slot),
        )
        for slot in range(first, first + SLOTS_AHEAD)
    ]
    return give(ScreenCodes(now=now, slot_seconds=codes.SLOT_SECONDS, codes=shown))


@writing("/stations", Operation(OpenedStation, NewStation, 201, ("not_found", "conflict")))
async def add_station(request: AnyRequest) -> Response[Any]:
    """Open a station, with a screen. Sent twice, it is opened once."""
    bank, body, actor_id = bank_of(request), await body_of(request, NewStation), member_of(request).member_id
    now = bank.clock()
    async with bank.engine.begin() as connection:
        known = [
            row
            for row in await overview.stations(connection, bank.book_id, actor_id=actor_id, roles=("admin",), now=now)
            if row.id == body.id
        ]
        row = known[0] if known else None
        if row is None:
            values = {**msgspec.structs.asdict(body), "id": command_id(body.id)}
            row = await stations.add(connection, bank.book_id, **values, now=now, actor_id=actor_id)
    return give(OpenedStation(id=row.id, number=row.number), 201)


handlers = [my_stations, screen_codes, add_station]
