"""Rewards: what points are exchanged for, how many there are, and where they are handed over."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    DateTime,
    Row,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, regions, texts, trail
from timebank.clock import period_start
from timebank.cursors import EPOCH
from timebank.errors import Invalid, NotFound
from timebank.tables import PERIODS, redemption, region, reward, reward_place, station

NAME_LIMIT = 60
DESCRIPTION_LIMIT = 500
KINDS = ("goods", "service", "voucher", "honour")
STATES = ("open", "closed")
DAY_MINUTES = 1440
HIGHEST_PRICE = 1_000_000
HIGHEST_STOCK = 1_000_000
CHOICES = {"kind": KINDS, "state": STATES, "limit_period": (*PERIODS, None)}
# Of what begins at 1.
HIGHEST = {"price_points": HIGHEST_PRICE, "limit_pieces": 10_000, "hold_minutes": 525_600}


class Changes(TypedDict, total=False):
    """What may be changed about a reward. A redemption that is already held keeps the price it was held at."""

    kind: str
    name_zh: str
    name_en: str
    description_zh: str
    description_en: str
    price_points: int
    limit_pieces: int | None
    limit_period: str | None
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
    limit_pieces: int | None = None,
    limit_period: str | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    hold_minutes: int = DAY_MINUTES,
    actor_id: UUID | None = None,
) -> UUID:
    """Offer a reward of a region, handed over at `places`, which are stations of that region or below it.

    An honour may have no places: redeeming it fulfils it. At most `limit_pieces` go to one member in one calendar
    `limit_period` ("day", "week", "month", "year", "ever"); `hold_minutes` is how long a redemption waits to be
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
            limit_pieces=limit_pieces,
            limit_period=limit_period,
            starts_at=starts_at or now,
            ends_at=ends_at,
            hold_minutes=hold_minutes,
            state="open",
        )
    )
    check_whole(values, places)
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
    places: Sequence[UUID] | None = None,
    now: datetime,
    actor_id: UUID | None = None,
) -> None:
    """Change what a reward is called, what it costs, when it is offered, and with `places` where it is handed over.

    What is given and the same as before changes nothing. Errors as `add`; also `invalid` (places, `awaited`) where an
    honour would lose its last place while somebody has yet to collect it.
    """
    row = await require(connection, book_id, reward_id, actor_id, now)
    had = await places_of(connection, book_id, reward_id)
    wanted = had if places is None else set(places)
    given = checked(changes)
    check_whole({**row._mapping, **given}, wanted)
    values = {name: value for name, value in given.items() if value != row._mapping[name]}
    before, after = plain({name: row._mapping[name] for name in values}), plain(values)
    if wanted != had:
        if not wanted and await is_awaited(connection, book_id, reward_id):
            raise Invalid(field="places", reason="awaited")
        await connection.execute(
            delete(reward_place).where(reward_place.c.book_id == book_id, reward_place.c.reward_id == reward_id)
        )
        await place(connection, book_id, reward_id, row.region_id, wanted)
        before["places"], after["places"] = sorted(map(str, had)), sorted(map(str, wanted))
    if values:
        await connection.execute(
            update(reward).where(reward.c.book_id == book_id, reward.c.id == reward_id).values(**values)
        )
    if after:
        await note(connection, book_id, "reward.edit", reward_id, before, after, now, actor_id)


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


async def place(
    connection: AsyncConnection, book_id: int, reward_id: UUID, region_id: UUID, places: Collection[UUID]
) -> None:
    """Keep the places of a reward, all inside its region."""
    if not places:
        return
    inside = (
        select(func.count())
        .select_from(station)
        .join(region, (region.c.book_id == station.c.book_id) & (region.c.id == station.c.region_id))
        .where(station.c.book_id == book_id, station.c.id.in_(places), access.below(region_id))
    )
    if await connection.scalar(inside) != len(set(places)):
        raise NotFound(kind="station")
    await connection.execute(
        insert(reward_place),
        [{"book_id": book_id, "reward_id": reward_id, "station_id": station_id} for station_id in set(places)],
    )


async def places_of(connection: AsyncConnection, book_id: int, reward_id: UUID) -> set[UUID]:
    """The stations where a reward is handed over."""
    query = select(reward_place.c.station_id).where(
        reward_place.c.book_id == book_id, reward_place.c.reward_id == reward_id
    )
    return set((await connection.execute(query)).scalars())


async def is_awaited(connection: AsyncConnection, book_id: int, reward_id: UUID) -> bool:
    """Whether somebody has yet to collect this reward. The caller has locked it, so that nobody redeems meanwhile."""
    held = select(redemption.c.id).where(
        redemption.c.book_id == book_id, redemption.c.reward_id == reward_id, redemption.c.state == "held"
    )
    return bool(await connection.scalar(select(held.exists())))


async def require(
    connection: AsyncConnection, book_id: int, reward_id: UUID, actor_id: UUID | None, now: datetime
) -> Row[Any]:
    """The reward, locked, when the actor, unless the operator, administers its region; `NotFound` otherwise."""
    query = select(reward).where(reward.c.book_id == book_id, reward.c.id == reward_id).with_for_update(key_share=True)
    row = await access.one(connection, query, "reward")
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
    for field, options in CHOICES.items():
        if field in values and values[field] not in options:
            raise Invalid(field=field, reason="unknown")
    for field, highest in HIGHEST.items():
        if values.get(field) is not None:
            check_range(field, values[field], 1, highest)
    return values


def check_whole(values: Mapping[str, Any], places: Collection[UUID]) -> None:
    """Raise `Invalid` for what is fine by itself and does not go together: an offer that ends before it starts, half a
    limit, a reward that cannot be collected anywhere."""
    if values["ends_at"] is not None and values["ends_at"] <= values["starts_at"]:
        raise Invalid(field="ends_at", reason="before_start")
    for field, other in (("limit_pieces", "limit_period"), ("limit_period", "limit_pieces")):
        if values[field] is None and values[other] is not None:
            raise Invalid(field=field, reason="missing")
    if not places and values["kind"] != "honour":
        raise Invalid(field="places", reason="empty")


def counted_since(now: datetime, zone: ZoneInfo) -> ColumnElement[Any]:
    """From when on redemptions of the row of `reward` count towards its limit."""
    starts = [(period, period_start(period, now, zone)) for period in PERIODS]
    return case(
        *(
            (reward.c.limit_period == period, literal(start, DateTime(timezone=True)))
            for period, start in starts
            if start is not None
        ),
        else_=literal(EPOCH, DateTime(timezone=True)),
    )


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


TAKE_STOCK = text("""
    UPDATE timebank.reward AS r SET stock = r.stock + c.pieces
    FROM unnest(CAST(:ids AS uuid[]), CAST(:pieces AS integer[])) AS c (id, pieces)
    WHERE r.book_id = :book_id AND r.id = c.id
""")


async def change_stock(connection: AsyncConnection, book_id: int, changes: Counter[UUID]) -> None:
    """Add pieces to the stock of rewards that are locked already."""
    parameters = {"book_id": book_id, "ids": list(changes), "pieces": list(changes.values())}
    await connection.execute(TAKE_STOCK, parameters)
