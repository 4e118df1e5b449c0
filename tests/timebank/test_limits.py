"""Counters: as many tries as allowed, then "try later", and again in the next window."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING
from timebank import limits
from timebank.errors import TryLater
from timebank.limits import Limit
from timebank.tables import attempt

FIVE = Limit("test", 5, timedelta(minutes=10))


async def tries(connection: AsyncConnection, book_id: int, subject: bytes, how_many: int, now=MORNING) -> int:  # type: ignore[no-untyped-def]
    """How many of some tries were allowed."""
    allowed = 0
    for _ in range(how_many):
        try:
            await limits.count(connection, book_id, FIVE, subject, now)
            allowed += 1
        except TryLater:
            pass
    return allowed


async def test_five_tries_and_no_sixth(connection: AsyncConnection, new_book: int) -> None:
    assert await tries(connection, new_book, b"a", 8) == 5
    assert await tries(connection, new_book, b"b", 3) == 3
    with pytest.raises(TryLater) as caught:
        await limits.count(connection, new_book, FIVE, b"a", MORNING + timedelta(minutes=4, seconds=0.5))
    assert caught.value.data == {"seconds": 360}


async def test_the_next_window_starts_from_nothing(connection: AsyncConnection, new_book: int) -> None:
    await tries(connection, new_book, b"a", 8)
    assert await tries(connection, new_book, b"a", 8, MORNING + timedelta(minutes=9, seconds=59)) == 0
    assert await tries(connection, new_book, b"a", 8, MORNING + timedelta(minutes=10)) == 5


async def test_kinds_and_books_count_apart(connection: AsyncConnection, new_book: int) -> None:
    await tries(connection, new_book, b"a", 8)
    await limits.count(connection, new_book, Limit("other", 1, timedelta(minutes=10)), b"a", MORNING)
    await limits.count(connection, new_book + 1_000_000, FIVE, b"a", MORNING)


async def test_success_clears_the_count(connection: AsyncConnection, new_book: int) -> None:
    await tries(connection, new_book, b"a", 4)
    await limits.clear(connection, new_book, FIVE, b"a")
    assert await tries(connection, new_book, b"a", 8) == 5


async def test_sixty_four_at_once_are_counted_one_by_one(engine: AsyncEngine, new_book: int) -> None:
    async def one() -> int:
        async with engine.begin() as connection:
            return await tries(connection, new_book, b"a", 1)

    assert sum(await asyncio.gather(*(one() for _ in range(64)))) == 5


async def test_past_counters_are_dropped(connection: AsyncConnection, new_book: int) -> None:
    await tries(connection, new_book, b"a", 1)
    await tries(connection, new_book, b"a", 1, MORNING + timedelta(hours=20))
    assert await limits.drop_past(connection, new_book, MORNING + timedelta(hours=25)) == 1
    left = select(func.count()).select_from(attempt).where(attempt.c.book_id == new_book)
    assert await connection.scalar(left) == 1


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("not an address", "unknown"),
    ],
)
def test_one_visitor_is_counted_as_one(address: str, counted: str) -> None:
    assert limits.network(address) == counted
