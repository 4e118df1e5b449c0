"""The report of a station: what was served there in a month and how it was proved, what was decided and handed over.

Every figure is counted from the rows themselves, in one snapshot. A month is the community's, by the day of the
check-in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Row, and_, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, purses
from timebank.errors import Invalid
from timebank.periods import Period
from timebank.tables import record, redemption, reward, service_kind

# Who reads the report of a station.
REPORT_ROLES = ("manager", "admin")
STATES = ("verified", "waiting", "rejected", "reversed")


@dataclass(frozen=True, slots=True)
class StationReport:
    """A month of a station. Minutes and points are those of verified records, as they are now.

    `kinds`: `name_zh`, `name_en`, `records`, `people`, `minutes`, `points`. `grades`: `grade`, `records`, `minutes`.
    `days`: the minutes of every day that has any. `states`: how many records of the month are in which state. `holds`:
    how many were held for which reason.
    `rewards`: `name_zh`, `name_en`, `pieces`, `points` of what was handed over here.
    """

    station: Row[Any]
    first_day: date
    last_day: date
    people: int
    minutes: int
    points: int
    days: dict[date, int]
    kinds: Sequence[Row[Any]]
    grades: Sequence[Row[Any]]
    states: dict[str, int]
    held: int
    holds: dict[str, int]
    rewards: Sequence[Row[Any]]

    @property
    def records(self) -> int:
        """All records of the month."""
        return sum(self.states.values())

    @property
    def decided(self) -> int:
        """Those that somebody has decided."""
        return self.records - self.states["waiting"]


async def of_station(
    connection: AsyncConnection, book_id: int, station_id: UUID, *, period: Period, actor_id: UUID, now: datetime
) -> StationReport:
    """The report of days with a beginning and an end, for who looks after the station; `not_found` for anybody else."""
    if period.since is None or period.until is None:
        raise Invalid(field="month", reason="missing")
    place = await access.visible_station(
        connection, book_id, station_id, actor_id=actor_id, roles=REPORT_ROLES, now=now
    )
    here = and_(
        record.c.book_id == book_id,
        record.c.station_id == station_id,
        record.c.local_day >= period.since,
        record.c.local_day <= period.until,
    )
    verified = and_(here, record.c.state == "verified")
    sums = (
        await connection.execute(
            select(
                func.count(record.c.member_id.distinct()).label("people"),
                func.coalesce(func.sum(record.c.credited_minutes), 0).label("minutes"),
                func.coalesce(func.sum(record.c.points), 0).label("points"),
            ).where(verified)
        )
    ).one()
    counted = await connection.execute(
        select(record.c.state, func.count().label("records")).where(here).group_by(record.c.state)
    )
    found = {row.state: row.records for row in counted}
    return StationReport(
        station=place,
        first_day=period.since,
        last_day=period.until,
        people=sums.people,
        minutes=int(sums.minutes),
        points=int(sums.points),
        days=await by_day(connection, verified),
        kinds=await by_kind(connection, verified),
        grades=await by_grade(connection, verified),
        states={state: found.get(state, 0) for state in STATES},
        held=await connection.scalar(
            select(func.count()).select_from(record).where(here, func.cardinality(record.c.holds) > 0)
        )
        or 0,
        holds=await by_hold(connection, here),
        rewards=await handed_over(connection, book_id, station_id, period),
    )


def whole_sum(column: ColumnElement[Any]) -> ColumnElement[int]:
    """A sum as a whole number; PostgreSQL answers one of big integers as a decimal."""
    return cast(func.sum(column), BigInteger)


async def by_day(connection: AsyncConnection, condition: ColumnElement[bool]) -> dict[date, int]:
    """How many minutes were served on each day, the first day first."""
    query = (
        select(record.c.local_day, whole_sum(record.c.credited_minutes).label("minutes"))
        .where(condition)
        .group_by(record.c.local_day)
        .order_by(record.c.local_day)
    )
    return {row.local_day: row.minutes for row in await connection.execute(query)}


async def by_kind(connection: AsyncConnection, condition: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """What was served, by kind of service, the most first."""
    minutes = whole_sum(record.c.credited_minutes)
    query = (
        select(
            service_kind.c.name_zh,
            service_kind.c.name_en,
            func.count().label("records"),
            func.count(record.c.member_id.distinct()).label("people"),
            minutes.label("minutes"),
            whole_sum(record.c.points).label("points"),
        )
        .join_from(
            record,
            service_kind,
            and_(service_kind.c.book_id == record.c.book_id, service_kind.c.id == record.c.service_kind_id),
        )
        .where(condition)
        .group_by(service_kind.c.id, service_kind.c.name_zh, service_kind.c.name_en)
        .order_by(minutes.desc(), service_kind.c.name_zh)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def by_grade(connection: AsyncConnection, condition: ColumnElement[bool]) -> Sequence[Row[Any]]:
    """How well it was proved."""
    query = (
        select(record.c.grade, func.count().label("records"), whole_sum(record.c.credited_minutes).label("minutes"))
        .where(condition)
        .group_by(record.c.grade)
        .order_by(record.c.grade)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def by_hold(connection: AsyncConnection, condition: ColumnElement[bool]) -> dict[str, int]:
    """How often each reason to look closer stood, the most frequent first; a record may have several."""
    each = select(func.unnest(record.c.holds).label("hold")).where(condition).subquery()
    query = (
        select(each.c.hold, func.count().label("records"))
        .group_by(each.c.hold)
        .order_by(func.count().desc(), each.c.hold)
    )
    return {row.hold: row.records for row in await connection.execute(query)}


async def handed_over(
    connection: AsyncConnection, book_id: int, station_id: UUID, period: Period
) -> Sequence[Row[Any]]:
    """What was handed over at the station and not taken back, by reward."""
    since, until = period.moments(await purses.time_zone(connection, book_id))
    points = whole_sum(redemption.c.points)
    query = (
        select(reward.c.name_zh, reward.c.name_en, func.count().label("pieces"), points.label("points"))
        .join_from(
            redemption, reward, and_(reward.c.book_id == redemption.c.book_id, reward.c.id == redemption.c.reward_id)
        )
        .where(
            redemption.c.book_id == book_id,
            redemption.c.station_id == station_id,
            redemption.c.state == "fulfilled",
            redemption.c.ended_at >= since,
            redemption.c.ended_at < until,
        )
        .group_by(reward.c.id, reward.c.name_zh, reward.c.name_en)
        .order_by(points.desc(), reward.c.name_zh)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows
