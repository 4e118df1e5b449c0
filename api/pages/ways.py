"""The other ways in: a poster with the screen's digits, digits alone, a code that is sent late, a home visit.

Each page says what it is and asks for one thing; all of them send what `/check-in` takes.
"""

from typing import Annotated, Any

from litestar import Response, get
from litestar.params import FromPath, QueryParameter

from api.auth import visitor_of
from api.pages.page import AnyRequest, go, member, show, speaker
from api.pages.scanned import keep, kept
from api.state import bank_of
from timebank import cards, codes, members, overview, places, records
from timebank.ids import uuid7

# Of the station that somebody typed before.
StationNumber = Annotated[str, QueryParameter(name="station")]


@get("/S/{code:str}")
async def poster(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """A station's poster was opened. It says nothing to a stranger, and changes nothing."""
    bank = bank_of(request)
    codes.read_poster_code(bank.keys.poster, code, bank.clock())
    signed_in = visitor_of(request).session is not None
    return keep(request, "poster", codes.normalise(code), "/check-in/digits" if signed_in else "/scanned")


@get("/C/{code:str}")
async def card(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """A member's card was opened. It says nothing to a stranger; to its owner it is their card, to others a door."""
    bank, session = bank_of(request), visitor_of(request).session
    codes.read_card_code(bank.keys.card, code, bank.clock())
    if session is None:
        return keep(request, "card", codes.normalise(code), "/scanned")
    async with bank.engine.connect() as connection:
        holder_id = await cards.holder(connection, bank.book_id, bank.keys, code, bank.clock())
    if holder_id == session.member_id:
        return go("/card")
    return keep(request, "card", codes.normalise(code), "/check-in/door")


@get("/check-in/digits")
async def digits(
    request: AnyRequest, typed: Annotated[str, QueryParameter(name="digits")] = "", asked: StationNumber = ""
) -> Response[Any]:
    """Check in or out with the six digits of the screen, at the poster's station or the one whose number is typed."""
    session, bank = member(request), bank_of(request)
    spoken, code = speaker(request), kept(request, "poster")
    station = None
    async with bank.engine.connect() as connection:
        stay = await records.open_stay(connection, bank.book_id, session.member_id)
        if code:
            scan = codes.read_poster_code(bank.keys.poster, code, bank.clock())
            station = await overview.place(connection, bank.book_id, number=scan.station_number)
    return show(
        request,
        "checkin/digits.html",
        code=code,
        typed=typed,
        station=spoken.pick(station.name_zh, station.name_en) if station else "",
        number=asked if asked.isascii() and asked.isdigit() else stay.station_number if stay else "",
        leaving=stay is not None and (station is None or stay.station_id == station.id),
        id=uuid7(bank.clock()),
    )


@get("/check-in/late")
async def late(request: AnyRequest) -> Response[Any]:
    """A code that was shown a while ago: its time counts, when the member says that they were there then."""
    session, bank, code = member(request), bank_of(request), kept(request, "station")
    scan = codes.read_late_code(bank.keys.station, code, bank.clock())
    spoken = speaker(request)
    async with bank.engine.connect() as connection:
        station = await overview.place(connection, bank.book_id, number=scan.station_number)
        stay = await records.open_stay(connection, bank.book_id, session.member_id)
    return show(
        request,
        "checkin/late.html",
        code=codes.normalise(code),
        station=spoken.pick(station.name_zh, station.name_en),
        at=scan.occurred_at,
        leaving=stay is not None and stay.station_id == station.id and stay.started_at < scan.occurred_at,
        id=uuid7(bank.clock()),
    )


@get("/check-in/door")
async def door(request: AnyRequest) -> Response[Any]:
    """A home visit: with the resident's card, for one of the stations of where they live, or with their door code."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    code = kept(request, "card")
    async with bank.engine.connect() as connection:
        stay = await records.open_stay(connection, bank.book_id, session.member_id)
        found, name = [], ""
        if code:
            resident_id = await cards.holder(connection, bank.book_id, bank.keys, code, now)
            found = await places.of_resident(connection, bank.book_id, resident_id)
            name = (await members.names(connection, bank.book_id, bank.keys, [resident_id])).get(resident_id, "")
    return show(
        request,
        "checkin/door.html",
        code=codes.normalise(code),
        # To compare with the door, without telling who the card belongs to.
        name=name[:1],
        stations=found,
        chosen=stay.station_id if stay else None,
        leaving=stay is not None,
        id=uuid7(now),
    )


handlers = [poster, card, digits, late, door]
