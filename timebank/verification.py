"""Verification: a manager decides what a record is worth, and the ledger gets the hours and the points.

Hours are posted at once. Points come out of the station's fund; where it is dry they wait, visibly, and are paid by
`pay_waiting` once the fund is filled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, and_, false, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import deciding, outbox, policies, policy, purses
from timebank.commands import Answer, settle
from timebank.deciding import LONGEST_MINUTES, OVER_QUOTA, Sitting, sit, with_source
from timebank.earnings import earn
from timebank.rows import insert_rows
from timebank.tables import decision, fund, member, record, station


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


def in_order(sitting: Sitting, commands: Sequence[Verify]) -> list[Verify]:
    """The commands by check-in, so that a day that has a cap is filled in the order in which it was lived, however the
    manager ticked. What is decided in a later batch gets what is left."""

    def check_in(command: Verify) -> tuple[datetime, UUID]:
        row = sitting.records.get(command.record_id)
        return (row.started_at if row else sitting.now, command.record_id)

    return sorted(commands, key=check_in)


def refusal(sitting: Sitting, command: Verify) -> str | None:
    """Why a decision is refused."""
    row = sitting.records.get(command.record_id)
    if row is None or (command.actor_id, row.station_id) not in sitting.allowed:
        return "not_found"
    if deciding.of_household(sitting, command.actor_id, row.member_id):
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
    if deciding.needs_second(sitting, command.actor_id, row, raises=(command.minutes or 0) > row.measured_minutes):
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
            deciding.earning(
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
    """Whether a decision is that of the second person who stands behind hours over quota. Codes that somebody sent late
    too often have no first."""
    return command.verdict == "verify" and OVER_QUOTA in row.holds and bool(deciding.entered_by(row))


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
    verified = [end["id"] for end in ends if end["state"] == "verified"]
    await outbox.tell(connection, book_id, "record.verified", verified, sitting.now)
    dry = await earn(connection, book_id, sitting.earnings, sitting.now)
    if dry:
        await deciding.set_points_state(connection, book_id, dry, "waiting")
        for answer in answers:
            if answer.code == "ok" and UUID(answer.data["record_id"]) in dry:
                answer.data["points_state"] = "waiting"


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
        deciding.earning(
            row,
            verifier_id=row.decided_by,
            policy_number=row.policy_number,
            minutes=0,  # posted when it was verified
            points=row.points - row.kept_points,  # those that a correction kept were moved over by it
            expires_on=policy.expires_on(versions[row.policy_number].rules, row.local_day),
        )
        for row in rows
    ]
    dry = await earn(connection, book_id, earnings, now)
    paid = {row.id for row in rows} - dry
    await deciding.set_points_state(connection, book_id, paid, "posted")
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
