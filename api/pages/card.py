"""A member's own card: printed, replaced when it is lost, its PIN, and what stations have scanned of it."""

from typing import Any

from litestar import Response, get, post
from litestar.params import FromQuery

from api import qr
from api.language import mark
from api.pages.forms import Form
from api.pages.page import AnyRequest, Shown, go, member, show, speaker
from api.rest.operation import limit_of, text_query
from api.sentences import sentence
from api.state import bank_of
from timebank import cards, codes, members, pins
from timebank.cursors import Cursor
from timebank.errors import BankError
from timebank.ids import uuid7

DONE = {
    "issued": mark("A new card was made. The old one is out of use."),
    "pin": mark("Your new PIN counts from now on."),
    "confirmed": mark("Thank you. This scan counts like one with your PIN."),
}


@get("/card")
async def my_card(request: AnyRequest, done: FromQuery[str] = "") -> Response[Any]:
    """The card with its code, and the forms that belong to it."""
    words = DONE.get(done)
    spoken = speaker(request)
    return await card_page(request, Shown(False, spoken.gettext("Done"), spoken.gettext(words)) if words else None)


async def card_page(request: AnyRequest, answer: Shown | None) -> Response[Any]:
    """The page, with what became of a form."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        row = await cards.live(connection, bank.book_id, session.member_id)
        state = await pins.is_set(connection, bank.book_id, session.member_id)
        scans = await cards.to_confirm(
            connection,
            bank.book_id,
            session.member_id,
            after=Cursor.read(text_query(request, "cursor")),
            limit=limit_of(request),
        )
        name = (await members.names(connection, bank.book_id, bank.keys, [session.member_id])).get(session.member_id)
    code = codes.card_code(bank.keys.card, row.number) if row else ""
    return show(
        request,
        "volunteer/card.html",
        name=name or "",
        picture=qr.draw(f"{bank.settings.address}/C/{code}".upper()) if row else None,
        text=codes.spaced(code),
        issued_at=row.issued_at if row else None,
        pin=state,
        scans=scans.rows,
        following=scans.following,
        answer=answer,
        id=uuid7(now),
    )


@post("/card", status_code=303)
async def replace(request: AnyRequest) -> Response[Any]:
    """A card, or a new one where the old one is lost."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    async with bank.engine.begin() as connection:
        await cards.issue(
            connection,
            bank.book_id,
            session.member_id,
            id=form.uuid("id"),
            now=bank.clock(),
            actor_id=session.member_id,
        )
    return go("/card", done="issued")


@post("/card/pin", status_code=303)
async def choose_pin(request: AnyRequest) -> Response[Any]:
    """The PIN that vouches for scans of the card."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    async with bank.engine.connect() as connection:
        fields = await members.personal(connection, bank.book_id, bank.keys, session.member_id)
    try:
        await pins.choose(
            bank.engine,
            bank.book_id,
            bank.keys,
            member_id=session.member_id,
            digits=form.text("pin"),
            present=form.text("present") or None,
            phone=(fields or {}).get("phone"),
            now=bank.clock(),
        )
    except BankError as error:
        spoken = speaker(request)
        words = sentence(error.code, spoken.tag, error.data)
        return await card_page(request, Shown(True, spoken.gettext("Your PIN was not changed"), words))
    return go("/card", done="pin")


@post("/card/confirm", status_code=303)
async def confirm(request: AnyRequest) -> Response[Any]:
    """The member was there when a station scanned the card."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    async with bank.engine.begin() as connection:
        await cards.confirm(
            connection, bank.book_id, bank.keys, form.uuid("punch"), member_id=session.member_id, now=bank.clock()
        )
    return go("/card", done="confirmed")


handlers = [my_card, replace, choose_pin, confirm]
