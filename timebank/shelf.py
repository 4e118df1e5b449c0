"""The shelf: rewards as the administrators of their regions see and change them.

Changes are commands, each carried out once under its id; `timebank/rewards.py` decides.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, rewards
from timebank.commands import Answer, Order, once
from timebank.cursors import Cursor, Page, falling
from timebank.errors import NotFound
from timebank.rewards import Changes
from timebank.tables import redemption, region, reward, reward_picture, station

ROLES = ("admin",)


def on_shelf(book_id: int, actor_id: UUID, now: datetime) -> Select[Any]:
    """The rewards of the regions that the actor administers: the columns of `reward`, `region_zh`, `region_en`, `held`
    (to be collected), `fulfilled`, and `picture`, the digest of the picture."""

    def how_many(state: str) -> Any:
        return (
            select(func.count())
            .where(
                redemption.c.book_id == reward.c.book_id,
                redemption.c.reward_id == reward.c.id,
                redemption.c.state == state,
            )
            .scalar_subquery()
            .label(state)
        )

    return (
        select(
            reward,
            region.c.name_zh.label("region_zh"),
            region.c.name_en.label("region_en"),
            reward_picture.c.digest.label("picture"),
            how_many("held"),
            how_many("fulfilled"),
        )
        .join_from(reward, region, and_(region.c.book_id == reward.c.book_id, region.c.id == reward.c.region_id))
        .outerjoin(
            reward_picture,
            and_(reward_picture.c.book_id == reward.c.book_id, reward_picture.c.reward_id == reward.c.id),
        )
        .where(reward.c.book_id == book_id, access.covers_region(actor_id, ROLES, now))
    )


async def listed(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    kind: str | None = None,
    state: str | None = None,
    region_id: UUID | None = None,
    before: Cursor | None = None,
    limit: int = 20,
) -> Page:
    """The rewards of the actor's branch, the latest first: of one kind, in one state, of one region and below it."""
    query = on_shelf(book_id, actor_id, now)
    if kind is not None:
        query = query.where(reward.c.kind == kind)
    if state is not None:
        query = query.where(reward.c.state == state)
    if region_id is not None:
        query = query.where(access.below(region_id))
    return await falling(connection, query, reward.c.created_at, reward.c.id, before, limit)


async def one(connection: AsyncConnection, book_id: int, reward_id: UUID, *, actor_id: UUID, now: datetime) -> Row[Any]:
    """One of the rewards that `listed` lists; `NotFound` otherwise."""
    query = on_shelf(book_id, actor_id, now).where(reward.c.id == reward_id)
    return await access.one(connection, query, "reward")


async def stations_in(connection: AsyncConnection, book_id: int, region_id: UUID, *, limit: int) -> Sequence[Row[Any]]:
    """The stations where a reward of this region may be handed over, by number: `id`, `number`, names."""
    query: Select[Any] = (
        select(station.c.id, station.c.number, station.c.name_zh, station.c.name_en)
        .join_from(station, region, and_(region.c.book_id == station.c.book_id, region.c.id == station.c.region_id))
        .where(station.c.book_id == book_id, access.below(region_id))
        .order_by(station.c.number)
        .limit(limit)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def by_numbers(connection: AsyncConnection, book_id: int, numbers: Collection[int]) -> list[UUID]:
    """The stations with these numbers; `NotFound` when one of them is nobody's."""
    query = select(station.c.id).where(station.c.book_id == book_id, station.c.number.in_(numbers))
    ids = list((await connection.execute(query.order_by(station.c.number))).scalars())
    if len(ids) != len(set(numbers)):
        raise NotFound(kind="station")
    return ids


async def add(
    connection: AsyncConnection, book_id: int, *, id: UUID, actor_id: UUID, now: datetime, values: Mapping[str, Any]
) -> Answer:
    """Offer a new reward; it gets the command's id. `values` as `rewards.add` takes them. `ok` carries `reward_id`."""

    async def act() -> dict[str, Any]:
        return {"reward_id": str(await rewards.add(connection, book_id, id=id, now=now, actor_id=actor_id, **values))}

    order = Order(id=id, actor_id=actor_id, chosen=(dict(values),))
    return await once(connection, book_id, "reward.add", order, now, act)


async def edit(
    connection: AsyncConnection,
    book_id: int,
    reward_id: UUID,
    *,
    id: UUID,
    actor_id: UUID,
    now: datetime,
    changes: Changes,
    places: Sequence[UUID] | None = None,
) -> Answer:
    """Change a reward, close it or open it again; see `rewards.edit`. `ok` carries `reward_id`."""

    async def act() -> dict[str, Any]:
        await rewards.edit(connection, book_id, reward_id, changes, places=places, now=now, actor_id=actor_id)
        return {"reward_id": str(reward_id)}

    order = Order(id=id, actor_id=actor_id, chosen=(reward_id, dict(changes), places))
    return await once(connection, book_id, "reward.edit", order, now, act)


async def restock(
    connection: AsyncConnection,
    book_id: int,
    reward_id: UUID,
    *,
    id: UUID,
    actor_id: UUID,
    now: datetime,
    pieces: int,
) -> Answer:
    """Add pieces to the stock, or take them away. `ok` carries `reward_id` and the new `stock`."""

    async def act() -> dict[str, Any]:
        stock = await rewards.restock(connection, book_id, reward_id, pieces=pieces, now=now, actor_id=actor_id)
        return {"reward_id": str(reward_id), "stock": stock}

    order = Order(id=id, actor_id=actor_id, chosen=(reward_id, pieces))
    return await once(connection, book_id, "reward.restock", order, now, act)
