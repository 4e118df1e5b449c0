"""Group commit: one transaction for all who wait, nobody failed by a neighbour, nothing lost and nothing done twice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tests.factories import MORNING
from tests.timebank.wire import Wire
from timebank import commit, rows
from timebank.commands import Answer, settle
from timebank.commit import Committer
from timebank.database import is_away, plain_url
from timebank.errors import Busy
from timebank.ids import uuid7
from timebank.tables import command

ACTOR = uuid7(MORNING)


@dataclass(frozen=True)
class Wish:
    """A command that wants a word."""

    word: str = "rice"
    id: UUID = field(default_factory=lambda: uuid7(MORNING))
    actor_id: UUID = ACTOR

    def content(self) -> tuple[object, ...]:
        return (self.word,)


Before = Callable[[AsyncConnection, Sequence[Wish]], Any]


@dataclass
class Shop:
    """A verb that remembers its batches. `before` runs at the start of each; a gate that is closed holds it up."""

    before: Before | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    async def verb(
        self, connection: AsyncConnection, book_id: int, wishes: Sequence[Wish], now: datetime
    ) -> list[Answer]:
        self.begun.append([wish.word for wish in wishes])
        await self.gate.wait()
        if self.before is not None:
            await self.before(connection, wishes)

        async def decide(fresh: list[Wish]) -> list[Answer]:
            return [Answer("ok", {"word": wish.word}) for wish in fresh]

        return await settle(connection, book_id, "wish", wishes, now, decide)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def open_counter(engine: AsyncEngine, book_id: int, shop: Shop, **more: Any) -> Committer[Wish]:
    return Committer(engine, book_id, shop.verb, lambda: MORNING, name="wish", **more)


@pytest.fixture
def counter(engine: AsyncEngine, new_book: int, shop: Shop) -> Committer[Wish]:
    return open_counter(engine, new_book, shop)


async def kept(engine: AsyncEngine, book_id: int) -> set[UUID]:
    """The commands that are committed."""
    async with engine.connect() as connection:
        return set((await connection.scalars(select(command.c.id).where(command.c.book_id == book_id))).all())


async def raise_state(connection: AsyncConnection, sqlstate: str) -> None:
    """Fail in the database, for real, with this SQLSTATE."""
    await connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'as if' USING ERRCODE = '{sqlstate}'; END $$"))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other tasks are about to do."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("never happened")


# One transaction for all who wait.


async def test_an_answer_is_committed_when_it_comes(
    engine: AsyncEngine, new_book: int, counter: Committer[Wish]
) -> None:
    wish = Wish()
    assert await counter.submit(wish) == Answer("ok", {"word": "rice"})
    assert await kept(engine, new_book) == {wish.id}
    assert (counter.batches, counter.commands, counter.under_way) == (1, 1, 0)
    # And again, for ever.
    assert await counter.submit(wish) == Answer("ok", {"word": "rice"})
    assert await counter.submit(Wish("oil", id=wish.id)) == Answer("id_reused")


async def test_what_arrives_while_a_batch_commits_is_the_next_batch(shop: Shop, counter: Committer[Wish]) -> None:
    shop.gate.clear()
    first = asyncio.create_task(counter.submit(Wish("first")))
    await until(lambda: bool(shop.begun))
    others = [asyncio.create_task(counter.submit(Wish(f"{number}"))) for number in range(50)]
    await until(lambda: len(counter.queue) == 50)
    shop.gate.set()
    answers = await asyncio.gather(first, *others)
    assert [answer.data["word"] for answer in answers] == ["first", *map(str, range(50))]
    assert shop.begun == [["first"], [str(number) for number in range(50)]]
    assert (counter.batches, counter.commands) == (2, 51)


async def test_a_batch_has_a_limit(engine: AsyncEngine, new_book: int, shop: Shop) -> None:
    counter = open_counter(engine, new_book, shop, batch_limit=4)
    answers = await counter.submit_all([Wish(f"{number}") for number in range(10)])
    assert [answer.data["word"] for answer in answers] == [str(number) for number in range(10)]
    assert [len(batch) for batch in shop.begun] == [4, 4, 2]


async def test_one_id_twice_in_a_batch_is_done_once(counter: Committer[Wish]) -> None:
    wish = Wish("tea")
    answers = await counter.submit_all([wish, wish, Wish("oil", id=wish.id)])
    assert [answer.code for answer in answers] == ["ok", "ok", "id_reused"]


async def test_a_full_queue_says_so_and_loses_nothing(engine: AsyncEngine, new_book: int, shop: Shop) -> None:
    counter = open_counter(engine, new_book, shop, queue_limit=3)
    shop.gate.clear()
    taken = [asyncio.create_task(counter.submit(Wish("first")))]
    await until(lambda: bool(shop.begun))
    taken += [asyncio.create_task(counter.submit(Wish(f"{number}"))) for number in range(2)]
    await until(lambda: len(counter.queue) == 2)
    # Several go in together or not at all.
    refused = [Wish("a"), Wish("b")]
    with pytest.raises(Busy):
        await counter.submit_all(refused)
    taken.append(asyncio.create_task(counter.submit(Wish("last"))))
    await until(lambda: len(counter.queue) == 3)
    with pytest.raises(Busy):
        await counter.submit(refused[0])
    shop.gate.set()
    assert [answer.code for answer in await asyncio.gather(*taken)] == ["ok"] * 4
    assert len(await kept(engine, new_book)) == 4
    assert [answer.code for answer in await counter.submit_all(refused)] == ["ok", "ok"]


async def test_a_caller_who_went_away_changes_nothing(
    engine: AsyncEngine, new_book: int, shop: Shop, counter: Committer[Wish]
) -> None:
    shop.gate.clear()
    wishes = [Wish(f"{number}") for number in range(6)]
    first = asyncio.create_task(counter.submit(wishes[0]))
    await until(lambda: bool(shop.begun))
    others = [asyncio.create_task(counter.submit(wish)) for wish in wishes[1:]]
    await until(lambda: len(counter.queue) == 5)
    # One hangs up while its batch runs, two while they wait.
    gone = [first, others[1], others[4]]
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    shop.gate.set()
    await counter.finish()
    await asyncio.sleep(0)
    assert [task.result().code for number, task in enumerate(others) if number not in (1, 4)] == ["ok"] * 3
    # What was taken is done; who comes back gets the answer.
    assert await kept(engine, new_book) == {wish.id for wish in wishes}
    assert await counter.submit(wishes[0]) == Answer("ok", {"word": "0"})


# When something fails.


async def test_one_bad_command_never_fails_its_neighbours(engine: AsyncEngine, new_book: int) -> None:
    async def choke(connection: AsyncConnection, wishes: Sequence[Wish]) -> None:
        words = [wish.word for wish in wishes]
        if "python" in words:
            raise ZeroDivisionError
        if "database" in words:
            await raise_state(connection, "22012")

    shop = Shop(choke)
    counter = open_counter(engine, new_book, shop)
    wishes = [Wish(word) for word in ("rice", "python", "oil", "database", "tea")]
    results = await asyncio.gather(*map(counter.submit, wishes), return_exceptions=True)
    assert [results[place] for place in (0, 2, 4)] == [Answer("ok", {"word": word}) for word in ("rice", "oil", "tea")]
    assert isinstance(results[1], ZeroDivisionError)
    assert isinstance(results[3], DBAPIError)
    assert await kept(engine, new_book) == {wishes[place].id for place in (0, 2, 4)}
    # Nothing is wrong with the next.
    assert (await counter.submit(Wish("salt"))).code == "ok"


async def test_a_failure_finds_nobody_where_the_caller_has_gone(engine: AsyncEngine, new_book: int) -> None:
    async def choke(_connection: AsyncConnection, _wishes: Sequence[Wish]) -> None:
        raise ZeroDivisionError

    shop = Shop(choke)
    shop.gate.clear()
    counter = open_counter(engine, new_book, shop)
    task = asyncio.create_task(counter.submit(Wish()))
    await until(lambda: bool(shop.begun))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    shop.gate.set()
    await counter.finish()
    assert counter.batches == 0


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "23505"])
async def test_what_passes_is_sent_again_with_the_same_ids(engine: AsyncEngine, new_book: int, sqlstate: str) -> None:
    async def fail_twice(connection: AsyncConnection, _wishes: Sequence[Wish]) -> None:
        if len(shop.begun) <= 2:
            await raise_state(connection, sqlstate)

    shop = Shop(fail_twice)
    counter = open_counter(engine, new_book, shop)
    wishes = [Wish("rice"), Wish("oil")]
    answers = await counter.submit_all(wishes)
    assert [answer.data["word"] for answer in answers] == ["rice", "oil"]
    assert shop.begun == [["rice", "oil"]] * 3
    assert await kept(engine, new_book) == {wish.id for wish in wishes}


async def test_another_process_with_the_same_id_gives_the_same_answer(engine: AsyncEngine, new_book: int) -> None:
    wish, begun = Wish(), []
    other = open_counter(engine, new_book, Shop())

    async def slow(connection: AsyncConnection, book_id: int, wishes: Sequence[Wish], now: datetime) -> list[Answer]:
        """A verb that is overtaken between its look for known ids and its insert."""
        begun.append(wishes)

        async def decide(fresh: list[Wish]) -> list[Answer]:
            await other.submit(wish)
            return [Answer("ok", {"word": "too late"}) for _ in fresh]

        return await settle(connection, book_id, "wish", wishes, now, decide)

    counter = Committer(engine, new_book, slow, lambda: MORNING)
    assert await counter.submit(wish) == Answer("ok", {"word": "rice"})
    assert len(begun) == 2


async def test_what_never_passes_is_given_up(engine: AsyncEngine, new_book: int) -> None:
    async def fail(connection: AsyncConnection, _wishes: Sequence[Wish]) -> None:
        await raise_state(connection, "40001")

    shop = Shop(fail)
    counter = open_counter(engine, new_book, shop)
    with pytest.raises(DBAPIError):
        await counter.submit(Wish())
    assert len(shop.begun) == commit.ATTEMPTS
    assert await kept(engine, new_book) == set()


async def test_a_connection_that_the_server_ends_is_replaced(
    engine: AsyncEngine, new_book: int, server: dict[str, str]
) -> None:
    async def end(connection: AsyncConnection, _wishes: Sequence[Wish]) -> None:
        if len(shop.begun) == 1:
            pid = await connection.scalar(text("SELECT pg_backend_pid()"))
            operator = await asyncpg.connect(plain_url(server["maker"]))
            try:
                await operator.execute("SELECT pg_terminate_backend($1)", pid)
            finally:
                await operator.close()

    shop = Shop(end)
    counter = open_counter(engine, new_book, shop)
    assert (await counter.submit(Wish())).code == "ok"
    assert len(shop.begun) == 2


@pytest.fixture
async def wire(database: Any) -> AsyncIterator[Wire]:
    """A wire to the database."""
    wire = Wire(database.service_url)
    async with await wire.start():
        yield wire


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_commit_of_unknown_end_is_found_out_by_its_ids(
    engine: AsyncEngine, new_book: int, wire: Wire, shop: Shop, cut: Any
) -> None:
    through = wire.engine()
    counter = open_counter(through, new_book, shop)
    wishes = [Wish("rice"), Wish("oil")]
    assert (await counter.submit(Wish("first"))).code == "ok"
    wire.cut = cut

    answers = await counter.submit_all(wishes)

    assert wire.cuts == 1
    assert [answer.data["word"] for answer in answers] == ["rice", "oil"]
    # Sent twice, whether the first had arrived or not, and there once.
    assert shop.begun == [["first"], ["rice", "oil"], ["rice", "oil"]]
    assert {wish.id for wish in wishes} < await kept(engine, new_book)
    await through.dispose()


async def test_where_the_database_is_away_everybody_is_told_soon(new_book: int, wire: Wire, shop: Shop) -> None:
    wire.dead = True
    engine = wire.engine()
    counter = open_counter(engine, new_book, shop)
    wishes = [Wish(f"{number}") for number in range(100)]
    results = await asyncio.gather(*map(counter.submit, wishes), return_exceptions=True)
    assert all(isinstance(result, Exception) and is_away(result) for result in results)
    # Not tried once for each of them.
    assert wire.connections == commit.ATTEMPTS
    assert shop.begun == []
    # It comes back, and so do they.
    wire.dead = False
    assert {answer.code for answer in await counter.submit_all(wishes)} == {"ok"}
    assert [len(batch) for batch in shop.begun] == [100]
    await engine.dispose()


@pytest.mark.parametrize("way", ["rows", "sqlalchemy"])
async def test_a_server_that_has_said_goodbye_is_away_before_it_hangs_up(wire: Wire, way: str) -> None:
    engine = wire.engine()

    async def ask(connection: AsyncConnection) -> Any:
        if way == "rows":
            return (await rows.Query(text("SELECT 1 AS one")).rows(connection))[0].one
        return await connection.scalar(text("SELECT 1"))

    async with engine.connect() as connection:
        assert await ask(connection) == 1
        await wire.say_goodbye()
        await asyncio.sleep(0.05)
        with pytest.raises((DBAPIError, asyncpg.InternalClientError)) as said:
            await ask(connection)
        assert is_away(said.value), repr(said.value)
        assert commit.is_passing(said.value)
    # It is not handed to anybody again.
    async with engine.connect() as connection:
        assert await ask(connection) == 1
    assert wire.connections == 2
    await engine.dispose()


async def test_a_server_that_takes_no_connections_is_away(engine: AsyncEngine, database: Any) -> None:
    assert not commit.is_passing(ValueError("x"))
    assert commit.is_passing(ConnectionResetError())
    assert commit.is_passing(asyncpg.CannotConnectNowError("the database system is starting up"))
    assert commit.is_passing(asyncpg.TooManyConnectionsError("sorry, too many clients already"))
    assert not commit.is_passing(asyncpg.DivisionByZeroError("x"))
    narrow = create_async_engine(database.service_url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    async with narrow.connect():
        with pytest.raises(PoolTimeout) as full:
            await narrow.connect()
    # Who has waited for a connection does not wait six times.
    assert not commit.is_passing(full.value)
    assert is_away(full.value)
    await narrow.dispose()
