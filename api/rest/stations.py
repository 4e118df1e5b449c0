"""Stations: the ones somebody looks after, what their screens show, and new ones."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response
from litestar.params import FromPath
from msgspec import UNSET, Meta, UnsetType

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    ListPage,
    Operation,
    ShortText,
    choice_query,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    reading,
    shaped,
    text_query,
)
from api.state import bank_of
from timebank import access, codes, devices, overview, stations
from timebank.errors import NotFound
from timebank.records import QUEUE_ROLES

# Five minutes' worth, so that a short loss of the network is not seen on the screen.
SLOTS_AHEAD = 15
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]


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


class Stations(ListPage, frozen=True):
    """One page of the stations that somebody looks after, the oldest first."""

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
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class OpenedStation(Answered, frozen=True):
    """The station that was opened."""

    id: UUID
    number: int


class Device(Answered, frozen=True):
    """A screen, a kiosk or a scanner of a station."""

    id: UUID
    number: int
    kind: str
    name: str
    enrolled_at: datetime
    revoked_at: datetime | None


class StationWithDevices(Answered, frozen=True):
    """Everything about a station."""

    id: UUID
    number: int
    region_id: UUID
    fund_id: UUID
    service_kind_id: UUID
    name_zh: str
    name_en: str
    address: str
    organising_unit: str
    person_in_charge: str
    cap_minutes: int
    latitude: float | None
    longitude: float | None
    state: str
    created_at: datetime
    devices: list[Device]


class StationChanges(Body, frozen=True):
    """What shall be different; what is left out stays."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    region_id: UUID | None = None
    fund_id: UUID | None = None
    service_kind_id: UUID | None = None
    name_zh: ShortText | None = None
    name_en: ShortText | None = None
    address: ShortText | None = None
    organising_unit: ShortText | None = None
    person_in_charge: ShortText | None = None
    cap_minutes: Annotated[int, Meta(ge=1, le=1440)] | None = None
    latitude: Latitude | UnsetType | None = UNSET
    """In degrees, with `longitude`; null takes the position away."""
    longitude: Longitude | UnsetType | None = UNSET


class StationState(Body, frozen=True):
    """Whether a station takes check-ins."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    state: Literal["open", "closed"]


class NewDevice(Body, frozen=True):
    """A device to be enrolled."""

    id: UUID
    """UUID version 7, made by the sender; the device's id."""
    kind: Literal["screen", "kiosk", "scanner"]
    name: ShortText


class DeviceCommand(Body, frozen=True):
    """Nothing but an id."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""


@reading(
    "/stations",
    Operation(
        Stations,
        refusals=("cursor_invalid", "invalid"),
        query=("region_id", "station_state", "station_name", "cursor", "limit"),
    ),
)
async def my_stations(request: AnyRequest) -> Response[Any]:
    """The stations of the branch."""
    bank, actor_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        page = await stations.listed(
            connection,
            bank.book_id,
            actor_id=actor_id,
            roles=QUEUE_ROLES,
            now=bank.clock(),
            region_id=id_query(request, "region_id"),
            state=choice_query(request, "station_state", ("open", "closed")),
            name=text_query(request, "station_name"),
            after=cursor_of(request),
            limit=limit_of(request, 50),
        )
    return give(Stations(stations=[shaped(row, Station) for row in page.rows], following=following(page.following)))


@reading("/stations/{number:int}/codes", Operation(ScreenCodes, refusals=("not_found",)))
async def screen_codes(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """What the screen of a station shows from now on."""
    bank, actor_id, now = bank_of(request), member_of(request).member_id, bank_of(request).clock()
    async with bank.engine.connect() as connection:
        place = await overview.place(connection, bank.book_id, number=number)
        await access.visible_station(connection, bank.book_id, place.id, actor_id=actor_id, roles=QUEUE_ROLES, now=now)
        screens = [row for row in await devices.of_station(connection, bank.book_id, place.id) if row.kind == "screen"]
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


@doing("/stations", NewStation, gives=OpenedStation)
async def add_station(deed: Doing[NewStation]) -> dict[str, Any]:
    """Open a station, with a screen. Sent twice, it is opened once."""
    row = await stations.add(
        deed.connection,
        deed.bank.book_id,
        **msgspec.structs.asdict(deed.body),
        now=deed.now,
        actor_id=deed.actor_id,
    )
    return {"number": row.number}


@reading("/stations/{station_id:uuid}", Operation(StationWithDevices, refusals=("not_found",)))
async def show_station(request: AnyRequest, station_id: FromPath[UUID]) -> Response[Any]:
    """Everything about one station of the branch, for its administrators."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        row = await access.visible_station(
            connection,
            bank.book_id,
            station_id,
            actor_id=member_of(request).member_id,
            roles=("admin",),
            now=bank.clock(),
        )
        found = await devices.of_station(connection, bank.book_id, station_id, revoked=True)
    return give(shaped(row, StationWithDevices, devices=[shaped(each, Device) for each in found]))


@doing("/stations/{station_id:uuid}/changes", StationChanges)
async def change_station(deed: Doing[StationChanges]) -> None:
    """Change a station. Records that were made there keep what they say."""
    values = msgspec.structs.asdict(deed.body)
    values.pop("id")
    await stations.edit(
        deed.connection,
        deed.bank.book_id,
        deed.subject,
        stations.Changes(**values),
        now=deed.now,
        actor_id=deed.actor_id,
    )


@doing("/stations/{station_id:uuid}/state", StationState)
async def set_station_state(deed: Doing[StationState]) -> None:
    """Close a station, or open it again. A closed one refuses check-ins; who is in can still check out."""
    await stations.set_state(
        deed.connection,
        deed.bank.book_id,
        deed.subject,
        state=deed.body.state,
        now=deed.now,
        actor_id=deed.actor_id,
    )


@doing("/stations/{station_id:uuid}/devices", NewDevice)
async def enrol_device(deed: Doing[NewDevice]) -> dict[str, Any]:
    """Give a station one more device."""
    row = await devices.enrol(
        deed.connection,
        deed.bank.book_id,
        station_id=deed.subject,
        kind=deed.body.kind,
        name=deed.body.name,
        id=deed.id,
        now=deed.now,
        actor_id=deed.actor_id,
    )
    return {"device_id": str(row.id), "number": row.number}


@doing("/stations/{station_id:uuid}/screens", DeviceCommand)
async def replace_screen(deed: Doing[DeviceCommand]) -> dict[str, Any]:
    """Give a station a new screen in place of those it has: codes that the old ones still show are refused."""
    row = await devices.new_screen(
        deed.connection, deed.bank.book_id, deed.subject, id=deed.id, now=deed.now, actor_id=deed.actor_id
    )
    return {"device_id": str(row.id), "number": row.number}


@doing("/devices/{device_id:uuid}/revocation", DeviceCommand)
async def revoke_device(deed: Doing[DeviceCommand]) -> None:
    """Refuse whatever a device shows or scans from now on."""
    await devices.revoke(deed.connection, deed.bank.book_id, deed.subject, now=deed.now, actor_id=deed.actor_id)


DEEDS = (add_station, change_station, set_station_state, enrol_device, replace_screen, revoke_device)
handlers = [my_stations, show_station, screen_codes, *(deed.route for deed in DEEDS)]
