"""What happens later to what a member did who was merged into another: corrections, refunds, expiry, stray scans."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.earning import assert_sound, correct, owed, points, verified
from tests.factories import MORNING, City, build_city
from tests.timebank.acting import cancel, done, no_draw, redeem, scan, send
from timebank import astray, expiry, explain, manual, merging, purses
from timebank.astray import Settle
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.manual import Enter
from timebank.tables import record

LATER = MORNING + timedelta(days=9)
NEXT_YEAR = MORNING + timedelta(days=800)


async def merge(connection: AsyncConnection, city: City, survivor: UUID, absorbed: UUID, now: datetime = LATER) -> None:
    facts = {"id": uuid7(now), "now": now, "actor_id": None}
    await merging.merge(connection, city.book_id, survivor_id=survivor, absorbed_id=absorbed, **facts)


async def standing(connection: AsyncConnection, city: City, member_id: UUID) -> tuple[int, int, int]:
    """Minutes, points whether past or not, and what is owed."""
    minutes = await purses.hours(connection, city.book_id, member_id)
    return minutes, await points(connection, city, member_id), await owed(connection, city, member_id)


async def test_what_is_still_there_is_not_owed(connection: AsyncConnection, city: City) -> None:
    first, second, third = await city.add_members(connection, 3)
    record_id = await verified(connection, city, first, minutes=90)
    await verified(connection, city, second, MORNING + timedelta(days=1), 30)
    await merge(connection, city, second, first)
    await merge(connection, city, third, second)
    answer = await correct(connection, city, record_id, 60, LATER)
    assert (answer.code, answer.data["points"], answer.data["debt_points"]) == ("ok", 60, 0)
    assert await standing(connection, city, third) == (90, 90, 0)
    assert (await correct(connection, city, record_id, None, LATER)).data["debt_points"] == 0
    assert await standing(connection, city, third) == (30, 30, 0)
    assert await standing(connection, city, first) == await standing(connection, city, second) == (0, 0, 0)
    for unit in ("point", "minute"):
        page = await explain.lines(connection, city.book_id, third, unit=unit, before=None, limit=50)
        assert sum(line.amount for line in page.lines) == 30
    await assert_sound(connection, city)


async def test_what_is_spent_is_owed_and_no_more(connection: AsyncConnection, city: City) -> None:
    survivor, absorbed = await city.add_members(connection, 2)
    record_id = await verified(connection, city, absorbed, minutes=120)
    reward_id = await city.add_reward(connection, price_points=100)
    held = redeem(city, absorbed, reward_id)
    await done(connection, city, held)
    await merge(connection, city, survivor, absorbed)
    answer = await correct(connection, city, record_id, None, LATER)
    assert answer.data["debt_points"] == 100
    assert await standing(connection, city, survivor) == (0, 0, 100)
    await done(connection, city, cancel(city, survivor, held.id))
    assert await standing(connection, city, survivor) == (0, 100, 100)
    await assert_sound(connection, city)


async def test_what_expired_unused_is_not_owed_on_whichever_side_of_the_merge(
    connection: AsyncConnection, city: City
) -> None:
    survivor, absorbed = await city.add_members(connection, 2)
    before = await verified(connection, city, absorbed, minutes=90)
    await expiry.expire(connection, city.book_id, NEXT_YEAR)
    await verified(connection, city, survivor, MORNING + timedelta(days=1), 60)
    await expiry.expire(connection, city.book_id, NEXT_YEAR)
    await merge(connection, city, survivor, absorbed, NEXT_YEAR)
    answer = await correct(connection, city, before, 30, NEXT_YEAR)
    assert (answer.code, answer.data["debt_points"]) == ("ok", 0)
    assert (await owed(connection, city, survivor), await points(connection, city, absorbed)) == (0, 0)
    # What came back too much, and the thirty, are past as well.
    await expiry.expire(connection, city.book_id, NEXT_YEAR + timedelta(days=1))
    assert await standing(connection, city, survivor) == (90, 0, 0)
    await assert_sound(connection, city)


async def test_what_comes_into_a_purse_that_is_past_expires_there(connection: AsyncConnection, city: City) -> None:
    """Given back to the absorbed member's purse, and left in it at the merge: neither outlives its last day."""
    survivor, absorbed, late = await city.add_members(connection, 3)
    for member_id in (survivor, absorbed, late):
        await verified(connection, city, member_id, minutes=100)
    reward_id = await city.add_reward(connection, price_points=100)
    held = redeem(city, absorbed, reward_id)
    await done(connection, city, held)
    await merge(connection, city, survivor, absorbed)
    other = redeem(city, late, reward_id)
    await done(connection, city, other)
    await expiry.expire(connection, city.book_id, NEXT_YEAR)
    for member_id, command in ((survivor, held), (late, other)):
        await done(connection, city, cancel(city, member_id, command.id), NEXT_YEAR)
    await merge(connection, city, survivor, late, NEXT_YEAR)
    assert await points(connection, city, survivor) == 200
    await expiry.expire(connection, city.book_id, NEXT_YEAR)
    assert await points(connection, city, survivor) == 0
    await assert_sound(connection, city)


async def test_a_scan_that_led_to_nothing_becomes_the_survivors(connection: AsyncConnection, city: City) -> None:
    survivor, absorbed = await city.add_members(connection, 2)
    leaving = scan(city, absorbed, "out")
    await send(connection, city, [leaving], MORNING)
    await merge(connection, city, survivor, absorbed)
    begun = {"other_at": MORNING - timedelta(hours=1), "reason": "一小时前到的"}
    command = Settle(id=uuid7(LATER), actor_id=city.manager_id, punch_id=leaving.id, verdict="enter", **begun)
    (answer,) = await astray.settle_astray(connection, city.book_id, [command], LATER, keys=city.keys)
    assert (answer.code, answer.data["minutes"]) == ("ok", 60)
    row = await row_of(connection, UUID(answer.data["attendance_id"]))
    assert row.member_id == survivor
    # And nobody enters anything for somebody who is no more.
    times: dict[str, Any] = {"started_at": MORNING, "ended_at": MORNING + timedelta(hours=1), "reason": "在场"}
    entry = Enter(id=uuid7(LATER), actor_id=city.manager_id, station_id=city.station.id, member_id=absorbed, **times)
    (answer,) = await manual.enter(connection, city.book_id, [entry], LATER, keys=city.keys)
    assert answer.code == "not_found"


async def row_of(connection: AsyncConnection, id: UUID) -> Any:
    return (await connection.execute(record.select().where(record.c.id == id))).one()


async def test_a_correction_that_waits_for_a_merge_is_the_survivors(
    engine: AsyncEngine, new_book: int, keys: Keys
) -> None:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        await no_draw(connection, city)
        survivor, absorbed = await city.add_members(connection, 2)
        record_id = await verified(connection, city, absorbed, minutes=90)

    async def meanwhile() -> Any:
        async with engine.begin() as other:
            return await correct(other, city, record_id, 30, LATER)

    async with engine.begin() as connection:
        await merge(connection, city, survivor, absorbed)
        waiting = asyncio.create_task(meanwhile())
        # Long enough to come to the lock; should it not, it finds the merge made, with the same end.
        await asyncio.wait([waiting], timeout=0.3)
        assert not waiting.done()
    answer = await waiting
    assert (answer.code, answer.data["debt_points"]) == ("ok", 0)
    async with engine.connect() as connection:
        assert await standing(connection, city, survivor) == (30, 30, 0)
        await assert_sound(connection, city)
