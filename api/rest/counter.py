"""The clerk's counter: what a code stands for, and handing it over."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from msgspec import Meta

from api.auth import member_of
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    Operation,
    body_of,
    command_id,
    give,
    settled,
    shaped,
    writing,
)
from api.state import Bank, bank_of
from timebank import catalogue, codes, counter, members
from timebank.counter import Fulfil

Code = Annotated[str, Meta(max_length=200)]
READING = ("code_malformed", "code_forged", "not_found")
REFUSALS = (
    *READING,
    "wrong_place",
    "already_fulfilled",
    "already_cancelled",
    "redemption_timed_out",
    "role_not_allowed",
    "id_reused",
)
DIGITS = 8


class LookUp(Body, frozen=True):
    """A code that somebody shows at a counter."""

    station_id: UUID
    """The counter's station."""
    code: Code
    """What was scanned, or the eight digits."""


class Shown(Answered, frozen=True):
    """What a code stands for."""

    redemption_id: UUID
    reward_id: UUID
    reward_zh: str
    reward_en: str
    points: int
    state: str
    expires_at: datetime
    name: str | None
    """Whose it is: the first character, to compare with what the person says."""
    refusal: str | None
    """The code that handing it over would be refused with now; null when it may be handed over."""


class HandOver(Body, frozen=True):
    """What a clerk hands over."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    station_id: UUID
    code: Code


@writing("/counter", Operation(Shown, LookUp, 200, READING))
async def look_up(request: AnyRequest) -> Response[Any]:
    """What a code stands for, before anything is handed over. A POST, because codes do not belong into addresses."""
    bank, body = bank_of(request), await body_of(request, LookUp)
    number, digits = read(bank, body.code)
    async with bank.engine.connect() as connection:
        row = await counter.at_counter(
            connection,
            bank.book_id,
            body.station_id,
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            number=number,
            digits=digits,
        )
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id])
    name = names.get(row.member_id)
    return give(
        shaped(
            row,
            Shown,
            redemption_id=row.id,
            name=catalogue.masked(name) if name else None,
            refusal=counter.counter_refusal(row),
        )
    )


@writing("/fulfilments", Operation(CommandAnswer, HandOver, 201, REFUSALS))
async def fulfil(request: AnyRequest) -> Response[Any]:
    """Hand over what a code stands for, once. `data`: `redemption_id`, `reward_id`, `points`, `member_id`."""
    bank, body = bank_of(request), await body_of(request, HandOver)
    number, digits = read(bank, body.code)
    command = Fulfil(
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        station_id=body.station_id,
        number=number,
        digits=digits,
    )
    return settled(command.id, await bank.commits.fulfil.submit(command))


def read(bank: Bank, text: str) -> tuple[int | None, str | None]:
    """The number in a scanned code, or the digits that were typed; raises `code_malformed` or `code_forged`."""
    digits = text.replace(" ", "").replace("-", "")
    if len(digits) == DIGITS and digits.isascii() and digits.isdigit():
        return None, digits
    return codes.read_redemption_code(bank.keys.redemption, text), None


handlers = [look_up, fulfil]
