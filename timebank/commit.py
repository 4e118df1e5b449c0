"""Group commit: the commands of one kind that arrive while a batch commits become the next batch, in one transaction.

There is no timer: an idle bank answers at once, a busy one shares each commit among whoever waits. A crowd is divided:
the second half is sent after the first, is made ready while that commits, and its locks make it wait in the database.
A waiting request holds no database connection; the committer has its own. Why so: docs/adr/group-commit.md.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import (
    astray,
    checkins,
    corrections,
    counter,
    ending,
    inquiries,
    manual,
    policies,
    redemptions,
    undoing,
    verification,
)
from timebank.clock import Clock
from timebank.commands import Answer, Command
from timebank.database import is_away, sqlstate
from timebank.errors import Busy
from timebank.keys import Keys

C = TypeVar("C", bound=Command)
Verb = Callable[[AsyncConnection, int, Sequence[C], datetime], Awaitable[list[Answer]]]

# Serialization failure, deadlock, and a unique violation by another process that settles one of the same ids.
SEND_AGAIN = frozenset({"40001", "40P01", "23505"})
ATTEMPTS = 6
# How many batches of one kind are under way at once before a crowd, and how many who wait are a crowd: from so many on,
# two halves that overlap get through sooner than the whole. Those who go by the same lock must be more for that than
# those who do not.
LANES = 2
CROWD_AT_ONE_LOCK = 256
CROWD = 32

log = structlog.get_logger(__name__)


def is_passing(error: BaseException) -> bool:
    """Whether the same batch, with the same ids, may be sent again.

    That includes a lost connection: whether its COMMIT arrived is unknown, and the ids find out. Who has waited for a
    connection in vain does not wait again.
    """
    return sqlstate(error) in SEND_AGAIN or (is_away(error) and not isinstance(error, PoolTimeout))


class Committer(Generic[C]):
    """Runs one verb for everybody who asks, a batch at a time."""

    def __init__(
        self,
        engine: AsyncEngine,
        book_id: int,
        verb: Verb[C],
        clock: Callable[[], datetime],
        *,
        name: str = "",
        batch_limit: int = 1000,
        queue_limit: int = 4000,
        crowd: int = CROWD_AT_ONE_LOCK,
    ) -> None:
        self.engine = engine
        self.book_id = book_id
        self.verb = verb
        self.name = name
        self.clock = clock
        self.batch_limit = batch_limit
        self.queue_limit = queue_limit
        self.crowd = crowd
        self.queue: deque[tuple[C, asyncio.Future[Answer]]] = deque()
        self.lanes: set[asyncio.Task[None]] = set()
        # How many lanes have not ended; the set lags behind that by a turn of the loop.
        self.under_way = 0
        self.batches = 0
        self.commands = 0

    async def submit(self, command: C) -> Answer:
        """Queue one command and wait for its answer, which is committed when it comes.

        Raises Busy when the queue is full. Cancelling the caller does not cancel the command.
        """
        if len(self.queue) >= self.queue_limit:
            raise Busy()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.queue.append((command, future))
        self.send_off()
        return await future

    async def submit_all(self, commands: Sequence[C]) -> list[Answer]:
        """Queue several commands at once and wait for all answers, in order. Raises Busy when they do not fit."""
        if len(self.queue) + len(commands) > self.queue_limit:
            raise Busy()
        return list(await asyncio.gather(*(self.submit(command) for command in commands)))

    async def finish(self) -> None:
        """Wait until nothing is queued and nothing runs."""
        while self.lanes:
            await asyncio.wait(self.lanes)

    def send_off(self) -> None:
        """Open a lane where none is, for whoever waits; and a second one where half a crowd waits behind the first."""
        if self.under_way == 0 or (self.under_way < LANES and len(self.queue) >= self.crowd // 2):
            self.under_way += 1
            lane = asyncio.create_task(self.drain())
            self.lanes.add(lane)
            lane.add_done_callback(self.lanes.discard)

    async def drain(self) -> None:
        """Take whatever has queued, again and again, until nothing is left or the other lane can take what is."""
        try:
            while self.queue and (self.under_way == 1 or len(self.queue) >= self.crowd // 2):
                waiting = len(self.queue)
                size = min(waiting if waiting < self.crowd else waiting // 2, self.batch_limit)
                batch = [self.queue.popleft() for _ in range(size)]
                self.send_off()
                await self.settle(batch)
        finally:
            self.under_way -= 1

    async def settle(self, batch: list[tuple[C, asyncio.Future[Answer]]]) -> None:
        """Answer one batch. When it fails for a reason of its own, each command is tried alone, so that one bad
        command never fails its neighbours; where the database is away, nobody is kept waiting for that."""
        try:
            answers = await self.commit([command for command, _ in batch])
        except Exception as error:
            if len(batch) == 1 or is_away(error):
                for _, future in batch:
                    reject(future, error)
                return
            log.warning("batch_failed", verb=self.name, size=len(batch), error=type(error).__name__)
            for waiting in batch:
                await self.settle([waiting])
            return
        self.batches += 1
        self.commands += len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def commit(self, commands: list[C]) -> list[Answer]:
        """One transaction, sent again with the same ids after what passes by itself."""
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self.engine.begin() as connection:
                    return await self.verb(connection, self.book_id, commands, self.clock())
            except Exception as error:
                if attempt == ATTEMPTS or not is_passing(error):
                    raise
                await asyncio.sleep(0.02 * 2**attempt)


def reject(future: "asyncio.Future[Answer]", error: Exception) -> None:
    """Hand the failure to whoever still waits: the caller may have gone away."""
    if not future.done():
        future.set_exception(error)


VERBS = (
    "check_in",
    "check_out",
    "enter",
    "settle",
    "verify",
    "correct",
    "ask",
    "decline",
    "draft",
    "redeem",
    "cancel",
    "fulfil",
    "undo",
)


class Commits:
    """A committer for each kind of hot command.

    `engine` lends `LANES` connections to each kind that is committing; give it an engine of its own, so that no crowd
    of readers can keep a command waiting for a connection.
    """

    def __init__(self, engine: AsyncEngine, book_id: int, keys: Keys, clock: Clock) -> None:
        def committer(name: str, verb: Verb[Any], **more: int) -> Committer[Any]:
            return Committer(engine, book_id, verb, clock, name=name, **more)

        # Keys are asked for each batch: they may be rotated meanwhile.
        async def check_in(*batch: Any) -> list[Answer]:
            return await checkins.check_in(*batch, draw=keys.draw, station=keys.station, door=keys.door)

        async def check_out(*batch: Any) -> list[Answer]:
            return await checkins.check_out(*batch, draw=keys.draw, station=keys.station, door=keys.door)

        async def redeem(*batch: Any) -> list[Answer]:
            return await redemptions.redeem(*batch, secret=keys.redemption)

        self.check_in = committer("check_in", check_in, crowd=CROWD)
        self.check_out = committer("check_out", check_out, crowd=CROWD)
        self.enter = committer("enter", partial(manual.enter, keys=keys))
        self.settle = committer("settle", partial(astray.settle_astray, keys=keys))
        self.verify = committer("verify", verification.verify)
        # One at a time: each posts by itself, and stands on what the one before it left.
        self.correct = committer("correct", partial(corrections.correct, keys=keys), batch_limit=1)
        self.ask = committer("ask", partial(inquiries.ask, keys=keys), batch_limit=1)
        self.decline = committer("decline", partial(inquiries.decline, keys=keys), batch_limit=1)
        self.draft = committer("draft", policies.draft, batch_limit=1)
        self.redeem = committer("redeem", redeem)
        self.cancel = committer("cancel", ending.cancel)
        self.fulfil = committer("fulfil", counter.fulfil)
        self.undo = committer("undo", undoing.undo)
        self.running = False

    async def start(self) -> None:
        """Take commands from now on."""
        self.running = True

    async def stop(self) -> None:
        """Finish what was taken: every command that waits is committed and answered."""
        self.running = False
        for name in VERBS:
            await getattr(self, name).finish()
