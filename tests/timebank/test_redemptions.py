"""Redemptions: points are held for a reward, and come back when it is cancelled or its time runs out."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City
from tests.timebank import acting
from tests.timebank.acting import (
    DAY,
    balance_of,
    cancel,
    code,
    done,
    earn,
    earn_each,
    fulfil,
    hold,
    one,
    points_of,
    redeem,
    send,
    stock_of,
    the_redemption,
)
from timebank import codes, ending, members, purses, rewards
from timebank.commands import Answer
from timebank.tables import redemption, redemption_part

POINTS = 250


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
    assert await balance_of(connection, city, purses.HELD) == 100
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
    assert await balance_of(connection, city, purses.HELD) == 0
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
        return await ending.time_out(connection, city.book_id, now, **more)

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
    settled = [await ending.time_out(connection, city.book_id, later, limit=2) for _ in range(4)]
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


async def test_a_batch_costs_as_many_statements_as_one_command(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection, price_points=10, stock=100)
    counts: set[tuple[str, int]] = set()
    for size in (1, 3, 20):
        people = await city.add_members(connection, size)
        await earn_each(connection, city, people, 30)
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
            assert await ending.time_out(connection, city.book_id, DAY + timedelta(days=2)) == size
        counts.add(("time_out", len(sent)))
    assert len(counts) == 4
    assert max(count for _, count in counts) < 20
