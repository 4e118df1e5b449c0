"""The clerk's counter: what a code stands for, handing it over, and taking that back."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import member_of
from api.problems import Problem
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    ListPage,
    Operation,
    body_of,
    command_id,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    reading,
    settled,
    shaped,
    writing,
)
from api.state import bank_of
from timebank import catalogue, counter, members
from timebank.clock import day_start
from timebank.counter import Fulfil
from timebank.undoing import Undo

Code = Annotated[str, Meta(max_length=200)]
READING = ("code_malformed", "code_forged", "not_found")
REFUSALS = (
    *READING,
    "wrong_place",
    "own_redemption",
    "already_fulfilled",
    "already_cancelled",
    "redemption_timed_out",
    "role_not_allowed",
    "id_reused",
)


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


class HandedOver(Answered, frozen=True):
    """Something that was handed over at a counter."""

    id: UUID
    """The id under which it was handed over."""
    redemption_id: UUID
    kind: str
    reward_zh: str
    reward_en: str
    points: int
    digits: str
    name: str | None
    """Whose it is: the first character."""
    at: datetime
    undone_at: datetime | None
    can_undo: bool
    """Whether it was less than ten minutes ago, and was not undone."""


class HandOvers(ListPage, frozen=True):
    """One page of what was handed over at a counter today, the latest first."""

    fulfilments: list[HandedOver]


class Undoing(Body, frozen=True):
    """A hand-over is taken back."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""


@writing("/counter", Operation(Shown, LookUp, 200, READING))
async def look_up(request: AnyRequest) -> Response[Any]:
    """What a code stands for, before anything is handed over. A POST, because codes do not belong into addresses."""
    bank, body = bank_of(request), await body_of(request, LookUp)
    number, digits = counter.read(bank.keys.redemption, body.code)
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
    """Hand over what a code stands for, once. `data`: `redemption_id`, `reward_id`, `points`, `member_id`.

    The id under which it is sent is the hand-over's, by which it can be undone.
    """
    bank, body = bank_of(request), await body_of(request, HandOver)
    number, digits = counter.read(bank.keys.redemption, body.code)
    command = Fulfil(
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        station_id=body.station_id,
        number=number,
        digits=digits,
    )
    return settled(command.id, await bank.commits.fulfil.submit(command))


@reading(
    "/fulfilments",
    Operation(HandOvers, refusals=("invalid", "cursor_invalid", "not_found"), query=("station_id", "cursor", "limit")),
)
async def fulfilments(request: AnyRequest) -> Response[Any]:
    """What was handed over at a counter today, the latest first. `station_id` is required."""
    bank, now, station_id = bank_of(request), bank_of(request).clock(), id_query(request, "station_id")
    if station_id is None:
        raise Problem("invalid", {"field": "station_id", "reason": "missing"})
    since = day_start(now, bank.settings.time_zone)
    async with bank.engine.connect() as connection:
        page = await counter.handed_here(
            connection,
            bank.book_id,
            station_id,
            actor_id=member_of(request).member_id,
            since=since,
            now=now,
            before=cursor_of(request),
            limit=limit_of(request, 10),
        )
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in page.rows])
    found = [
        shaped(row, HandedOver, name=catalogue.masked(names[row.member_id]) if row.member_id in names else None)
        for row in page.rows
    ]
    return give(HandOvers(fulfilments=found, following=following(page.following)))


@writing(
    "/fulfilments/{fulfilment_id:uuid}/undo",
    Operation(CommandAnswer, Undoing, 201, ("not_found", "already_undone", "undo_too_late", "id_reused")),
)
async def undo(request: AnyRequest, fulfilment_id: FromPath[UUID]) -> Response[Any]:
    """Take a hand-over back, within ten minutes: the same code is valid again, for ten minutes at least.

    `data`: `fulfilment_id`, `redemption_id`, `reward_id`, `member_id`, `points`, `expires_at`.
    """
    body = await body_of(request, Undoing)
    command = Undo(id=command_id(body.id), actor_id=member_of(request).member_id, fulfilment_id=fulfilment_id)
    return settled(command.id, await bank_of(request).commits.undo.submit(command))


handlers = [look_up, fulfil, fulfilments, undo]
