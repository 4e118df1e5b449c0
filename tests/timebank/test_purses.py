"""The bank's accounts: opened once, found by whose they are, and read with what they hold."""

import asyncio
import random
from datetime import date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, City, build_city
from timebank import policies, purses
from timebank.errors import Conflict, Invalid
from timebank.keys import Keys
from timebank.tables import purse

THIS_YEAR, NEXT_YEAR = date(2026, 12, 31), date(2027, 12, 31)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def test_a_book_is_created_once(connection: AsyncConnection, new_book: int) -> None:
    for _ in range(2):
        await purses.create_book(connection, new_book, "南昌", "Asia/Shanghai", now=MORNING)
    assert await purses.time_zone(connection, new_book) == ZoneInfo("Asia/Shanghai")
    (first,) = await policies.versions(connection, new_book)
    assert (first.number, first.starts_on) == (1, date(2000, 1, 1))
    system = [account.id for account in purses.SYSTEM_ACCOUNTS]
    assert await purses.balances(connection, new_book, system) == dict.fromkeys(system, 0)
    for name, zone in (("九江", "Asia/Shanghai"), ("南昌", "UTC")):
        with pytest.raises(Conflict) as conflict:
            await purses.create_book(connection, new_book, name, zone, now=MORNING)
        assert conflict.value.data == {"field": "name"}


@pytest.mark.parametrize(
    ("name", "zone", "data"),
    [
        ("", "Asia/Shanghai", {"field": "name", "reason": "text_empty"}),
        ("a\x00b", "Asia/Shanghai", {"field": "name", "reason": "text_unprintable"}),
        ("x" * 201, "Asia/Shanghai", {"field": "name", "reason": "text_too_long"}),
        ("南昌", "", {"field": "time_zone", "reason": "text_empty"}),
    ],
)
async def test_what_a_book_cannot_be_called(
    connection: AsyncConnection, new_book: int, name: str, zone: str, data: dict[str, str]
) -> None:
    with pytest.raises(Invalid) as invalid:
        await purses.create_book(connection, new_book, name, zone, now=MORNING)
    assert invalid.value.data == data


def test_accounts_follow_from_whose_they_are() -> None:
    one, two = UUID(int=1), UUID(int=2)
    ids = [
        purses.hours_account(one),
        purses.hours_account(two),
        purses.fund_account(one),
        purses.purse_account(one, two, THIS_YEAR),
        purses.purse_account(two, one, THIS_YEAR),
        purses.purse_account(one, two, NEXT_YEAR),
        *(account.id for account in purses.SYSTEM_ACCOUNTS),
    ]
    assert len(set(ids)) == len(ids)
    # They are in every book that there is: these must never change.
    assert purses.hours_account(one) == UUID("c5ad9294-121f-536e-ba04-6fa60a504039")
    assert UUID("7f8fd738-855b-505c-91ef-8dd307b5af93") == purses.HELD


async def test_purses_come_by_their_last_day(connection: AsyncConnection, city: City) -> None:
    one, two = await city.add_members(connection, 2)
    wanted = [(one, city.fund_id, NEXT_YEAR), (one, city.fund_id, THIS_YEAR), (two, city.fund_id, NEXT_YEAR)]
    for _ in range(2):
        await purses.open_accounts(connection, city.book_id, member_ids=[one, two], purses=wanted)
    await purses.open_accounts(connection, city.book_id, member_ids=[], purses=[])
    found = await purses.purses_of(connection, city.book_id, [one])
    assert [(each.expires_on, each.points, each.fund_id) for each in found] == [
        (THIS_YEAR, 0, city.fund_id),
        (NEXT_YEAR, 0, city.fund_id),
    ]
    assert [each.id for each in found] == [
        purses.purse_account(one, city.fund_id, day) for day in (THIS_YEAR, NEXT_YEAR)
    ]
    assert len(await purses.purses_of(connection, city.book_id, [one, two])) == 3
    assert await purses.purses_of(connection, city.book_id, []) == []
    # On its last day a purse is still good.
    for today, left in ((THIS_YEAR, 2), (THIS_YEAR + timedelta(days=1), 1), (NEXT_YEAR + timedelta(days=1), 0)):
        assert len(await purses.purses_of(connection, city.book_id, [one], today=today)) == left
    assert await purses.hours(connection, city.book_id, one) == 0
    assert await purses.hours(connection, city.book_id, city.new_id()) == 0


async def test_accounts_that_everybody_opens_at_once(engine: AsyncEngine, new_book: int, keys: Keys) -> None:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        people = await city.add_members(connection, 10)
    chance = random.Random(4)

    async def open_some() -> None:
        some = chance.sample(people, 7)
        wanted = [(who, city.fund_id, NEXT_YEAR) for who in some]
        # No second attempt: a circle of waiting would be an error here.
        async with engine.begin() as connection:
            await purses.open_accounts(connection, city.book_id, member_ids=some, purses=wanted)

    await asyncio.gather(*(open_some() for _ in range(32)))
    async with engine.connect() as connection:
        rows = await connection.execute(purse.select().where(purse.c.book_id == city.book_id))
        assert {row.member_id for row in rows} == set(people)


async def test_a_new_fund_is_empty(connection: AsyncConnection, city: City) -> None:
    fund_id = city.new_id()
    assert await purses.open_fund(connection, city.book_id, fund_id) == purses.fund_account(fund_id)
    await purses.open_fund(connection, city.book_id, fund_id)
    found = await purses.fund_balances(connection, city.book_id, [fund_id, city.fund_id, city.new_id()])
    assert found == {fund_id: 0, city.fund_id: 1_000_000}
