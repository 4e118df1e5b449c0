"""Service records as people look at them: a manager's queue, one record with its evidence, a volunteer's own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, any_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, manual, private
from timebank.cursors import Cursor, Page, falling, rising
from timebank.keys import Keys
from timebank.policy import Rules
from timebank.tables import attendance, decision, member, policy_version, punch, record, service_kind, station

# Who decides records, in their branch.
QUEUE_ROLES = ("manager", "admin")

COLUMNS = (
    record.c.id,
    record.c.member_id,
    record.c.station_id,
    station.c.number.label("station_number"),
    station.c.name_zh.label("station_zh"),
    station.c.name_en.label("station_en"),
    service_kind.c.name_zh.label("kind_zh"),
    service_kind.c.name_en.label("kind_en"),
    record.c.started_at,
    record.c.ended_at,
    record.c.measured_minutes,
    record.c.grade,
    record.c.holds,
    record.c.state,
    record.c.credited_minutes,
    record.c.points,
    record.c.points_state,
    record.c.policy_number,
    record.c.decided_by,
    record.c.decided_at,
    record.c.correction_id,
    record.c.recorded_at,
)

USUAL = Rules(rate_points_per_hour={})
# The grades that the rules of a record's day let be verified together with others.
FAST_TRACK_GRADES = (
    select(func.coalesce(policy_version.c.rules["fast_track_grades"].astext, USUAL.fast_track_grades))
    .where(policy_version.c.book_id == record.c.book_id, policy_version.c.starts_on <= record.c.local_day)
    .order_by(policy_version.c.starts_on.desc(), policy_version.c.number.desc())
    .limit(1)
    .correlate(record)
    .scalar_subquery()
)
# May be verified together with others: as policies.on_day and verification.may_fast_track say it of one record.
CLEAR: ColumnElement[bool] = and_(
    func.cardinality(record.c.holds) == 0, func.strpos(FAST_TRACK_GRADES, record.c.grade) > 0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which records of a list are wanted; what is None is not asked."""

    station_id: UUID | None = None
    state: str | None = None
    grade: str | None = None
    hold: str | None = None
    """Those that are held for this, whatever else they are held for."""
    since: datetime | None = None
    until: datetime | None = None
    """Those that began at `since` or later, and before `until`."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same as WHERE fragments."""
        asked = [
            column == value
            for column, value in (
                (record.c.station_id, self.station_id),
                (record.c.state, self.state),
                (record.c.grade, self.grade),
            )
            if value is not None
        ]
        if self.hold is not None:
            asked.append(literal(self.hold) == any_(record.c.holds))
        if self.since is not None:
            asked.append(record.c.started_at >= self.since)
        if self.until is not None:
            asked.append(record.c.started_at < self.until)
        return asked


EVERY = Which()


def of_stations() -> Select[Any]:
    """Records, each with its station and its kind of service."""
    return (
        select(*COLUMNS)
        .join_from(record, station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
        .join(
            service_kind,
            and_(service_kind.c.book_id == record.c.book_id, service_kind.c.id == record.c.service_kind_id),
        )
    )


def may_decide(book_id: int, actor_id: UUID, now: datetime) -> ColumnElement[bool]:
    """WHERE fragment: a record of the actor's branch that is neither their own nor one of their household."""
    actor = member.alias()
    household = select(actor.c.household_id).where(actor.c.book_id == book_id, actor.c.id == actor_id).scalar_subquery()
    return and_(
        record.c.book_id == book_id,
        record.c.member_id != actor_id,
        access.in_branch(actor_id, QUEUE_ROLES, now),
        ~select(member.c.id)
        .where(
            member.c.book_id == record.c.book_id,
            member.c.id == record.c.member_id,
            member.c.household_id == household,
        )
        .exists(),
    )


async def queue(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    which: Which = EVERY,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """The records that wait for this manager, the oldest first, those of `which` or all of the branch.

    Each row has `COLUMNS` and `clear`: whether it may be verified in bulk.
    """
    query = waiting(book_id, actor_id, now, which, of_stations().add_columns(CLEAR.label("clear")))
    return await rising(connection, query, record.c.started_at, record.c.id, after, limit)


async def queue_sums(
    connection: AsyncConnection, book_id: int, *, actor_id: UUID, now: datetime, which: Which = EVERY
) -> Row[Any]:
    """How much waits for this manager: `records`, `clear_records` that may be verified in bulk, and `minutes`."""
    query = select(
        func.count().label("records"),
        func.count().filter(CLEAR).label("clear_records"),
        func.coalesce(func.sum(record.c.measured_minutes), 0).label("minutes"),
    ).join_from(record, station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
    sums: Row[Any] = (await connection.execute(waiting(book_id, actor_id, now, which, query))).one()
    return sums


def waiting(book_id: int, actor_id: UUID, now: datetime, which: Which, query: Select[Any]) -> Select[Any]:
    """`query` narrowed to what waits for the actor."""
    return query.where(may_decide(book_id, actor_id, now), record.c.state == "waiting", *which.conditions())


async def to_decide(
    connection: AsyncConnection, book_id: int, record_id: UUID, *, actor_id: UUID, now: datetime
) -> Row[Any]:
    """One record of the manager's branch, decided already or not, with `COLUMNS` and `clear`.

    `NotFound` outside the branch, and for records of the manager or of their household.
    """
    query = of_stations().add_columns(CLEAR.label("clear")).where(may_decide(book_id, actor_id, now))
    return await access.one(connection, query.where(record.c.id == record_id), "record")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One end of a record. `reason` and `entered_by` are those of a manager who entered it."""

    id: UUID
    kind: str
    source: str
    occurred_at: datetime
    recorded_at: datetime
    holds: list[str]
    reason: str | None
    entered_by: UUID | None


async def punches(connection: AsyncConnection, book_id: int, record_id: UUID, keys: Keys) -> list[Evidence]:
    """The evidence of a record, in the order it happened. A reason goes with the key of who was erased."""
    query: Select[Any] = (
        select(
            punch.c.id,
            punch.c.kind,
            punch.c.source,
            punch.c.occurred_at,
            punch.c.recorded_at,
            punch.c.holds,
            punch.c.reason,
            punch.c.entered_by,
            punch.c.member_id,
            punch.c.sealed_reason,
        )
        .join_from(
            attendance,
            punch,
            and_(
                punch.c.book_id == attendance.c.book_id,
                or_(punch.c.id == attendance.c.in_punch_id, punch.c.id == attendance.c.out_punch_id),
            ),
        )
        .where(attendance.c.book_id == book_id, attendance.c.id == record_id)
        .order_by(punch.c.occurred_at, punch.c.kind)
    )
    rows = (await connection.execute(query)).all()
    people = await private.people(connection, book_id, [row.member_id for row in rows if row.sealed_reason])
    found = []
    for row in rows:
        own = manual.unseal(keys, people[row.member_id], row.sealed_reason) if row.sealed_reason else row.reason
        found.append(
            Evidence(row.id, row.kind, row.source, row.occurred_at, row.recorded_at, row.holds, own, row.entered_by)
        )
    return found


async def mine(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    which: Which = EVERY,
    before: Cursor | None = None,
    limit: int = 20,
) -> Page:
    """A volunteer's own records, the latest first, those of `which` or all.

    Each row has `COLUMNS` and `reason`, the latest decision's, if any.

    Order 67 gives everybody the right to query their records, so this asks for no role.
    """
    reason = (
        select(func.array_agg(aggregate_order_by(decision.c.reason, decision.c.decided_at.desc())))
        .where(
            decision.c.book_id == record.c.book_id,
            decision.c.record_id == record.c.id,
            decision.c.reason.is_not(None),
        )
        .scalar_subquery()
    )
    query = of_stations().add_columns(reason[1].label("reason"))
    query = query.where(record.c.book_id == book_id, record.c.member_id == member_id, *which.conditions())
    return await falling(connection, query, record.c.started_at, record.c.id, before, limit)


async def own(connection: AsyncConnection, book_id: int, record_id: UUID, *, member_id: UUID) -> Row[Any]:
    """One of a volunteer's own records, with `COLUMNS`; `NotFound` for anybody else's."""
    query = of_stations().where(record.c.book_id == book_id, record.c.id == record_id, record.c.member_id == member_id)
    return await access.one(connection, query, "record")


async def open_stay(connection: AsyncConnection, book_id: int, member_id: UUID) -> Row[Any] | None:
    """Where a member is checked in now, or None: `station_id`, names, `kind_zh`, `kind_en`, `started_at`, `holds`."""
    query: Select[Any] = (
        select(
            attendance.c.id,
            attendance.c.station_id,
            station.c.number.label("station_number"),
            station.c.name_zh.label("station_zh"),
            station.c.name_en.label("station_en"),
            service_kind.c.name_zh.label("kind_zh"),
            service_kind.c.name_en.label("kind_en"),
            attendance.c.started_at,
            punch.c.holds,
        )
        .join_from(
            attendance,
            station,
            and_(station.c.book_id == attendance.c.book_id, station.c.id == attendance.c.station_id),
        )
        .join(
            service_kind,
            and_(service_kind.c.book_id == attendance.c.book_id, service_kind.c.id == attendance.c.service_kind_id),
        )
        .join(punch, and_(punch.c.book_id == attendance.c.book_id, punch.c.id == attendance.c.in_punch_id))
        .where(attendance.c.book_id == book_id, attendance.c.member_id == member_id, attendance.c.state == "open")
    )
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    return row
