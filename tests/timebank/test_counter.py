"""The counter: a code is handed over once, by a clerk, where it may be collected."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City
from tests.timebank.acting import (
    DAY,
    balance_of,
    cancel,
    code,
    done,
    fulfil,
    hold,
    one,
    points_of,
    send,
    stock_of,
    the_redemption,
)
from timebank import members, purses
from timebank.tables import redemption, reward_place

POINTS = 250


async def test_a_code_is_handed_over_once(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    made = await hold(connection, city, member_id, reward_id)
    command = fulfil(city, number=made.data["number"])
    answer = await done(connection, city, command, DAY + timedelta(hours=1))
    assert answer.data == {
        "redemption_id": made.data["redemption_id"],
        "reward_id": str(reward_id),
        "member_id": str(member_id),
        "points": 100,
        "at": (DAY + timedelta(hours=1)).isoformat(),
    }
    assert await balance_of(connection, city, purses.HELD) == 0
    assert await balance_of(connection, city, purses.FULFILLED) == 100
    assert await points_of(connection, city, member_id) == [150]
    assert await stock_of(connection, city, reward_id) == 9
    row = await the_redemption(connection, city, made.data["redemption_id"])
    assert (row.state, row.ended_by, row.station_id) == ("fulfilled", city.clerk_id, city.station.id)
    assert row.ended_at == DAY + timedelta(hours=1)
    # The same click again says the same; another click says that it was done.
    assert await one(connection, city, command, DAY + timedelta(days=3)) == answer
    batch = [fulfil(city, number=made.data["number"]), fulfil(city, digits=made.data["digits"])]
    assert [each.code for each in await send(connection, city, batch, DAY)] == ["already_fulfilled"] * 2
    assert await code(connection, city, replace(command, number=1)) == "id_reused"


async def test_only_a_clerk_of_the_station_hands_over(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    made = await hold(connection, city, member_id, reward_id)
    elsewhere = await city.add_station(connection)
    other, suspended = await city.add_members(connection, 2)
    await city.grant(connection, other, "clerk", station_id=elsewhere.id)
    await city.grant(connection, suspended, "clerk", station_id=city.station.id)
    await members.suspend(connection, city.book_id, suspended, now=MORNING)
    number = made.data["number"]
    batch = [fulfil(city, number=number, actor_id=who) for who in (other, suspended, member_id, city.manager_id)]
    assert [answer.code for answer in await send(connection, city, batch, DAY)] == ["role_not_allowed"] * 4
    # A place where it is not handed over, by a clerk of that place.
    assert await code(connection, city, fulfil(city, number=number, actor_id=other, station_id=elsewhere.id)) == (
        "wrong_place"
    )
    above = await city.add_member(connection)
    await city.grant(connection, above, "clerk", region_id=city.district_id)
    assert await code(connection, city, fulfil(city, number=number, actor_id=above)) == "ok"


async def test_digits_mean_something_at_pick_up_places_only(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    made = await hold(connection, city, member_id, reward_id)
    elsewhere = await city.add_station(connection)
    await city.grant(connection, city.clerk_id, "clerk", station_id=elsewhere.id)
    digits = made.data["digits"]
    assert await code(connection, city, fulfil(city, digits=digits, station_id=elsewhere.id)) == "not_found"
    assert await code(connection, city, fulfil(city, digits=f"{(int(digits) + 1) % 10**8:08d}")) == "not_found"
    assert await code(connection, city, fulfil(city, number=2**40 - 1)) == "not_found"
    assert await code(connection, city, fulfil(city)) == "not_found"
    assert await code(connection, city, fulfil(city, digits=digits)) == "ok"


async def test_digits_used_before_mean_what_can_be_collected_now(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    reward_id = await city.add_reward(connection, price_points=10)
    old, older, new = [await hold(connection, city, member_id, reward_id) for _ in range(3)]
    await done(connection, city, fulfil(city, number=old.data["number"]), DAY)
    await done(connection, city, cancel(city, member_id, older.data["redemption_id"]), DAY)
    digits = new.data["digits"]
    await connection.execute(
        update(redemption)
        .where(redemption.c.book_id == city.book_id, redemption.c.number != new.data["number"])
        .values(digits=digits)
    )
    answer = await done(connection, city, fulfil(city, digits=digits), DAY)
    assert answer.data["redemption_id"] == new.data["redemption_id"]


async def test_a_reward_that_moved_is_handed_over_where_it_is_now(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    made = await hold(connection, city, member_id, reward_id)
    await connection.execute(reward_place.delete().where(reward_place.c.reward_id == reward_id))
    assert await code(connection, city, fulfil(city, number=made.data["number"])) == "wrong_place"


async def test_one_refused_hand_over_never_fails_its_neighbours(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    one_, two = [await hold(connection, city, member_id, reward_id) for _ in range(2)]
    batch = [
        fulfil(city, number=one_.data["number"], actor_id=member_id),
        fulfil(city, digits=one_.data["digits"]),
        fulfil(city, number=one_.data["number"]),
        fulfil(city, number=5),
        fulfil(city, number=two.data["number"]),
    ]
    answers = await send(connection, city, batch, DAY)
    assert [answer.code for answer in answers] == ["role_not_allowed", "ok", "already_fulfilled", "not_found", "ok"]
    assert await balance_of(connection, city, purses.FULFILLED) == 200
