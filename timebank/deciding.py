"""What a decision on records stands on, be it the first or a correction: the rows, locked, and who may decide."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, policies
from timebank.earnings import Earning
from timebank.tables import attendance, member, punch, record, service_kind, station

ROLES = ("manager", "admin")
LONGEST_MINUTES = 24 * 60
# The hold of a manual entry beyond the monthly quota of who entered it.
OVER_QUOTA = "over_quota"


@dataclass
class Sitting:
    """What one batch reads once, and what it writes once."""

    book_id: int
    now: datetime
    records: dict[UUID, Row[Any]]
    # (actor, station) where the actor may decide, and each member's household.
    allowed: set[tuple[UUID, UUID]]
    households: dict[UUID, UUID | None]
    versions: Sequence[policies.Version]
    # Minutes credited to (member, local day), as they grow while the batch is walked.
    credited: dict[tuple[UUID, date], int]
    decided: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    earnings: list[Earning] = field(default_factory=list)


class OfRecord(Protocol):
    """A decision by somebody on a record."""

    @property
    def actor_id(self) -> UUID:
        """Who decides."""

    @property
    def record_id(self) -> UUID:
        """On what."""


async def sit(connection: AsyncConnection, book_id: int, commands: Sequence[OfRecord], now: datetime) -> Sitting:
    """Lock the members whose day is credited, then the records, each in order of ids; read the rest afterwards."""
    ids = sorted({command.record_id for command in commands})
    of_batch = and_(record.c.book_id == book_id, record.c.id.in_(ids))
    owners = select(record.c.member_id).where(of_batch)
    locked = set(await connection.scalars(members_locked(book_id, owners)))
    found = await connection.scalars(
        select(record.c.member_id).where(of_batch).order_by(record.c.id).with_for_update(key_share=True)
    )
    # Whoever was merged while the lock was waited for: their records are the survivor's now.
    if survivors := set(found) - locked:
        await connection.execute(members_locked(book_id, survivors))
    records = {row.id: row for row in await connection.execute(with_source(of_batch))}
    actors = {command.actor_id for command in commands}
    people = actors | {row.member_id for row in records.values()}
    people |= {id_ for row in records.values() for id_ in entered_by(row)}
    households = await connection.execute(
        select(member.c.id, member.c.household_id).where(member.c.book_id == book_id, member.c.id.in_(people))
    )
    allowed = await connection.execute(
        select(member.c.id, station.c.id)
        .join_from(member, station, station.c.book_id == member.c.book_id)
        .where(
            member.c.book_id == book_id,
            member.c.id.in_(actors),
            member.c.state == "active",
            station.c.id.in_({row.station_id for row in records.values()}),
            access.in_branch(member.c.id, ROLES, now),
        )
    )
    days = {(row.member_id, row.local_day) for row in records.values()}
    credited = await connection.execute(
        select(record.c.member_id, record.c.local_day, func.sum(record.c.credited_minutes))
        .where(
            record.c.book_id == book_id,
            record.c.state == "verified",
            tuple_(record.c.member_id, record.c.local_day).in_(days),
        )
        .group_by(record.c.member_id, record.c.local_day)
    )
    return Sitting(
        book_id=book_id,
        now=now,
        records=records,
        allowed={(actor_id, station_id) for actor_id, station_id in allowed},
        households={row.id: row.household_id for row in households},
        versions=await policies.versions(connection, book_id),
        credited=defaultdict(int, {(member_id, day): minutes for member_id, day, minutes in credited}),
    )


def members_locked(book_id: int, ids: Any) -> Select[Any]:
    """Members, locked in order of their ids."""
    query = select(member.c.id).where(member.c.book_id == book_id, member.c.id.in_(ids))
    return query.order_by(member.c.id).with_for_update(key_share=True)


def with_source(condition: ColumnElement[bool]) -> Any:
    """Records with what their postings name: punches, the kind's code, the fund; and who entered each punch by hand."""
    arrival, departure = punch.alias("arrival"), punch.alias("departure")
    return (
        select(
            record,
            attendance.c.in_punch_id,
            attendance.c.out_punch_id,
            service_kind.c.code,
            station.c.fund_id,
            arrival.c.entered_by.label("in_entered_by"),
            departure.c.entered_by.label("out_entered_by"),
        )
        .join(attendance, and_(attendance.c.book_id == record.c.book_id, attendance.c.id == record.c.id))
        .join(arrival, and_(arrival.c.book_id == record.c.book_id, arrival.c.id == attendance.c.in_punch_id))
        .outerjoin(
            departure, and_(departure.c.book_id == record.c.book_id, departure.c.id == attendance.c.out_punch_id)
        )
        .join(
            service_kind,
            and_(service_kind.c.book_id == record.c.book_id, service_kind.c.id == record.c.service_kind_id),
        )
        .join(station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
        .where(condition)
    )


def entered_by(row: Row[Any]) -> set[UUID]:
    """Who entered an end of a record by hand."""
    return {row.in_entered_by, row.out_entered_by} - {None}


def of_household(sitting: Sitting, actor_id: UUID, member_id: UUID) -> bool:
    """Whether this is the actor, or one of the actor's household."""
    own = sitting.households[actor_id]
    return member_id == actor_id or (own is not None and sitting.households.get(member_id) == own)


def needs_second(sitting: Sitting, actor_id: UUID, row: Row[Any], *, raises: bool) -> bool:
    """Whether this must be left to somebody who has not entered the record: beyond the monthly quota of manual hours,
    and where it `raises` what was entered, which would be another way around the quota."""
    by_actor = any(of_household(sitting, actor_id, id_) for id_ in entered_by(row))
    return by_actor and (raises or OVER_QUOTA in row.holds)


async def set_points_state(connection: AsyncConnection, book_id: int, ids: Collection[UUID], state: str) -> None:
    """Say of records whether their points wait for the fund."""
    await connection.execute(
        update(record).where(record.c.book_id == book_id, record.c.id.in_(ids)).values(points_state=state)
    )


def earning(
    row: Row[Any],
    *,
    verifier_id: UUID,
    policy_number: int,
    minutes: int,
    points: int,
    expires_on: date,
    correction_id: UUID | None = None,
) -> Earning:
    """What a record of `with_source` earns, by its latest correction unless another is being made."""
    return Earning(
        record_id=row.id,
        member_id=row.member_id,
        fund_id=row.fund_id,
        in_punch_id=row.in_punch_id,
        out_punch_id=row.out_punch_id,
        verifier_id=verifier_id,
        policy_number=policy_number,
        occurred_at=row.started_at,
        minutes=minutes,
        points=points,
        expires_on=expires_on,
        correction_id=correction_id or row.correction_id,
    )
