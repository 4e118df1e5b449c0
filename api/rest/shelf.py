"""Rewards for the administrators of their regions: offer, change, close, open, restock, picture."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath
from msgspec import UNSET, Meta, UnsetType, structs

from api.auth import member_of
from api.problems import Problem
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    ListPage,
    Moment,
    Operation,
    body_of,
    command_id,
    cursor_of,
    ending,
    following,
    give,
    id_query,
    limit_of,
    moment,
    reading,
    settled,
    shaped,
    text_query,
    writing,
)
from api.rest.rewards import Place
from api.state import bank_of
from timebank import catalogue, pictures, rewards, shelf

# What the domain allows, and twice as much: it says so itself, in words.
Name = Annotated[str, Meta(max_length=2 * rewards.NAME_LIMIT)]
Description = Annotated[str, Meta(max_length=2 * rewards.DESCRIPTION_LIMIT)]
Places = Annotated[list[UUID], Meta(max_length=2000)]
Count = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
WRITING = ("not_found", "id_reused")


class ShelfReward(Answered, frozen=True):
    """A reward as its administrators see it."""

    id: UUID
    kind: str
    """goods, service, voucher or honour."""
    name_zh: str
    name_en: str
    description_zh: str
    description_en: str
    region_id: UUID
    price_points: int
    stock: int
    limit_pieces: int | None
    limit_period: str | None
    starts_at: datetime
    ends_at: datetime | None
    hold_minutes: int
    state: str
    """open or closed."""
    created_at: datetime
    picture: str | None
    """The digest of its picture, at `/rewards/{id}/picture/{digest}` of the bank; null where there is none."""
    held: int
    """How many have yet to be collected."""
    fulfilled: int
    """How many were collected."""
    places: list[Place]


class ShelfRewards(ListPage, frozen=True):
    """One page of rewards, the latest first."""

    rewards: list[ShelfReward]


class NewReward(Body, frozen=True):
    """What a region offers."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer; the reward's id."""
    region_id: UUID
    kind: Annotated[str, Meta(max_length=20)]
    name_zh: Name
    name_en: Name
    price_points: Count
    stock: Count
    places: Places
    """Stations of the region or below it; none for an honour that is fulfilled as it is redeemed."""
    description_zh: Description = ""
    description_en: Description = ""
    limit_pieces: Count | None = None
    limit_period: Annotated[str, Meta(max_length=20)] | None = None
    starts_at: Moment | None = None
    """From when on; null: from now on."""
    ends_at: Moment | None = None
    hold_minutes: Count = rewards.DAY_MINUTES


class RewardChange(Body, frozen=True):
    """What shall be different about a reward; what is left out stays as it is."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    kind: Annotated[str, Meta(max_length=20)] | UnsetType = UNSET
    name_zh: Name | UnsetType = UNSET
    name_en: Name | UnsetType = UNSET
    description_zh: Description | UnsetType = UNSET
    description_en: Description | UnsetType = UNSET
    price_points: Count | UnsetType = UNSET
    places: Places | UnsetType = UNSET
    limit_pieces: Count | UnsetType | None = UNSET
    limit_period: Annotated[str, Meta(max_length=20)] | UnsetType | None = UNSET
    starts_at: Moment | UnsetType = UNSET
    ends_at: Moment | UnsetType | None = UNSET
    hold_minutes: Count | UnsetType = UNSET
    state: Annotated[str, Meta(max_length=20)] | UnsetType = UNSET
    """closed, or open again."""


class Restocking(Body, frozen=True):
    """Pieces that came, or went."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    pieces: Count
    """A difference, below zero to take away: redemptions that run at the same time are not overwritten."""


class PictureKept(Answered, frozen=True):
    """The picture of a reward as it is kept."""

    digest: str
    """SHA-256 of what is kept, in hex."""
    width: int
    height: int


@reading(
    "/admin/rewards",
    Operation(
        ShelfRewards,
        refusals=("cursor_invalid", "invalid"),
        query=("reward_kind", "reward_state", "region_id", "cursor", "limit"),
    ),
)
async def shelf_rewards(request: AnyRequest) -> Response[Any]:
    """The rewards of the administrator's branch, the latest first."""
    bank, before, limit = bank_of(request), cursor_of(request), limit_of(request)
    kind, state = one_of(request, "reward_kind", rewards.KINDS), one_of(request, "reward_state", rewards.STATES)
    async with bank.engine.connect() as connection:
        page = await shelf.listed(
            connection,
            bank.book_id,
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            kind=kind,
            state=state,
            region_id=id_query(request, "region_id"),
            before=before,
            limit=limit,
        )
        places = await catalogue.places(connection, bank.book_id, [row.id for row in page.rows])
    found = [on_shelf(row, places.get(row.id, [])) for row in page.rows]
    return give(ShelfRewards(rewards=found, following=following(page.following)))


def one_of(request: AnyRequest, name: str, options: tuple[str, ...]) -> str | None:
    """A parameter that holds one of these words."""
    value = text_query(request, name)
    if value is not None and value not in options:
        raise Problem("invalid", {"field": name, "reason": "unknown"})
    return value


def on_shelf(row: Any, places: Any) -> ShelfReward:
    """A reward for its administrator."""
    return shaped(row, ShelfReward, places=[shaped(place, Place) for place in places])


@reading("/admin/rewards/{reward_id:uuid}", Operation(ShelfReward, refusals=("not_found",)))
async def shelf_reward(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """One of them."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        row = await shelf.one(
            connection, bank.book_id, reward_id, actor_id=member_of(request).member_id, now=bank.clock()
        )
        places = await catalogue.places(connection, bank.book_id, [reward_id])
    return give(on_shelf(row, places.get(reward_id, [])))


@writing("/admin/rewards", Operation(CommandAnswer, NewReward, 201, WRITING))
async def offer_reward(request: AnyRequest) -> Response[Any]:
    """Offer a reward of a region. `data`: `reward_id`."""
    bank, body = bank_of(request), await body_of(request, NewReward)
    values = {name: value for name, value in structs.asdict(body).items() if name != "id"}
    values |= {name: moment(name, values[name]) for name in ("starts_at", "ends_at")}
    async with bank.engine.begin() as connection:
        answer = await shelf.add(
            connection,
            bank.book_id,
            id=command_id(body.id),
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            values=values,
        )
    return settled(body.id, answer)


@writing("/admin/rewards/{reward_id:uuid}", Operation(CommandAnswer, RewardChange, 201, WRITING))
async def change_reward(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """Change a reward, close it, or open it again. What is held already keeps its price. `data`: `reward_id`."""
    bank, body = bank_of(request), await body_of(request, RewardChange)
    given = {
        name: value
        for name, value in structs.asdict(body).items()
        if value is not UNSET and name not in ("id", "places")
    }
    given |= {name: moment(name, given[name]) for name in ("starts_at", "ends_at") if name in given}
    async with bank.engine.begin() as connection:
        answer = await shelf.edit(
            connection,
            bank.book_id,
            reward_id,
            id=command_id(body.id),
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            changes=rewards.Changes(**given),  # type: ignore[typeddict-item]  # the struct has the same fields
            places=None if isinstance(body.places, UnsetType) else body.places,
        )
    return settled(body.id, answer)


@writing("/admin/rewards/{reward_id:uuid}/stock", Operation(CommandAnswer, Restocking, 201, WRITING))
async def restock_reward(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """Add pieces to the stock, or take them away. `data`: `reward_id`, and the new `stock`."""
    bank, body = bank_of(request), await body_of(request, Restocking)
    async with bank.engine.begin() as connection:
        answer = await shelf.restock(
            connection,
            bank.book_id,
            reward_id,
            id=command_id(body.id),
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            pieces=body.pieces,
        )
    return settled(body.id, answer)


@writing(
    "/admin/rewards/{reward_id:uuid}/picture",
    Operation(
        PictureKept,
        status=201,
        refusals=("not_found", "picture_unreadable", "picture_too_large"),
        takes_media=pictures.MEDIA_TYPES,
    ),
    body_limit=pictures.SIZE_LIMIT_BYTES + 1024,
)
async def give_picture(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[Any]:
    """Give a reward a picture, in place of the one it has. The body is the file; its content decides what it is. Kept
    are the pixels, made smaller, and nothing else. Sent again, it changes nothing.
    """
    bank, actor_id = bank_of(request), member_of(request).member_id
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in pictures.MEDIA_TYPES:
        raise Problem("content_type_unsupported")
    # Asked before the work of decoding is done for somebody who may not.
    async with bank.engine.connect() as connection:
        await shelf.one(connection, bank.book_id, reward_id, actor_id=actor_id, now=bank.clock())
    picture = await pictures.read(await request.body())
    async with bank.engine.begin() as connection:
        await pictures.keep(connection, bank.book_id, reward_id, picture, now=bank.clock(), actor_id=actor_id)
    return give(PictureKept(digest=picture.digest, width=picture.width, height=picture.height), 201)


@ending("/admin/rewards/{reward_id:uuid}/picture", Operation(None, status=204, refusals=("not_found",)))
async def remove_picture(request: AnyRequest, reward_id: FromPath[UUID]) -> Response[None]:
    """Take a reward's picture away, for good."""
    bank = bank_of(request)
    async with bank.engine.begin() as connection:
        await pictures.remove(
            connection, bank.book_id, reward_id, now=bank.clock(), actor_id=member_of(request).member_id
        )
    return Response(None, status_code=204)


handlers = [
    shelf_rewards,
    shelf_reward,
    offer_reward,
    change_reward,
    restock_reward,
    give_picture,
    remove_picture,
]
