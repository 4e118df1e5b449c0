"""Funds: set up by a branch, filled once for each id with a trail, and the nearest one pays."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from timebank import funds, purses
from timebank.errors import Invalid, NotFound
from timebank.keys import Keys
from timebank.tables import audit_entry, fund


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city with a fund of the whole city that holds a million points."""
    return await build_city(connection, new_book, keys)


async def add(connection: AsyncConnection, city: City, **more: Any) -> UUID:
    facts = {"name_zh": "街道基金", "name_en": "Street fund", "region_id": city.street_id, "now": MORNING, **more}
    return await funds.add(connection, city.book_id, id=city.new_id(), **facts)


async def test_a_fund_is_set_up_empty(connection: AsyncConnection, city: City) -> None:
    fund_id = await add(connection, city, name_zh=" 街道基金 ")
    query = fund.select().where(fund.c.book_id == city.book_id, fund.c.id == fund_id)
    row = (await connection.execute(query)).one()
    assert (row.name_zh, row.name_en, row.region_id) == ("街道基金", "Street fund", city.street_id)
    assert row.account_id == purses.fund_account(fund_id)
    assert await purses.fund_balances(connection, city.book_id, [fund_id]) == {fund_id: 0}


async def test_only_who_administers_a_region_sets_up_its_funds(connection: AsyncConnection, city: City) -> None:
    admin, elsewhere = await city.add_members(connection, 2)
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    await city.grant(connection, elsewhere, "admin", region_id=city.other_district_id)
    assert await add(connection, city, actor_id=admin)
    for wrong in ({"actor_id": elsewhere}, {"actor_id": admin, "region_id": city.region_id}, {"region_id": admin}):
        with pytest.raises(NotFound):
            await add(connection, city, **wrong)
    for wrong in ({"name_zh": " "}, {"name_en": "x" * 81}):
        with pytest.raises(Invalid):
            await add(connection, city, **wrong)


async def test_filling_a_fund_leaves_a_trail(connection: AsyncConnection, city: City) -> None:
    admin, elsewhere = await city.add_members(connection, 2)
    await city.grant(connection, admin, "admin", region_id=city.region_id)
    await city.grant(connection, elsewhere, "admin", region_id=city.other_district_id)
    id_ = city.new_id()
    for _ in range(2):
        await funds.fill(connection, city.book_id, fund_id=city.fund_id, points=7, id=id_, now=MORNING, actor_id=admin)
    assert await purses.fund_balances(connection, city.book_id, [city.fund_id]) == {city.fund_id: 1_000_007}
    trail = await connection.execute(
        audit_entry.select().where(audit_entry.c.book_id == city.book_id, audit_entry.c.actor_id == admin)
    )
    (entry,) = trail.all()
    assert (entry.action, entry.subject_id) == ("fund.fill", city.fund_id)
    assert entry.after == {"points": 7, "transfer_id": str(id_)}
    # A fund outside the branch looks like one that does not exist.
    for who, fund_id in ((elsewhere, city.fund_id), (admin, city.new_id())):
        with pytest.raises(NotFound) as missing:
            await funds.fill(
                connection, city.book_id, fund_id=fund_id, points=7, id=city.new_id(), now=MORNING, actor_id=who
            )
        assert missing.value.data == {"kind": "fund"}


async def test_the_nearest_fund_pays(connection: AsyncConnection, city: City) -> None:
    async def nearest(region_id: UUID) -> UUID:
        return await funds.nearest(connection, city.book_id, region_id)

    assert await nearest(city.community_id) == city.fund_id
    of_the_street = await add(connection, city)
    await add(connection, city, now=MORNING + timedelta(days=1))  # a second one there, younger
    assert await nearest(city.community_id) == await nearest(city.street_id) == of_the_street
    for above in (city.district_id, city.other_community_id, city.region_id):
        assert await nearest(above) == city.fund_id
    with pytest.raises(NotFound) as missing:
        await nearest(city.new_id())
    assert missing.value.data == {"kind": "fund"}
