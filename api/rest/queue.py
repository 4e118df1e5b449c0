"""A manager's queue: what waits, the evidence, the decisions."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response
from litestar.params import FromPath
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import member_of
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    ListPage,
    Operation,
    body_of,
    choice_query,
    command_id,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    reading,
    settled,
    shaped,
    writing,
)
from api.state import Bank, bank_of
from timebank import corrections, inquiries, members, readings, records
from timebank.policy import HOLD_ORDER
from timebank.records import Which
from timebank.tables import GRADES
from timebank.verification import Verify

REFUSALS = (
    "not_found",
    "own_record",
    "already_decided",
    "needs_single_decision",
    "minutes_invalid",
    "reason_missing",
    "second_approver_needed",
    "id_reused",
)
BULK_LIMIT = 1000
Verdict = Literal["verify", "adjust", "reject"]


class Record(Answered, frozen=True):
    """One service record."""

    id: UUID
    station_id: UUID
    station_number: int
    station_zh: str
    station_en: str
    kind_zh: str
    kind_en: str
    started_at: datetime
    ended_at: datetime
    measured_minutes: int
    grade: str
    """A to D: how well its time is proved."""
    holds: list[str]
    """Why a person has to look at it."""
    state: str
    """waiting, verified, rejected or reversed."""
    credited_minutes: int | None
    points: int | None
    points_state: str
    """none, posted, or waiting for the fund to be filled."""
    policy_number: int | None
    decided_by: UUID | None
    decided_at: datetime | None
    correction_id: UUID | None
    """The latest correction; null where there was none."""


class QueueRecord(Record, frozen=True):
    """A record in a manager's queue."""

    member_id: UUID
    member_name: str | None
    """None for somebody who was erased."""
    clear: bool
    """Whether it may be verified in bulk."""


class Queue(ListPage, frozen=True):
    """One page of what waits, the oldest first."""

    records: list[QueueRecord]


class Punch(Answered, frozen=True):
    """One scan behind a record."""

    id: UUID
    kind: str
    source: str
    occurred_at: datetime
    holds: list[str]
    reason: str | None
    """Why a manager entered it; null for what was scanned, and where the member was erased."""


class Step(Answered, frozen=True):
    """One decision on a record."""

    id: UUID
    verdict: str
    """verify, approve (the second person of hours over quota), adjust, reject, or reverse (a correction)."""
    actor_id: UUID
    decided_at: datetime
    minutes: int | None
    """What the manager entered; null for as recorded, and for a correction that took the record back whole."""
    reason: str | None
    minutes_before: int | None
    """Of a correction: what was credited before and after."""
    minutes_after: int | None
    points_before: int | None
    points_after: int | None
    debt_points: int | None
    """Owed because of it."""


class Inquiry(Answered, frozen=True):
    """A volunteer's question about a record, and its answer."""

    id: UUID
    record_id: UUID
    member_id: UUID
    question: str | None
    """None once its writer was erased."""
    asked_at: datetime
    state: str
    """open, corrected or declined."""
    answer: str | None
    answered_by: UUID | None
    answered_at: datetime | None
    correction_id: UUID | None


class Evidence(Answered, frozen=True):
    """A record with the scans it came from, how it was decided and corrected, and what its volunteer asked."""

    record: QueueRecord
    punches: list[Punch]
    history: list[Step]
    inquiries: list[Inquiry]


class Decision(Body, frozen=True):
    """What a manager decides about one record after looking at it."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    record_id: UUID
    verdict: Verdict
    minutes: Annotated[int, Meta(ge=0, le=1440)] | None = None
    """Only to adjust: the minutes instead of the measured ones."""
    reason: Annotated[str, Meta(max_length=500)] | None = None
    """To adjust or reject; the volunteer sees it."""


class Tick(Body, frozen=True):
    """One record that is verified together with others."""

    id: UUID
    record_id: UUID


class Ticks(Body, frozen=True):
    """Records that are verified in one go, each under an id of its own."""

    decisions: Annotated[list[Tick], Meta(min_length=1, max_length=BULK_LIMIT)]


class BulkAnswer(Answered, frozen=True):
    """What became of each, in order. A refusal leaves the others alone; its code stands where "ok" would."""

    answers: list[CommandAnswer]


@reading(
    "/queue",
    Operation(Queue, refusals=("cursor_invalid", "invalid"), query=("station_id", "grade", "hold", "cursor", "limit")),
)
async def queue(request: AnyRequest) -> Response[Any]:
    """The records that wait for this manager, the oldest first; of one station, of one grade, held for one reason."""
    bank, actor_id = bank_of(request), member_of(request).member_id
    after, limit = cursor_of(request), limit_of(request, 50)
    which = Which(
        station_id=id_query(request, "station_id"),
        grade=choice_query(request, "grade", GRADES),
        hold=choice_query(request, "hold", HOLD_ORDER),
    )
    async with bank.engine.connect() as connection:
        page = await records.queue(
            connection,
            bank.book_id,
            actor_id=actor_id,
            now=bank.clock(),
            which=which,
            after=after,
            limit=limit,
        )
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in page.rows])
    return give(Queue(records=[seen(row, names) for row in page.rows], following=following(page.following)))


@reading("/queue/{record_id:uuid}", Operation(Evidence, refusals=("not_found",)))
async def evidence(request: AnyRequest, record_id: FromPath[UUID]) -> Response[Any]:
    """One record of the manager's branch, decided or not, with its scans."""
    bank, actor_id = bank_of(request), member_of(request).member_id
    async with bank.engine.begin() as connection:
        row = await records.to_decide(connection, bank.book_id, record_id, actor_id=actor_id, now=bank.clock())
        scans = await records.punches(connection, bank.book_id, record_id, bank.keys)
        history, asked = await past_of(connection, bank, record_id)
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id])
        await readings.note(connection, bank.book_id, actor_id, [row.member_id], "record", bank.clock())
    punches = msgspec.convert(scans, list[Punch], from_attributes=True)
    return give(Evidence(record=seen(row, names), punches=punches, history=history, inquiries=asked))


async def past_of(connection: AsyncConnection, bank: Bank, record_id: UUID) -> tuple[list[Step], list[Inquiry]]:
    """Every decision on a record, and every question about it, the first first."""
    steps = await corrections.history(connection, bank.book_id, record_id, bank.keys)
    asked = await inquiries.about(connection, bank.book_id, record_id, bank.keys)
    return (
        msgspec.convert(steps, list[Step], from_attributes=True),
        msgspec.convert(asked, list[Inquiry], from_attributes=True),
    )


def seen(row: Any, names: dict[UUID, str]) -> QueueRecord:
    """A row of the queue as its manager sees it."""
    return shaped(row, QueueRecord, member_name=names.get(row.member_id))


@writing("/decisions", Operation(CommandAnswer, Decision, 201, REFUSALS))
async def decide(request: AnyRequest) -> Response[Any]:
    """Verify, adjust or reject one record.

    `data`: `record_id`, `state`, `credited_minutes`, `points`, `points_state`.
    """
    body = await body_of(request, Decision)
    command = Verify(
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        record_id=body.record_id,
        verdict=body.verdict,
        minutes=body.minutes,
        reason=body.reason,
    )
    return settled(command.id, await bank_of(request).commits.verify.submit(command))


@writing("/decisions/bulk", Operation(BulkAnswer, Ticks, 200))
async def verify_together(request: AnyRequest) -> Response[Any]:
    """Verify up to a thousand records in one go; only those that need no closer look."""
    body, actor_id = await body_of(request, Ticks), member_of(request).member_id
    commands = [
        Verify(id=command_id(tick.id), actor_id=actor_id, record_id=tick.record_id, verdict="verify", bulk=True)
        for tick in body.decisions
    ]
    answers = await bank_of(request).commits.verify.submit_all(commands)
    told = zip(commands, answers, strict=True)
    return give(
        BulkAnswer(
            answers=[CommandAnswer(id=command.id, code=answer.code, data=answer.data) for command, answer in told]
        )
    )


handlers = [queue, evidence, decide, verify_together]
