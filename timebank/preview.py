"""What new rules would have come to, worked out on the verified records of last month. Nothing is changed."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import policy, purses
from timebank.clock import local_day
from timebank.policy import Rules
from timebank.tables import correction, decision, record, service_kind

# How many records are read from the database at a time.
PORTION = 2000


@dataclass(slots=True)
class Sums:
    """Minutes and points as they were credited, and as the rules would have it; how many records would differ."""

    records: int = 0
    changed: int = 0
    minutes_before: int = 0
    minutes_after: int = 0
    points_before: int = 0
    points_after: int = 0

    def add(self, row: Any, credit: policy.Credit) -> None:
        """Count one record."""
        self.records += 1
        self.changed += (row.credited_minutes, row.points) != (credit.minutes, credit.points)
        self.minutes_before += row.credited_minutes
        self.minutes_after += credit.minutes
        self.points_before += row.points
        self.points_after += credit.points


@dataclass(frozen=True, slots=True)
class Preview:
    """Last month under other rules: `first_day` to `last_day`, in all and by the code of the kind."""

    first_day: date
    last_day: date
    total: Sums = field(default_factory=Sums)
    kinds: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))


def last_month(today: date) -> tuple[date, date]:
    """The first and the last day of the calendar month before that of `today`."""
    last_day = today.replace(day=1) - timedelta(days=1)
    return last_day.replace(day=1), last_day


async def preview(connection: AsyncConnection, book_id: int, rules: Rules, now: datetime) -> Preview:
    """What `rules` would have credited for last month's verified records.

    Each day's cap is filled in the order in which the day was lived, as far as it is known: the draw, and what people
    decided one by one, stay as they were.
    """
    found = Preview(*last_month(local_day(now, await purses.time_zone(connection, book_id))))
    of_month = and_(
        record.c.book_id == book_id,
        record.c.state == "verified",
        record.c.local_day.between(found.first_day, found.last_day),
    )
    credited: dict[tuple[UUID, date], int] = {}
    person: UUID | None = None
    async with connection.stream(decided(of_month).execution_options(yield_per=PORTION)) as rows:
        async for row in rows:
            if row.member_id != person:
                person, credited = row.member_id, defaultdict(int)
            day = (row.member_id, row.local_day)
            credit = policy.credit(
                rules,
                kind_code=row.code,
                grade=row.grade,
                minutes=row.minutes,
                credited_that_day=credited[day],
                local_day=row.local_day,
            )
            credited[day] += credit.minutes
            found.total.add(row, credit)
            found.kinds[row.code].add(row, credit)
    return found


def decided(condition: Any) -> Select[Any]:
    """Records with the minutes that a person decided on: those of the latest correction, or of the decision, or the
    measured ones."""
    adjusted = (
        select(decision.c.minutes)
        .where(
            decision.c.book_id == record.c.book_id,
            decision.c.record_id == record.c.id,
            decision.c.verdict == "adjust",
        )
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(
            record.c.member_id,
            record.c.local_day,
            record.c.grade,
            record.c.credited_minutes,
            record.c.points,
            service_kind.c.code,
            func.coalesce(correction.c.minutes, adjusted, record.c.measured_minutes).label("minutes"),
        )
        .join_from(
            record,
            service_kind,
            and_(service_kind.c.book_id == record.c.book_id, service_kind.c.id == record.c.service_kind_id),
        )
        .outerjoin(
            correction, and_(correction.c.book_id == record.c.book_id, correction.c.id == record.c.correction_id)
        )
        .where(condition)
        .order_by(record.c.member_id, record.c.local_day, record.c.started_at, record.c.id)
    )
