"""The desk for one person: whose card was scanned, in and out, what they have, and what their PIN agrees to.

The card stands in each form of the page, so that a card that is scanned in another tab meanwhile changes nothing here.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery
from sqlalchemy.ext.asyncio import AsyncConnection

from api import qr
from api.language import mark
from api.pages.desk import refused, station_at, told
from api.pages.forms import Form, as_uuid
from api.pages.helpers import USUAL_DAYS, end_of_day
from api.pages.page import AnyRequest, Shown, answer_to, holds_role, member, show, shown, speaker
from api.pages.scanned import keep, kept
from api.paper import press, slip
from api.problems import Problem
from api.rest.helpers import assigned
from api.state import Bank, bank_of
from api.vouching import card_punch, redeem_with_card
from timebank import cards, catalogue, desk, explain, helpers, members, pins, records
from timebank.counter import COUNTER_ROLES
from timebank.cursors import Ranked
from timebank.errors import BankError, NotFound
from timebank.ids import uuid7

# More than anybody chooses from in one field.
OFFERS_SHOWN = 200
DONE = {
    "pin": mark("The PIN counts from now on."),
    "helper": mark("The helper may act for this member from now on."),
    "ended": mark("It is over. Nobody acts by it any more."),
}


@get("/stations/{number:int}/person")
async def person(
    request: AnyRequest,
    number: FromPath[int],
    answer: FromQuery[str | None] = None,
    redeemed: FromQuery[str | None] = None,
    done: FromQuery[str | None] = None,
) -> Response[Any]:
    """The field for a card; with one that was scanned, the person; with an answer, what was done."""
    session, bank, code, spoken = member(request), bank_of(request), kept(request, "card"), speaker(request)
    notice, made = None, None
    async with bank.engine.connect() as connection:
        notice = told(request, await answer_to(connection, bank, session.member_id, as_uuid(answer)))
        if code and as_uuid(redeemed):
            notice, made = await redemption_told(request, connection, code, as_uuid(redeemed))
    if words := DONE.get(done or ""):
        notice = Shown(False, spoken.gettext("Done"), spoken.gettext(words))
    return await person_page(request, number, code, notice, made=made)


async def redemption_told(
    request: AnyRequest, connection: AsyncConnection, code: str, id: UUID | None
) -> tuple[Shown | None, Any | None]:
    """What became of a redemption at this desk, and its row while it can be collected."""
    session, bank, gettext = member(request), bank_of(request), speaker(request).gettext
    try:
        holder_id = await cards.holder(connection, bank.book_id, bank.keys, code, bank.clock())
    except BankError:
        return None, None
    answered = await answer_to(connection, bank, holder_id, id)
    notice = shown(request, answered, gettext("Not redeemed"), gettext("Redeemed"))
    if id is None or answered is None or answered.refused:
        return notice, None
    try:
        made = await desk.made_here(connection, bank.book_id, id, actor_id=session.member_id, now=bank.clock())
    except NotFound:
        return notice, None
    return None, made


async def person_page(
    request: AnyRequest,
    number: int,
    code: str,
    answer: Shown | None = None,
    *,
    made: Any | None = None,
    status: int = 200,
) -> Response[Any]:
    """The page for the holder of a card, or the field for one where there is none that is good."""
    bank, spoken = bank_of(request), speaker(request)
    place, holder = await station_at(request, number), None
    if code:
        try:
            holder = await facts(request, code)
        except BankError as error:
            answer, status = refused(request, error, spoken.gettext("No card to serve")), 422
    places = []
    if made is not None:
        async with bank.engine.connect() as connection:
            places = (await catalogue.places(connection, bank.book_id, [made.reward_id])).get(made.reward_id, [])
    return show(
        request,
        "station/person.html",
        camera=True,
        way="/stations",
        status=status,
        number=number,
        station=spoken.pick(place.name_zh, place.name_en),
        code=code,
        holder=holder,
        answer=answer,
        made=made,
        places=places,
        picture=qr.draw((bank.settings.address + catalogue.code_text(bank.keys, made.number)).upper())
        if made
        else None,
        offers_shown=OFFERS_SHOWN,
        hands_over=holds_role(member(request), *COUNTER_ROLES),
        usual=(spoken.to_day(bank.clock()) + timedelta(days=USUAL_DAYS)).isoformat(),
        new_id=lambda: uuid7(bank.clock()),
    )


async def facts(request: AnyRequest, code: str) -> dict[str, Any]:
    """What the desk sees of the holder of a card, and what can be redeemed for them. Errors as `cards.holder`."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    async with bank.engine.begin() as connection:
        holder_id = await cards.holder(connection, bank.book_id, bank.keys, code, now)
        row = await members.by_id(connection, bank.book_id, holder_id)
        names = await members.names(connection, bank.book_id, bank.keys, [holder_id])
        found: dict[str, Any] = {
            "id": holder_id,
            "name": catalogue.masked(names.get(holder_id, "?")),
            "state": row.state,
            "stay": await records.open_stay(connection, bank.book_id, holder_id),
            "pin": await pins.is_set(connection, bank.book_id, holder_id),
            "witnessed": await pins.witnessed_by(connection, bank.book_id, holder_id) == session.member_id,
            "balance": None,
            "offers": [],
            "more_offers": False,
            "own": False,
            "helpers": [],
            "names": {},
        }
        try:
            found["balance"] = await desk.balance(
                connection, bank.book_id, holder_id, actor_id=session.member_id, now=now
            )
        except NotFound:
            return found
        except desk.OwnRedemption:
            return {**found, "own": True}
        offers = await redeemable(connection, bank, holder_id, found["balance"].points)
        found["offers"], found["more_offers"] = offers[:OFFERS_SHOWN], len(offers) > OFFERS_SHOWN
        rows = await helpers.of(connection, bank.book_id, holder_id, now)
        found["helpers"] = [row for row in rows if row.member_id == holder_id]
        ids = {row.helper_id for row in found["helpers"]}
        found["names"] = await members.names(connection, bank.book_id, bank.keys, ids)
    return found


async def redeemable(connection: AsyncConnection, bank: Bank, member_id: UUID, points: int) -> list[Any]:
    """The rewards that somebody with so many points can have now, the cheapest first, at least one more than are shown
    where there are so many."""
    found, after, now = [], None, bank.clock()
    while True:
        offers, rest = await catalogue.offers(
            connection, bank.book_id, member_id, points=points, zone=bank.settings.time_zone, now=now, after=after
        )
        found += [offer.reward for offer in offers if offer.refusal is None]
        # What follows costs more than there is.
        if not isinstance(rest, Ranked) or rest.rank > points or len(found) > OFFERS_SHOWN:
            return found
        after = rest


@post("/stations/{number:int}/person", status_code=303)
async def scan_person(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A card was scanned or typed: on to the person, with the card in the cookie and not in the address."""
    form = await Form.of(request)
    await station_at(request, number)
    return keep(request, "card", form.text("code"), f"/stations/{number}/person")


@post("/stations/{number:int}/person/scans", status_code=303)
async def come_or_go(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """The person comes or goes, with their PIN or without."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    place = await station_at(request, number)
    leaving, code = form.text("kind") == "out", form.text("code")
    command = await card_punch(
        bank,
        id=form.uuid("id"),
        actor_id=session.member_id,
        station_id=place.id,
        kind="out" if leaving else "in",
        code=code,
        pin=form.text("pin") or None,
    )
    await (bank.commits.check_out if leaving else bank.commits.check_in).submit(command)
    return keep(request, "card", code, f"/stations/{number}/person", answer=command.id)


@post("/stations/{number:int}/person/pin", status_code=303)
async def choose_pin(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """The person's first PIN, typed by them."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    await station_at(request, number)
    code = form.text("code")
    try:
        await desk.choose_pin(
            bank.engine,
            bank.book_id,
            bank.keys,
            card_text=code,
            digits=form.text("pin"),
            actor_id=session.member_id,
            now=bank.clock(),
        )
    except BankError as error:
        title = speaker(request).gettext("The PIN was not changed")
        return await person_page(request, number, code, refused(request, error, title), status=422)
    return keep(request, "card", code, f"/stations/{number}/person", done="pin")


@post("/stations/{number:int}/person/redemptions", status_code=303)
async def redeem(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A reward for the person, who types the PIN."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    place = await station_at(request, number)
    id, code = form.uuid("id"), form.text("code")
    try:
        await redeem_with_card(
            bank,
            id=id,
            actor_id=session.member_id,
            station_id=place.id,
            code=code,
            pin=form.text("pin"),
            reward_id=form.uuid("reward"),
        )
    except BankError as error:
        title = speaker(request).gettext("Not redeemed")
        return await person_page(request, number, code, refused(request, error, title), status=422)
    return keep(request, "card", code, f"/stations/{number}/person", redeemed=id)


@post("/stations/{number:int}/person/helpers", status_code=303)
async def assign_helper(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Somebody may act for the person from now on, who shows the card and may type the PIN."""
    form = await Form.of(request)
    await station_at(request, number)
    code = form.text("code")
    try:
        await assigned(
            request,
            id=form.uuid("id"),
            code=code,
            pin=form.text("pin") or None,
            helper=form.text("helper"),
            ends_at=end_of_day(request, form, "ends_on"),
        )
    except (BankError, Problem) as error:
        title = speaker(request).gettext("No helper was named")
        return await person_page(request, number, code, refused(request, error, title), status=422)
    return keep(request, "card", code, f"/stations/{number}/person", done="helper")


@post("/stations/{number:int}/person/helpers/{helping_id:uuid}/end", status_code=303)
async def end_helper(request: AnyRequest, number: FromPath[int], helping_id: FromPath[UUID]) -> Response[Any]:
    """A helper of the person is none any more."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    await station_at(request, number)
    async with bank.engine.begin() as connection:
        await helpers.end(connection, bank.book_id, helping_id, actor_id=session.member_id, now=bank.clock())
    return keep(request, "card", form.text("code"), f"/stations/{number}/person", done="ended")


@get("/stations/{number:int}/redemptions/{redemption_id:uuid}/slip.pdf")
async def code_slip(request: AnyRequest, number: FromPath[int], redemption_id: FromPath[UUID]) -> Response[Any]:
    """What was redeemed at this desk, for who has no phone: what they have now, and the code to collect with."""
    session, bank, now, spoken = member(request), bank_of(request), bank_of(request).clock(), speaker(request)
    await station_at(request, number)
    async with bank.engine.begin() as connection:
        row = await desk.made_here(connection, bank.book_id, redemption_id, actor_id=session.member_id, now=now)
        places = (await catalogue.places(connection, bank.book_id, [row.reward_id])).get(row.reward_id, [])
        balance = await explain.balance(connection, bank.book_id, row.member_id, now)
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id])
    data = slip.data(spoken, names.get(row.member_id, ""), balance, [], now)
    return await press.printed("slip", {**data, "collect": slip.collect(bank, spoken, row, places)}, "slip")


handlers = [person, scan_person, come_or_go, choose_pin, redeem, assign_helper, end_helper, code_slip]
