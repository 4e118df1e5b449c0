"""The calendar of one's shifts (RFC 5545): its secret address, made and taken away on a page, and what it leads to."""

import hashlib
from collections.abc import Iterable
from datetime import date, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api.auth import visitor_of
from api.language import Language, language, mark
from api.pages.page import AnyRequest, Shown, go, member, show, speaker
from api.problems import Problem
from api.state import bank_of
from timebank import shift_feeds

WAY = "/calendar"
# How often calendars ask again; they may know it better.
REFRESH = timedelta(hours=6)
# The bank is younger than this.
FIRST_DAY = date(2000, 1, 1)
# One of ours is 43 characters.
SECRET_LIMIT = 100
DONE = {"ended": mark("The address leads to nothing any more.")}


@get(WAY)
async def my_calendar(request: AnyRequest, done: FromQuery[str] = "") -> Response[Any]:
    """The page, with what became of a form."""
    spoken, words = speaker(request), DONE.get(done)
    return await calendar_page(request, Shown(False, spoken.gettext("Done"), spoken.gettext(words)) if words else None)


async def calendar_page(request: AnyRequest, answer: Shown | None, address: str | None = None) -> Response[Any]:
    """Whether there is an address, and what can be done about it."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        made_at = await shift_feeds.made_at(connection, bank.book_id, member(request).member_id)
    return show(request, "volunteer/calendar.html", way=WAY, answer=answer, made_at=made_at, address=address)


@post(WAY, status_code=200)
async def renew_calendar(request: AnyRequest) -> Response[Any]:
    """Make an address, and show it; the one before leads to nothing."""
    bank, member_id = bank_of(request), member(request).member_id
    async with bank.engine.begin() as connection:
        secret = await shift_feeds.renew(connection, bank.book_id, actor_id=member_id, now=bank.clock())
    return await calendar_page(request, None, f"{visitor_of(request).arrival.origin}{WAY}/{secret}")


@post("/calendar/end", status_code=303)
async def end_calendar(request: AnyRequest) -> Response[Any]:
    """Take the address away."""
    bank = bank_of(request)
    async with bank.engine.begin() as connection:
        await shift_feeds.end(connection, bank.book_id, actor_id=member(request).member_id, now=bank.clock())
    return go(WAY, done="ended")


@get("/calendar/{secret:str}")
async def calendar(request: AnyRequest, secret: FromPath[str]) -> Response[bytes]:
    """The shifts of whoever made this address, for their calendar; nothing else of them. 304 where nothing changed."""
    bank, arrival = bank_of(request), visitor_of(request).arrival
    if not arrival.private:
        raise Problem("https_required")
    if len(secret) > SECRET_LIMIT:
        raise Problem("not_found")
    async with bank.engine.connect() as connection:
        owner = await shift_feeds.owner(connection, bank.book_id, secret)
        rows = await shift_feeds.shifts_of(connection, bank.book_id, owner.id, bank.clock())
    body = written(rows, language(owner.locale, bank.settings.time_zone.key))
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(b"", status_code=304, headers=headers, media_type="text/calendar")
    return Response(body, headers=headers, media_type="text/calendar")


def written(rows: Iterable[Any], spoken: Language) -> bytes:
    """The calendar. The same shifts are the same bytes."""
    found = Calendar()
    found.add("prodid", "-//Time Bank//Shifts//EN")
    found.add("version", "2.0")
    found.add("method", "PUBLISH")
    found.add("x-wr-calname", spoken.gettext("Shifts of the time bank"))
    found.add("x-wr-timezone", spoken.zone.key)
    found.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})
    found.add_component(zone_of(spoken.zone.key))
    for row in rows:
        found.add_component(event_of(row, spoken))
    text: bytes = found.to_ical()
    return text


@cache
def zone_of(key: str) -> Timezone:
    """What a calendar has to know of the community's clock."""
    found = Timezone.from_tzinfo(ZoneInfo(key), first_date=FIRST_DAY)
    # That it is said for some decades only.
    found.pop("comment", None)
    return found


def event_of(row: Any, spoken: Language) -> Event:
    """One shift; its id is the same for ever, and one that was taken back says so."""
    event, cancelled = Event(), row.state == "cancelled"
    place = spoken.pick(row.station_zh, row.station_en)
    kind = spoken.pick(row.kind_zh, row.kind_en) if row.kind_zh else spoken.gettext("Shift")
    event.add("uid", f"{row.id}@shifts.timebank")
    event.add("dtstamp", row.created_at)
    event.add("dtstart", spoken.local(row.starts_at))
    event.add("dtend", spoken.local(row.ends_at))
    event.add("summary", f"{kind} · {place}")
    event.add("location", f"{place}, {row.address}")
    event.add("sequence", int(cancelled))
    event.add("status", "CANCELLED" if cancelled else "CONFIRMED")
    event.add("transp", "TRANSPARENT")
    return event


handlers = [my_calendar, renew_calendar, end_calendar, calendar]
