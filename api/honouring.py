"""The rolls of honour that were summed up a moment ago: a page that anybody opens does not add up a year each time.

What is kept are ids and minutes. Who of them may be named is asked at every look.
"""

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine

from timebank import honours
from timebank.honours import Ranked, Scope
from timebank.periods import Period

KEPT_FOR = timedelta(minutes=10)
ROLLS_LIMIT = 500


class Kept(NamedTuple):
    """A ranking, and when it was made."""

    ranked: list[Ranked]
    made_at: datetime


class Rolls:
    """The rankings of this process, the latest made last. One is summed up at a time, however many ask."""

    def __init__(self, engine: AsyncEngine, book_id: int) -> None:
        self.engine, self.book_id = engine, book_id
        self.kept: dict[tuple[Scope, Period], Kept] = {}
        self.summing = asyncio.Lock()

    async def ranking(self, scope: Scope, period: Period, now: datetime) -> list[Ranked]:
        """The ranking, at most ten minutes old."""
        async with self.summing:
            known = self.kept.pop((scope, period), None)
            if known is None or not timedelta(0) <= now - known.made_at < KEPT_FOR:
                async with self.engine.connect() as connection:
                    known = Kept(await honours.ranking(connection, self.book_id, scope, period), now)
            self.kept[(scope, period)] = known
            while len(self.kept) > ROLLS_LIMIT:
                del self.kept[next(iter(self.kept))]
        return known.ranked
