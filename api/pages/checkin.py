"""From a scanned code to a check-in or check-out: the scan counts from when it was made, one tap confirms it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api import tickets
from api.auth import visitor_of
from api.pages.forms import Form, as_uuid
from api.pages.page import AnyRequest, answer_to, go, member, show, speaker
from api.pages.scanned import keep
from api.pages.ways import StationNumber
from api.pages.words import hold_name
from api.problems import Problem
from api.sentences import sentence
from api.state import bank_of
from timebank import members, overview, records
from timebank.codes import CodeExpired, read_late_code, read_station_code
from timebank.ids import uuid7
from timebank.punches import Punch
from timebank.scans import Sent

HIGHEST_STATION = 2**20 - 1


@get("/K/{code:str}")
async def scanned(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """A station's code was opened. Nothing is changed; the moment is kept in a ticket for this browser.

    A stranger learns nothing from it, not even where the station is.
    """
    bank = bank_of(request)
    now = bank.clock()
    try:
        read_station_code(bank.keys.station, code, now)
    except CodeExpired:
        # Who is signed in may say that they were there when it was shown.
        if visitor_of(request).session is None:
            raise
        read_late_code(bank.keys.station, code, now)
        return keep(request, "station", code, "/check-in/late")
    ticket = tickets.issue(request, code, now)
    if visitor_of(request).session is not None:
        return go("/check-in", ticket=ticket)
    return keep(request, "ticket", ticket, "/scanned")


@get("/check-in")
async def confirm(request: AnyRequest, ticket: FromQuery[str] = "") -> Response[Any]:
    """Where and when was scanned, and one button: in or, for who is in already, out."""
    session, bank = member(request), bank_of(request)
    now = bank.clock()
    scan = tickets.read(request, ticket, now)
    spoken = speaker(request)
    async with bank.engine.connect() as connection:
        station = await overview.place(connection, bank.book_id, number=scan.station_number)
        stay = await records.open_stay(connection, bank.book_id, session.member_id)
        name = (await members.names(connection, bank.book_id, bank.keys, [session.member_id])).get(session.member_id)
    # The stay that this scan ends, when it is here.
    ending = stay if stay is not None and stay.station_id == station.id else None
    return show(
        request,
        "checkin/confirm.html",
        kind="out" if ending else "in",
        station=spoken.pick(station.name_zh, station.name_en),
        name=name or "",
        scanned_at=scan.occurred_at,
        open=ending,
        elsewhere=None if ending else stay,
        same_day=ending is not None and spoken.to_day(ending.started_at) == spoken.to_day(scan.occurred_at),
        minutes=(scan.occurred_at - ending.started_at) // timedelta(minutes=1) if ending else 0,
        service_kind=spoken.pick((ending or station).kind_zh, (ending or station).kind_en),
        id=uuid7(now),
        ticket=ticket,
    )


@post("/check-in", status_code=303)
async def punch(request: AnyRequest) -> Response[Any]:
    """Check in or out. The answer is shown by the next page, and the same id gets the same answer."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    id, leaving = form.uuid("id"), form.text("kind") == "out"
    sent = Sent(
        code=form.text("ticket") or form.text("code"),
        late=form.text("late") == "1",
        digits=form.text("digits") or None,
        station_number=form.integer("station_number", 1, HIGHEST_STATION),
        door_code=form.text("door_code") or None,
    )
    scan, refusal = tickets.try_read(request, sent, bank.clock())
    command = Punch(
        id=id,
        actor_id=session.member_id,
        kind="out" if leaving else "in",
        code=sent.code,
        scan=scan,
        refusal=refusal,
        phone_id=visitor_of(request).phone_id,
        station_id=as_uuid(form.text("station")),
        beside=sent.beside(),
    )
    committer = bank.commits.check_out if leaving else bank.commits.check_in
    await committer.submit(command)
    return go(f"/check-in/{id}", kind="out" if leaving else "in", station=sent.station_number)


@get("/check-in/{id:uuid}")
async def done(
    request: AnyRequest, id: FromPath[UUID], kind: FromQuery[str] = "in", typed: StationNumber = ""
) -> Response[Any]:
    """What became of a check-in or check-out; digits that were wrong are typed again for the same station."""
    session, bank = member(request), bank_of(request)
    spoken = speaker(request)
    async with bank.engine.connect() as connection:
        answer = await answer_to(connection, bank, session.member_id, id)
        if answer is None:
            raise Problem("not_found")
        station = None
        if "station_id" in answer.data:
            station = await overview.place(connection, bank.book_id, id=UUID(answer.data["station_id"]))
    leaving = kind == "out"
    gettext = spoken.gettext
    if answer.refused:
        title = gettext("Not checked out") if leaving else gettext("Not checked in")
        said = [sentence(answer.code, spoken.tag, answer.data)]
    elif answer.code == "held" and "poster_alone" in answer.data["holds"]:
        title = gettext("Kept for the manager")
        said = [gettext("Your time runs. The manager says whether they saw you; scan again when you leave.")]
    elif answer.code == "held":
        title = gettext("Kept for the manager")
        said = [gettext("Your scan is stored with its time. The station's manager looks at it; you need do nothing.")]
    elif leaving:
        title = gettext("You are checked out")
        said = [gettext("Thank you! The station's manager verifies the time, then your points arrive.")]
    else:
        title = gettext("You are checked in")
        said = [gettext("Scan the station's code again when you leave.")]
    return show(
        request,
        "checkin/done.html",
        code=answer.code,
        again=go("/check-in/digits", station=typed).url if answer.code == "digits_wrong" else None,
        state="refused" if answer.refused else answer.code,
        title=title,
        words=said,
        station=spoken.pick(station.name_zh, station.name_en) if station else "",
        station_id=station.id if station else None,
        at=datetime.fromisoformat(answer.data["at"]) if "at" in answer.data else None,
        minutes=answer.data.get("minutes") if answer.code == "ok" and leaving else None,
        unconfirmed="unconfirmed_id" in answer.data,
        reasons=[hold_name(spoken, code) for code in answer.data.get("holds", [])],
    )


handlers = [scanned, confirm, punch, done]
