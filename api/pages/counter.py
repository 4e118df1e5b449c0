"""The clerk's counter: a scanner or eight digits in, one big answer out, and what was handed over today.

One field takes everything: Enter looks up, Enter with nothing in the field confirms, and what is scanned while a
confirmation is open replaces it. `web/counter.ts` keeps the cursor there; without it the pages do the same.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromQuery
from sqlalchemy.ext.asyncio import AsyncConnection

from api.pages.forms import Form, as_uuid
from api.pages.page import AnyRequest, Shown, answer_to, go, holds_role, member, show, speaker
from api.pages.scanned import keep, kept
from api.problems import Problem
from api.rest.operation import limit_of
from api.sentences import sentence
from api.state import Bank, bank_of
from timebank import catalogue, counter, members, overview
from timebank.clock import day_start
from timebank.commands import Answer
from timebank.counter import COUNTER_ROLES, Fulfil
from timebank.cursors import Cursor, Page
from timebank.errors import BankError, NotFound
from timebank.ids import uuid7
from timebank.sessions import Session
from timebank.undoing import Undo

# Which counter a clerk stands at is asked once a day.
COOKIE = "counter"
DAY_SECONDS = 24 * 3600


@get("/counter")
async def counter_page(
    request: AnyRequest,
    code: FromQuery[str] = "",
    station: FromQuery[str | None] = None,
    answer: FromQuery[str | None] = None,
    undone: FromQuery[str | None] = None,
    before: FromQuery[str | None] = None,
) -> Response[Any]:
    """The field for the next code; with one that was scanned, what it is and whose; with an answer, what was done."""
    if code:
        return keep(request, "redemption", code, "/counter", station=as_uuid(station))
    code = kept(request, "redemption")
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    if not holds_role(session, *COUNTER_ROLES):
        raise Problem("role_not_allowed")
    async with bank.engine.connect() as connection:
        places = await overview.stations(
            connection, bank.book_id, actor_id=session.member_id, roles=COUNTER_ROLES, now=now
        )
        here = place_of(request, station, places)
        answered = await answer_to(connection, bank, session.member_id, as_uuid(answer))
        taken_back = await answer_to(connection, bank, session.member_id, as_uuid(undone))
        found, stopped = None, refused(request, answered, taken_back)
        if here and code and not (answered or taken_back):
            found, stopped = await look_up(request, connection, session, here.id, code)
        done = await redemption_of(connection, bank, answered, now)
        again = await redemption_of(connection, bank, taken_back, now)
        handed = (
            await handed_over(connection, bank, session, here.id, now, before, limit_of(request, 10))
            if here
            else Page((), None)
        )
        shown = [row for row in (found, *handed.rows) if row is not None]
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in shown])
    page = show(
        request,
        "clerk/counter.html",
        camera=True,
        way="/counter",
        stations=places,
        here=here,
        code=code,
        found=found,
        answer=stopped,
        done=done,
        again=again,
        handed=handed.rows,
        older=f"/counter?station={here.id}&before={handed.following}#today" if here and handed.following else None,
        newest=before is None,
        names={member_id: catalogue.masked(name) for member_id, name in names.items()},
        id=uuid7(now),
        undo_ids={row.id: uuid7(now) for row in handed.rows},
    )
    if here is not None:
        page.set_cookie(COOKIE, str(here.id), max_age=DAY_SECONDS, path="/", httponly=True, samesite="lax")
    return page


def place_of(request: AnyRequest, chosen: str | None, places: Any) -> Any:
    """The counter that the clerk stands at: chosen now, or earlier today in this browser, or the only one there is."""
    by_id = {place.id: place for place in places}
    for station_id in (as_uuid(chosen), as_uuid(request.cookies.get(COOKIE))):
        if station_id in by_id:
            return by_id[station_id]
    return places[0] if len(places) == 1 else None


def refused(request: AnyRequest, answered: Answer | None, taken_back: Answer | None) -> Shown | None:
    """The refusal of a hand-over or of an undo, in words."""
    spoken = speaker(request)
    if answered is not None and answered.refused:
        return Shown(True, spoken.gettext("Do not hand anything over"), sentence(answered.code, spoken.tag))
    if taken_back is not None and taken_back.refused:
        return Shown(True, spoken.gettext("Not undone"), sentence(taken_back.code, spoken.tag))
    return None


async def look_up(
    request: AnyRequest, connection: AsyncConnection, session: Session, station_id: UUID, text: str
) -> tuple[Any | None, Shown | None]:
    """What a code means at a station, and why it may not be handed over, in words."""
    bank, spoken = bank_of(request), speaker(request)
    found, words = None, None
    try:
        number, digits = counter.read(bank.keys.redemption, text)
        found = await counter.at_counter(
            connection,
            bank.book_id,
            station_id,
            actor_id=session.member_id,
            now=bank.clock(),
            number=number,
            digits=digits,
        )
        refusal = counter.counter_refusal(found)
        words = sentence(refusal, spoken.tag) if refusal else None
    except NotFound:
        words = spoken.gettext("Nothing can be collected here with this code. Compare the digits.")
    except BankError as error:
        words = sentence(error.code, spoken.tag, error.data)
    return found, Shown(True, spoken.gettext("Do not hand anything over"), words) if words else None


async def redemption_of(connection: AsyncConnection, bank: Bank, answered: Answer | None, now: datetime) -> Any | None:
    """The redemption that a hand-over or an undo was about, when it was done."""
    if answered is None or answered.refused:
        return None
    member_id, redemption_id = UUID(answered.data["member_id"]), UUID(answered.data["redemption_id"])
    return await catalogue.my_redemption(connection, bank.book_id, member_id, redemption_id, now=now)


async def handed_over(
    connection: AsyncConnection,
    bank: Bank,
    session: Session,
    station_id: UUID,
    now: datetime,
    before: str | None,
    limit: int,
) -> Page:
    """What was handed over at this counter today, the latest first, or before `before`."""
    since = day_start(now, bank.settings.time_zone)
    return await counter.handed_here(
        connection,
        bank.book_id,
        station_id,
        actor_id=session.member_id,
        since=since,
        now=now,
        before=Cursor.read(before),
        limit=limit,
    )


@post("/counter", status_code=303)
async def fulfil(request: AnyRequest) -> Response[Any]:
    """Hand over what is being confirmed; it never works a second time. What was scanned next is looked up instead,
    and nothing is handed over."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    station_id = form.uuid("station")
    if following := form.text("next"):
        return keep(request, "redemption", following, "/counter", station=station_id)
    id, text = form.uuid("id"), form.text("code")
    number, digits = counter.read(bank.keys.redemption, text)
    await bank.commits.fulfil.submit(
        Fulfil(id=id, actor_id=session.member_id, station_id=station_id, number=number, digits=digits)
    )
    return go("/counter", station=station_id, answer=id)


@post("/counter/undo", status_code=303)
async def undo(request: AnyRequest) -> Response[Any]:
    """Take a hand-over back."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    id, station_id, fulfilment_id = form.uuid("id"), form.uuid("station"), form.uuid("fulfilment")
    await bank.commits.undo.submit(Undo(id=id, actor_id=session.member_id, fulfilment_id=fulfilment_id))
    return go("/counter", station=station_id, undone=id)


handlers = [counter_page, fulfil, undo]
