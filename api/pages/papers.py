"""Everything that is printed: a station's poster and cards, a balance on a slip."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from api import qr
from api.pages.desk import refused, station_at
from api.pages.forms import Form, as_uuid
from api.pages.page import AnyRequest, Shown, go, member, show, speaker
from api.paper import activation as activation_paper
from api.paper import cards as card_paper
from api.paper import poster as poster_paper
from api.paper import press, slip
from api.state import bank_of
from timebank import activations, card_sheets, cards, explain, members, posters, statements
from timebank.errors import BankError, NotFound
from timebank.ids import uuid7

# As many lines of points as a slip has room for.
SLIP_LINES = 8


@get("/stations/{number:int}/paper")
async def paper(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """What a station prints."""
    return await paper_page(request, number)


async def paper_page(
    request: AnyRequest,
    number: int,
    answer: Shown | None = None,
    *,
    typed: str = "",
    listed: str = "",
    status: int = 200,
) -> Response[Any]:
    """The page, with what was wrong with a list of members."""
    bank, place, spoken = bank_of(request), await station_at(request, number), speaker(request)
    async with bank.engine.connect() as connection:
        printed = await posters.live(connection, bank.book_id, place.id)
    return show(
        request,
        "station/paper.html",
        way="/stations",
        status=status,
        number=number,
        station=spoken.pick(place.name_zh, place.name_en),
        picture=qr.draw(poster_paper.address(bank, number, printed.number)) if printed else None,
        printed=printed,
        answer=answer,
        typed=typed,
        listed=listed,
        limit=card_sheets.SHEET_LIMIT,
        id=uuid7(bank.clock()),
        certificate_id=uuid7(bank.clock()),
    )


@post("/stations/{number:int}/poster", status_code=303)
async def new_poster(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A new poster; the one before is out of use."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    place = await station_at(request, number)
    async with bank.engine.begin() as connection:
        await posters.replace(
            connection, bank.book_id, place.id, id=form.uuid("id"), now=bank.clock(), actor_id=session.member_id
        )
    return go(f"/stations/{number}/paper")


@get("/stations/{number:int}/poster.pdf")
async def poster(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """The poster that hangs at the station, for the printer."""
    bank, place = bank_of(request), await station_at(request, number)
    async with bank.engine.connect() as connection:
        printed = await posters.live(connection, bank.book_id, place.id)
    if printed is None:
        raise NotFound(kind="poster")
    return await press.printed("poster", poster_paper.data(bank, place, printed), f"poster-{number}-{printed.number}")


@post("/stations/{number:int}/card-sheets", status_code=303)
async def new_sheets(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Cards for a list of members. The answer leads to the PDF, so that reloading it makes no new cards."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    await station_at(request, number)
    spoken, typed = speaker(request), form.text("members")
    try:
        async with bank.engine.begin() as connection:
            found = await card_sheets.ready(
                connection,
                bank.book_id,
                bank.keys,
                [line.strip() for line in typed.splitlines() if line.strip()],
                replace=form.text("replace") == "1",
                id=form.uuid("id"),
                now=bank.clock(),
                actor_id=session.member_id,
            )
    except BankError as error:
        line = error.data.get("line")
        title = spoken.say("Line %(line)s cannot be taken", line=line) if line else spoken.gettext("Not done")
        return await paper_page(request, number, refused(request, error, title), typed=typed, status=422)
    return go(f"/stations/{number}/cards.pdf", member=found)


@get("/stations/{number:int}/cards.pdf")
async def sheets(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """The cards of some members, for the printer."""
    session, bank = member(request), bank_of(request)
    await station_at(request, number)
    asked = [id for text in request.query_params.getall("member", []) if (id := as_uuid(text))]
    async with bank.engine.connect() as connection:
        found = await card_sheets.of_served(
            connection,
            bank.book_id,
            bank.keys,
            list(dict.fromkeys(asked)),
            actor_id=session.member_id,
            now=bank.clock(),
        )
    made = [card_paper.Card(each.name, each.number, each.issued_at) for each in found]
    return await press.printed("cards", card_paper.data(bank, speaker(request), made), "cards")


@post("/stations/{number:int}/activation-sheets", status_code=200)
async def activation_sheets(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Codes on paper for a list of members whom no message reaches. They are kept nowhere: this answer is the paper."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    await station_at(request, number)
    spoken, typed = speaker(request), form.text("members")
    try:
        async with bank.engine.begin() as connection:
            made = await activations.issue_all(
                connection,
                bank.book_id,
                bank.keys,
                [line.strip() for line in typed.splitlines() if line.strip()],
                actor_id=session.member_id,
                now=bank.clock(),
            )
    except BankError as error:
        line = error.data.get("line")
        title = spoken.say("Line %(line)s cannot be taken", line=line) if line else spoken.gettext("Not done")
        return await paper_page(request, number, refused(request, error, title), listed=typed, status=422)
    return await press.printed("activation", activation_paper.data(bank, spoken, made), "codes-on-paper")


@get("/stations/{number:int}/members/{member_id:uuid}/slip.pdf")
async def slip_of(request: AnyRequest, number: FromPath[int], member_id: FromPath[UUID]) -> Response[Any]:
    """What a member has, printed for them at the desk. The look is kept. Without the lines, which are the member's."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    await station_at(request, number)
    async with bank.engine.begin() as connection:
        balance = await statements.of_served(connection, bank.book_id, member_id, actor_id=session.member_id, now=now)
        names = await members.names(connection, bank.book_id, bank.keys, [member_id])
    return await press.printed("slip", slip.data(speaker(request), names.get(member_id, ""), balance, [], now), "slip")


@get("/statement/slip.pdf")
async def my_slip(request: AnyRequest) -> Response[Any]:
    """What a member has, and the latest of it, on a slip."""
    member_id, bank, now = member(request).member_id, bank_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        balance = await explain.balance(connection, bank.book_id, member_id, now)
        page = await explain.lines(connection, bank.book_id, member_id, unit="point", limit=SLIP_LINES)
        names = await members.names(connection, bank.book_id, bank.keys, [member_id])
    data = slip.data(speaker(request), names.get(member_id, ""), balance, page.lines, now)
    return await press.printed("slip", data, "slip")


@get("/card.pdf")
async def my_card(request: AnyRequest) -> Response[Any]:
    """A member's own card, for the printer."""
    member_id, bank = member(request).member_id, bank_of(request)
    async with bank.engine.connect() as connection:
        row = await cards.live(connection, bank.book_id, member_id)
        names = await members.names(connection, bank.book_id, bank.keys, [member_id])
    if row is None:
        raise NotFound(kind="card")
    made = [card_paper.Card(names.get(member_id, ""), row.number, row.issued_at)]
    return await press.printed("cards", card_paper.data(bank, speaker(request), made), "card")


handlers = [paper, new_poster, poster, new_sheets, sheets, activation_sheets, slip_of, my_slip, my_card]
