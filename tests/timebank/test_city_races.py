"""A city in which everybody does everything at once, on connections of their own, in batches that overlap.

Nobody waits in a circle, nothing is lost or done twice, and the book proves itself.
"""

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from tests.timebank.acting import cancel, earn_each, fulfil, redeem, rows, scan, send, verify
from timebank import devices, ending, funds, purses, verification
from timebank.commands import Answer
from timebank.database import sqlstate
from timebank.keys import Keys
from timebank.tables import attendance, decision, punch, record, redemption, reward

PEOPLE, STEPS, BATCH = 24, 15, 8
DAY = MORNING + timedelta(days=20)


@dataclass
class Streets:
    """What the people of the city have in their hands while they go about."""

    city: City
    engine: AsyncEngine
    places: list[dict[str, Any]]
    rewards: list[UUID]
    people: list[UUID]
    chance: random.Random
    records: list[UUID] = field(default_factory=list)
    held: list[tuple[UUID, dict[str, Any]]] = field(default_factory=list)
    answers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    sent: int = 0
    deadlocks: int = 0

    async def settle(self, name: str, batch: list[Any], now: datetime) -> list[Answer]:
        """One batch in one transaction, again with the same ids where another session got in between. Now and then
        the answer gets lost, and the same batch is sent once more."""
        answers = await self.attempt(batch, now)
        if self.chance.random() < 0.2:
            assert await self.attempt(batch, now) == answers
        self.sent += len(batch)
        self.answers[name].update(answer.code for answer in answers)
        return answers

    async def attempt(self, batch: list[Any], now: datetime) -> list[Answer]:
        for _ in range(30):
            try:
                async with self.engine.begin() as connection:
                    return await send(connection, self.city, batch, now)
            except DBAPIError as error:
                if sqlstate(error) not in ("40001", "40P01", "23505"):
                    raise
                self.deadlocks += sqlstate(error) == "40P01"
        raise AssertionError("never settled")

    def some(self, of: list[Any]) -> list[Any]:
        """A few, in an order of their own."""
        return self.chance.sample(of, min(len(of), self.chance.randint(1, BATCH)))

    async def come(self, now: datetime) -> None:
        commands = [
            scan(self.city, who, "in", now, **self.chance.choice(self.places)) for who in self.some(self.people)
        ]
        await self.settle("check_in", commands, now)

    async def go(self, now: datetime) -> None:
        commands = [
            scan(self.city, who, "out", now, **self.chance.choice(self.places)) for who in self.some(self.people)
        ]
        answers = await self.settle("check_out", commands, now)
        self.records += [UUID(answer.data["attendance_id"]) for answer in answers if answer.code == "ok"]

    async def decide(self, now: datetime) -> None:
        commands = [
            verify(self.city, record_id, "adjust", minutes=self.chance.randint(0, 90), reason="seen")
            if self.chance.random() < 0.9
            else verify(self.city, record_id, "reject", reason="not seen")
            for record_id in self.some(self.records)
        ]
        if commands:
            await self.settle("verify", commands, now)

    async def want(self, now: datetime) -> None:
        commands = [redeem(self.city, who, self.chance.choice(self.rewards)) for who in self.some(self.people)]
        answers = await self.settle("redeem", commands, now)
        self.held += [
            (command.actor_id, answer.data)
            for command, answer in zip(commands, answers, strict=True)
            if answer.code == "ok"
        ]

    async def give_back(self, now: datetime) -> None:
        commands = [cancel(self.city, who, data["redemption_id"]) for who, data in self.some(self.held)]
        if commands:
            await self.settle("cancel", commands, now)

    async def collect(self, now: datetime) -> None:
        commands = [
            fulfil(
                self.city, **({"number": data["number"]} if self.chance.random() < 0.5 else {"digits": data["digits"]})
            )
            for _, data in self.some(self.held)
        ]
        if commands:
            await self.settle("fulfil", commands, now)

    async def tidy(self, now: datetime) -> None:
        """What the bank does by itself."""
        for job in (ending.time_out, verification.pay_waiting):
            await acting.committed(self.engine, lambda connection, job=job: job(connection, self.city.book_id, now, 5))

    async def walk(self, number: int) -> None:
        """One after another of these, in an order of its own."""
        doings = [self.come, self.go, self.decide, self.want, self.give_back, self.collect, self.tidy]
        for step in range(STEPS):
            await self.chance.choice(doings)(DAY + timedelta(minutes=step * 3, seconds=number))


@pytest.fixture
async def streets(engine: AsyncEngine, new_book: int, keys: Keys) -> Streets:
    """Three stations, three rewards of which there are few, a fund that runs dry, and people with some points."""
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys, fund_points=PEOPLE * 60 + 500)
        await acting.no_draw(connection, city)
        places: list[dict[str, Any]] = [{"station": city.station, "screen": city.screen}]
        for _ in range(2):
            station = await city.add_station(connection)
            (screen,) = await devices.of_station(connection, city.book_id, station.id)
            places.append({"station": station, "screen": screen})
            await city.grant(connection, city.manager_id, "manager", station_id=station.id)
        # What is held for minutes only times out while people still run to collect it.
        rewards = [
            await city.add_reward(connection, price_points=price, stock=stock, hold_minutes=minutes)
            for price, stock, minutes in ((5, 40, 20), (11, 30, 10), (23, 20, 1440))
        ]
        people = await city.add_members(connection, PEOPLE)
        await earn_each(connection, city, people, 60)
    return Streets(city, engine, places, rewards, people, random.Random(8))


async def test_everybody_does_everything_at_once(streets: Streets) -> None:
    await asyncio.gather(*(streets.walk(number) for number in range(16)))

    assert streets.sent > 500
    assert streets.deadlocks == 0
    for name in ("check_in", "check_out", "verify", "redeem", "cancel", "fulfil"):
        assert streets.answers[name]["ok"] > 5, (name, streets.answers[name])
        assert len(streets.answers[name]) > 1, name
    await prove_the_book(streets)
    await prove_the_stays(streets)
    await prove_the_credit(streets)
    await prove_the_shelves(streets)


async def prove_the_book(streets: Streets) -> None:
    """Every balance follows from rows alone."""
    async with streets.engine.connect() as connection:
        report = await purses.audit(connection, streets.city.book_id)
    assert report.passed, report.findings


async def prove_the_stays(streets: Streets) -> None:
    """Every scan that was taken is a punch; who is somewhere is in one place; every stay that ended is a record."""
    async with streets.engine.connect() as connection:
        punches = await rows(connection, streets.city, punch)
        stays = await rows(connection, streets.city, attendance)
        records = await rows(connection, streets.city, record)
    of_the_day = Counter(row.kind for row in punches if row.recorded_at >= DAY)
    for kind, name in (("in", "check_in"), ("out", "check_out")):
        assert of_the_day[kind] == streets.answers[name]["ok"] + streets.answers[name]["held"]
    inside = [stay.member_id for stay in stays if stay.state == "open"]
    assert len(inside) == len(set(inside))
    assert {stay.id for stay in stays if stay.state != "open"} == {row.id for row in records}


async def prove_the_credit(streets: Streets) -> None:
    """Records, decisions and purses say the same, and nobody's day is worth more than its cap."""
    city = streets.city
    async with streets.engine.connect() as connection:
        records = await rows(connection, city, record)
        decisions = await rows(connection, city, decision)
        held = await purses.purses_of(connection, city.book_id, streets.people)
        minutes = {who: await purses.hours(connection, city.book_id, who) for who in streets.people}
        spent = await connection.execute(
            select(redemption.c.member_id, func.sum(redemption.c.points))
            .where(redemption.c.book_id == city.book_id, redemption.c.state.in_(("held", "fulfilled")))
            .group_by(redemption.c.member_id)
        )
    decided = [row.id for row in records if row.state != "waiting"]
    assert sorted(row.record_id for row in decisions) == decided
    credited: Counter[UUID] = Counter()
    points: Counter[UUID] = Counter()
    days: Counter[Any] = Counter()
    for row in records:
        if row.state == "verified":
            credited[row.member_id] += row.credited_minutes
            days[row.member_id, row.local_day] += row.credited_minutes
            points[row.member_id] += row.points if row.points_state == "posted" else 0
    assert max(days.values()) <= 480
    assert minutes == {who: credited[who] for who in streets.people}
    for who, gone in spent:
        points[who] -= gone
    purse: Counter[UUID] = Counter()
    for each in held:
        purse[each.member_id] += each.points
    assert {who: purse[who] for who in streets.people} == {who: points[who] for who in streets.people}


async def prove_the_shelves(streets: Streets) -> None:
    """What is gone from a shelf is held by somebody or was handed over; what is held is in the account of holds."""
    city = streets.city
    async with streets.engine.connect() as connection:
        made = await rows(connection, city, redemption)
        shelves = await rows(connection, city, reward)
        balances = await purses.balances(connection, city.book_id, [purses.HELD, purses.FULFILLED])
    gone = Counter(row.reward_id for row in made if row.state in ("held", "fulfilled"))
    assert {row.id: row.stock + gone[row.id] for row in shelves} == dict(
        zip(streets.rewards, (40, 30, 20), strict=True)
    )
    by_state: Counter[str] = Counter()
    for row in made:
        by_state[row.state] += row.points
    assert balances == {purses.HELD: by_state["held"], purses.FULFILLED: by_state["fulfilled"]}
    assert Counter(row.state for row in made)["fulfilled"] == streets.answers["fulfil"]["ok"]
    assert Counter(row.state for row in made)["cancelled"] == streets.answers["cancel"]["ok"]
    assert all(by_state[state] for state in ("fulfilled", "cancelled", "timed_out"))


async def test_a_fund_that_is_filled_while_it_pays_pays_everybody(streets: Streets) -> None:
    city, now = streets.city, DAY
    async with streets.engine.begin() as connection:
        made = [await acting.serve(connection, city, who, DAY, 60) for who in streets.people]

    async def decide(record_id: UUID) -> None:
        await streets.settle("verify", [verify(city, record_id)], now)

    async def fill() -> None:
        id_ = city.new_id()

        async def work(connection: Any) -> None:
            await funds.fill(connection, city.book_id, fund_id=city.fund_id, points=100, id=id_, now=now, actor_id=None)

        await acting.committed(streets.engine, work)

    await asyncio.gather(*map(decide, made), *(fill() for _ in range(20)), *(streets.tidy(now) for _ in range(10)))
    while await acting.committed(
        streets.engine, lambda connection: verification.pay_waiting(connection, city.book_id, now)
    ):
        pass
    assert streets.deadlocks == 0
    async with streets.engine.connect() as connection:
        states = Counter(row.points_state for row in await rows(connection, city, record))
    assert states == {"posted": 2 * PEOPLE}
    await prove_the_book(streets)
