"""Rewards: offered by a branch at its own stations, edited with a trail, restocked by differences."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, City, build_city
from timebank import rewards
from timebank.errors import Invalid, NotFound
from timebank.keys import Keys
from timebank.tables import audit_entry, reward, reward_place


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def stored(connection: AsyncConnection, city: City, reward_id: Any) -> Row[Any]:
    query = select(reward).where(reward.c.book_id == city.book_id, reward.c.id == reward_id)
    return (await connection.execute(query)).one()


async def places(connection: AsyncConnection, city: City, reward_id: Any) -> set[Any]:
    query = select(reward_place.c.station_id).where(
        reward_place.c.book_id == city.book_id, reward_place.c.reward_id == reward_id
    )
    return set((await connection.execute(query)).scalars())


async def test_a_reward_is_offered(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection, limit_pieces=2, limit_period="month")
    row = await stored(connection, city, reward_id)
    assert (row.price_points, row.stock, row.hold_minutes, row.state) == (100, 10, 1440, "open")
    assert (row.limit_pieces, row.limit_period) == (2, "month")
    assert (row.starts_at, row.ends_at) == (MORNING, None)
    assert await places(connection, city, reward_id) == {city.station.id}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "cash"}, "kind"),
        ({"name_zh": ""}, "name_zh"),
        ({"name_en": "\x00"}, "name_en"),
        ({"description_en": "x" * 501}, "description_en"),
        ({"price_points": 0}, "price_points"),
        ({"price_points": 2**63}, "price_points"),
        ({"stock": -1}, "stock"),
        ({"limit_pieces": 0, "limit_period": "day"}, "limit_pieces"),
        ({"hold_minutes": 0}, "hold_minutes"),
        ({"places": []}, "places"),
        ({"ends_at": MORNING}, "ends_at"),
    ],
)
async def test_what_a_reward_cannot_be(
    connection: AsyncConnection, city: City, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await city.add_reward(connection, **wrong)
    assert caught.value.data["field"] == field


async def test_places_lie_inside_the_rewards_region(connection: AsyncConnection, city: City) -> None:
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)
    reward_id = await city.add_reward(connection, places=[city.station.id, elsewhere.id, elsewhere.id])
    assert await places(connection, city, reward_id) == {city.station.id, elsewhere.id}
    with pytest.raises(NotFound):
        await city.add_reward(connection, region_id=city.district_id, places=[elsewhere.id])
    with pytest.raises(NotFound):
        await city.add_reward(connection, places=[city.new_id()])
    await rewards.edit(connection, city.book_id, reward_id, {}, places=[elsewhere.id], now=MORNING)
    assert await places(connection, city, reward_id) == {elsewhere.id}


async def test_editing_changes_what_is_named_and_keeps_what_was(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection)
    later = MORNING + timedelta(hours=1)
    changes = rewards.Changes(price_points=150, description_zh="", ends_at=later, state="closed")
    await rewards.edit(connection, city.book_id, reward_id, changes, now=later)
    row = await stored(connection, city, reward_id)
    assert (row.price_points, row.description_zh, row.ends_at, row.state) == (150, "", later, "closed")
    assert row.name_zh == "大米"
    query = (
        select(audit_entry.c.action, audit_entry.c.before, audit_entry.c.after)
        .where(audit_entry.c.subject_id == reward_id)
        .order_by(audit_entry.c.at)
    )
    entries = (await connection.execute(query)).all()
    assert [entry.action for entry in entries] == ["reward.add", "reward.edit"]
    assert entries[1].before == {"price_points": 100, "description_zh": "5 公斤", "ends_at": None, "state": "open"}
    assert entries[1].after["ends_at"] == later.isoformat()


async def test_an_empty_edit_leaves_no_trail(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection)
    await rewards.edit(connection, city.book_id, reward_id, {}, now=MORNING)
    query = select(audit_entry.c.action).where(audit_entry.c.subject_id == reward_id)
    assert list((await connection.execute(query)).scalars()) == ["reward.add"]


async def test_an_offer_never_ends_before_it_starts(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection, ends_at=MORNING + timedelta(days=1))
    for changes in (rewards.Changes(ends_at=MORNING), rewards.Changes(starts_at=MORNING + timedelta(days=1))):
        with pytest.raises(Invalid):
            await rewards.edit(connection, city.book_id, reward_id, changes, now=MORNING)


async def test_only_the_branch_may_change_a_reward(connection: AsyncConnection, city: City) -> None:
    admin = await city.add_member(connection, "区管理员")
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    citywide = await city.add_reward(connection)
    with pytest.raises(NotFound):
        await city.add_reward(connection, actor_id=admin)
    own = await city.add_reward(connection, region_id=city.district_id, actor_id=admin)
    await rewards.edit(connection, city.book_id, own, {"name_zh": "鸡蛋"}, now=MORNING, actor_id=admin)
    for reward_id in (citywide, city.new_id()):
        with pytest.raises(NotFound) as caught:
            await rewards.edit(connection, city.book_id, reward_id, {"name_zh": "鸡蛋"}, now=MORNING, actor_id=admin)
        assert caught.value.data == {"kind": "reward"}
        with pytest.raises(NotFound):
            await rewards.restock(connection, city.book_id, reward_id, pieces=1, now=MORNING, actor_id=admin)


async def test_stock_never_falls_below_zero(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection, stock=3)
    assert await rewards.restock(connection, city.book_id, reward_id, pieces=2, now=MORNING) == 5
    assert await rewards.restock(connection, city.book_id, reward_id, pieces=-5, now=MORNING) == 0
    for pieces in (-1, 10**9, 10**6 + 1):
        with pytest.raises(Invalid):
            await rewards.restock(connection, city.book_id, reward_id, pieces=pieces, now=MORNING)


async def test_restocking_at_once_loses_nothing(engine: AsyncEngine, new_book: int, keys: Keys) -> None:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        reward_id = await city.add_reward(connection, stock=0)

    async def restock(pieces: int) -> None:
        async with engine.begin() as connection:
            await rewards.restock(connection, new_book, reward_id, pieces=pieces, now=MORNING)

    await asyncio.gather(*(restock(pieces) for pieces in range(1, 17)))
    async with engine.connect() as connection:
        assert (await stored(connection, city, reward_id)).stock == sum(range(1, 17))
