"""Verification: a manager decides what a record is worth, and the ledger gets the hours and the points.

Hours are posted at once. Points come out of the station's fund; where it is dry they wait, visibly, and are paid by
`pay_waiting` once the fund is filled.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, false, func, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, policies, policy, postings, purses
from timebank.commands import Answer, settle
from timebank.postings import Earning
from timebank.rows import insert_rows
from timebank.tables import attendance, decision, fund, member, punch, record, service_kind, station

ROLES = ("manager", "admin")
LONGEST_MINUTES = 24 * 60
# The hold of a manual entry beyond the monthly quota of who entered it.
OVER_QUOTA = "over_quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """One decision on one record.

    `verify` takes the measured minutes, `adjust` takes `minutes` instead, `reject` takes none; the last two need a
    `reason`, which the volunteer sees. `bulk` says that nobody looked at this record by itself.
    """

    id: UUID
    actor_id: UUID
    record_id: UUID
    verdict: Literal["verify", "adjust", "reject"]
    minutes: int | None = None
    reason: str | None = None
    bulk: bool = False

    def content(self) -> tuple[object, ...]:
        """What the manager chose."""
        return (self.record_id, self.verdict, self.minutes, self.reason, self.bulk)


async def verify(connection: AsyncConnection, book_id: int, commands: Sequence[Verify], now: datetime) -> list[Answer]:
    """Decide records. `ok` carries `record_id`, `state`, `credited_minutes`, `points` and `points_state`.

    Refused: `not_found` (also outside the manager's branch), `own_record` (himself or his household),
    `already_decided`, `needs_single_decision`, `minutes_invalid`, `reason_missing`, `second_approver_needed` (entered
    by himself or his household, and over quota or to be credited with more than was entered), `id_reused`.
    """

    async def decide(fresh: list[Verify]) -> list[Answer]:
        sitting = await sit(connection, book_id, fresh, now)
        answers = {command.id: weigh(sitting, command) for command in in_order(sitting, fresh)}
        await keep(connection, book_id, sitting, list(answers.values()))
        return [answers[command.id] for command in fresh]

    return await settle(connection, book_id, "verify", commands, now, decide)


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
    await connection.execute(
        select(member.c.id)
        .where(member.c.book_id == book_id, member.c.id.in_(owners))
        .order_by(member.c.id)
        .with_for_update(key_share=True)
    )
    await connection.execute(select(record.c.id).where(of_batch).order_by(record.c.id).with_for_update(key_share=True))
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


def in_order(sitting: Sitting, commands: Sequence[Verify]) -> list[Verify]:
    """The commands by check-in, so that a day that has a cap is filled in the order in which it was lived, however the
    manager ticked. What is decided in a later batch gets what is left."""

    def check_in(command: Verify) -> tuple[datetime, UUID]:
        row = sitting.records.get(command.record_id)
        return (row.started_at if row else sitting.now, command.record_id)

    return sorted(commands, key=check_in)


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


def refusal(sitting: Sitting, command: Verify) -> str | None:
    """Why a decision is refused."""
    row = sitting.records.get(command.record_id)
    if row is None or (command.actor_id, row.station_id) not in sitting.allowed:
        return "not_found"
    if of_household(sitting, command.actor_id, row.member_id):
        return "own_record"
    if row.state != "waiting" or row.id in sitting.decided:
        return "already_decided"
    if command.bulk and (command.verdict != "verify" or not may_fast_track(sitting, row)):
        return "needs_single_decision"
    if (command.verdict == "adjust") != (command.minutes is not None):
        return "minutes_invalid"
    if command.minutes is not None and not 0 <= command.minutes <= LONGEST_MINUTES:
        return "minutes_invalid"
    if command.verdict != "verify" and not (command.reason or "").strip():
        return "reason_missing"
    if needs_second(sitting, command.actor_id, row, raises=(command.minutes or 0) > row.measured_minutes):
        return "second_approver_needed"
    return None


def may_fast_track(sitting: Sitting, row: Row[Any]) -> bool:
    """Whether a record may be verified without being looked at: its day's rules say of which grades."""
    rules = policies.on_day(sitting.versions, row.local_day).rules
    return not row.holds and row.grade in rules.fast_track_grades


def weigh(sitting: Sitting, command: Verify) -> Answer:
    """Walk one decision."""
    if code := refusal(sitting, command):
        return Answer(code)
    row = sitting.records[command.record_id]
    sitting.decisions.append(
        {
            "book_id": sitting.book_id,
            "id": command.id,
            "record_id": row.id,
            "actor_id": command.actor_id,
            "verdict": "approve" if is_approval(row, command) else command.verdict,
            "minutes": command.minutes,
            "holds": row.holds,
            "reason": command.reason,
            "decided_at": sitting.now,
        }
    )
    end: dict[str, Any] = {
        "id": row.id,
        "state": "rejected",
        "credited_minutes": None,
        "points": None,
        "points_state": "none",
        "policy_number": None,
        "decided_by": command.actor_id,
    }
    if command.verdict != "reject":
        version = policies.on_day(sitting.versions, row.local_day)
        day = (row.member_id, row.local_day)
        credit = policy.credit(
            version.rules,
            kind_code=row.code,
            grade=row.grade,
            minutes=row.measured_minutes if command.minutes is None else command.minutes,
            credited_that_day=sitting.credited[day],
            local_day=row.local_day,
        )
        sitting.credited[day] += credit.minutes
        sitting.earnings.append(
            earning(
                row,
                verifier_id=command.actor_id,
                policy_number=version.number,
                minutes=credit.minutes,
                points=credit.points,
                expires_on=credit.expires_on,
            )
        )
        end |= {
            "state": "verified",
            "credited_minutes": credit.minutes,
            "points": credit.points,
            "points_state": "posted" if credit.points else "none",
            "policy_number": version.number,
        }
    sitting.decided[row.id] = end
    shown = {name: end[name] for name in ("state", "credited_minutes", "points", "points_state")}
    return Answer("ok", {"record_id": str(row.id), **shown})


def is_approval(row: Row[Any], command: Verify) -> bool:
    """Whether a decision is that of the second person who stands behind hours over quota."""
    return command.verdict == "verify" and OVER_QUOTA in row.holds


DECIDE = text("""
    UPDATE timebank.record AS r
    SET state = d.state, credited_minutes = d.credited_minutes, points = d.points, points_state = d.points_state,
      policy_number = d.policy_number, decided_by = d.decided_by, decided_at = :now
    FROM unnest(CAST(:id AS uuid[]), CAST(:state AS text[]), CAST(:credited_minutes AS integer[]),
                CAST(:points AS bigint[]), CAST(:points_state AS text[]), CAST(:policy_number AS integer[]),
                CAST(:decided_by AS uuid[]))
      AS d (id, state, credited_minutes, points, points_state, policy_number, decided_by)
    WHERE r.book_id = :book_id AND r.id = d.id
""")


async def keep(connection: AsyncConnection, book_id: int, sitting: Sitting, answers: list[Answer]) -> None:
    """Write the decisions, then post; where a fund is dry, say in the answer and on the record that points wait."""
    if not sitting.decided:
        return
    await insert_rows(connection, decision, sitting.decisions)
    ends = list(sitting.decided.values())
    columns = {name: [end[name] for end in ends] for name in ends[0]}
    await connection.execute(DECIDE, {"book_id": book_id, "now": sitting.now, **columns})
    dry = await postings.earn(connection, book_id, sitting.earnings, sitting.now)
    if dry:
        await set_points_state(connection, book_id, dry, "waiting")
        for answer in answers:
            if answer.code == "ok" and UUID(answer.data["record_id"]) in dry:
                answer.data["points_state"] = "waiting"


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


async def pay_waiting(connection: AsyncConnection, book_id: int, now: datetime, limit: int = 500) -> int:
    """Pay points that wait for their fund, the longest-waiting first; answers how many records were paid.

    Only what its fund can pay is looked at, so that an empty fund keeps nobody waiting for another. Leaves alone what
    another process pays at this moment.
    """
    ids = await lock_payable(connection, book_id, limit)
    if not ids:
        return 0
    query = with_source(and_(record.c.book_id == book_id, record.c.id.in_(ids)))
    rows = (await connection.execute(query.order_by(record.c.decided_at, record.c.id))).all()
    versions = {version.number: version for version in await policies.versions(connection, book_id)}
    earnings = [
        earning(
            row,
            verifier_id=row.decided_by,
            policy_number=row.policy_number,
            minutes=0,  # posted when it was verified
            points=row.points - row.kept_points,  # those that a correction kept were moved over by it
            expires_on=policy.expires_on(versions[row.policy_number].rules, row.local_day),
        )
        for row in rows
    ]
    dry = await postings.earn(connection, book_id, earnings, now)
    paid = {row.id for row in rows} - dry
    await set_points_state(connection, book_id, paid, "posted")
    return len(paid)


async def lock_payable(connection: AsyncConnection, book_id: int, limit: int) -> list[UUID]:
    """The records that wait for points which their fund can pay, locked; before them their members, who may owe."""
    funds = await connection.execute(select(fund.c.id).where(fund.c.book_id == book_id))
    filled = await purses.fund_balances(connection, book_id, funds.scalars().all())
    payable = [
        and_(station.c.fund_id == id_, record.c.points - record.c.kept_points <= points)
        for id_, points in filled.items()
        if points > 0
    ]
    waiting = and_(record.c.book_id == book_id, record.c.points_state == "waiting", record.c.state == "verified")
    query = (
        select(record.c.id, record.c.member_id)
        .join(station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
        .where(waiting, or_(false(), *payable))
        .order_by(record.c.decided_at, record.c.id)
    )
    found = (await connection.execute(query.limit(limit))).all()
    free = await connection.scalars(
        select(member.c.id)
        .where(member.c.book_id == book_id, member.c.id.in_({row.member_id for row in found}))
        .order_by(member.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    locked = await connection.scalars(
        select(record.c.id)
        .where(waiting, record.c.id.in_([row.id for row in found]), record.c.member_id.in_(free.all()))
        .order_by(record.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    return list(locked.all())
