"""Corrections: what was decided about a record is taken back in the ledger and decided anew, and both stay visible.

A correction is one transaction: a decision (verdict `reverse`), a correction that keeps what was and what is, the
reversal of everything the record had earned, and a new posting. Where the points are spent already, the member owes
what is missing and pays it back out of later earnings, so that a correction never fails for want of points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import deciding, earnings, inquiries, outbox, policies, policy, private, replacing, texts, trail
from timebank.commands import Answer, settle
from timebank.deciding import LONGEST_MINUTES, Sitting
from timebank.earnings import Earning
from timebank.errors import Invalid
from timebank.keys import Keys
from timebank.tables import correction, decision, record

REASON_LIMIT = 500
# What a reason is sealed for.
PURPOSE = "correction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correct:
    """Decide a record anew, with a reason that the volunteer reads.

    `minutes` are those served, which the rules of the record's day round and cap; None takes the record back whole.
    `inquiry_id` names the volunteer's question that this answers.
    """

    id: UUID
    actor_id: UUID
    record_id: UUID
    minutes: int | None
    reason: str
    inquiry_id: UUID | None = None

    def content(self) -> tuple[object, ...]:
        """What the manager chose."""
        return (self.record_id, self.minutes, self.reason, self.inquiry_id)


async def correct(
    connection: AsyncConnection, book_id: int, commands: Sequence[Correct], now: datetime, *, keys: Keys
) -> list[Answer]:
    """Correct records, one after the other: they are few, and each stands on what the one before it left.

    `ok` carries `record_id`, `state`, `credited_minutes`, `points`, `points_state` and `debt_points`, which the member
    owes because points that went back were spent. Refused: `not_found` (also outside the manager's branch),
    `own_record` (himself or his household), `not_decided`, `minutes_invalid`, `reason_missing`, `invalid` (reason),
    `second_approver_needed`, `inquiry_closed`, `nothing_to_correct`, `id_reused`.
    """

    async def decide(fresh: list[Correct]) -> list[Answer]:
        return [await correct_one(connection, book_id, command, now, keys) for command in fresh]

    return await settle(connection, book_id, "correct", commands, now, decide)


async def correct_one(connection: AsyncConnection, book_id: int, command: Correct, now: datetime, keys: Keys) -> Answer:
    """One correction, under the locks of the record and of its member."""
    sitting = await deciding.sit(connection, book_id, [command], now)
    if refused := refusal(sitting, command):
        return refused
    row = sitting.records[command.record_id]
    asked = await inquiries.lock_open(connection, book_id, row.id)
    if command.inquiry_id is not None and (asked is None or asked.id != command.inquiry_id):
        return Answer("inquiry_closed")
    version = policies.on_day(sitting.versions, row.local_day)
    credit = credit_anew(sitting, row, version.rules, command.minutes)
    state = "reversed" if command.minutes is None else "verified"
    before = (row.credited_minutes or 0, row.points or 0) if row.state == "verified" else (0, 0)
    if (state, credit.minutes, credit.points) == (row.state, *before) or (state, row.state) == ("reversed", "rejected"):
        return Answer("nothing_to_correct")
    earned = deciding.earning(
        row,
        verifier_id=command.actor_id,
        policy_number=version.number,
        minutes=credit.minutes,
        points=credit.points,
        expires_on=credit.expires_on,
        correction_id=command.id,
    )
    found = await replacing.replacement(connection, book_id, earned, of=row.correction_id, now=now)
    await keep(connection, book_id, command, row, before, found.debt_points, earned, keys, now)
    end = {
        "state": state,
        "credited_minutes": credit.minutes,
        "points": credit.points,
        "points_state": "posted" if credit.points else "none",
    }
    await connection.execute(
        update(record)
        .where(record.c.book_id == book_id, record.c.id == row.id)
        .values(
            **end,
            policy_number=version.number,
            decided_by=command.actor_id,
            decided_at=now,
            correction_id=command.id,
            kept_points=found.kept_points,
        )
    )
    await outbox.tell(connection, book_id, "record.corrected", [row.id], now)
    if asked is not None:
        await inquiries.close(
            connection,
            book_id,
            keys,
            asked,
            command.reason,
            actor_id=command.actor_id,
            correction_id=command.id,
            now=now,
        )
    if await earnings.post_earnings(connection, book_id, found.batch, now):
        await deciding.set_points_state(connection, book_id, [row.id], "waiting")
        end["points_state"] = "waiting"
    return Answer("ok", {"record_id": str(row.id), **end, "debt_points": found.debt_points})


def refusal(sitting: Sitting, command: Correct) -> Answer | None:
    """Why a correction is refused, before it is known what it would change."""
    row = sitting.records.get(command.record_id)
    if row is None or (command.actor_id, row.station_id) not in sitting.allowed:
        return Answer("not_found")
    if deciding.of_household(sitting, command.actor_id, row.member_id):
        return Answer("own_record")
    if row.state == "waiting":
        return Answer("not_decided")
    if command.minutes is not None and not 0 <= command.minutes <= LONGEST_MINUTES:
        return Answer("minutes_invalid")
    if not command.reason.strip():
        return Answer("reason_missing")
    try:
        texts.lines("reason", command.reason, REASON_LIMIT)
    except Invalid as error:
        return Answer(error.code, error.data)
    raises = (command.minutes or 0) > max(row.measured_minutes, row.credited_minutes or 0)
    if deciding.needs_second(sitting, command.actor_id, row, raises=raises):
        return Answer("second_approver_needed")
    return None


def credit_anew(sitting: Sitting, row: Row[Any], rules: policy.Rules, minutes: int | None) -> policy.Credit:
    """What a record is worth with these minutes, by the rules of its day.

    The daily cap is worked out anew for this record alone: it gets what the other records of the day leave, and those
    stay as they are.
    """
    if minutes is None:
        return policy.Credit(0, 0, policy.expires_on(rules, row.local_day))
    own = row.credited_minutes if row.state == "verified" else 0
    return policy.credit(
        rules,
        kind_code=row.code,
        grade=row.grade,
        minutes=minutes,
        credited_that_day=sitting.credited[(row.member_id, row.local_day)] - own,
        local_day=row.local_day,
    )


async def keep(
    connection: AsyncConnection,
    book_id: int,
    command: Correct,
    row: Row[Any],
    before: tuple[int, int],
    debt_points: int,
    earned: Earning,
    keys: Keys,
    now: datetime,
) -> None:
    """Write the decision, the correction under the same id, and the trail."""
    await connection.execute(
        insert(decision).values(
            book_id=book_id,
            id=command.id,
            record_id=row.id,
            actor_id=command.actor_id,
            verdict="reverse",
            minutes=command.minutes,
            holds=row.holds,
            decided_at=now,
        )
    )
    await connection.execute(
        insert(correction).values(
            book_id=book_id,
            id=command.id,
            record_id=row.id,
            minutes=command.minutes,
            minutes_before=before[0],
            minutes_after=earned.minutes,
            points_before=before[1],
            points_after=earned.points,
            debt_points=debt_points,
            policy_number=earned.policy_number,
            reason=await private.seal(connection, book_id, keys, row.member_id, PURPOSE, command.reason.strip()),
            made_at=now,
        )
    )
    await trail.write(
        connection,
        book_id,
        actor_id=command.actor_id,
        action="record.correct",
        subject_kind="record",
        subject_id=row.id,
        before={"state": row.state, "credited_minutes": before[0], "points": before[1]},
        after={
            "correction_id": str(command.id),
            "state": "reversed" if command.minutes is None else "verified",
            "credited_minutes": earned.minutes,
            "points": earned.points,
            "debt_points": debt_points,
        },
        now=now,
    )


@dataclass(frozen=True, slots=True)
class Step:
    """One decision on a record: by whom, when, why, and for a correction what it changed."""

    id: UUID
    verdict: str
    actor_id: UUID
    decided_at: datetime
    minutes: int | None
    reason: str | None
    minutes_before: int | None
    minutes_after: int | None
    points_before: int | None
    points_after: int | None
    debt_points: int | None


async def history(connection: AsyncConnection, book_id: int, record_id: UUID, keys: Keys) -> list[Step]:
    """Every decision on a record, the first first. Who may see the record may see how it was decided."""
    query: Select[Any] = (
        select(
            decision,
            correction.c.minutes_before,
            correction.c.minutes_after,
            correction.c.points_before,
            correction.c.points_after,
            correction.c.debt_points,
            correction.c.reason.label("sealed"),
            record.c.member_id,
        )
        .join_from(decision, record, and_(record.c.book_id == decision.c.book_id, record.c.id == decision.c.record_id))
        .outerjoin(correction, and_(correction.c.book_id == decision.c.book_id, correction.c.id == decision.c.id))
        .where(decision.c.book_id == book_id, decision.c.record_id == record_id)
        .order_by(decision.c.decided_at, decision.c.id)
    )
    rows = (await connection.execute(query)).all()
    people = await private.people(connection, book_id, {row.member_id for row in rows})
    steps = []
    for row in rows:
        found = {name: getattr(row, name) for name in Step.__slots__}
        found["reason"] = row.reason or private.opened(keys, people[row.member_id], PURPOSE, row.sealed)
        steps.append(Step(**found))
    return steps
