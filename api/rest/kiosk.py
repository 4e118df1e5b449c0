"""Kiosks: how a tablet becomes one, and what it asks for afterwards, each time with a credential that it has signed."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Meta

from api.auth import member_of
from api.credentials import kiosk_of
from api.problems import Problem
from api.rest.desk import station_at
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
from timebank import catalogue, kiosks, members, presence, purses, shifts
from timebank.clock import local_day

EVENTS = "text/event-stream"


class NewKiosk(Body, frozen=True):
    """A tablet that shall be a kiosk."""

    id: UUID
    """UUID version 7, made by the tablet; the device's id. Sent twice, it is one kiosk."""
    name: ShortText
    public_key: Annotated[str, Meta(max_length=400)]
    """The tablet's own key, ECDSA on P-256: SubjectPublicKeyInfo in base64. The private half never leaves it."""


class EnrolledKiosk(Answered, frozen=True):
    """The kiosk, as it signs from now on."""

    id: UUID
    number: int
    """The device's number: the `kid` of its credentials, and what stands in its codes."""
    station_number: int
    now: datetime
    """The bank's clock, by which the kiosk goes."""


class KioskCommand(Body, frozen=True):
    """Nothing but an id."""

    id: UUID
    """UUID version 7, made by the sender."""


class KioskRevoked(Answered, frozen=True):
    """It is out of use."""

    code: str = "ok"


class HourKey(Answered, frozen=True):
    """The key of one hour."""

    hour: int
    """The number of the hour since 1970."""
    key: str
    """32 bytes in base64: codes and digits of the slots of this hour are made under it."""


class KioskKeys(Answered, frozen=True):
    """What a kiosk makes its codes with for a day without a network."""

    now: datetime
    keys: list[HourKey]


class KioskPresent(Answered, frozen=True):
    """Somebody who is at the station, so that only they know themselves."""

    name: str
    """The first character."""
    started_at: datetime


class KioskShift(Answered, frozen=True):
    """A shift of today that has not ended."""

    starts_at: datetime
    ends_at: datetime
    people: int
    """How many came."""
    capacity: int | None


class KioskBoard(Answered, frozen=True):
    """What a kiosk shows beside its code."""

    now: datetime
    device_number: int
    station_number: int
    name_zh: str
    name_en: str
    state: str
    address: str
    """The bank's own address, which stands before `/K/` in a code's picture."""
    people: list[KioskPresent]
    shifts: list[KioskShift]


@writing("/stations/{number:int}/kiosks", Operation(EnrolledKiosk, NewKiosk, 201, ("not_found", "conflict")))
async def enrol_kiosk(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Make a tablet a kiosk of a station that one looks after. From then on it needs no session."""
    body, place, bank = await body_of(request, NewKiosk), await station_at(request, number), bank_of(request)
    now = bank.clock()
    try:
        public_key = base64.b64decode(body.public_key, validate=True)
    except (binascii.Error, ValueError):
        raise Problem("invalid", {"field": "public_key", "reason": "type"}) from None
    async with bank.engine.begin() as connection:
        row = await kiosks.enrol(
            connection,
            bank.book_id,
            station_id=place.id,
            name=body.name,
            public_key=public_key,
            id=command_id(body.id),
            now=now,
            actor_id=member_of(request).member_id,
        )
    return give(EnrolledKiosk(id=row.id, number=row.number, station_number=number, now=now), 201)


@writing("/kiosks/{device_id:uuid}/revocation", Operation(KioskRevoked, KioskCommand, 201, ("not_found",)))
async def revoke_kiosk(request: AnyRequest, device_id: FromPath[UUID]) -> Response[Any]:
    """Refuse whatever a kiosk shows, scans and asks for from now on."""
    body, bank = await body_of(request, KioskCommand), bank_of(request)
    command_id(body.id)
    async with bank.engine.begin() as connection:
        await kiosks.revoke(
            connection, bank.book_id, device_id, now=bank.clock(), actor_id=member_of(request).member_id
        )
    return give(KioskRevoked(), 201)


@reading("/kiosk/keys", Operation(KioskKeys))
async def kiosk_keys(request: AnyRequest) -> Response[Any]:
    """The keys of this hour and the 23 that follow, with which the kiosk makes its codes by itself."""
    bank, kiosk = bank_of(request), kiosk_of(request)
    now = bank.clock()
    ahead = bank.keys.station.ahead(kiosk.device_number, now)
    keys = [HourKey(hour=hour, key=base64.b64encode(key).decode()) for hour, key in ahead.items()]
    return give(KioskKeys(now=now, keys=keys))


@reading("/kiosk", Operation(KioskBoard))
async def kiosk_board(request: AnyRequest) -> Response[Any]:
    """What the kiosk shows: who is in, with names that only their owners know, and today's shifts."""
    bank, kiosk = bank_of(request), kiosk_of(request)
    now = bank.clock()
    async with bank.engine.connect() as connection:
        rows = (await presence.who_is_in(connection, bank.book_id, kiosk.station_id, limit=500)).rows
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in rows])
        planned = (await shifts.planned(connection, bank.book_id, kiosk.station_id, since=now)).rows
        zone = await purses.time_zone(connection, bank.book_id)
    people = [
        KioskPresent(name=catalogue.masked(names.get(row.member_id, "?")), started_at=row.started_at) for row in rows
    ]
    today = [row for row in planned if local_day(row.starts_at, zone) <= local_day(now, zone)]
    found = shaped(
        kiosk,
        KioskBoard,
        now=now,
        address=bank.settings.address,
        people=people,
        shifts=[shaped(row, KioskShift) for row in today],
    )
    return give(found)


@reading("/kiosk/events", Operation(None, gives_media=EVENTS))
async def kiosk_events(request: AnyRequest) -> Stream:
    """Server-sent events: `change` at once and whenever who is at the station has changed. Ends after five minutes."""
    watching, kiosk = bank_of(request).watching, kiosk_of(request)
    # Proxies must not keep events until there are enough of them.
    headers = {"X-Accel-Buffering": "no"}
    return Stream(watching.changes(kiosk.station_id), media_type=EVENTS, headers=headers)


handlers = [enrol_kiosk, revoke_kiosk, kiosk_keys, kiosk_board, kiosk_events]
