"""What the bank does by itself, again and again, in every serving process.

Each job takes a batch of rows that no other process has in hand and commits it; one that fails is tried again at the
next turn. Nothing depends on when a job runs: what has timed out counts as timed out before it is released.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import (
    attendances,
    ending,
    expiry,
    retention,
    sessions,
    verification,
    webhooks,
)
from timebank.clock import Clock
from timebank.tables import outside_errand, passkey_challenge

TURN_SECONDS = 30.0

Job = Callable[[AsyncConnection, int, datetime], Awaitable[int]]
# Each answers how many rows it settled; the first three stop at a limit and are asked again while there is more.
JOBS: dict[str, Job] = {
    "time_out": ending.time_out,
    "pay_waiting": verification.pay_waiting,
    "expire": expiry.expire,
    "close_forgotten": attendances.close_forgotten,
    "drop_past_sessions": sessions.drop_past,
    "drop_past_challenges": retention.dropping(passkey_challenge),
    "drop_past_messages": webhooks.drop_past,
    "drop_past_errands": retention.dropping(outside_errand),
}
BATCHES_PER_TURN = 100

log = structlog.get_logger(__name__)


class Jobs:
    """Runs every job once a turn, until stopped."""

    def __init__(
        self,
        engine: AsyncEngine,
        book_id: int,
        clock: Clock,
        *,
        more: Mapping[str, Job] | None = None,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        # `more`: jobs that need what only the process has, its keys for one.
        self.jobs = {**JOBS, **(more or {})}
        self.engine = engine
        self.book_id = book_id
        self.clock = clock
        self.turn_seconds = turn_seconds
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin with the first turn now."""
        self.task = asyncio.create_task(self.turns())

    async def stop(self) -> None:
        """End; a batch under way is rolled back and is due again at the next start."""
        if self.task is None:
            return
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.task = None

    async def turns(self) -> None:
        """One turn after another."""
        while True:
            await self.turn()
            await asyncio.sleep(self.turn_seconds)

    async def turn(self) -> dict[str, int]:
        """Run each job until it finds nothing more to do; answers how many rows each settled."""
        settled = dict.fromkeys(self.jobs, 0)
        for name, job in self.jobs.items():
            try:
                for _ in range(BATCHES_PER_TURN):
                    async with self.engine.begin() as connection:
                        rows = await job(connection, self.book_id, self.clock())
                    settled[name] += rows
                    if not rows:
                        break
            except Exception as error:
                # The next turn tries again; a job that failed must not stop the others.
                log.error("job_failed", job=name, exc_info=error)
        if any(settled.values()):
            log.info("jobs", **{name: rows for name, rows in settled.items() if rows})
        return settled
