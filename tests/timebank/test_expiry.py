"""Points end with their last local day, whatever came back into their purse and when."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.queries import balances
from tests.earning import assert_sound, cancel, correct, owed, points, redeem, served, verified, verify
from tests.factories import MORNING, City, build_city
from timebank import expiry, explain, purses
from timebank.commands import Answer
from timebank.jobs import JOBS
from timebank.keys import Keys
from timebank.tables import purse

# The last local day is 31 December 2027; in Shanghai it is over at 16:00 UTC.
LAST_EVENING = datetime(2027, 12, 31, 15, 59, tzinfo=UTC)
NEW_YEAR = datetime(2027, 12, 31, 16, 0, tzinfo=UTC)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def expired_points(connection: AsyncConnection, city: City) -> int:
    return (await balances(connection, city.book_id, [purses.EXPIRED]))[purses.EXPIRED]


async def test_what_is_left_expires_when_the_last_local_day_is_over(connection: AsyncConnection, city: City) -> None:
    one, two = await city.add_members(connection, 2)
    await verified(connection, city, one)
    await verified(connection, city, two, minutes=30)
    assert await expiry.expire(connection, city.book_id, LAST_EVENING) == 0
    assert await expiry.expire(connection, city.book_id, NEW_YEAR) == 2
    assert (await points(connection, city, one), await points(connection, city, two)) == (0, 0)
    assert await expired_points(connection, city) == 150
    found = await explain.lines(connection, city.book_id, one, unit="point")
    assert [(line.kind, line.amount, line.expires_on) for line in found.lines] == [
        ("expire", -120, date(2027, 12, 31)),
        ("earn_points", 120, date(2027, 12, 31)),
    ]
    # Hours never expire.
    assert await purses.hours(connection, city.book_id, one) == 120
    # Nothing is left to look at, and nothing at all in a bank that has no city yet.
    assert await expiry.expire(connection, city.book_id, NEW_YEAR) == 0
    assert await expiry.expire(connection, 1_999_999_999, NEW_YEAR) == 0
    await assert_sound(connection, city)


async def test_points_of_the_next_year_stay(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    await verified(connection, city, member_id)
    await verified(connection, city, member_id, datetime(2027, 1, 4, 1, 0, tzinfo=UTC), minutes=50)
    await expiry.expire(connection, city.book_id, NEW_YEAR)
    assert await points(connection, city, member_id) == 50


async def held(connection: AsyncConnection, city: City, member_id: object) -> Answer:
    reward_id = await city.add_reward(connection, price_points=100)
    answer = await redeem(connection, city, member_id, reward_id, LAST_EVENING)  # type: ignore[arg-type]
    assert answer.code == "ok"
    return answer


async def test_a_refund_into_a_past_purse_expires_again(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    await verified(connection, city, member_id)
    answer = await held(connection, city, member_id)
    assert await expiry.expire(connection, city.book_id, NEW_YEAR) == 1
    assert await expired_points(connection, city) == 20
    await cancel(connection, city, member_id, answer.data["redemption_id"], NEW_YEAR + timedelta(minutes=1))
    assert await points(connection, city, member_id) == 100
    # Past: nothing of it can be spent in the meantime.
    assert (await explain.balance(connection, city.book_id, member_id, NEW_YEAR)).points == 0
    assert await expiry.expire(connection, city.book_id, NEW_YEAR + timedelta(minutes=2)) == 1
    assert (await points(connection, city, member_id), await expired_points(connection, city)) == (0, 120)
    await assert_sound(connection, city)


async def test_points_that_come_late_into_a_past_purse_expire_too(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    await verified(connection, city, member_id)
    late = await served(connection, city, member_id, MORNING + timedelta(days=1), 60)
    await expiry.expire(connection, city.book_id, NEW_YEAR)
    await verify(connection, city, late, NEW_YEAR)
    assert await points(connection, city, member_id) == 60
    await expiry.expire(connection, city.book_id, NEW_YEAR)
    assert await points(connection, city, member_id) == 0


async def test_nobody_owes_what_expired_unspent(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id)
    answer = await held(connection, city, member_id)
    await expiry.expire(connection, city.book_id, NEW_YEAR)
    await cancel(connection, city, member_id, answer.data["redemption_id"], NEW_YEAR)
    await expiry.expire(connection, city.book_id, NEW_YEAR)
    # 20 and 100 expired in two goes; 120 go back to the fund, 50 come, and expire again.
    corrected = await correct(connection, city, record_id, 50, NEW_YEAR + timedelta(days=1))
    assert (corrected.code, corrected.data["debt_points"]) == ("ok", 0)
    assert (await points(connection, city, member_id), await owed(connection, city, member_id)) == (50, 0)
    await expiry.expire(connection, city.book_id, NEW_YEAR + timedelta(days=1))
    assert (await points(connection, city, member_id), await expired_points(connection, city)) == (0, 50)
    # And once more, from where the first correction left it.
    await correct(connection, city, record_id, None, NEW_YEAR + timedelta(days=2))
    assert (await points(connection, city, member_id), await expired_points(connection, city)) == (0, 0)
    await assert_sound(connection, city)


async def test_only_what_was_spent_of_expired_points_is_owed(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id)
    await held(connection, city, member_id)
    await expiry.expire(connection, city.book_id, NEW_YEAR)
    corrected = await correct(connection, city, record_id, None, NEW_YEAR)
    assert (corrected.data["debt_points"], await owed(connection, city, member_id)) == (100, 100)
    assert await expired_points(connection, city) == 0
    await assert_sound(connection, city)


async def test_it_goes_in_batches_and_is_one_of_the_banks_jobs(connection: AsyncConnection, city: City) -> None:
    for member_id in await city.add_members(connection, 3):
        await verified(connection, city, member_id)
    assert await expiry.expire(connection, city.book_id, NEW_YEAR, limit=2) == 2
    assert await expiry.expire(connection, city.book_id, NEW_YEAR, limit=2) == 1
    assert JOBS["expire"] is expiry.expire
    swept = await connection.scalars(select(purse.c.swept_at).where(purse.c.book_id == city.book_id))
    assert list(swept) == [NEW_YEAR] * 3
