"""What a station's desk does for the person of a card: a first PIN, and a redemption with it."""

from typing import Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath

from api.auth import member_of
from api.rest.checkins import Code, Digits
from api.rest.desk import station_at
from api.rest.operation import (
    AnyRequest,
    Body,
    CommandAnswer,
    Done,
    Operation,
    body_of,
    command_id,
    give,
    settled,
    writing,
)
from api.rest.rewards import REDEEM_REFUSALS
from api.state import bank_of
from api.vouching import redeem_with_card
from timebank import desk

OF_CARDS = ("not_found", "code_malformed", "code_forged", "card_revoked", "own_redemption", "pin_locked", "pin_missing")


class FirstPin(Body, frozen=True):
    """What the member types at the desk."""

    code: Code
    """The card as scanned."""
    pin: Digits


class WishAtDesk(Body, frozen=True):
    """What the holder of a card redeems, by the hand of a manager."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    code: Code
    """The card as scanned."""
    pin: Digits
    """The member's PIN, typed by the member."""
    reward_id: UUID


@writing("/stations/{number:int}/pins", Operation(Done, FirstPin, 201, (*OF_CARDS, "pin_weak")))
async def choose_first_pin(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """The first PIN of a member who has no page of their own. At this manager's own desk it proves nothing."""
    body, bank = await body_of(request, FirstPin), bank_of(request)
    await station_at(request, number)
    await desk.choose_pin(
        bank.engine,
        bank.book_id,
        bank.keys,
        card_text=body.code,
        digits=body.pin,
        actor_id=member_of(request).member_id,
        now=bank.clock(),
    )
    return give(Done(), 201)


@writing(
    "/stations/{number:int}/redemptions",
    Operation(
        CommandAnswer, WishAtDesk, 201, (*dict.fromkeys((*OF_CARDS, "pin_wrong", "pin_witnessed", *REDEEM_REFUSALS)),)
    ),
)
async def redeem_at_desk(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Redeem for a member who shows their card and types their PIN; the code is good for a week at least. `data` as for
    the member's own."""
    body, place = await body_of(request, WishAtDesk), await station_at(request, number)
    _, answer = await redeem_with_card(
        bank_of(request),
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        station_id=place.id,
        code=body.code,
        pin=body.pin,
        reward_id=body.reward_id,
    )
    return settled(body.id, answer)


handlers = [choose_first_pin, redeem_at_desk]
