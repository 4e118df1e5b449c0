"""Scans that were kept and led to nothing by themselves: a second check-in, a check-out of nothing.

A person decides: with the other end, which the manager sets, such a scan becomes a record; or it is laid aside, with
the reason. Either way the scan stays as it was, and the decision stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, and_, any_, func, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, manual
from timebank.attendances import keep
from timebank.commands import Answer, settle
from timebank.cursors import Cursor, Page, rising
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.manual import ENTERING_ROLES, add_end, fits, is_reason, make, may_enter, over_quota, seal
from timebank.tables import member, punch, punch_decision, station

HOLDS = ("already_in", "nothing_open")
# As the index has it.
ASTRAY = text("timebank.punch.holds && ARRAY['already_in', 'nothing_open']")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """One decision. `enter` takes the scan as one end of a service and `other_at` as the other; `dismiss` lays it
    aside. Both need a reason."""

    id: UUID
    actor_id: UUID
    punch_id: UUID
    verdict: Literal["enter", "dismiss"]
    reason: str
    other_at: datetime | None = None

    def content(self) -> tuple[object, ...]:
        """What the manager chose."""
        return (self.punch_id, self.verdict, self.reason, self.other_at)


def undecided(book_id: int, actor_id: UUID, now: datetime) -> Select[Any]:
    """What waits for the actor: not their own, not their household's."""
    actor = member.alias()
    household = select(actor.c.household_id).where(actor.c.book_id == book_id, actor.c.id == actor_id).scalar_subquery()
    return (
        select(
            punch.c.id,
            punch.c.member_id,
            punch.c.station_id,
            punch.c.kind,
            punch.c.source,
            punch.c.occurred_at,
            punch.c.holds,
            station.c.number.label("station_number"),
            station.c.name_zh.label("station_zh"),
            station.c.name_en.label("station_en"),
        )
        .join_from(punch, station, and_(station.c.book_id == punch.c.book_id, station.c.id == punch.c.station_id))
        .join(member, and_(member.c.book_id == punch.c.book_id, member.c.id == punch.c.member_id))
        .where(
            punch.c.book_id == book_id,
            ASTRAY,
            ~select(punch_decision.c.id)
            .where(punch_decision.c.book_id == punch.c.book_id, punch_decision.c.punch_id == punch.c.id)
            .correlate(punch)
            .exists(),
            punch.c.member_id != actor_id,
            member.c.household_id.is_(None) | member.c.household_id.is_distinct_from(household),
            access.in_branch(actor_id, ENTERING_ROLES, now),
        )
    )


async def queue(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    station_id: UUID | None = None,
    after: Cursor | None = None,
    limit: int = 40,
) -> Page:
    """The scans that wait for this manager, the oldest first, of one station or of all."""
    query = undecided(book_id, actor_id, now)
    if station_id is not None:
        query = query.where(punch.c.station_id == station_id)
    return await rising(connection, query, punch.c.occurred_at, punch.c.id, after, limit)


async def one(connection: AsyncConnection, book_id: int, punch_id: UUID, *, actor_id: UUID, now: datetime) -> Row[Any]:
    """One of them; `NotFound` when it does not wait for this manager."""
    query = undecided(book_id, actor_id, now).where(punch.c.id == punch_id)
    return await access.one(connection, query, "punch")


@dataclass
class Sitting(manual.Sitting):
    """And the scans that are decided."""

    scans: dict[UUID, Row[Any]] = field(kw_only=True)
    # Whose time each scan is: the survivor's where who scanned was merged into another.
    owners: dict[UUID, UUID] = field(kw_only=True)
    decided: set[UUID] = field(kw_only=True)
    decisions: list[dict[str, Any]] = field(default_factory=list)


async def settle_astray(
    connection: AsyncConnection, book_id: int, commands: Sequence[Settle], now: datetime, *, keys: Keys
) -> list[Answer]:
    """Decide scans. `ok` carries `punch_id`; for `enter` also `attendance_id` (the record's id), `minutes`, `grade`.

    Refused: `not_found` (also outside the branch), `own_record`, `member_suspended`, `already_decided`,
    `reason_missing`, `minutes_invalid` (when the other end does not fit), `id_reused`.
    """

    async def decide(fresh: list[Settle]) -> list[Answer]:
        sitting = await sit(connection, book_id, keys, now, fresh)
        answers = [weigh(sitting, command) for command in fresh]
        await keep(connection, book_id, sitting)
        if sitting.decisions:
            await connection.execute(insert(punch_decision), sitting.decisions)
        return answers

    return await settle(connection, book_id, "settle", commands, now, decide)


async def sit(
    connection: AsyncConnection, book_id: int, keys: Keys, now: datetime, commands: Sequence[Settle]
) -> Sitting:
    """Read the scans, lock their members, and read what decides."""
    ids = [command.punch_id for command in commands]
    rows = await connection.execute(
        select(punch, func.coalesce(member.c.merged_into, member.c.id).label("owner_id"))
        .join(member, and_(member.c.book_id == punch.c.book_id, member.c.id == punch.c.member_id))
        .where(punch.c.book_id == book_id, punch.c.id == any_(literal(ids, ARRAY(punch.c.id.type))), ASTRAY)
    )
    scans = {row.id: row for row in rows}
    owners = {row.id: row.owner_id for row in scans.values()}
    base = await manual.sit(
        connection,
        book_id,
        keys,
        now,
        actors={command.actor_id for command in commands},
        station_ids={row.station_id for row in scans.values()},
        member_ids=set(owners.values()),
    )
    # Only now: somebody may have decided while the lock was waited for.
    known = await connection.execute(
        select(punch_decision.c.punch_id).where(
            punch_decision.c.book_id == book_id, punch_decision.c.punch_id.in_(scans)
        )
    )
    sitting = Sitting(**vars(base), scans=scans, owners=owners, decided=set(known.scalars()))
    stays = []
    for command in commands:
        row = scans.get(command.punch_id)
        if row is not None and command.other_at is not None:
            start, end = ends_of(row, command.other_at)
            stays.append((row.owner_id, start, end))
    sitting.others = await manual.others(connection, book_id, sitting, stays) if stays else {}
    return sitting


def ends_of(row: Row[Any], other_at: datetime) -> tuple[datetime, datetime]:
    """When the service began and ended, of which the scan is one end."""
    return (row.occurred_at, other_at) if row.kind == "in" else (other_at, row.occurred_at)


def weigh(sitting: Sitting, command: Settle) -> Answer:
    """Walk one decision."""
    row = sitting.scans.get(command.punch_id)
    if row is None or (command.actor_id, row.station_id) not in sitting.allowed:
        return Answer("not_found", {"kind": "punch"})
    person = sitting.members[sitting.owners[row.id]]
    if refused := may_enter(sitting, command.actor_id, row.station_id, person):
        return refused
    if row.id in sitting.decided:
        return Answer("already_decided")
    if not is_reason(command.reason):
        return Answer("reason_missing")
    sealed = seal(sitting.keys, person, command.reason)
    facts: dict[str, Any] = {"punch_id": str(row.id)}
    record_id = None
    if command.verdict == "enter":
        if command.other_at is None or not fits(*ends_of(row, command.other_at), sitting.now):
            return Answer("minutes_invalid")
        record = enter(sitting, command, row, person, sealed)
        record_id = record["id"]
        facts |= {"attendance_id": str(record_id), "minutes": record["measured_minutes"], "grade": record["grade"]}
    sitting.decided.add(row.id)
    sitting.decisions.append(
        {
            "book_id": sitting.book_id,
            "id": command.id,
            "punch_id": row.id,
            "actor_id": command.actor_id,
            "verdict": command.verdict,
            "holds": row.holds,
            "sealed_reason": sealed,
            "record_id": record_id,
            "decided_at": sitting.now,
        }
    )
    return Answer("ok", facts)


def enter(sitting: Sitting, command: Settle, row: Row[Any], person: Row[Any], sealed: bytes) -> dict[str, Any]:
    """The record of a scan and the end that the manager sets."""
    assert command.other_at is not None  # noqa: S101  refused otherwise
    place = sitting.stations[row.station_id]
    start, end = ends_of(row, command.other_at)
    holds = over_quota(sitting, command.actor_id, int((end - start).total_seconds()) // 60)
    scan = {**row._mapping, "member_id": person.id, "holds": [hold for hold in row.holds if hold not in HOLDS]}
    kind, id = ("out", uuid7(sitting.now)) if row.kind == "in" else ("in", command.id)
    set_end = add_end(sitting, place, person, kind, id, command.other_at, command.actor_id, sealed, holds)
    first, second = (scan, set_end) if row.kind == "in" else (set_end, scan)
    return make(sitting, place, first, second, place.service_kind_id)
