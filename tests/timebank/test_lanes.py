"""Group commit before a crowd: its second half is sent behind the first, and nothing else changes.

The verb here is a small one that stores each command's answer through `timebank.commands`, as the real ones do.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING
from timebank.commands import Answer, settle
from timebank.commit import Committer
from timebank.database import create_engine
from timebank.ids import uuid7
from timebank.tables import command

ACTOR = uuid7(MORNING)
CROWD = 8


@dataclass(frozen=True)
class Wish:
    """A command that wants a word."""

    word: str = "rice"
    id: UUID = field(default_factory=lambda: uuid7(MORNING))
    actor_id: UUID = ACTOR

    def content(self) -> tuple[object, ...]:
        """The word."""
        return (self.word,)


class Counter:
    """Grants wishes, a batch at a time; while the door is shut, whoever has come in waits inside."""

    def __init__(self, engine: AsyncEngine, book_id: int) -> None:
        self.book_id = book_id
        self.batches: list[list[str]] = []
        self.door = asyncio.Event()
        self.door.set()
        self.begun = asyncio.Event()
        self.committer: Committer[Wish] = Committer(engine, book_id, self.grant, lambda: MORNING, crowd=CROWD)

    async def grant(self, connection: AsyncConnection, book_id: int, wishes: Sequence[Wish], now: Any) -> list[Answer]:
        """The verb."""
        self.batches.append([wish.word for wish in wishes])
        self.begun.set()
        await self.door.wait()

        async def decide(fresh: list[Wish]) -> list[Answer]:
            return [Answer("ok", {"word": wish.word}) for wish in fresh]

        return await settle(connection, book_id, "wish", wishes, now, decide)

    def ask(self, *wishes: Wish) -> "list[asyncio.Task[Answer]]":
        """Everybody asks at once, in this order."""
        return [asyncio.create_task(self.committer.submit(wish)) for wish in wishes]

    async def until(self, batches: int) -> None:
        """Wait until so many batches have begun, and a little longer, to see that no more do."""
        while len(self.batches) < batches:
            self.begun.clear()
            await self.begun.wait()
        await asyncio.sleep(0.02)
        assert len(self.batches) == batches


@pytest.fixture
async def counter(database: Any, new_book: int) -> AsyncIterator[Counter]:
    """A counter with connections of its own, for which eight are a crowd."""
    engine = create_engine(database.service_url, pool_size=2)
    counter = Counter(engine, new_book)
    yield counter
    counter.door.set()
    await counter.committer.finish()
    await engine.dispose()


async def stored(counter: Counter) -> int:
    """How many answers a stranger to the committer finds in the database."""
    async with counter.committer.engine.connect() as connection:
        query = select(func.count()).select_from(command).where(command.c.book_id == counter.book_id)
        return int((await connection.execute(query)).scalar_one())


def sizes(counter: Counter) -> list[int]:
    return [len(batch) for batch in counter.batches]


async def test_half_a_crowd_is_sent_behind_the_first_batch_and_nobody_behind_that(counter: Counter) -> None:
    counter.door.clear()
    waiting = counter.ask(Wish("a"))
    await counter.until(1)
    waiting += counter.ask(*map(Wish, "bcd"))
    await counter.until(1)
    waiting += counter.ask(Wish("e"))
    await counter.until(2)
    waiting += counter.ask(*map(Wish, "fghij"))
    await counter.until(2)
    counter.door.set()
    answers = await asyncio.gather(*waiting)
    assert [answer.data["word"] for answer in answers] == list("abcdefghij")
    assert counter.batches[:2] == [["a"], list("bcde")]
    assert sum(sizes(counter)) == await stored(counter) == 10


@pytest.mark.parametrize(("how_many", "batches"), [(1, [1]), (7, [7]), (8, [4, 4]), (13, [6, 7]), (16, [4, 4, 8])])
async def test_a_crowd_that_comes_at_once_is_divided(counter: Counter, how_many: int, batches: list[int]) -> None:
    answers = await counter.committer.submit_all([Wish(str(number)) for number in range(how_many)])
    assert [answer.data["word"] for answer in answers] == [str(number) for number in range(how_many)]
    # Which of two that are under way together is the first to get a connection is anybody's guess.
    assert sorted(sizes(counter)) == batches
    assert counter.committer.commands == await stored(counter) == how_many
    # And the next one finds nobody in the way.
    await counter.committer.submit(Wish())
    assert counter.committer.under_way == 0


async def test_a_crowd_that_comes_back_and_back_keeps_both_lanes_busy(counter: Counter) -> None:
    async def caller() -> None:
        for _ in range(5):
            assert (await counter.committer.submit(Wish())).code == "ok"

    await asyncio.gather(*(caller() for _ in range(CROWD)))
    assert await stored(counter) == 5 * CROWD
    assert sizes(counter)[:2] == [4, 4]


async def test_one_id_in_two_batches_at_once_has_one_answer(counter: Counter) -> None:
    wish = Wish("a")
    counter.door.clear()
    first = counter.ask(wish)
    await counter.until(1)
    second = counter.ask(wish, *map(Wish, "bcd"))
    await counter.until(2)
    counter.door.set()
    answers = await asyncio.gather(*first, *second)
    assert [answer.data["word"] for answer in answers] == ["a", "a", "b", "c", "d"]
    assert await stored(counter) == 4


async def test_finishing_waits_for_both_lanes_and_the_queue(counter: Counter) -> None:
    counter.door.clear()
    waiting = counter.ask(*(Wish(str(number)) for number in range(CROWD)))
    await counter.until(2)
    waiting += counter.ask(Wish("last"))
    finishing = asyncio.create_task(counter.committer.finish())
    await asyncio.sleep(0.01)
    assert not finishing.done()
    counter.door.set()
    await finishing
    assert await stored(counter) == len(waiting)
    assert {answer.code for answer in await asyncio.gather(*waiting)} == {"ok"}
