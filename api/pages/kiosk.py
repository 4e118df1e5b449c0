"""Kiosks: the page that makes a tablet one, and the one that it shows from then on."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from api.pages.desk import station_at
from api.pages.page import AnyRequest, go, member, show, speaker
from api.state import bank_of
from timebank import devices, kiosks
from timebank.ids import uuid7


@get("/stations/{number:int}/kiosk")
async def new_kiosk(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Where a manager makes the tablet in hand a kiosk of the station, and ends those that it has."""
    bank, place, spoken = bank_of(request), await station_at(request, number), speaker(request)
    async with bank.engine.connect() as connection:
        found = await devices.of_station(connection, bank.book_id, place.id)
    return show(
        request,
        "station/new_kiosk.html",
        way="/stations",
        number=number,
        station=spoken.pick(place.name_zh, place.name_en),
        kiosks=[row for row in found if row.kind == "kiosk"],
        id=uuid7(bank.clock()),
    )


@post("/stations/{number:int}/kiosks/{device_id:uuid}", status_code=303)
async def end_kiosk(request: AnyRequest, number: FromPath[int], device_id: FromPath[UUID]) -> Response[Any]:
    """A kiosk is out of use from now on."""
    session, bank = member(request), bank_of(request)
    async with bank.engine.begin() as connection:
        await kiosks.revoke(connection, bank.book_id, device_id, now=bank.clock(), actor_id=session.member_id)
    return go(f"/stations/{number}/kiosk")


@get("/kiosk")
async def kiosk(request: AnyRequest) -> Response[Any]:
    """The kiosk itself: the same for everybody, filled by the tablet with what only it has."""
    return show(request, "station/kiosk.html", camera=True)


handlers = [new_kiosk, end_kiosk, kiosk]
