"""The committers of the bank: one for each kind of hot command, and several processes that have them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from tests.timebank.acting import cancel, earn_each, fulfil, redeem, scan, serve, verify
from tests.timebank.test_commit import kept
from timebank import purses
from timebank.commit import VERBS, Commits, Committer
from timebank.keys import Keys

# The bank's own commands.


@pytest.fixture
async def city(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        await acting.no_draw(connection, city)
    return city


@pytest.fixture
async def commits(engine: AsyncEngine, city: City, keys: Keys) -> AsyncIterator[Commits]:
    """Committers at a time when what was served has long been verified."""
    commits = Commits(engine, city.book_id, keys, lambda: MORNING + timedelta(days=9))
    await commits.start()
    yield commits
    await commits.stop()


async def test_each_kind_of_command_has_a_committer(engine: AsyncEngine, city: City, commits: Commits) -> None:
    assert set(VERBS) == {name for name, value in vars(commits).items() if isinstance(value, Committer)}
    async with engine.begin() as connection:
        member_id = await city.add_member(connection)
        record_id = await serve(connection, city, member_id, minutes=240)
        reward_id = await city.add_reward(connection)
    today = MORNING + timedelta(days=9)
    assert (await commits.check_in.submit(scan(city, member_id, "in", today))).code == "ok"
    assert (await commits.check_out.submit(scan(city, member_id, "out", today))).code == "ok"
    assert (await commits.verify.submit(verify(city, record_id))).code == "ok"
    first, second = await commits.redeem.submit_all([redeem(city, member_id, reward_id) for _ in range(2)])
    assert (await commits.cancel.submit(cancel(city, member_id, first.data["redemption_id"]))).code == "ok"
    assert (await commits.fulfil.submit(fulfil(city, number=second.data["number"]))).code == "ok"
    async with engine.connect() as connection:
        assert (await purses.audit(connection, city.book_id)).passed


async def test_stopping_finishes_what_was_taken(engine: AsyncEngine, city: City, keys: Keys) -> None:
    async with engine.begin() as connection:
        people = await city.add_members(connection, 30)
        reward_id = await city.add_reward(connection, price_points=10, stock=100)
        await earn_each(connection, city, people, 10)
    commits = Commits(engine, city.book_id, keys, lambda: MORNING + timedelta(days=9))
    assert not commits.running
    await commits.start()
    assert commits.running
    asked = [asyncio.create_task(commits.redeem.submit(redeem(city, who, reward_id))) for who in people]
    asked += [
        asyncio.create_task(commits.check_in.submit(scan(city, who, "in", MORNING + timedelta(days=9))))
        for who in people
    ]
    await asyncio.sleep(0)
    await commits.stop()
    assert not commits.running
    assert all(task.done() for task in asked)
    assert {task.result().code for task in asked} == {"ok"}


async def test_the_hot_commands_of_several_processes_agree(engine: AsyncEngine, city: City, keys: Keys) -> None:
    """Every command goes to two processes at once; each is carried out once and both say the same."""
    async with engine.begin() as connection:
        people = await city.add_members(connection, 40)
    now = MORNING + timedelta(minutes=1)
    processes = [Commits(engine, city.book_id, keys, lambda: now) for _ in range(2)]
    scans = [scan(city, who, "in", now) for who in people]
    answers = await asyncio.gather(*(process.check_in.submit(each) for each in scans for process in processes))
    assert {answer.code for answer in answers} == {"ok"}
    assert answers[::2] == answers[1::2]
    assert await kept(engine, city.book_id) == {each.id for each in scans}
