"""Rewards, and what a volunteer redeems."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath

from api.auth import member_of
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    ListPage,
    Operation,
    body_of,
    choice_query,
    command_id,
    cursor_of,
    following,
    give,
    limit_of,
    ranked_cursor,
    reading,
    settled,
    shaped,
    writing,
)
from api.state import Bank, bank_of
from timebank import catalogue, explain
from timebank.ending import Cancel
from timebank.redemptions import Redeem
from timebank.rewards import KINDS
from timebank.tables import REDEMPTION_STATES

REDEEM_REFUSALS = (
    "helper_not_allowed",
    "helper_points",
    "not_found",
    "reward_closed",
    "out_of_stock",
    "limit_reached",
    "points_short",
    "member_suspended",
    "id_reused",
)


class Place(Answered, frozen=True):
    """Where a reward is handed over."""

    id: UUID
    number: int
    name_zh: str
    name_en: str
    address: str


class Reward(Answered, frozen=True):
    """A reward as one volunteer sees it."""

    id: UUID
    kind: str
    name_zh: str
    name_en: str
    description_zh: str
    description_en: str
    price_points: int
    stock: int
    limit_pieces: int | None
    """At most so many for one member in one calendar `limit_period`; null: no limit."""
    limit_period: str | None
    """day, week, month, year or ever."""
    redeemed: int
    """How many the volunteer holds or collected in that period; ever, where there is no limit."""
    ends_at: datetime | None
    hold_minutes: int
    """How long a redemption waits to be picked up."""
    picture: str | None
    """The digest of its picture, at `/rewards/{id}/picture/{digest}` of the bank; null where there is none."""
    missing_points: int
    refusal: str | None
    """The code that redeeming would be refused with now; null when nothing stands against it."""
    places: list[Place]


class Rewards(ListPage, frozen=True):
    """One page of what is on offer, the cheapest first."""

    points: int
    """What the volunteer may spend."""
    rewards: list[Reward]


class Redemption(Answered, frozen=True):
    """One redemption of the volunteer's own."""

    id: UUID
    reward_id: UUID
    reward_zh: str
    reward_en: str
    points: int
    state: str
    """held, fulfilled, cancelled or timed_out."""
    code: str
    """What its QR code says after the host."""
    digits: str
    """What is read aloud at the counter."""
    held_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    station_id: UUID | None
    """Where it was handed over."""


class Redemptions(ListPage, frozen=True):
    """One page of redemptions, the latest first."""

    redemptions: list[Redemption]


class Wish(Body, frozen=True):
    """What a volunteer redeems."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    reward_id: UUID


class Cancellation(Body, frozen=True):
    """A redemption is given up."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""


@reading(
    "/rewards",
    Operation(Rewards, refusals=("cursor_invalid", "invalid"), query=("reward_kind", "cursor", "limit")),
)
async def rewards(request: AnyRequest) -> Response[Any]:
    """What this volunteer's points can become."""
    bank, member_id, now = bank_of(request), member_of(request).member_id, bank_of(request).clock()
    async with bank.engine.connect() as connection:
        points = (await explain.balance(connection, bank.book_id, member_id, now)).points
        offers, later = await catalogue.offers(
            connection,
            bank.book_id,
            member_id,
            points=points,
            zone=bank.settings.time_zone,
            now=now,
            kind=choice_query(request, "reward_kind", KINDS),
            after=ranked_cursor(request),
            limit=limit_of(request, 50),
        )
    return give(Rewards(points=points, rewards=[offered(offer) for offer in offers], following=following(later)))


@reading("/rewards/{reward_id:uuid}", Operation(Reward, refusals=("not_found",)))
async def reward(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """One of them."""
    bank, member_id, now = bank_of(request), member_of(request).member_id, bank_of(request).clock()
    async with bank.engine.connect() as connection:
        points = (await explain.balance(connection, bank.book_id, member_id, now)).points
        offer = await catalogue.offer(
            connection, bank.book_id, member_id, reward_id, points=points, zone=bank.settings.time_zone, now=now
        )
    return give(offered(offer))


def offered(offer: catalogue.Offer) -> Reward:
    """An offer for a program."""
    return shaped(
        offer.reward,
        Reward,
        missing_points=offer.missing_points,
        refusal=offer.refusal,
        places=[shaped(place, Place) for place in offer.places],
    )


@reading(
    "/redemptions",
    Operation(Redemptions, refusals=("cursor_invalid", "invalid"), query=("redemption_state", "cursor", "limit")),
)
async def redemptions(request: AnyRequest) -> Response[Any]:
    """The volunteer's redemptions, the latest first."""
    bank, member_id = bank_of(request), member_of(request).member_id
    before, limit = cursor_of(request), limit_of(request)
    state = choice_query(request, "redemption_state", REDEMPTION_STATES)
    async with bank.engine.connect() as connection:
        page = await catalogue.my_redemptions(
            connection, bank.book_id, member_id, now=bank.clock(), state=state, before=before, limit=limit
        )
    return give(
        Redemptions(redemptions=[redeemed(bank, row) for row in page.rows], following=following(page.following))
    )


@reading("/redemptions/{redemption_id:uuid}", Operation(Redemption, refusals=("not_found",)))
async def redemption(request: AnyRequest, redemption_id: FromPath[UUID]) -> Response[Any]:
    """One of them, with its code."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        row = await catalogue.my_redemption(connection, bank.book_id, member_id, redemption_id, now=bank.clock())
    return give(redeemed(bank, row))


def redeemed(bank: Bank, row: Any) -> Redemption:
    """A redemption for its owner."""
    return shaped(row, Redemption, code=catalogue.code_text(bank.keys, row.number))


@writing("/redemptions", Operation(CommandAnswer, Wish, 201, REDEEM_REFUSALS))
async def redeem(request: AnyRequest) -> Response[Any]:
    """Redeem a reward: its points are held until it is picked up.

    An honour without places is fulfilled at once. `data`: `redemption_id`, `number`, `digits`, `points`, `expires_at`.
    """
    body = await body_of(request, Wish)
    session = member_of(request)
    command = Redeem(
        id=command_id(body.id), actor_id=session.member_id, reward_id=body.reward_id, by_id=session.helper_id
    )
    return settled(command.id, await bank_of(request).commits.redeem.submit(command))


@writing(
    "/redemptions/{redemption_id:uuid}/cancellation",
    Operation(
        CommandAnswer,
        Cancellation,
        201,
        (
            "helper_not_allowed",
            "not_found",
            "already_fulfilled",
            "already_cancelled",
            "redemption_timed_out",
            "id_reused",
        ),
    ),
)
async def cancel(request: AnyRequest, redemption_id: FromPath[UUID]) -> Response[Any]:
    """Give a redemption up; its points go back where they came from."""
    body = await body_of(request, Cancellation)
    session = member_of(request)
    command = Cancel(
        id=command_id(body.id), actor_id=session.member_id, redemption_id=redemption_id, by_id=session.helper_id
    )
    return settled(command.id, await bank_of(request).commits.cancel.submit(command))


handlers = [rewards, reward, redemptions, redemption, redeem, cancel]
