"""A station manager's pages: the stations, the screen with its rotating code, the queue of hours to verify."""

from typing import Any, Literal, cast
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api import qr
from api.language import mark
from api.pages.forms import Form, as_uuid
from api.pages.office import query_of
from api.pages.page import AnyRequest, Shown, answer_to, go, holds_role, member, show, shown, speaker
from api.problems import Problem
from api.rest.operation import limit_of, text_query
from api.sentences import sentence, status_of
from api.state import Bank, bank_of
from timebank import (
    answers,
    astray,
    codes,
    corrections,
    devices,
    inquiries,
    members,
    overview,
    readings,
    records,
    stations,
)
from timebank.access import visible_station
from timebank.commands import Answer
from timebank.cursors import Cursor
from timebank.errors import NotFound
from timebank.ids import uuid7
from timebank.policy import HOLD_ORDER
from timebank.records import QUEUE_ROLES, Which
from timebank.tables import GRADES
from timebank.verification import Verify

SCREEN_ROLES = ("manager", "admin")
# How many codes a screen is given beforehand: five minutes' worth, so that a short loss of the network is not seen.
SLOTS_AHEAD = 15
# As many as fit into one tap, and whose answers fit into one address afterwards.
QUEUE_LIMIT = 40
VERDICTS = {
    "verify": mark("Verify as recorded"),
    "adjust": mark("Verify with other minutes"),
    "reject": mark("Do not accept"),
}
# Which field a refusal is about.
FAULTS = {"minutes_invalid": "minutes", "reason_missing": "reason"}


@get("/stations")
async def my_stations(request: AnyRequest) -> Response[Any]:
    """The stations that somebody looks after, the oldest first."""
    session, bank = member(request), bank_of(request)
    if not holds_role(session, *SCREEN_ROLES):
        raise Problem("role_not_allowed")
    name = (text_query(request, "name") or "").strip()[:80]
    async with bank.engine.connect() as connection:
        page = await stations.listed(
            connection,
            bank.book_id,
            actor_id=session.member_id,
            roles=SCREEN_ROLES,
            now=bank.clock(),
            name=name or None,
            after=Cursor.read(text_query(request, "cursor")),
            limit=limit_of(request, 12),
        )
    return show(
        request,
        "station/stations.html",
        way="/stations",
        stations=page.rows,
        following=page.following,
        chosen={"name": name},
        filtered=bool(name or page.following or text_query(request, "cursor")),
        may_verify=holds_role(session, *QUEUE_ROLES),
    )


async def at_screen(request: AnyRequest, number: int) -> tuple[Any, int, list[dict[str, Any]]]:
    """A station, how many are in, and the codes that its screen shows from now on."""
    session, bank = member(request), bank_of(request)
    now = bank.clock()
    async with bank.engine.connect() as connection:
        place = await overview.place(connection, bank.book_id, number=number)
        station = await visible_station(
            connection, bank.book_id, place.id, actor_id=session.member_id, roles=SCREEN_ROLES, now=now
        )
        screens = [row for row in await devices.of_station(connection, bank.book_id, place.id) if row.kind == "screen"]
        people_in = await overview.people_in(connection, bank.book_id, place.id)
    if not screens:
        raise NotFound(kind="device")
    first = codes.slot_at(now)
    return (
        station,
        people_in,
        [picture(bank, number, screens[0].number, slot) for slot in range(first, first + SLOTS_AHEAD)],
    )


def picture(bank: Bank, number: int, device: int, slot: int) -> dict[str, Any]:
    """What one slot's QR code looks like. Upper case throughout, which keeps it coarse enough for old cameras."""
    text = f"{bank.settings.address}/K/{codes.station_code(bank.keys.station, number, device, slot)}"
    side, path = qr.draw(text.upper())
    digits = codes.station_digits(bank.keys.station, number, device, slot)
    return {"slot": slot, "side": side, "path": path, "digits": f"{digits[:3]} {digits[3:]}"}


@get("/stations/{number:int}/screen")
async def screen(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """The page for the station's tablet or old computer: the code, the clock, how many are here."""
    station, people_in, slots = await at_screen(request, number)
    now = bank_of(request).clock()
    spoken = speaker(request)
    return show(
        request,
        "station/screen.html",
        way="/stations",
        number=number,
        station=spoken.pick(station.name_zh, station.name_en),
        people_in=people_in,
        present=slots[0],
        slots=slots,
        now=now,
        day=spoken.short_day(now, spoken.to_day(now)),
        now_milliseconds=int(now.timestamp() * 1000),
        seconds_gone=int(now.timestamp()) % codes.SLOT_SECONDS,
    )


@get("/stations/{number:int}/screen.json")
async def screen_codes(request: AnyRequest, number: FromPath[int]) -> Response[dict[str, Any]]:
    """The next codes for a screen that is open, and the bank's time in milliseconds."""
    _, people_in, slots = await at_screen(request, number)
    now, spoken = bank_of(request).clock(), speaker(request)
    people = spoken.translations.ngettext("%(num)s person here now", "%(num)s people here now", people_in)
    return Response(
        {
            "now": int(now.timestamp() * 1000),
            "day": spoken.short_day(now, spoken.to_day(now)),
            "people": people % {"num": people_in},
            "slots": slots,
        },
        headers={"Cache-Control": "no-store"},
    )


@get("/queue")
async def queue(request: AnyRequest, station: FromQuery[str | None] = None) -> Response[Any]:
    """What waits for this manager: what may be verified in one tap first, then what a person has to look at.

    Narrowed to a station, a grade or a hold; scans and questions have a station alone.
    """
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    if not holds_role(session, *QUEUE_ROLES):
        raise Problem("role_not_allowed")
    chosen = as_uuid(station)
    narrowed = query_of(request, "grade", "hold")
    which = Which(station_id=chosen, grade=narrowed.get("grade"), hold=narrowed.get("hold"))
    # Where each of the three lists on the page begins.
    begun = {name: text_query(request, name) for name in ("after", "questions", "scans")}
    length = min(limit_of(request, QUEUE_LIMIT), QUEUE_LIMIT)
    who: dict[str, Any] = {"actor_id": session.member_id, "now": now}
    ids = [id for text in request.query_params.getall("answer", [])[:QUEUE_LIMIT] if (id := as_uuid(text))]
    async with bank.engine.connect() as connection:
        places = await overview.stations(connection, bank.book_id, roles=QUEUE_ROLES, **who)
        page = await records.queue(
            connection, bank.book_id, which=which, after=Cursor.read(begun["after"]), limit=length, **who
        )
        sums = await records.queue_sums(connection, bank.book_id, which=which, **who)
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in page.rows])
        scans = await astray.queue(
            connection, bank.book_id, station_id=chosen, after=Cursor.read(begun["scans"]), limit=length, **who
        )
        scanned_by = [row.member_id for row in scans.rows]
        names |= await members.names(connection, bank.book_id, bank.keys, scanned_by) if scanned_by else {}
        answered = await answers.remembered(connection, bank.book_id, session.member_id, ids)
        asked = await inquiries.queue(
            connection, bank.book_id, station_id=chosen, after=Cursor.read(begun["questions"]), limit=length, **who
        )
        questions = await inquiries.opened(connection, bank.book_id, bank.keys, asked.rows)
        names |= await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in asked.rows])
    clear = [row for row in page.rows if row.clear]
    return show(
        request,
        "station/queue.html",
        way="/queue",
        stations=places,
        chosen=chosen,
        sums=sums,
        clear=clear,
        clear_minutes=sum(row.measured_minutes for row in clear),
        bulk_words=[bulk_words(request, count) for count in (1, 2)],
        cases=[row for row in page.rows if not row.clear],
        astray=scans.rows,
        names=names,
        command_ids={row.id: uuid7(now) for row in clear},
        following={"after": page.following, "questions": asked.following, "scans": scans.following},
        begun={"station": chosen, **narrowed, **begun},
        narrowed=narrowed,
        grades=GRADES,
        holds_of_records=[hold for hold in HOLD_ORDER if hold not in astray.HOLDS],
        questions=list(zip(asked.rows, questions, strict=True)),
        answer=verified(request, list(answered.values())),
    )


def bulk_words(request: AnyRequest, count: int) -> str:
    """What the button of the queue says for so many records, with places for the page's own script to fill."""
    words: str = speaker(request).translations.ngettext(
        "Verify %(count)s record, %(duration)s", "Verify %(count)s records, %(duration)s", count
    )
    return words % {"count": "{count}", "duration": "{duration}"}


def verified(request: AnyRequest, found: list[Answer]) -> Shown | None:
    """What became of several decisions, in one sentence, and the first refusal if there was one."""
    if not found:
        return None
    spoken = speaker(request)
    done = [answer for answer in found if not answer.refused]
    minutes = sum(answer.data.get("credited_minutes") or 0 for answer in done)
    title = spoken.translations.ngettext("%(num)s record decided", "%(num)s records decided", len(done))
    words = spoken.say("%(duration)s of service credited.", duration=spoken.duration(minutes)) if minutes else ""
    refusals = sorted({sentence(answer.code, spoken.tag, answer.data) for answer in found if answer.refused})
    return Shown(bool(refusals), title % {"num": len(done)}, " ".join([words, *refusals]).strip())


@post("/queue", status_code=303)
async def verify_together(request: AnyRequest) -> Response[Any]:
    """Verify every ticked record. Each is a command of its own: what cannot be verified leaves the others alone."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    ticked = form.texts("record")[:QUEUE_LIMIT]
    commands = []
    for text in ticked:
        record_id, command_id = (as_uuid(part) for part in [*text.split(":"), "", ""][:2])
        if record_id is None or command_id is None:
            raise Problem("invalid", {"field": "record", "reason": "type"})
        commands.append(
            Verify(id=command_id, actor_id=session.member_id, record_id=record_id, verdict="verify", bulk=True)
        )
    await bank.commits.verify.submit_all(commands)
    narrowed = {name: form.text(name) or None for name in ("grade", "hold")}
    return go("/queue", station=as_uuid(form.text("station")), **narrowed, answer=[command.id for command in commands])


@get("/queue/{record_id:uuid}")
async def decide(request: AnyRequest, record_id: FromPath[UUID], answer: FromQuery[str | None] = None) -> Response[Any]:
    """One record with its evidence, and what can be decided: three things once, and corrections afterwards."""
    return await decision_page(request, record_id, earlier_id=as_uuid(answer))


async def decision_page(
    request: AnyRequest,
    record_id: UUID,
    *,
    refusal: Answer | None = None,
    earlier_id: UUID | None = None,
) -> Response[Any]:
    """The record, with why a decision was refused, or what became of the command of `earlier_id`."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    spoken = speaker(request)
    async with bank.engine.begin() as connection:
        row = await records.to_decide(connection, bank.book_id, record_id, actor_id=session.member_id, now=now)
        punches = await records.punches(connection, bank.book_id, record_id, bank.keys)
        history = await corrections.history(connection, bank.book_id, record_id, bank.keys)
        asked = await inquiries.about(connection, bank.book_id, record_id, bank.keys)
        people = {row.member_id, *(step.actor_id for step in history)}
        people |= {each.answered_by for each in asked if each.answered_by}
        people |= {each.entered_by for each in punches if each.entered_by}
        names = await members.names(connection, bank.book_id, bank.keys, people)
        await readings.note(connection, bank.book_id, session.member_id, [row.member_id], "record", now)
        answered = refusal or await answer_to(connection, bank, session.member_id, earlier_id)
    # A check-out that nobody made has no minutes that could be verified as they are.
    usual = "adjust" if "unconfirmed" in row.holds else "verify"
    return show(
        request,
        "station/decide.html",
        way="/queue",
        status=status_of(refusal.code) if refusal else 200,
        record=row,
        name=names.get(row.member_id, spoken.gettext("(erased)")),
        punches=punches,
        history=history,
        inquiries=asked,
        open_inquiry=next((each for each in asked if each.state == "open"), None),
        names=names,
        answer=shown(request, answered, spoken.gettext("Not decided"), spoken.gettext("Decided")),
        verdicts=[(verdict, spoken.gettext(words)) for verdict, words in VERDICTS.items()],
        verdict=usual,
        fault=FAULTS.get(refusal.code) if refusal else None,
        id=uuid7(now),
        answer_id=uuid7(now),
    )


@post("/queue/{record_id:uuid}", status_code=303)
async def decided(request: AnyRequest, record_id: FromPath[UUID]) -> Response[Any]:
    """Verify, adjust or reject one record. A refused decision keeps what was entered."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    id, verdict = form.uuid("id"), form.text("verdict")
    if verdict not in VERDICTS:
        raise Problem("invalid", {"field": "verdict", "reason": "unknown"})
    command = Verify(
        id=id,
        actor_id=session.member_id,
        record_id=record_id,
        verdict=cast(Literal["verify", "adjust", "reject"], verdict),
        minutes=minutes_of(form) if verdict == "adjust" else None,
        reason=form.text("reason") or None,
    )
    answer = await bank.commits.verify.submit(command)
    if answer.refused:
        return await decision_page(request, record_id, refusal=answer)
    return go("/queue", answer=id)


def minutes_of(form: Form) -> int | None:
    """The minutes to credit; None where the field holds none that could be, which the command then refuses."""
    try:
        return form.integer("minutes", 0, 1440)
    except Problem:
        return None


handlers = [my_stations, screen, screen_codes, queue, verify_together, decide, decided]
