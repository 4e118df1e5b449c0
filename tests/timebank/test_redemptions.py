"""Redemptions: points are held, come back, or are spent at the counter; stock and codes hold whatever runs at once."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from tests.timebank.acting import (
    cancel,
    committed,
    done,
    earn,
    fulfil,
    one,
    redeem,
    rows,
    send,
    the_redemption,
)
from timebank import codes, members, purses, redemptions, rewards
from timebank.commands import Answer
from timebank.keys import Keys
from timebank.tables import redemption, redemption_part, reward, reward_place

# After the services that earned the points were verified.
DAY = MORNING + timedelta(days=10)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city in which chance holds no record: a point a minute."""
    city = await build_city(connection, new_book, keys)
    await acting.no_draw(connection, city)
    return city


@pytest.fixture
async def member_id(connection: AsyncConnection, city: City) -> UUID:
    """A member with 250 points."""
    member_id = await city.add_member(connection)
    await earn(connection, city, member_id, 250)
    return member_id


@pytest.fixture
async def reward_id(connection: AsyncConnection, city: City) -> UUID:
    """Rice for 100 points, ten in stock."""
    return await city.add_reward(connection)


async def points_of(connection: AsyncConnection, city: City, member_id: UUID) -> list[int]:
    """What a member's purses hold, the earliest expiry first."""
    return [purse.points for purse in await purses.purses_of(connection, city.book_id, [member_id])]


async def stock_of(connection: AsyncConnection, city: City, reward_id: UUID) -> int:
    (row,) = await rows(connection, city, reward, id=reward_id)
    return int(row.stock)


async def account(connection: AsyncConnection, city: City, account_id: UUID) -> int:
    found = await purses.balances(connection, city.book_id, [account_id])
    return found[account_id]


async def code(connection: AsyncConnection, city: City, command: Any, now: datetime = DAY) -> str:
    return (await one(connection, city, command, now)).code


async def hold(connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID) -> Answer:
    return await done(connection, city, redeem(city, member_id, reward_id), DAY)


# Holding.


async def test_redeeming_holds_the_points_and_the_piece(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    command = redeem(city, member_id, reward_id)
    answer = await done(connection, city, command, DAY)
    number, digits = codes.redemption_numbers(city.keys.redemption, command.id, 0)
    assert answer.data == {
        "redemption_id": str(command.id),
        "number": number,
        "digits": digits,
        "points": 100,
        "expires_at": (DAY + timedelta(days=1)).isoformat(),
    }
    assert await points_of(connection, city, member_id) == [150]
    assert await account(connection, city, purses.HELD) == 100
    assert await stock_of(connection, city, reward_id) == 9
    row = await the_redemption(connection, city, command.id)
    assert (row.state, row.member_id, row.reward_id, row.points) == ("held", member_id, reward_id, 100)
    assert (row.held_at, row.ended_at, row.station_id) == (DAY, None, None)
    # The code that the phone shows is read back as this redemption's number.
    text = codes.redemption_code(city.keys.redemption, row.number)
    assert codes.read_redemption_code(city.keys.redemption, text) == row.number


async def test_what_ends_first_is_spent_first(connection: AsyncConnection, city: City, reward_id: UUID) -> None:
    member_id = await city.add_member(connection)
    await earn(connection, city, member_id, 70)
    await acting.set_rules(connection, city, 3, date(2026, 3, 3), life_years=2)
    await earn(connection, city, member_id, 90, MORNING + timedelta(days=2))
    answer = await hold(connection, city, member_id, reward_id)
    assert await points_of(connection, city, member_id) == [0, 60]
    parts = await connection.execute(
        redemption_part.select().where(redemption_part.c.redemption_id == UUID(answer.data["redemption_id"]))
    )
    assert sorted(part.points for part in parts) == [30, 70]


async def test_points_whose_last_day_is_over_are_not_spent(connection: AsyncConnection, city: City) -> None:
    await acting.set_rules(connection, city, 3, date(2026, 3, 1), life_years=0)
    member_id = await city.add_member(connection)
    await earn(connection, city, member_id, 100)
    reward_id = await city.add_reward(connection)
    # The community's year ends eight hours before that of UTC.
    last_moment = datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)
    over = redeem(city, member_id, reward_id)
    assert await code(connection, city, over, last_moment + timedelta(seconds=1)) == "points_short"
    assert await code(connection, city, redeem(city, member_id, reward_id), last_moment) == "ok"


async def test_points_that_are_short(connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID) -> None:
    batch = [redeem(city, member_id, reward_id) for _ in range(3)]
    answers = await send(connection, city, batch, DAY)
    assert answers[2] == Answer("points_short")
    assert [answer.code for answer in answers] == ["ok", "ok", "points_short"]
    assert await points_of(connection, city, member_id) == [50]
    assert await stock_of(connection, city, reward_id) == 8
    nobody = await city.add_member(connection)
    assert await code(connection, city, redeem(city, nobody, reward_id)) == "points_short"


async def test_what_is_out_of_stock(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    last = await city.add_reward(connection, stock=1)
    batch = [redeem(city, member_id, last) for _ in range(2)]
    assert [answer.code for answer in await send(connection, city, batch, DAY)] == ["ok", "out_of_stock"]
    assert await code(connection, city, redeem(city, member_id, last)) == "out_of_stock"


async def test_a_limit_is_for_one_member_and_month(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    reward_id = await city.add_reward(connection, price_points=10, limit_pieces=2, limit_period="month")
    other = await city.add_member(connection)
    await earn(connection, city, other, 100)
    batch = [redeem(city, who, reward_id) for who in (member_id, member_id, member_id, other)]
    answers = await send(connection, city, batch, DAY)
    assert [answer.code for answer in answers] == ["ok", "ok", "limit_reached", "ok"]
    # What was given back does not count; what was handed over does.
    await done(connection, city, cancel(city, member_id, answers[0].data["redemption_id"]), DAY)
    await done(connection, city, fulfil(city, number=answers[1].data["number"]), DAY)
    assert await code(connection, city, redeem(city, member_id, reward_id)) == "ok"
    assert await code(connection, city, redeem(city, member_id, reward_id)) == "limit_reached"
    # April begins in Nanchang at 16:00 of the 31st in UTC.
    midnight = datetime(2026, 3, 31, 16, 0, tzinfo=UTC)
    before = redeem(city, member_id, reward_id)
    assert await code(connection, city, before, midnight - timedelta(seconds=1)) == "limit_reached"
    assert await code(connection, city, redeem(city, member_id, reward_id), midnight) == "ok"


async def test_who_may_not_redeem_what(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)
    far = await city.add_reward(connection, region_id=city.other_community_id, places=[elsewhere.id])
    later = await city.add_reward(connection, starts_at=DAY + timedelta(seconds=1))
    over = await city.add_reward(connection, ends_at=DAY)
    closed = await city.add_reward(connection)
    await rewards.edit(connection, city.book_id, closed, {"state": "closed"}, now=MORNING)
    asked = [redeem(city, member_id, id_) for id_ in (far, city.new_id(), later, over, closed)]
    answers = await send(connection, city, asked, DAY)
    assert [answer.code for answer in answers] == ["not_found", "not_found", *["reward_closed"] * 3]
    assert await code(connection, city, redeem(city, member_id, later), DAY + timedelta(seconds=1)) == "ok"
    open_one = await city.add_reward(connection)
    await members.suspend(connection, city.book_id, member_id, now=MORNING)
    assert await code(connection, city, redeem(city, member_id, open_one)) == "member_suspended"
    assert await code(connection, city, redeem(city, city.new_id(), open_one)) == "member_suspended"
    assert await points_of(connection, city, member_id) == [150]


async def test_of_several_reasons_the_one_that_helps_most_comes_first(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    reward_id = await city.add_reward(connection, price_points=250, stock=1, limit_pieces=1, limit_period="month")
    await hold(connection, city, member_id, reward_id)
    assert await code(connection, city, redeem(city, member_id, reward_id)) == "limit_reached"
    other = await city.add_member(connection)
    assert await code(connection, city, redeem(city, other, reward_id)) == "out_of_stock"
    await rewards.restock(connection, city.book_id, reward_id, pieces=1, now=MORNING)
    assert await code(connection, city, redeem(city, other, reward_id)) == "points_short"


async def test_the_same_redemption_again_gets_the_same_answer_and_another_none(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    command = redeem(city, member_id, reward_id)
    first = await done(connection, city, command, DAY)
    assert await one(connection, city, command, DAY + timedelta(days=9)) == first
    other = await city.add_member(connection)
    for changed in ({"reward_id": city.new_id()}, {"actor_id": other}):
        assert await one(connection, city, replace(command, **changed), DAY) == Answer("id_reused")
    assert await points_of(connection, city, member_id) == [150]


# Giving back.


async def test_cancelling_gives_points_and_piece_back_to_where_they_were(
    connection: AsyncConnection, city: City, reward_id: UUID
) -> None:
    member_id = await city.add_member(connection)
    await earn(connection, city, member_id, 70)
    await acting.set_rules(connection, city, 3, date(2026, 3, 3), life_years=2)
    await earn(connection, city, member_id, 90, MORNING + timedelta(days=2))
    made = await hold(connection, city, member_id, reward_id)
    command = cancel(city, member_id, made.data["redemption_id"])
    answer = await done(connection, city, command, DAY + timedelta(hours=1))
    assert answer.data == {"redemption_id": made.data["redemption_id"], "points": 100}
    assert await points_of(connection, city, member_id) == [70, 90]
    assert await account(connection, city, purses.HELD) == 0
    assert await stock_of(connection, city, reward_id) == 10
    row = await the_redemption(connection, city, made.data["redemption_id"])
    assert (row.state, row.ended_at, row.ended_by) == ("cancelled", DAY + timedelta(hours=1), member_id)
    assert await one(connection, city, command, DAY + timedelta(days=5)) == answer
    assert await code(connection, city, replace(command, redemption_id=city.new_id())) == "id_reused"


async def test_only_who_redeemed_may_cancel_and_only_once(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    made = [(await hold(connection, city, member_id, reward_id)).data["redemption_id"] for _ in range(2)]
    await done(connection, city, fulfil(city, number=(await the_redemption(connection, city, made[1])).number), DAY)
    batch = [
        cancel(city, city.clerk_id, made[0]),
        cancel(city, member_id, city.new_id()),
        cancel(city, member_id, made[0]),
        cancel(city, member_id, made[0]),
        cancel(city, member_id, made[1]),
    ]
    answers = await send(connection, city, batch, DAY)
    assert [answer.code for answer in answers] == [
        "not_found",
        "not_found",
        "ok",
        "already_cancelled",
        "already_fulfilled",
    ]
    assert await code(connection, city, cancel(city, member_id, made[0])) == "already_cancelled"
    assert await points_of(connection, city, member_id) == [150]
    assert await stock_of(connection, city, reward_id) == 9


async def test_what_nobody_collects_in_time_comes_back(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    made = await hold(connection, city, member_id, reward_id)
    ends = DAY + timedelta(days=1)

    async def time_out(now: datetime, **more: Any) -> int:
        return await redemptions.time_out(connection, city.book_id, now, **more)

    assert await time_out(ends - timedelta(microseconds=1)) == 0
    # Too late at the counter, though no job has been there yet.
    assert await code(connection, city, fulfil(city, number=made.data["number"]), ends) == "redemption_timed_out"
    assert await time_out(ends) == 1
    assert await time_out(ends) == 0
    row = await the_redemption(connection, city, made.data["redemption_id"])
    assert (row.state, row.ended_at, row.ended_by) == ("timed_out", ends, None)
    assert await points_of(connection, city, member_id) == [250]
    assert await stock_of(connection, city, reward_id) == 10
    command = cancel(city, member_id, made.data["redemption_id"])
    assert await code(connection, city, command, ends) == "redemption_timed_out"
    assert await code(connection, city, fulfil(city, number=made.data["number"]), ends) == "redemption_timed_out"


async def test_a_time_out_takes_what_it_is_told_at_once(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    reward_id = await city.add_reward(connection, price_points=10)
    for _ in range(5):
        await hold(connection, city, member_id, reward_id)
    later = DAY + timedelta(days=2)
    settled = [await redemptions.time_out(connection, city.book_id, later, limit=2) for _ in range(4)]
    assert settled == [2, 2, 1, 0]
    assert await points_of(connection, city, member_id) == [250]


# Numbers and digits.


async def test_digits_that_somebody_holds_are_drawn_again(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    first, second, third = (redeem(city, member_id, reward_id) for _ in range(3))
    secret = city.keys.redemption
    await done(connection, city, first, DAY)
    taken_number, taken_digits = codes.redemption_numbers(secret, second.id, 0)
    await connection.execute(
        update(redemption)
        .where(redemption.c.book_id == city.book_id, redemption.c.id == first.id)
        .values(digits=taken_digits)
    )
    answer = await done(connection, city, second, DAY)
    assert (answer.data["number"], answer.data["digits"]) == codes.redemption_numbers(secret, second.id, 1)
    # Digits of what was handed over are free again; a number never is.
    await done(connection, city, cancel(city, member_id, first.id), DAY)
    number, digits = codes.redemption_numbers(secret, third.id, 0)
    await connection.execute(
        update(redemption)
        .where(redemption.c.book_id == city.book_id, redemption.c.id == first.id)
        .values(digits=digits)
    )
    assert (await done(connection, city, third, DAY)).data["digits"] == digits
    assert taken_number != number


async def test_a_number_is_never_used_again(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID
) -> None:
    first, second = (redeem(city, member_id, reward_id) for _ in range(2))
    await done(connection, city, first, DAY)
    await done(connection, city, cancel(city, member_id, first.id), DAY)
    number, _ = codes.redemption_numbers(city.keys.redemption, second.id, 0)
    await connection.execute(
        update(redemption)
        .where(redemption.c.book_id == city.book_id, redemption.c.id == first.id)
        .values(number=number)
    )
    answer = await done(connection, city, second, DAY)
    assert answer.data["number"] == codes.redemption_numbers(city.keys.redemption, second.id, 1)[0] != number


async def test_two_of_one_batch_never_share_digits(
    connection: AsyncConnection, city: City, member_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward_id = await city.add_reward(connection, price_points=10)
    batch = [redeem(city, member_id, reward_id) for _ in range(4)]
    places = {command.id: place for place, command in enumerate(batch)}

    def poor_draw(_secret: bytes, id_: UUID, attempt: int) -> tuple[int, str]:
        """All four draw the same, then all but one, then two."""
        number = min(attempt, places[id_])
        return number, f"{number:08d}"

    monkeypatch.setattr(codes, "redemption_numbers", poor_draw)
    answers = await send(connection, city, batch, DAY)
    assert sorted(answer.data["digits"] for answer in answers) == ["00000000", "00000001", "00000002", "00000003"]
    assert sorted(answer.data["number"] for answer in answers) == [0, 1, 2, 3]


async def test_a_draw_that_never_comes_out_undoes_the_batch(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "redemption_numbers", lambda *_: (7, "00000007"))
    with pytest.raises(RuntimeError, match="no free number"):
        await send(connection, city, [redeem(city, member_id, reward_id) for _ in range(2)], DAY)


# The counter.


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
    assert await account(connection, city, purses.HELD) == 0
    assert await account(connection, city, purses.FULFILLED) == 100
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
    assert await account(connection, city, purses.FULFILLED) == 200


async def test_a_batch_costs_as_many_statements_as_one_command(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection, price_points=10, stock=100)
    counts: set[tuple[str, int]] = set()
    for size in (1, 3, 20):
        people = await city.add_members(connection, size)
        for who in people:
            await earn(connection, city, who, 30)
        given_back, collected, late = [[redeem(city, who, reward_id) for who in people] for _ in range(3)]
        for name, batch in (
            ("redeem", given_back + collected + late),
            ("cancel", [cancel(city, command.actor_id, command.id) for command in given_back]),
        ):
            async with acting.counted(connection) as sent:
                assert {answer.code for answer in await send(connection, city, batch, DAY)} == {"ok"}
            counts.add((name, len(sent)))
        numbers = [(await the_redemption(connection, city, command.id)).number for command in collected]
        async with acting.counted(connection) as sent:
            await send(connection, city, [fulfil(city, number=number) for number in numbers], DAY)
        counts.add(("fulfil", len(sent)))
        async with acting.counted(connection) as sent:
            assert await redemptions.time_out(connection, city.book_id, DAY + timedelta(days=2)) == size
        counts.add(("time_out", len(sent)))
    assert len(counts) == 4
    assert max(count for _, count in counts) < 20


# Many at once, on connections of their own.


@pytest.fixture
async def busy(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    """A committed city, for several connections."""
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        await acting.no_draw(connection, city)
    return city


async def proved(engine: AsyncEngine, city: City) -> bool:
    async with engine.connect() as connection:
        return (await purses.audit(connection, city.book_id)).passed


async def test_64_at_once_never_oversell(engine: AsyncEngine, busy: City) -> None:
    async with engine.begin() as connection:
        reward_id = await busy.add_reward(connection, stock=10)
        people = await busy.add_members(connection, 64)
        for who in people:
            await earn(connection, busy, who, 100)

    async def ask(who: UUID) -> Answer:
        command = redeem(busy, who, reward_id)
        return await committed(engine, lambda connection: one(connection, busy, command, DAY))

    answers = await asyncio.gather(*map(ask, people))

    assert Counter(answer.code for answer in answers) == {"ok": 10, "out_of_stock": 54}
    async with engine.connect() as connection:
        assert await stock_of(connection, busy, reward_id) == 0
        assert await account(connection, busy, purses.HELD) == 1000
        made = await rows(connection, busy, redemption)
    assert len({row.digits for row in made}) == len({row.number for row in made}) == 10
    assert await proved(engine, busy)


async def test_64_at_once_never_spend_one_members_points_twice(engine: AsyncEngine, busy: City) -> None:
    async with engine.begin() as connection:
        rewards_ = [await busy.add_reward(connection, stock=50) for _ in range(4)]
        member_id = await busy.add_member(connection)
        await earn(connection, busy, member_id, 450)

    async def ask(number: int) -> Answer:
        command = redeem(busy, member_id, rewards_[number % 4])
        return await committed(engine, lambda connection: one(connection, busy, command, DAY))

    answers = await asyncio.gather(*map(ask, range(64)))

    assert Counter(answer.code for answer in answers) == {"ok": 4, "points_short": 60}
    async with engine.connect() as connection:
        assert await points_of(connection, busy, member_id) == [50]
    assert await proved(engine, busy)


async def test_64_clerks_at_once_hand_a_code_over_once(engine: AsyncEngine, busy: City) -> None:
    async with engine.begin() as connection:
        reward_id = await busy.add_reward(connection)
        member_id = await busy.add_member(connection)
        await earn(connection, busy, member_id, 100)
        clerks = await busy.add_members(connection, 64)
        for clerk in clerks:
            await busy.grant(connection, clerk, "clerk", station_id=busy.station.id)
        made = await hold(connection, busy, member_id, reward_id)

    async def hand(clerk: UUID, by_digits: bool) -> Answer:
        shown = {"digits": made.data["digits"]} if by_digits else {"number": made.data["number"]}
        command = fulfil(busy, actor_id=clerk, **shown)
        return await committed(engine, lambda connection: one(connection, busy, command, DAY))

    answers = await asyncio.gather(*(hand(clerk, place % 2 == 0) for place, clerk in enumerate(clerks)))

    assert Counter(answer.code for answer in answers) == {"ok": 1, "already_fulfilled": 63}
    async with engine.connect() as connection:
        assert await account(connection, busy, purses.FULFILLED) == 100
    assert await proved(engine, busy)


async def test_collected_cancelled_or_timed_out_but_only_one_of_them(engine: AsyncEngine, busy: City) -> None:
    async with engine.begin() as connection:
        reward_id = await busy.add_reward(connection, price_points=10, stock=100)
        people = await busy.add_members(connection, 12)
        held = []
        for who in people:
            await earn(connection, busy, who, 10)
            held.append((who, await hold(connection, busy, who, reward_id)))
    ends = DAY + timedelta(days=1)

    async def end(command: Any) -> str:
        # A moment before the end for those who come, the end for the job: both race for the same rows.
        now = ends - timedelta(microseconds=1)
        return (await committed(engine, lambda connection: one(connection, busy, command, now))).code

    async def time_out() -> int:
        return await committed(engine, lambda connection: redemptions.time_out(connection, busy.book_id, ends, 5))

    came = [end(cancel(busy, who, made.data["redemption_id"])) for who, made in held[:8]]
    came += [end(fulfil(busy, number=made.data["number"])) for _, made in held[:8]]
    settled = await asyncio.gather(*came, *(time_out() for _ in range(6)))
    while await time_out():
        pass

    answers = [answer for answer in settled if isinstance(answer, str)]
    async with engine.connect() as connection:
        states = Counter(row.state for row in await rows(connection, busy, redemption))
        assert sum(states.values()) == 12
        assert states["cancelled"] + states["fulfilled"] == answers.count("ok")
        assert await stock_of(connection, busy, reward_id) == 100 - states["fulfilled"]
        assert await account(connection, busy, purses.HELD) == 0
        assert await account(connection, busy, purses.FULFILLED) == 10 * states["fulfilled"]
    assert set(answers) <= {"ok", "already_cancelled", "already_fulfilled", "redemption_timed_out"}
    assert await proved(engine, busy)
