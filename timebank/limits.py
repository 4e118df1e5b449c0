"""Counters behind "five tries in ten minutes": kept in the database, so that they hold for every process and restart.

Windows are fixed: they begin at multiples of their length. A counter is counted up in a transaction of its own that
commits before the try is judged; a try that fails is a try.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank.errors import TryLater
from timebank.ids import EPOCH
from timebank.keys import Keys
from timebank.tables import attempt

# No window is longer; a counter older than this can go.
LONGEST_WINDOW = timedelta(days=1)
TEN_MINUTES = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` tries of a `kind` by one subject in a `window`."""

    kind: str
    count: int
    window: timedelta


async def count(connection: AsyncConnection, book_id: int, limit: Limit, subject: bytes, now: datetime) -> None:
    """Count one try. `TryLater` with the seconds until the window ends, when there were enough already.

    A try that is refused is counted too, in the same window.
    """
    window_starts_at = now - (now - EPOCH) % limit.window
    statement = insert(attempt).values(
        book_id=book_id, kind=limit.kind, subject=subject, window_starts_at=window_starts_at, count=1
    )
    tries = await connection.scalar(
        statement.on_conflict_do_update(
            index_elements=["book_id", "kind", "subject", "window_starts_at"],
            # A number that is tried for months must not overflow its counter.
            set_={"count": attempt.c.count + 1},
            where=attempt.c.count <= limit.count,
        ).returning(attempt.c.count)
    )
    if tries is None or tries > limit.count:
        left = window_starts_at + limit.window - now
        raise TryLater(seconds=max(1, -(-left // timedelta(seconds=1))))


@dataclass
class Tally:
    """The tries of several subjects within one transaction that locks them: read once, counted while a batch is walked,
    written once. Only what failed is counted."""

    limit: Limit
    now: datetime
    counts: dict[bytes, int] = field(default_factory=dict)
    failed: set[bytes] = field(default_factory=set)

    @property
    def window_starts_at(self) -> datetime:
        """When the present window began."""
        return self.now - (self.now - EPOCH) % self.limit.window

    def seconds_to_wait(self, subject: bytes) -> int | None:
        """How long until the next try counts, after enough have failed; None when it may be made now."""
        if self.counts.get(subject, 0) < self.limit.count:
            return None
        left = self.window_starts_at + self.limit.window - self.now
        return max(1, -(-left // timedelta(seconds=1)))

    def fail(self, subject: bytes) -> None:
        """Count one try that failed."""
        self.counts[subject] = self.counts.get(subject, 0) + 1
        self.failed.add(subject)


async def tally(
    connection: AsyncConnection, book_id: int, limit: Limit, subjects: Collection[bytes], now: datetime
) -> Tally:
    """What these subjects have tried in the present window. Nobody else may count them meanwhile."""
    found = Tally(limit, now)
    rows = await connection.execute(
        select(attempt.c.subject, attempt.c.count).where(
            attempt.c.book_id == book_id,
            attempt.c.kind == limit.kind,
            attempt.c.subject.in_(subjects),
            attempt.c.window_starts_at == found.window_starts_at,
        )
    )
    found.counts = {row[0]: row[1] for row in rows}
    return found


async def keep_tally(connection: AsyncConnection, book_id: int, found: Tally) -> None:
    """Write what has failed."""
    if not found.failed:
        return
    shared = {"book_id": book_id, "kind": found.limit.kind, "window_starts_at": found.window_starts_at}
    statement = insert(attempt).values(
        [{**shared, "subject": subject, "count": found.counts[subject]} for subject in sorted(found.failed)]
    )
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["book_id", "kind", "subject", "window_starts_at"], set_={"count": statement.excluded.count}
        )
    )


async def count_from(engine: AsyncEngine, book_id: int, keys: Keys, address: str, now: datetime, limit: Limit) -> None:
    """Count a try from a network address, for good; `TryLater` when it had enough."""
    subject = hmac.new(keys.address, network(address).encode(), hashlib.sha256).digest()
    await count_for_good(engine, book_id, limit, subject, now)


async def count_for_good(engine: AsyncEngine, book_id: int, limit: Limit, subject: bytes, now: datetime) -> None:
    """Count a try in a transaction of its own, which is committed though it was one too many."""
    async with engine.connect() as connection:
        try:
            await count(connection, book_id, limit, subject, now)
        finally:
            await connection.commit()


async def clear(connection: AsyncConnection, book_id: int, limit: Limit, subject: bytes) -> None:
    """Forget the tries of a subject, after one succeeded."""
    await connection.execute(
        delete(attempt).where(attempt.c.book_id == book_id, attempt.c.kind == limit.kind, attempt.c.subject == subject)
    )


async def drop_past(connection: AsyncConnection, book_id: int, now: datetime) -> int:
    """Drop the counters whose window has ended for certain. Answers how many."""
    dropped = await connection.execute(
        delete(attempt).where(attempt.c.book_id == book_id, attempt.c.window_starts_at < now - LONGEST_WINDOW)
    )
    return dropped.rowcount


def network(address: str) -> str:
    """What one visitor's address is counted under: itself, or its /64 when it is IPv6, which one visitor has whole."""
    try:
        parsed = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
