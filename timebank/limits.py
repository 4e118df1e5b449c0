"""Counters behind "five tries in ten minutes": kept in the database, so that they hold for every process and restart.

Windows are fixed: they begin at multiples of their length. A counter is counted up in a transaction of its own that
commits before the try is judged; a try that fails is a try.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.errors import TryLater
from timebank.ids import EPOCH
from timebank.tables import attempt

# No window is longer; a counter older than this can go.
LONGEST_WINDOW = timedelta(days=1)


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
