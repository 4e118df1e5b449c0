"""A town to be tortured: a book with a crowd who are signed in and have points, and what the database says of them."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.auth import token_for
from tests.factories import City, build_city
from timebank import checkins, codes, punches, purses, verification
from timebank.database import create_engine
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.punches import Punch
from timebank.sessions import token_hash
from timebank.tables import attendance, command, member, punch, record, redemption, redemption_part, session
from timebank.verification import Verify

# Enough to redeem for as long as anybody wants to watch.
FUND_POINTS = 100_000_000
SERVED_MINUTES = 240
PRICE_POINTS = 1


@dataclass
class Volunteer:
    """One of the crowd, signed in."""

    id: UUID
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def headers(self) -> dict[str, str]:
        """What their browser sends along."""
        return {"Cookie": f"timebank={self.token}", "X-CSRF-Token": token_for(self.token, "csrf")}


@dataclass
class Town:
    """The book, and everybody in it."""

    book_id: int
    keys: Keys
    city: City
    reward_id: UUID
    volunteers: list[Volunteer]

    def code(self) -> str:
        """What the screen of the station shows now."""
        slot = codes.slot_at(datetime.now(UTC))
        return codes.station_code(self.keys.station, self.city.station.number, self.city.screen.number, slot)


def new_id() -> str:
    """An id for a command, made now."""
    return str(uuid7(datetime.now(UTC)))


async def settle(url: str, keys: Keys, how_many: int, book_id: int = 1) -> Town:
    """Build a town in an empty book, with volunteers who served yesterday and have points to spend."""
    now = datetime.now(UTC)
    yesterday = now - timedelta(days=1)
    async with opened(url) as engine, engine.begin() as connection:
        city = await build_city(connection, book_id, keys, now - timedelta(days=2), fund_points=FUND_POINTS)
        reward_id = await city.add_reward(connection, price_points=PRICE_POINTS, stock=1_000_000)
        volunteers = [Volunteer(uuid7(now)) for _ in range(how_many)]
        rows = [
            {
                "book_id": book_id,
                "id": each.id,
                "region_id": city.community_id,
                "locale": "zh-CN",
                "state": "active",
                "joined_at": yesterday,
            }
            for each in volunteers
        ]
        await connection.execute(insert(member), rows)
        sessions = [
            {
                "book_id": book_id,
                "token_hash": token_hash(each.token),
                "member_id": each.id,
                "created_at": now,
                "seen_at": now,
                "expires_at": now + timedelta(days=14),
            }
            for each in volunteers
        ]
        await connection.execute(insert(session), sessions)
        town = Town(book_id, keys, city, reward_id, volunteers)
        await serve(connection, town, yesterday)
    return town


async def serve(connection: AsyncConnection, town: Town, starts_at: datetime) -> None:
    """Let everybody serve once, and the manager verify it."""
    ends_at = starts_at + timedelta(minutes=SERVED_MINUTES)
    made = scans(town, "in", starts_at)
    await checkins.check_in(connection, town.book_id, made, starts_at, draw=town.keys.draw)
    await checkins.check_out(connection, town.book_id, scans(town, "out", ends_at), ends_at, draw=town.keys.draw)
    decisions = [
        Verify(id=uuid7(ends_at), actor_id=town.city.manager_id, record_id=each.id, verdict="verify") for each in made
    ]
    answers = await verification.verify(connection, town.book_id, decisions, datetime.now(UTC) - timedelta(hours=1))
    assert {answer.code for answer in answers} == {"ok"}, answers


def scans(town: Town, kind: Any, at: datetime) -> list[Punch]:
    """Everybody's scan of the station's screen at a moment."""
    slot = codes.slot_at(at)
    code = codes.station_code(town.keys.station, town.city.station.number, town.city.screen.number, slot)
    scan, refusal = punches.read_scan(town.keys.station, code, at)
    return [
        Punch(id=uuid7(at), actor_id=each.id, kind=kind, code=code, scan=scan, refusal=refusal)
        for each in town.volunteers
    ]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AsyncEngine]:
    """An engine for the time of the block."""
    engine = create_engine(url, application_name="timebank torture", pool_size=2)
    try:
        yield engine
    finally:
        await engine.dispose()


# What the database says afterwards.


@dataclass
class Found:
    """What there is of the commands that were sent."""

    answers: dict[UUID, dict[str, Any]]
    """The remembered answers, by command."""
    punches: set[UUID]
    attendances: set[UUID]
    redemptions: dict[UUID, str]
    """Their states, by the command that made them."""
    parts: set[UUID]
    """Redemptions for which points were taken."""
    records: int

    def is_whole(self, kind: str, id: UUID) -> bool:
        """Whether a command is there with all that belongs to it, or not at all."""
        answer = self.answers.get(id)
        happened = answer is not None and answer["code"] in ("ok", "held")
        if kind == "redeem":
            return happened == (id in self.redemptions) == (id in self.parts)
        if kind == "check-in":
            # One that is held, by somebody who is in already, is kept and starts nothing.
            started = answer is not None and answer["code"] == "ok"
            return (id in self.punches, id in self.attendances) == (happened, started)
        if kind == "check-out":
            return happened == (id in self.punches)
        return True


async def look(url: str, town: Town) -> Found:
    """Read everything in one snapshot."""
    async with opened(url) as engine, engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        ours = {"book_id": town.book_id}

        async def ids(column: Any) -> set[UUID]:
            query = select(column).where(column.table.c.book_id == town.book_id)
            return set((await connection.execute(query)).scalars())

        known = select(command.c.id, command.c.answer).where(command.c.book_id == town.book_id)
        states = select(redemption.c.id, redemption.c.state).where(redemption.c.book_id == town.book_id)
        count = text(f"SELECT count(*) FROM {record.fullname} WHERE book_id = :book_id")
        return Found(
            answers={row.id: row.answer for row in await connection.execute(known)},
            punches=await ids(punch.c.id),
            attendances=await ids(attendance.c.id),
            redemptions={row.id: row.state for row in await connection.execute(states)},
            parts=await ids(redemption_part.c.redemption_id),
            records=int((await connection.execute(count, ours)).scalar_one()),
        )


async def prove(url: str, town: Town) -> None:
    """Audit the book; AssertionError with the findings when it does not pass."""
    async with opened(url) as engine, engine.connect() as connection:
        report = await purses.audit(connection, town.book_id)
        assert report.passed, report.findings
