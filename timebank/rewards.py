"""Rewards: what points are exchanged for, how many there are, and where they are handed over."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from sqlalchemy import Row, Uuid, any_, delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import regions, texts, trail
from timebank.errors import Invalid, NotFound
from timebank.tables import region, reward, reward_place, station

NAME_LIMIT = 60
DESCRIPTION_LIMIT = 500
KINDS = ("goods", "service", "voucher", "honour")
DAY_MINUTES = 1440
HIGHEST_PRICE = 1_000_000
HIGHEST_STOCK = 1_000_000


class Changes(TypedDict, total=False):
    """What may be changed about a reward. A redemption that is already held keeps the price it was held at."""

    kind: str
    name_zh: str
    name_en: str
    description_zh: str
    description_en: str
    price_points: int
    limit_per_month: int | None
    starts_at: datetime
    ends_at: datetime | None
    hold_minutes: int
    state: str


async def add(
    connection: AsyncConnection,
    book_id: int,
    *,
    kind: str,
    name_zh: str,
    name_en: str,
    description_zh: str,
    description_en: str,
    region_id: UUID,
    price_points: int,
    stock: int,
    places: Sequence[UUID],
    id: UUID,
    now: datetime,
    limit_per_month: int | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    hold_minutes: int = DAY_MINUTES,
    actor_id: UUID | None = None,
) -> UUID:
    """Offer a reward of a region, handed over at `places`, which are stations of that region or below it.

    `limit_per_month` is for one member and calendar month; `hold_minutes` is how long a redemption waits to be
    picked up. Errors: `not_found` (region, station), `invalid`.
    """
    await regions.require(connection, book_id, region_id, actor_id, now)
    values = checked(
        Changes(
            kind=kind,
            name_zh=name_zh,
            name_en=name_en,
            description_zh=description_zh,
            description_en=description_en,
            price_points=price_points,
            limit_per_month=limit_per_month,
            starts_at=starts_at or now,
            ends_at=ends_at,
            hold_minutes=hold_minutes,
            state="open",
        )
    )
    check_period(values["starts_at"], ends_at)
    check_range("stock", stock, 0, HIGHEST_STOCK)
    await connection.execute(
        insert(reward).values(book_id=book_id, id=id, region_id=region_id, stock=stock, created_at=now, **values)
    )
    await place(connection, book_id, id, region_id, places)
    after = {**plain(values), "stock": stock, "places": sorted(map(str, places))}
    await note(connection, book_id, "reward.add", id, None, after, now, actor_id)
    return id


async def edit(
    connection: AsyncConnection,
    book_id: int,
    reward_id: UUID,
    changes: Changes,
    *,
    now: datetime,
    actor_id: UUID | None = None,
) -> None:
    """Change what a reward is called, what it costs, when it is offered. Errors as `add`."""
    row = await require(connection, book_id, reward_id, actor_id, now)
    values = checked(changes)
    if not values:
        return
    check_period(values.get("starts_at", row.starts_at), values.get("ends_at", row.ends_at))
    await connection.execute(
        update(reward).where(reward.c.book_id == book_id, reward.c.id == reward_id).values(**values)
    )
    before = {name: row._mapping[name] for name in values}
    await note(connection, book_id, "reward.edit", reward_id, plain(before), plain(values), now, actor_id)


async def restock(
    connection: AsyncConnection,
    book_id: int,
    reward_id: UUID,
    *,
    pieces: int,
    now: datetime,
    actor_id: UUID | None = None,
) -> int:
    """Add `pieces` to the stock, or take them away when negative. Answers the new stock.

    A difference, not a new total: redemptions that run at the same time are not overwritten. `Invalid` when the
    stock would fall below zero or rise above a million.
    """
    await require(connection, book_id, reward_id, actor_id, now)
    check_range("pieces", pieces, -HIGHEST_STOCK, HIGHEST_STOCK)
    changed = await connection.execute(
        update(reward)
        .where(
            reward.c.book_id == book_id,
            reward.c.id == reward_id,
            (reward.c.stock + pieces).between(0, HIGHEST_STOCK),
        )
        .values(stock=reward.c.stock + pieces)
        .returning(reward.c.stock)
    )
    stock: int | None = changed.scalar_one_or_none()
    if stock is None:
        raise Invalid(field="pieces", reason="range")
    before, after = {"stock": stock - pieces}, {"stock": stock}
    await note(connection, book_id, "reward.restock", reward_id, before, after, now, actor_id)
    return stock


async def set_places(
    connection: AsyncConnection,
    book_id: int,
    reward_id: UUID,
    *,
    places: Sequence[UUID],
    now: datetime,
    actor_id: UUID | None = None,
) -> None:
    """Hand the reward over at exactly these stations from now on. `not_found` for a station outside its region."""
    row = await require(connection, book_id, reward_id, actor_id, now)
    removed = await connection.execute(
        delete(reward_place)
        .where(reward_place.c.book_id == book_id, reward_place.c.reward_id == reward_id)
        .returning(reward_place.c.station_id)
    )
    before = {"places": sorted(str(station_id) for station_id in removed.scalars())}
    await place(connection, book_id, reward_id, row.region_id, places)
    after = {"places": sorted(map(str, places))}
    await note(connection, book_id, "reward.places", reward_id, before, after, now, actor_id)


async def place(
    connection: AsyncConnection, book_id: int, reward_id: UUID, region_id: UUID, places: Sequence[UUID]
) -> None:
    """Keep the places of a reward, at least one, all inside its region."""
    if not places:
        raise Invalid(field="places", reason="empty")
    inside = (
        select(func.count())
        .select_from(station)
        .join(region, (region.c.book_id == station.c.book_id) & (region.c.id == station.c.region_id))
        .where(station.c.book_id == book_id, station.c.id.in_(places), literal(region_id, Uuid) == any_(region.c.path))
    )
    if await connection.scalar(inside) != len(set(places)):
        raise NotFound(kind="station")
    await connection.execute(
        insert(reward_place),
        [{"book_id": book_id, "reward_id": reward_id, "station_id": station_id} for station_id in set(places)],
    )


async def require(
    connection: AsyncConnection, book_id: int, reward_id: UUID, actor_id: UUID | None, now: datetime
) -> Row[Any]:
    """The reward, when the actor, unless the operator, administers its region; `NotFound` otherwise."""
    query = select(reward).where(reward.c.book_id == book_id, reward.c.id == reward_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(kind="reward")
    try:
        await regions.require(connection, book_id, row.region_id, actor_id, now)
    except NotFound:
        raise NotFound(kind="reward") from None
    return row


def checked(changes: Changes) -> dict[str, Any]:
    """The changes as they are stored; `Invalid` with the field that cannot be taken."""
    values: dict[str, Any] = dict(changes)
    for field in {"name_zh", "name_en"} & values.keys():
        values[field] = texts.line(field, values[field], NAME_LIMIT)
    for field in {"description_zh", "description_en"} & values.keys():
        values[field] = texts.lines(field, values[field], DESCRIPTION_LIMIT)
    for field, options in (("kind", KINDS), ("state", ("open", "closed"))):
        if field in values and values[field] not in options:
            raise Invalid(field=field, reason="unknown")
    for field, highest in (("price_points", HIGHEST_PRICE), ("limit_per_month", 10_000), ("hold_minutes", 525_600)):
        if values.get(field) is not None:
            check_range(field, values[field], 1, highest)
    return values


def check_period(starts_at: datetime, ends_at: datetime | None) -> None:
    """Raise `Invalid` for an offer that ends before it starts."""
    if ends_at is not None and ends_at <= starts_at:
        raise Invalid(field="ends_at", reason="before_start")


def check_range(field: str, value: int, lowest: int, highest: int) -> None:
    """Raise `Invalid` unless `lowest` <= `value` <= `highest`."""
    if not lowest <= value <= highest:
        raise Invalid(field=field, reason="range", lowest=lowest, highest=highest)


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """The values as JSON takes them."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


async def note(
    connection: AsyncConnection,
    book_id: int,
    action: str,
    reward_id: UUID,
    before: dict[str, Any] | None,
    after: dict[str, Any],
    now: datetime,
    actor_id: UUID | None,
) -> None:
    """Write a change of a reward into the trail."""
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action=action,
        subject_kind="reward",
        subject_id=reward_id,
        before=before,
        after=after,
        now=now,
    )
