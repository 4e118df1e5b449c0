"""64 at once for the last of everything: nothing is oversold, no point spent twice, no code handed over twice."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories import City, build_city
from tests.timebank import acting
from tests.timebank.acting import (
    DAY,
    balance_of,
    cancel,
    committed,
    earn,
    earn_each,
    fulfil,
    hold,
    one,
    points_of,
    proved,
    redeem,
    rows,
    stock_of,
)
from timebank import ending, purses
from timebank.commands import Answer
from timebank.keys import Keys
from timebank.tables import redemption


@pytest.fixture
async def city(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    """A committed city, for several connections."""
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        await acting.no_draw(connection, city)
    return city


async def test_64_at_once_never_oversell(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        reward_id = await city.add_reward(connection, stock=10)
        people = await city.add_members(connection, 64)
        await earn_each(connection, city, people, 100)

    async def ask(who: UUID) -> Answer:
        command = redeem(city, who, reward_id)
        return await committed(engine, lambda connection: one(connection, city, command, DAY))

    answers = await asyncio.gather(*map(ask, people))

    assert Counter(answer.code for answer in answers) == {"ok": 10, "out_of_stock": 54}
    async with engine.connect() as connection:
        assert await stock_of(connection, city, reward_id) == 0
        assert await balance_of(connection, city, purses.HELD) == 1000
        made = await rows(connection, city, redemption)
    assert len({row.digits for row in made}) == len({row.number for row in made}) == 10
    assert await proved(engine, city)


async def test_64_at_once_never_spend_one_members_points_twice(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        rewards_ = [await city.add_reward(connection, stock=50) for _ in range(4)]
        member_id = await city.add_member(connection)
        await earn(connection, city, member_id, 450)

    async def ask(number: int) -> Answer:
        command = redeem(city, member_id, rewards_[number % 4])
        return await committed(engine, lambda connection: one(connection, city, command, DAY))

    answers = await asyncio.gather(*map(ask, range(64)))

    assert Counter(answer.code for answer in answers) == {"ok": 4, "points_short": 60}
    async with engine.connect() as connection:
        assert await points_of(connection, city, member_id) == [50]
    assert await proved(engine, city)


async def test_64_clerks_at_once_hand_a_code_over_once(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        reward_id = await city.add_reward(connection)
        member_id = await city.add_member(connection)
        await earn(connection, city, member_id, 100)
        clerks = await city.add_members(connection, 64)
        for clerk in clerks:
            await city.grant(connection, clerk, "clerk", station_id=city.station.id)
        made = await hold(connection, city, member_id, reward_id)

    async def hand(clerk: UUID, by_digits: bool) -> Answer:
        shown = {"digits": made.data["digits"]} if by_digits else {"number": made.data["number"]}
        command = fulfil(city, actor_id=clerk, **shown)
        return await committed(engine, lambda connection: one(connection, city, command, DAY))

    answers = await asyncio.gather(*(hand(clerk, place % 2 == 0) for place, clerk in enumerate(clerks)))

    assert Counter(answer.code for answer in answers) == {"ok": 1, "already_fulfilled": 63}
    async with engine.connect() as connection:
        assert await balance_of(connection, city, purses.FULFILLED) == 100
    assert await proved(engine, city)


async def test_collected_cancelled_or_timed_out_but_only_one_of_them(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        reward_id = await city.add_reward(connection, price_points=10, stock=100)
        people = await city.add_members(connection, 12)
        await earn_each(connection, city, people, 10)
        held = [(who, await hold(connection, city, who, reward_id)) for who in people]
    ends = DAY + timedelta(days=1)

    async def end(command: Any) -> str:
        # A moment before the end for those who come, the end for the job: both race for the same rows.
        now = ends - timedelta(microseconds=1)
        return (await committed(engine, lambda connection: one(connection, city, command, now))).code

    async def time_out() -> int:
        return await committed(engine, lambda connection: ending.time_out(connection, city.book_id, ends, 5))

    came = [end(cancel(city, who, made.data["redemption_id"])) for who, made in held[:8]]
    came += [end(fulfil(city, number=made.data["number"])) for _, made in held[:8]]
    settled = await asyncio.gather(*came, *(time_out() for _ in range(6)))
    while await time_out():
        pass

    answers = [answer for answer in settled if isinstance(answer, str)]
    async with engine.connect() as connection:
        states = Counter(row.state for row in await rows(connection, city, redemption))
        assert sum(states.values()) == 12
        assert states["cancelled"] + states["fulfilled"] == answers.count("ok")
        assert await stock_of(connection, city, reward_id) == 100 - states["fulfilled"]
        assert await balance_of(connection, city, purses.HELD) == 0
        assert await balance_of(connection, city, purses.FULFILLED) == 10 * states["fulfilled"]
    assert set(answers) <= {"ok", "already_cancelled", "already_fulfilled", "redemption_timed_out"}
    assert await proved(engine, city)
