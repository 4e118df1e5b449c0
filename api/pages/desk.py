"""A station's desk: who is in, cards and PINs, services that nobody scanned, home visits, shifts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api.pages.forms import Form, as_uuid
from api.pages.office import as_id, query_of
from api.pages.page import AnyRequest, Shown, answer_to, go, member, show, speaker
from api.pages.words import hold_name
from api.problems import Problem
from api.rest.operation import days_query, limit_of, text_query
from api.sentences import sentence, status_of
from api.state import bank_of
from api.vouching import card_punch
from timebank import activations, cards, catalogue, doors, kinds, members, overview, pins, presence, shifts
from timebank.access import visible_station
from timebank.commands import Answer
from timebank.cursors import Cursor
from timebank.errors import BankError
from timebank.ids import uuid7
from timebank.manual import Enter
from timebank.punches import CARD_ROLES

LONGEST_MINUTES = 240


async def station_at(request: AnyRequest, number: int) -> Any:
    """The station with this number, when the visitor looks after it."""
    session, bank = member(request), bank_of(request)
    async with bank.engine.connect() as connection:
        place = await overview.place(connection, bank.book_id, number=number)
        return await visible_station(
            connection, bank.book_id, place.id, actor_id=session.member_id, roles=CARD_ROLES, now=bank.clock()
        )


@get("/stations/{number:int}")
async def desk(request: AnyRequest, number: FromPath[int], answer: FromQuery[str | None] = None) -> Response[Any]:
    """The desk; with an answer, what became of a scanned card or an entry."""
    session, bank = member(request), bank_of(request)
    async with bank.engine.connect() as connection:
        answered = await answer_to(connection, bank, session.member_id, as_uuid(answer))
    return await desk_page(request, number, told(request, answered))


def told(request: AnyRequest, answer: Answer | None) -> Shown | None:
    """What became of a card or an entry."""
    if answer is None:
        return None
    spoken = speaker(request)
    gettext = spoken.gettext
    if answer.refused:
        return Shown(True, gettext("Not recorded"), sentence(answer.code, spoken.tag, answer.data))
    holds = [hold_name(spoken, code) for code in answer.data.get("holds", [])]
    if answer.code == "held":
        return Shown(False, gettext("Kept for the manager"), ", ".join(holds), waits=True)
    if "minutes" not in answer.data:
        return Shown(False, gettext("Checked in"), ", ".join(holds))
    served = spoken.say(
        "%(duration)s recorded, waiting to be verified.", duration=spoken.duration(answer.data["minutes"])
    )
    return Shown(False, gettext("Recorded"), " ".join([served, *holds]))


async def desk_page(
    request: AnyRequest, number: int, answer: Shown | None = None, *, digits: str = "", status: int = 200
) -> Response[Any]:
    """The page, with what became of a form; `digits` are a door code's, shown once."""
    bank, now, spoken = bank_of(request), bank_of(request).clock(), speaker(request)
    place = await station_at(request, number)
    begun = {name: text_query(request, name) for name in ("people", "shifts")}
    chosen = query_of(request, "shift", "service", "since", "until")
    begins, until = days_query(request)
    async with bank.engine.connect() as connection:
        people_in = await overview.people_in(connection, bank.book_id, place.id)
        people = await presence.who_is_in(
            connection,
            bank.book_id,
            place.id,
            shift_id=as_id(chosen.get("shift")),
            after=Cursor.read(begun["people"]),
            limit=limit_of(request, 50),
        )
        came_for = await presence.shifts_of_those_in(connection, bank.book_id, place.id)
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in people.rows])
        planned = await shifts.planned(
            connection,
            bank.book_id,
            place.id,
            since=max(now, begins or now),
            until=until,
            kind_id=as_id(chosen.get("service")),
            after=Cursor.read(begun["shifts"]),
            limit=limit_of(request, 20),
        )
        services = await kinds.catalogue(connection, bank.book_id)
    return show(
        request,
        "station/desk.html",
        camera=True,
        way="/stations",
        status=status,
        number=number,
        station_id=place.id,
        station=spoken.pick(place.name_zh, place.name_en),
        people=[(row, catalogue.masked(names.get(row.member_id, "?"))) for row in people.rows],
        people_in=people_in,
        came_for=came_for,
        later_people=people.following,
        shifts=planned.rows,
        later_shifts=planned.following,
        begun=begun,
        chosen=chosen,
        services=services,
        usual=place.service_kind_id,
        today=now.astimezone(spoken.zone).date().isoformat(),
        answer=answer,
        door_digits=digits,
        id=uuid7(now),
        now=now,
    )


def refused(request: AnyRequest, error: BankError | Problem, title: str) -> Shown:
    """A refusal on the page where it happened."""
    return Shown(True, title, sentence(error.code, speaker(request).tag, error.data))


@post("/stations/{number:int}/cards", status_code=303)
async def scan_card(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A card was scanned: in or out, with the member's PIN or without."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    place = await station_at(request, number)
    leaving = form.text("kind") == "out"
    command = await card_punch(
        bank,
        id=form.uuid("id"),
        actor_id=session.member_id,
        station_id=place.id,
        kind="out" if leaving else "in",
        code=form.text("code"),
        pin=form.text("pin") or None,
    )
    await (bank.commits.check_out if leaving else bank.commits.check_in).submit(command)
    return go(f"/stations/{number}", answer=command.id)


@post("/stations/{number:int}/entries", status_code=303)
async def enter(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A service that nobody scanned, with the reason."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    place = await station_at(request, number)
    try:
        async with bank.engine.connect() as connection:
            person = await cards.find(connection, bank.book_id, bank.keys, form.text("member"), bank.clock())
        begun, ended = local_moment(request, form, "day", "start"), local_moment(request, form, "day", "end")
        if ended <= begun:
            raise Problem("invalid", {"field": "end", "reason": "before_start"})
        command = Enter(
            id=form.uuid("id"),
            actor_id=session.member_id,
            station_id=place.id,
            member_id=person.id,
            started_at=begun,
            ended_at=ended,
            reason=form.text("reason"),
            service_kind_id=as_uuid(form.text("service_kind")),
        )
    except (BankError, Problem) as error:
        title = speaker(request).gettext("Not recorded")
        return await desk_page(request, number, refused(request, error, title), status=422)
    answer = await bank.commits.enter.submit(command)
    if answer.refused:
        return await desk_page(request, number, told(request, answer), status=status_of(answer.code))
    return go(f"/stations/{number}", answer=command.id)


def local_moment(request: AnyRequest, form: Form, day: str, clock: str) -> datetime:
    """A day and a time of the community's, as a form has them; raises `invalid`."""
    try:
        found = datetime.fromisoformat(f"{form.text(day)}T{form.text(clock)}")
    except ValueError:
        raise Problem("invalid", {"field": clock, "reason": "type"}) from None
    if not 2000 <= found.year <= 2199 or found.tzinfo is not None:
        raise Problem("invalid", {"field": day, "reason": "range"})
    return found.replace(tzinfo=speaker(request).zone)


@post("/stations/{number:int}/doors", status_code=303)
async def issue_door_code(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A one-time code for a home visit, shown on the page that answers and nowhere else."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    place, spoken = await station_at(request, number), speaker(request)
    try:
        async with bank.engine.begin() as connection:
            resident = await cards.find(connection, bank.book_id, bank.keys, form.text("member"), bank.clock())
            digits, expires_at = await doors.issue(
                connection,
                bank.book_id,
                bank.keys,
                station_id=place.id,
                resident_id=resident.id,
                id=form.uuid("id"),
                now=bank.clock(),
                actor_id=session.member_id,
            )
    except BankError as error:
        return await desk_page(request, number, refused(request, error, spoken.gettext("No code was made")), status=422)
    words = spoken.say("Tell the resident. Good once, until %(moment)s.", moment=spoken.moment(expires_at))
    return await desk_page(
        request, number, Shown(False, spoken.gettext("Code for the door"), words), digits=digits, status=200
    )


@post("/stations/{number:int}/shifts", status_code=303)
async def plan(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A shift is planned."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    place = await station_at(request, number)
    try:
        grace = form.integer("grace", 0, LONGEST_MINUTES)
        values: dict[str, Any] = {
            "starts_at": local_moment(request, form, "day", "start"),
            "ends_at": local_moment(request, form, "day", "end"),
            "grace_minutes": 15 if grace is None else grace,
            "capacity": form.integer("capacity", 1, shifts.CAPACITY_LIMIT),
            "service_kind_id": as_uuid(form.text("service_kind")),
        }
        async with bank.engine.begin() as connection:
            await shifts.add(
                connection,
                bank.book_id,
                station_id=place.id,
                id=form.uuid("id"),
                now=bank.clock(),
                actor_id=session.member_id,
                **values,
            )
    except (BankError, Problem) as error:
        title = speaker(request).gettext("No shift was planned")
        return await desk_page(request, number, refused(request, error, title), status=422)
    return go(f"/stations/{number}")


@post("/stations/{number:int}/shifts/{shift_id:uuid}", status_code=303)
async def cancel(request: AnyRequest, number: FromPath[int], shift_id: FromPath[UUID]) -> Response[Any]:
    """A shift is taken back."""
    session, bank = member(request), bank_of(request)
    async with bank.engine.begin() as connection:
        await shifts.cancel(connection, bank.book_id, shift_id, now=bank.clock(), actor_id=session.member_id)
    return go(f"/stations/{number}")


@post("/stations/{number:int}/members", status_code=303)
async def help_member(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A new card for a member, the PIN of the card forgotten, or a balance on a slip of paper."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    await station_at(request, number)
    spoken, deed, book_id, now = speaker(request), form.text("deed"), bank.book_id, bank.clock()
    try:
        async with bank.engine.begin() as connection:
            person = await cards.find(connection, book_id, bank.keys, form.text("member"), now)
            if deed == "reset":
                await pins.reset(connection, book_id, person.id, now=now, actor_id=session.member_id)
            elif deed != "slip":
                id = form.uuid("id")
                await cards.issue(connection, book_id, person.id, id=id, now=now, actor_id=session.member_id)
    except BankError as error:
        return await desk_page(request, number, refused(request, error, spoken.gettext("Not done")), status=422)
    if deed == "reset":
        words = spoken.gettext("The PIN is forgotten. The member types a new one on their own page.")
        return await desk_page(request, number, Shown(False, spoken.gettext("Done"), words))
    if deed == "slip":
        return go(f"/stations/{number}/members/{person.id}/slip.pdf")
    return go(f"/stations/{number}/cards.pdf", member=person.id)


@post("/stations/{number:int}/activations", status_code=200)
async def print_activation(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A code on paper for a member whom no message reaches; it is shown this once."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    place = await station_at(request, number)
    spoken, now = speaker(request), bank.clock()
    try:
        async with bank.engine.begin() as connection:
            person = await cards.find(connection, bank.book_id, bank.keys, form.text("member"), now)
            text = await activations.issue(
                connection, bank.book_id, bank.keys, person.id, actor_id=session.member_id, now=now
            )
            names = await members.names(connection, bank.book_id, bank.keys, [person.id])
    except BankError as error:
        return await desk_page(request, number, refused(request, error, spoken.gettext("Not done")), status=422)
    return show(
        request,
        "station/activation.html",
        way="/stations",
        number=number,
        station=spoken.pick(place.name_zh, place.name_en),
        name=names.get(person.id, ""),
        text=activations.spaced(text),
        until=now + activations.LIFE,
        address=bank.settings.address,
    )


handlers = [desk, scan_card, enter, issue_door_code, plan, cancel, help_member, print_activation]
