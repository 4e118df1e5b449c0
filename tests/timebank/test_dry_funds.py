"""Where the fund is dry: hours are credited, points wait, and are paid once when the fund is filled."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from tests.timebank.acting import committed, done, proved, rows, send, serve, the_record, verify
from timebank import devices, funds, purses, verification
from timebank.commands import Answer
from timebank.keys import Keys
from timebank.tables import record
from timebank.verification import Verify

NEXT_DAY = MORNING + timedelta(days=1)


async def decide(connection: AsyncConnection, city: City, *commands: Verify, now: datetime = NEXT_DAY) -> list[Answer]:
    return await send(connection, city, commands, now)


async def minutes_of(connection: AsyncConnection, city: City, member_id: UUID) -> int:
    return await purses.hours(connection, city.book_id, member_id)


async def points_of(connection: AsyncConnection, city: City, member_id: UUID) -> dict[date, int]:
    """A member's points by the day they end on."""
    found = await purses.purses_of(connection, city.book_id, [member_id])
    return {purse.expires_on: purse.points for purse in found}


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city whose fund holds 150 points."""
    city = await build_city(connection, new_book, keys, fund_points=150)
    await acting.no_draw(connection, city)
    return city


async def fill(connection: AsyncConnection, city: City, points: int, fund_id: UUID | None = None) -> None:
    await funds.fill(
        connection,
        city.book_id,
        fund_id=fund_id or city.fund_id,
        points=points,
        id=city.new_id(),
        now=NEXT_DAY,
        actor_id=None,
    )


async def pay(connection: AsyncConnection, city: City, **more: Any) -> int:
    return await verification.pay_waiting(connection, city.book_id, NEXT_DAY, **more)


async def test_where_the_fund_is_dry_hours_are_credited_and_points_wait(
    connection: AsyncConnection, city: City
) -> None:
    people = await city.add_members(connection, 3)
    stays = zip(people, (0, 1, 2), (120, 120, 30), strict=True)
    made = [await serve(connection, city, who, MORNING + timedelta(hours=at), minutes) for who, at, minutes in stays]
    answers = await decide(connection, city, *(verify(city, record_id) for record_id in made))
    # The second found 30 points; who asks for no more than that gets it.
    assert [answer.data["points_state"] for answer in answers] == ["posted", "waiting", "posted"]
    assert [answer.data["points"] for answer in answers] == [120, 120, 30]
    assert [(await the_record(connection, city, id_)).points_state for id_ in made] == ["posted", "waiting", "posted"]
    assert [await minutes_of(connection, city, each) for each in people] == [120, 120, 30]
    assert await points_of(connection, city, people[1]) == {date(2027, 12, 31): 0}
    # The answer stays what it was, as every answer does.
    assert await decide(connection, city, verify(city, made[1])) == [Answer("already_decided")]


async def test_waiting_points_are_paid_once_the_fund_is_filled(connection: AsyncConnection, city: City) -> None:
    people = await city.add_members(connection, 3)
    made = [await serve(connection, city, each) for each in people]
    for number, record_id in enumerate(made):
        await done(connection, city, verify(city, record_id), NEXT_DAY + timedelta(minutes=number))
    assert await pay(connection, city) == 0
    await fill(connection, city, 100)  # with the 30 that are left, enough for one: who has waited longest
    assert await pay(connection, city) == 1
    assert [(await the_record(connection, city, id_)).points_state for id_ in made] == ["posted", "posted", "waiting"]
    await fill(connection, city, 1000)
    assert await pay(connection, city) == 1
    assert await pay(connection, city) == 0
    assert [await points_of(connection, city, each) for each in people] == [{date(2027, 12, 31): 120}] * 3
    assert [await minutes_of(connection, city, each) for each in people] == [120] * 3
    balances = await purses.fund_balances(connection, city.book_id, [city.fund_id])
    assert balances == {city.fund_id: 150 + 100 + 1000 - 360}


async def test_an_empty_fund_keeps_nobody_waiting_for_another(connection: AsyncConnection, city: City) -> None:
    other_fund = await funds.add(
        connection,
        city.book_id,
        name_zh="另一基金",
        name_en="Other fund",
        region_id=city.region_id,
        id=city.new_id(),
        now=MORNING,
    )
    elsewhere = await city.add_station(connection, fund_id=other_fund)
    (screen,) = await devices.of_station(connection, city.book_id, elsewhere.id)
    await city.grant(connection, city.manager_id, "manager", station_id=elsewhere.id)
    for member_id in await city.add_members(connection, 4):
        await done(connection, city, verify(city, await serve(connection, city, member_id)), NEXT_DAY)
    (last,) = await city.add_members(connection, 1)
    record_id = await serve(connection, city, last, station=elsewhere, screen=screen)
    await done(connection, city, verify(city, record_id), NEXT_DAY + timedelta(hours=1))
    await fill(connection, city, 500, other_fund)
    # Three wait for the first fund, all of them longer; a batch holds only two.
    assert await pay(connection, city, limit=2) == 1
    assert (await the_record(connection, city, record_id)).points_state == "posted"
    assert len(await rows(connection, city, record, points_state="waiting")) == 3


async def test_waiting_points_are_paid_by_the_rules_they_were_earned_under(
    connection: AsyncConnection, city: City
) -> None:
    (member_id,) = await city.add_members(connection, 1)
    record_id = await serve(connection, city, member_id, minutes=160)
    await done(connection, city, verify(city, record_id), NEXT_DAY)
    await acting.set_rules(connection, city, 3, date(2026, 3, 1), default_rate=600, life_years=9)
    await fill(connection, city, 5000)
    assert await pay(connection, city) == 1
    assert await points_of(connection, city, member_id) == {date(2027, 12, 31): 160}


async def test_waiting_points_are_paid_once_though_everybody_pays(
    engine: AsyncEngine, new_book: int, keys: Keys
) -> None:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys, fund_points=0)
        await acting.no_draw(connection, city)
        people = await city.add_members(connection, 20)
        made = [await serve(connection, city, each, minutes=10) for each in people]
        await decide(connection, city, *(verify(city, record_id) for record_id in made))
        await fill(connection, city, 1000)

    async def work() -> int:
        return await committed(engine, lambda connection: pay(connection, city, limit=4))

    paid = 0
    while some := sum(await asyncio.gather(*(work() for _ in range(16)))):
        paid += some
    assert paid == 20
    async with engine.connect() as connection:
        assert await purses.fund_balances(connection, city.book_id, [city.fund_id]) == {city.fund_id: 800}
    assert await proved(engine, city)
