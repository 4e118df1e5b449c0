"""What the bank does by itself: settles what is due, each row once whoever else is at it, whatever fails beside it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from tests.timebank.acting import done, earn, redeem, serve, the_record, the_redemption, verify
from timebank import ending, funds, jobs, purses
from timebank.clock import Clock
from timebank.ids import uuid7
from timebank.jobs import JOBS, Jobs
from timebank.keys import Keys
from timebank.tables import phone_code, session

NEXT_DAY = MORNING + timedelta(days=1)
# When whatever the tests begin is over.
LATER = MORNING + timedelta(days=4)


def at(now: datetime) -> Clock:
    """A clock that stands still."""
    return lambda: now


@pytest.fixture
async def city(engine: AsyncEngine, new_book: int, keys: Keys) -> AsyncIterator[City]:
    """A city that everybody sees, and in which nobody's record is drawn."""
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        await acting.no_draw(connection, city)
    yield city
    # Other tests' jobs find nothing of this book to do.
    await Jobs(engine, new_book, at(LATER)).turn()


async def hold(connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID) -> UUID:
    """A redemption that waits to be collected."""
    answer = await done(connection, city, redeem(city, member_id, reward_id), NEXT_DAY)
    return UUID(answer.data["redemption_id"])


async def held_by(connection: AsyncConnection, city: City, people: list[UUID], points: int = 10) -> list[UUID]:
    """One redemption for each of these people, earned before."""
    reward_id = await city.add_reward(connection, price_points=points, stock=len(people))
    made = []
    for member_id in people:
        await earn(connection, city, member_id, points)
        made.append(await hold(connection, city, member_id, reward_id))
    return made


async def dry_records(connection: AsyncConnection, city: City, how_many: int) -> list[UUID]:
    """Verified records whose fund has nothing left; ten points each."""
    held = (await purses.fund_balances(connection, city.book_id, [city.fund_id]))[city.fund_id]
    (rich,) = await city.add_members(connection, 1)
    assert held <= 480, "a poor city"
    if held:
        await earn(connection, city, rich, held)
    made = []
    for member_id in await city.add_members(connection, how_many):
        record_id = await serve(connection, city, member_id, minutes=10)
        await done(connection, city, verify(city, record_id), NEXT_DAY)
        assert (await the_record(connection, city, record_id)).points_state == "waiting"
        made.append(record_id)
    return made


async def fill(connection: AsyncConnection, city: City, points: int) -> None:
    """New points in the city's fund."""
    await funds.fill(
        connection, city.book_id, fund_id=city.fund_id, points=points, id=uuid7(MORNING), now=NEXT_DAY, actor_id=None
    )


@pytest.fixture
async def poor(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    """A city whose fund has nothing."""
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys, fund_points=0)
        await acting.no_draw(connection, city)
    return city


async def sessions_of(connection: AsyncConnection, city: City) -> int:
    """How many sessions the book has."""
    query = select(func.count()).select_from(session).where(session.c.book_id == city.book_id)
    return int((await connection.execute(query)).scalar_one())


async def sign_in(connection: AsyncConnection, city: City, member_id: UUID, expires_at: datetime) -> None:
    """A session, and a code on the way to a phone, until `expires_at`."""
    token = uuid7(MORNING).bytes * 2
    await connection.execute(
        insert(session).values(
            book_id=city.book_id,
            token_hash=token,
            member_id=member_id,
            created_at=MORNING,
            seen_at=MORNING,
            expires_at=expires_at,
        )
    )
    await connection.execute(
        insert(phone_code).values(
            book_id=city.book_id,
            phone_index=token,
            code_hash=token,
            tries=0,
            sent_at=MORNING,
            expires_at=expires_at,
        )
    )


async def test_a_turn_releases_what_nobody_collected(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        people = await city.add_members(connection, 3)
        made = await held_by(connection, city, people)
    assert (await Jobs(engine, city.book_id, at(NEXT_DAY)).turn())["time_out"] == 0
    assert (await Jobs(engine, city.book_id, at(LATER)).turn())["time_out"] == 3
    assert (await Jobs(engine, city.book_id, at(LATER)).turn())["time_out"] == 0
    async with engine.connect() as connection:
        states = {(await the_redemption(connection, city, id_)).state for id_ in made}
        found = await purses.purses_of(connection, city.book_id, people)
    assert states == {"timed_out"}
    assert [each.points for each in found] == [10, 10, 10]


async def test_a_turn_pays_points_that_waited_for_their_fund(engine: AsyncEngine, poor: City) -> None:
    async with engine.begin() as connection:
        made = await dry_records(connection, poor, 2)
    runner = Jobs(engine, poor.book_id, at(NEXT_DAY))
    assert (await runner.turn())["pay_waiting"] == 0
    async with engine.begin() as connection:
        await fill(connection, poor, 20)
    assert (await runner.turn())["pay_waiting"] == 2
    assert (await runner.turn())["pay_waiting"] == 0
    async with engine.connect() as connection:
        assert {(await the_record(connection, poor, id_)).points_state for id_ in made} == {"posted"}
        assert await purses.fund_balances(connection, poor.book_id, [poor.fund_id]) == {poor.fund_id: 0}


async def test_a_turn_drops_sessions_and_codes_that_are_past(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        (member_id,) = await city.add_members(connection, 1)
        for expires_at in (NEXT_DAY - timedelta(seconds=1), NEXT_DAY, NEXT_DAY + timedelta(seconds=1)):
            await sign_in(connection, city, member_id, expires_at)
    assert (await Jobs(engine, city.book_id, at(NEXT_DAY)).turn())["drop_past_sessions"] == 2
    async with engine.connect() as connection:
        assert await sessions_of(connection, city) == 1
        codes = select(func.count()).select_from(phone_code).where(phone_code.c.book_id == city.book_id)
        assert await connection.scalar(codes) == 1


async def test_a_turn_leaves_other_books_alone(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        (member_id,) = await city.add_members(connection, 1)
        (made,) = await held_by(connection, city, [member_id])
        await sign_in(connection, city, member_id, NEXT_DAY)
    assert not any((await Jobs(engine, city.book_id + 1_000_000, at(LATER)).turn()).values())
    async with engine.connect() as connection:
        assert (await the_redemption(connection, city, made)).state == "held"
        assert await sessions_of(connection, city) == 1


async def test_two_processes_at_once_settle_each_row_once(
    engine: AsyncEngine, poor: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine.begin() as connection:
        await fill(connection, poor, 300)
        people = await poor.add_members(connection, 30)
        await held_by(connection, poor, people)
        await dry_records(connection, poor, 12)
        await fill(connection, poor, 120)
        for member_id in people:
            await sign_in(connection, poor, member_id, NEXT_DAY)

    # Small batches, so that the two meet again and again.
    async def time_out_few(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        return await ending.time_out(connection, book_id, now, limit=3)

    monkeypatch.setitem(JOBS, "time_out", time_out_few)
    runners = [Jobs(engine, poor.book_id, at(LATER)) for _ in range(2)]
    settled = {"time_out": 0, "pay_waiting": 0, "drop_past_sessions": 0}
    # Who has found nothing because the other had it in hand looks again at the next turn.
    for _ in range(10):
        for found in await asyncio.gather(*(runner.turn() for runner in runners)):
            for name in settled:
                settled[name] += found[name]
    assert settled == {"time_out": 30, "pay_waiting": 12, "drop_past_sessions": 30}
    async with engine.connect() as connection:
        report = await purses.audit(connection, poor.book_id)
        assert report.passed, report.findings


async def test_a_job_that_fails_does_not_stop_the_others(
    engine: AsyncEngine, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        await connection.execute(text("SELECT 1 / 0"))
        raise AssertionError("never comes here")

    async with engine.begin() as connection:
        (member_id,) = await city.add_members(connection, 1)
        await sign_in(connection, city, member_id, NEXT_DAY)
    monkeypatch.setattr(jobs, "JOBS", {"broken": broken, **JOBS})
    settled = await Jobs(engine, city.book_id, at(LATER)).turn()
    assert (settled["broken"], settled["drop_past_sessions"]) == (0, 1)


async def test_a_job_is_asked_again_while_there_is_more_and_not_for_ever(
    engine: AsyncEngine, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, asked = 7, 0

    async def few(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        nonlocal left, asked
        asked += 1
        taken = min(left, 3)
        left -= taken
        return taken

    async def endless(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        return 1

    monkeypatch.setattr(jobs, "JOBS", {"few": few, "endless": endless})
    monkeypatch.setattr(jobs, "BATCHES_PER_TURN", 5)
    assert await Jobs(engine, city.book_id, at(LATER)).turn() == {"few": 7, "endless": 5}
    assert (left, asked) == (0, 4)


async def test_they_run_turn_after_turn_until_they_are_stopped(
    engine: AsyncEngine, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = asyncio.Semaphore(0)

    async def counting(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        turns.release()
        return 0

    monkeypatch.setattr(jobs, "JOBS", {"counting": counting})
    runner = Jobs(engine, city.book_id, at(LATER), turn_seconds=0.001)
    await runner.stop()
    runner.start()
    for _ in range(3):
        await asyncio.wait_for(turns.acquire(), 30)
    await runner.stop()
    assert runner.task is None


async def test_a_batch_that_is_under_way_at_the_end_is_due_again(
    engine: AsyncEngine, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine.begin() as connection:
        (member_id,) = await city.add_members(connection, 1)
        (made,) = await held_by(connection, city, [member_id])
    begun = asyncio.Event()

    async def slow(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        rows = await ending.time_out(connection, book_id, now)
        begun.set()
        await asyncio.sleep(600)
        return rows

    monkeypatch.setattr(jobs, "JOBS", {"time_out": slow})
    runner = Jobs(engine, city.book_id, at(LATER))
    runner.start()
    await asyncio.wait_for(begun.wait(), 30)
    await runner.stop()
    async with engine.connect() as connection:
        assert (await the_redemption(connection, city, made)).state == "held"
    monkeypatch.undo()
    assert (await Jobs(engine, city.book_id, at(LATER)).turn())["time_out"] == 1
