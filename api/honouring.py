"""The rolls of honour that were summed up a moment ago: a page that anybody opens does not add up a year each time.

What is kept are ids and whole hours. Who of them may be named is asked at every look. Whoever asks for what is kept
waits for nobody; whoever asks for what is being summed up waits for that sum alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import honours
from timebank.errors import Busy
from timebank.honours import Ranked, Scope
from timebank.periods import Period

KEPT_FOR = timedelta(minutes=10)
# A sum that took too long is not begun again by the next who asks.
FAILED_FOR = timedelta(minutes=1)
ROLLS_LIMIT = 300
# How many different sums may wait for their turn.
WAITING_LIMIT = 20

Key = tuple[Scope, Period] | None
"""Of which roll; None: of the day of the first record."""

log = structlog.get_logger(__name__)


class Kept(NamedTuple):
    """What came out, and when it was asked for. A failure has `failed`."""

    value: Any
    made_at: datetime
    failed: bool = False

    def is_fresh(self, now: datetime) -> bool:
        """Whether it may still be used."""
        return timedelta(0) <= now - self.made_at < (FAILED_FOR if self.failed else KEPT_FOR)


class Rolls:
    """The rankings of this process, the latest used last. One is summed up at a time, however many ask."""

    def __init__(self, engine: AsyncEngine, book_id: int) -> None:
        self.engine, self.book_id = engine, book_id
        self.kept: dict[Key, Kept] = {}
        self.under_way: dict[Key, asyncio.Task[Kept]] = {}
        self.turn = asyncio.Lock()

    async def began(self, now: datetime) -> date | None:
        """The day of the first verified record, as of ten minutes ago at most. `busy` as for `ranking`."""
        found: date | None = await self.known(None, now, lambda at: honours.first_day(at, self.book_id))
        return found

    async def ranking(
        self, scope: Scope, period: Period, now: datetime, *, on_miss: Callable[[], Awaitable[None]]
    ) -> list[Ranked]:
        """The ranking, at most ten minutes old. `on_miss` is awaited before one is summed up for this reader.

        Errors: `busy`, when it took too long within the last minute, or when too many others wait.
        """
        found: list[Ranked] = await self.known(
            (scope, period), now, lambda at: honours.ranking(at, self.book_id, scope, period), on_miss
        )
        return found

    async def known(
        self,
        key: Key,
        now: datetime,
        ask: Callable[[AsyncConnection], Awaitable[Any]],
        on_miss: Callable[[], Awaitable[None]] | None = None,
    ) -> Any:
        """What is kept, or else what comes out of the one sum that everybody who asks for it shares."""
        kept = self.kept.pop(key, None)
        if kept is not None and kept.is_fresh(now):
            self.kept[key] = kept
        else:
            if on_miss is not None and key not in self.under_way:
                await on_miss()
            if key not in self.under_way:
                if len(self.under_way) >= WAITING_LIMIT:
                    raise Busy()
                self.under_way[key] = asyncio.create_task(self.make(key, now, ask))
            # Whoever goes away does not take the sum from the others.
            kept = await asyncio.shield(self.under_way[key])
        if kept.failed:
            raise Busy()
        return kept.value

    async def make(self, key: Key, now: datetime, ask: Callable[[AsyncConnection], Awaitable[Any]]) -> Kept:
        """Ask the database when it is this sum's turn, and keep what came out, a failure too."""
        try:
            async with self.turn, self.engine.connect() as connection:
                kept = Kept(await ask(connection), now)
        except (SQLAlchemyError, OSError) as error:
            log.warning("roll of honour not summed up", error=type(error).__name__)
            kept = Kept(None, now, failed=True)
        finally:
            del self.under_way[key]
        self.kept[key] = kept
        while len(self.kept) > ROLLS_LIMIT:
            del self.kept[next(iter(self.kept))]
        return kept

    async def stop(self) -> None:
        """End the sums that are under way."""
        tasks = list(self.under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
