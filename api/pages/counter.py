"""The clerk's counter: a scanner or eight digits in, one big answer out."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromQuery

from api.pages.forms import Form, as_uuid
from api.pages.page import AnyRequest, Shown, answer_to, go, holds_role, member, show, speaker
from api.problems import Problem
from api.sentences import sentence
from api.state import Bank, bank_of
from timebank import catalogue, codes, members, overview
from timebank.counter import COUNTER_ROLES, Fulfil, at_counter, counter_refusal
from timebank.errors import BankError, NotFound
from timebank.ids import uuid7
from timebank.sessions import Session

DIGITS = 8
# Which counter a clerk stands at is asked once a day.
COOKIE = "counter"
DAY_SECONDS = 24 * 3600


def read(bank: Bank, text: str) -> tuple[int | None, str | None]:
    """The number in a scanned code, or the digits that were typed; raises `code_malformed` or `code_forged`."""
    digits = text.replace(" ", "").replace("-", "")
    if len(digits) == DIGITS and digits.isascii() and digits.isdigit():
        return None, digits
    return codes.read_redemption_code(bank.keys.redemption, text), None


@get("/counter")
async def counter(
    request: AnyRequest,
    code: FromQuery[str] = "",
    station: FromQuery[str | None] = None,
    answer: FromQuery[str | None] = None,
) -> Response[Any]:
    """The field for the next code; with a code, what it is and whose; with an answer, what was handed over."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    if not holds_role(session, *COUNTER_ROLES):
        raise Problem("role_not_allowed")
    spoken = speaker(request)
    async with bank.engine.connect() as connection:
        places = await overview.stations(
            connection, bank.book_id, actor_id=session.member_id, roles=COUNTER_ROLES, now=now
        )
        answered = await answer_to(connection, bank, session.member_id, as_uuid(answer))
    chosen = place_of(request, station, [place.id for place in places])
    found, refused, answered_for = None, None, None
    if answered is not None:
        answered_for = await handed_over(bank, session, answered.data) if not answered.refused else None
        refused = sentence(answered.code, spoken.tag, answered.data) if answered.refused else None
    elif code and chosen:
        found, refused = await look_up(request, session, chosen, code)
    name = None
    if found is not None:
        async with bank.engine.connect() as connection:
            names = await members.names(connection, bank.book_id, bank.keys, [found.member_id])
        name = catalogue.masked(names.get(found.member_id, "?"))
    here = next((place for place in places if place.id == chosen), None)
    page = show(
        request,
        "clerk/counter.html",
        way="/counter",
        stations=places,
        chosen=chosen,
        here=here,
        code=code,
        found=found,
        name=name,
        done=answered_for,
        answer=Shown(True, spoken.gettext("Do not hand anything over"), refused) if refused else None,
        id=uuid7(now),
    )
    if chosen is not None:
        page.set_cookie(COOKIE, str(chosen), max_age=DAY_SECONDS, path="/", httponly=True, samesite="lax")
    return page


def place_of(request: AnyRequest, chosen: str | None, places: list[UUID]) -> UUID | None:
    """The counter that the clerk stands at: chosen now, or earlier today in this browser, or the only one there is."""
    for station_id in (as_uuid(chosen), as_uuid(request.cookies.get(COOKIE))):
        if station_id in places:
            return station_id
    return places[0] if len(places) == 1 else None


async def look_up(request: AnyRequest, session: Session, station_id: UUID, text: str) -> tuple[Any | None, str | None]:
    """What a code means at a station, and why it may not be handed over, in words."""
    bank, tag = bank_of(request), speaker(request).tag
    try:
        number, digits = read(bank, text)
        async with bank.engine.connect() as connection:
            found = await at_counter(
                connection,
                bank.book_id,
                station_id,
                actor_id=session.member_id,
                now=bank.clock(),
                number=number,
                digits=digits,
            )
    except NotFound:
        return None, speaker(request).gettext("Nothing can be collected here with this code. Compare the digits.")
    except BankError as error:
        return None, sentence(error.code, tag, error.data)
    refusal = counter_refusal(found)
    return found, sentence(refusal, tag) if refusal else None


async def handed_over(bank: Bank, session: Session, data: dict[str, Any]) -> Any:
    """What was just handed over, by the answer of the command."""
    async with bank.engine.connect() as connection:
        return await catalogue.my_redemption(
            connection, bank.book_id, UUID(data["member_id"]), UUID(data["redemption_id"]), now=bank.clock()
        )


@post("/counter", status_code=303)
async def fulfil(request: AnyRequest) -> Response[Any]:
    """Hand over what a code stands for; it never works a second time."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    id, station_id, text = form.uuid("id"), form.uuid("station"), form.text("code")
    number, digits = read(bank, text)
    await bank.commits.fulfil.submit(
        Fulfil(id=id, actor_id=session.member_id, station_id=station_id, number=number, digits=digits)
    )
    return go("/counter", station=station_id, answer=id)


handlers = [counter, fulfil]
