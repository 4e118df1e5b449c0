"""Telling kiosks at once that who is at their station has changed.

All kiosks of a process are watched for by one question to the database a turn, and only while there are any. A stream
that waits holds no connection to the database; it ends by itself after a while, and at once when the service stops.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from timebank import presence

TURN_SECONDS = 1.0
# How often a stream says that it is still there, and after how long it ends: whoever reads it asks again.
STILL_SECONDS = 15.0
LIFE_SECONDS = 300.0

log = structlog.get_logger(__name__)


class Watching:
    """Watches the stations that somebody wants to hear of."""

    def __init__(self, engine: AsyncEngine, book_id: int) -> None:
        self.engine = engine
        self.book_id = book_id
        self.watched: Counter[UUID] = Counter()
        self.marks: dict[UUID, str] = {}
        self.turn = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.stopping = False

    async def changes(self, station_id: UUID) -> AsyncGenerator[bytes, None]:
        """Server-sent events: `change` whenever who is at the station has changed, and once in the beginning."""
        loop = asyncio.get_running_loop()
        ends_at, said_at = loop.time() + LIFE_SECONDS, loop.time()
        self.watched[station_id] += 1
        if self.task is None:
            self.task = asyncio.create_task(self.turns())
        try:
            # Something at once, so that whoever reads knows that the line is open.
            yield b": open\n\n"
            known: str | None = None
            while not self.stopping and loop.time() < ends_at:
                turn = self.turn
                mark = self.marks.get(station_id)
                if mark != known:
                    known, said_at = mark, loop.time()
                    yield b"event: change\ndata: {}\n\n"
                elif loop.time() - said_at >= STILL_SECONDS:
                    said_at = loop.time()
                    yield b": still here\n\n"
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(turn.wait(), STILL_SECONDS)
        finally:
            self.watched[station_id] -= 1
            self.watched += Counter()

    def stop(self) -> None:
        """End every stream now."""
        self.stopping = True
        self.wake()

    def wake(self) -> None:
        """Let every stream look again."""
        self.turn.set()
        self.turn = asyncio.Event()

    async def turns(self) -> None:
        """Ask again and again, as long as anybody listens."""
        try:
            while self.watched and not self.stopping:
                try:
                    async with self.engine.connect() as connection:
                        self.marks = await presence.marks(connection, self.book_id, list(self.watched))
                except Exception as error:
                    # The database may be away for a while; whoever listens goes on listening.
                    log.warning("watching_failed", error=type(error).__name__)
                self.wake()
                await asyncio.sleep(TURN_SECONDS)
        finally:
            self.task = None
