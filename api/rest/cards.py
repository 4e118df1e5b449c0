"""Cards: a member's own, with its code, its PIN and what was scanned of it; and those that a station gives out."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from litestar import Response

from api.auth import member_of
from api.rest.checkins import Digits
from api.rest.desk import NAMING, Print, named
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    Done,
    ListPage,
    Operation,
    ShortText,
    body_of,
    command_id,
    cursor_of,
    following,
    give,
    limit_of,
    reading,
    shaped,
    writing,
)
from api.state import bank_of
from timebank import cards, codes, members, pins


class MyCard(Answered, frozen=True):
    """What a member holds."""

    code: str | None
    """What the card's QR code says; null without a card."""
    issued_at: datetime | None
    pin: Literal["none", "set", "locked"]


class NewPin(Body, frozen=True):
    """Six digits that the member has typed."""

    pin: Digits
    present_pin: Digits | None = None
    """The one before, where there is one."""


class MemberNamed(Body, frozen=True):
    """A member, by phone number or card."""

    id: UUID
    """UUID version 7; sent twice, it is done once."""
    member: ShortText


class IssuedCard(Answered, frozen=True):
    """What is printed on the card. The one before it is out of use."""

    code: str


class CardScanned(Answered, frozen=True):
    """A scan of the card that nobody has vouched for."""

    id: UUID
    kind: str
    occurred_at: datetime
    station_zh: str
    station_en: str


class CardScans(ListPage, frozen=True):
    """One page of what the member may still confirm, the first first."""

    scans: list[CardScanned]


class Confirmed(Body, frozen=True):
    """The member was there."""

    punch_id: UUID


@reading("/card", Operation(MyCard))
async def my_card(request: AnyRequest) -> Response[Any]:
    """The member's own card."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        row = await cards.live(connection, bank.book_id, member_id)
        state = await pins.is_set(connection, bank.book_id, member_id)
    code = f"/C/{codes.card_code(bank.keys.card, row.number)}" if row else None
    return give(MyCard(code=code, issued_at=row.issued_at if row else None, pin=state))


@writing("/card", Operation(IssuedCard, Print, 201))
async def replace(request: AnyRequest) -> Response[Any]:
    """A new card for the member; the one before is out of use at once."""
    bank, body, member_id = bank_of(request), await body_of(request, Print), member_of(request).member_id
    async with bank.engine.begin() as connection:
        row = await cards.issue(
            connection, bank.book_id, member_id, id=command_id(body.id), now=bank.clock(), actor_id=member_id
        )
    return give(IssuedCard(code=f"/C/{codes.card_code(bank.keys.card, row.number)}"), 201)


@writing("/card/pin", Operation(Done, NewPin, 201, ("pin_weak", "pin_wrong", "pin_locked", "pin_missing")))
async def choose_pin(request: AnyRequest) -> Response[Any]:
    """Choose the PIN that vouches for scans of the card, or another one."""
    bank, body, member_id = bank_of(request), await body_of(request, NewPin), member_of(request).member_id
    async with bank.engine.connect() as connection:
        fields = await members.personal(connection, bank.book_id, bank.keys, member_id)
    await pins.choose(
        bank.engine,
        bank.book_id,
        bank.keys,
        member_id=member_id,
        digits=body.pin,
        present=body.present_pin,
        phone=(fields or {}).get("phone"),
        now=bank.clock(),
    )
    return give(Done(), 201)


@reading("/confirmations", Operation(CardScans, refusals=("cursor_invalid", "invalid"), query=("cursor", "limit")))
async def to_confirm(request: AnyRequest) -> Response[Any]:
    """Scans of the member's card, made at a station without the PIN, that the member may still confirm."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        page = await cards.to_confirm(
            connection, bank.book_id, member_id, after=cursor_of(request), limit=limit_of(request)
        )
    scans = [shaped(row, CardScanned) for row in page.rows]
    return give(CardScans(scans=scans, following=following(page.following)))


@writing("/confirmations", Operation(Done, Confirmed, 201, ("not_found",)))
async def confirm(request: AnyRequest) -> Response[Any]:
    """Say that a scan of the card was made while one was there: it counts like a PIN from then on."""
    bank, body, member_id = bank_of(request), await body_of(request, Confirmed), member_of(request).member_id
    async with bank.engine.begin() as connection:
        await cards.confirm(connection, bank.book_id, bank.keys, body.punch_id, member_id=member_id, now=bank.clock())
    return give(Done(), 201)


@writing("/cards", Operation(IssuedCard, MemberNamed, 201, NAMING))
async def issue_card(request: AnyRequest) -> Response[Any]:
    """Give a member whom one serves a card; a lost one is replaced in the same step."""
    body, bank = await body_of(request, MemberNamed), bank_of(request)
    member_id = await named(request, body.member)
    async with bank.engine.begin() as connection:
        row = await cards.issue(
            connection,
            bank.book_id,
            member_id,
            id=command_id(body.id),
            now=bank.clock(),
            actor_id=member_of(request).member_id,
        )
    return give(IssuedCard(code=f"/C/{codes.card_code(bank.keys.card, row.number)}"), 201)


@writing("/pin-resets", Operation(Done, MemberNamed, 201, (*NAMING, "role_not_allowed")))
async def reset_pin(request: AnyRequest) -> Response[Any]:
    """Forget the PIN of a member whom one serves, so that the member can type a new one."""
    body, bank = await body_of(request, MemberNamed), bank_of(request)
    member_id = await named(request, body.member)
    async with bank.engine.begin() as connection:
        await pins.reset(connection, bank.book_id, member_id, now=bank.clock(), actor_id=member_of(request).member_id)
    return give(Done(), 201)


handlers = [my_card, replace, choose_pin, to_confirm, confirm, issue_card, reset_pin]
