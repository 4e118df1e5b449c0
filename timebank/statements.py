"""Statements of a period: what was there, every line, what is there; and what a manager may see of a volunteer's."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, explain, purses, readings, records, trail
from timebank.cards import ISSUING_ROLES
from timebank.cursors import Cursor
from timebank.explain import Balance, Line, Lines
from timebank.periods import Period
from timebank.tables import record, station

# As many lines as the book gives at once.
LINES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Sums:
    """What a member held when a period began, and when it had ended, or now if it goes on."""

    opening: int
    closing: int


@dataclass(frozen=True, slots=True)
class Extract:
    """A whole period, the first line first, each with the balance after it.

    `opening` is the balance before the first line that is there; `is_cut` says that there were more lines before it.
    """

    opening: int
    closing: int
    lines: list[tuple[Line, int]]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class BranchLines:
    """What of a volunteer's balance comes from the stations of a manager: a page of lines, and what all come to.

    `record` is the one that the manager came from.
    """

    record: Row[Any]
    page: Lines
    total: int


async def sums(connection: AsyncConnection, book_id: int, member_id: UUID, *, unit: str, period: Period) -> Sums:
    """The balances of points or minutes at both ends of a period, by what was recorded by then."""
    accounts, _ = await explain.accounts_of(connection, book_id, member_id, unit)
    since, until = await explain.moments_of(connection, book_id, period)
    opening = await purses.came_to(connection, book_id, accounts, until=since) if since else 0
    return Sums(opening, await purses.came_to(connection, book_id, accounts, until=until))


async def extract(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, unit: str, period: Period, most: int
) -> Extract:
    """The whole statement of a period, of which the last `most` lines are kept. Ask in one snapshot."""
    found: list[Line] = []
    before: Cursor | None = None
    while len(found) < most:
        page = await explain.lines(
            connection,
            book_id,
            member_id,
            unit=unit,
            period=period,
            before=before,
            limit=min(LINES_AT_ONCE, most - len(found)),
        )
        found += page.lines
        before = page.following
        if before is None:
            break
    closing = (await sums(connection, book_id, member_id, unit=unit, period=period)).closing
    balance = opening = closing - sum(line.amount for line in found)
    lines = []
    for line in reversed(found):
        balance += line.amount
        lines.append((line, balance))
    return Extract(opening, closing, lines, is_cut=before is not None)


async def of_branch(
    connection: AsyncConnection,
    book_id: int,
    record_id: UUID,
    *,
    actor_id: UUID,
    now: datetime,
    unit: str,
    period: Period,
    before: str | None = None,
    limit: int = 20,
) -> BranchLines:
    """Where the points or minutes of a record's volunteer come from, as far as from stations of the actor's branch.

    What the volunteer earned elsewhere, redeemed or let expire is not the manager's to see. That the manager looked is
    kept in the trail. Errors: `not_found` (outside the branch, the actor's own, of their household), CursorInvalid.
    """
    row = await records.to_decide(connection, book_id, record_id, actor_id=actor_id, now=now)
    ids = await of_volunteer(connection, book_id, row.member_id, actor_id=actor_id, now=now)
    page = await explain.lines(
        connection,
        book_id,
        row.member_id,
        unit=unit,
        period=period,
        record_ids=ids,
        before=before,
        limit=limit,
    )
    accounts, _ = await explain.accounts_of(connection, book_id, row.member_id, unit)
    since, until = await explain.moments_of(connection, book_id, period)
    total = await purses.came_to(connection, book_id, accounts, since=since, until=until, record_ids=ids)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="member.explain",
        subject_kind="member",
        subject_id=row.member_id,
        after={
            "record_id": str(record_id),
            "unit": unit,
            "since": period.since.isoformat() if period.since else None,
            "until": period.until.isoformat() if period.until else None,
        },
        now=now,
    )
    await readings.note(connection, book_id, actor_id, [row.member_id], "statement", now)
    return BranchLines(row, page, total)


async def of_served(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, actor_id: UUID, now: datetime
) -> Balance:
    """What a member has, for whoever gives cards to the people of that place: to print it for who has no phone.

    That it was looked at is kept in the trail. Errors: `not_found` (member).
    """
    await access.served_member(connection, book_id, member_id, actor_id=actor_id, roles=ISSUING_ROLES, now=now)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="member.slip",
        subject_kind="member",
        subject_id=member_id,
        now=now,
    )
    await readings.note(connection, book_id, actor_id, [member_id], "statement", now)
    return await explain.balance(connection, book_id, member_id, now)


async def of_volunteer(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, actor_id: UUID, now: datetime
) -> list[UUID]:
    """The records of a member that the actor may decide about, now or once."""
    query: Select[Any] = (
        select(record.c.id)
        .join_from(record, station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
        .where(record.c.member_id == member_id, records.may_decide(book_id, actor_id, now))
    )
    return list((await connection.execute(query)).scalars())
