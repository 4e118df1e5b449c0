"""After the decision: a volunteer's own record with its past, questions about it, answers and corrections."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import member_of
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    ListPage,
    Operation,
    body_of,
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
from api.rest.queue import Inquiry, Punch, Record, Step, past_of
from api.state import bank_of
from timebank import inquiries, members, records
from timebank.corrections import Correct
from timebank.inquiries import Ask, Decline

Words = Annotated[str, Meta(max_length=500)]


class OwnRecord(Answered, frozen=True):
    """A record of one's own: the scans it came from, how it was decided and corrected, what was asked about it."""

    record: Record
    punches: list[Punch]
    history: list[Step]
    inquiries: list[Inquiry]


class Correction(Body, frozen=True):
    """How a record is decided anew."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer; the correction's id."""
    record_id: UUID
    minutes: Annotated[int, Meta(ge=0, le=1440)] | None
    """The minutes served; rounding and the daily cap follow from the rules of the record's day. Null takes the record
    back whole."""
    reason: Words
    """The volunteer reads it."""
    inquiry_id: UUID | None = None
    """The question that this answers."""


class Question(Body, frozen=True):
    """What a volunteer asks about a record."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer; the inquiry's id."""
    record_id: UUID
    question: Words


class Reply(Body, frozen=True):
    """An answer after which the record stays as it is."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    reason: Words
    """The volunteer reads it."""


class WaitingInquiry(Inquiry, frozen=True):
    """A question that waits for an answer."""

    member_name: str | None
    station_id: UUID
    station_number: int
    record_state: str


class Inquiries(ListPage, frozen=True):
    """One page of questions, the oldest first."""

    inquiries: list[WaitingInquiry]


@reading("/records/{record_id:uuid}", Operation(OwnRecord, refusals=("not_found",)))
async def my_record(request: AnyRequest, record_id: FromPath[UUID]) -> Response[Any]:
    """One of the volunteer's own records, with everything that was decided about it."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        row = await records.own(connection, bank.book_id, record_id, member_id=member_id)
        scans = await records.punches(connection, bank.book_id, record_id, bank.keys)
        history, asked = await past_of(connection, bank, record_id)
    punches = msgspec.convert(scans, list[Punch], from_attributes=True)
    return give(OwnRecord(record=shaped(row, Record), punches=punches, history=history, inquiries=asked))


@writing(
    "/inquiries",
    Operation(CommandAnswer, Question, 201, ("helper_not_allowed", "not_found", "inquiry_open", "id_reused")),
)
async def ask(request: AnyRequest) -> Response[Any]:
    """Ask about a record of one's own. One question at a time. `data`: `inquiry_id`, `record_id`."""
    body = await body_of(request, Question)
    session = member_of(request)
    command = Ask(
        id=command_id(body.id),
        actor_id=session.member_id,
        record_id=body.record_id,
        question=body.question,
        by_id=session.helper_id,
    )
    return settled(command.id, await bank_of(request).commits.ask.submit(command))


@reading(
    "/inquiries", Operation(Inquiries, refusals=("cursor_invalid", "invalid"), query=("station_id", "cursor", "limit"))
)
async def waiting(request: AnyRequest) -> Response[Any]:
    """The questions that wait for this manager, the oldest first, of one station or of all."""
    bank, actor_id = bank_of(request), member_of(request).member_id
    station_id, after, limit = id_query(request, "station_id"), cursor_of(request), limit_of(request, 50)
    async with bank.engine.connect() as connection:
        page = await inquiries.queue(
            connection,
            bank.book_id,
            actor_id=actor_id,
            now=bank.clock(),
            station_id=station_id,
            after=after,
            limit=limit,
        )
        asked = await inquiries.opened(connection, bank.book_id, bank.keys, page.rows)
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in page.rows])
    found = [
        shaped(row, WaitingInquiry, question=each.question, answer=None, member_name=names.get(row.member_id))
        for row, each in zip(page.rows, asked, strict=True)
    ]
    return give(Inquiries(inquiries=found, following=following(page.following)))


@writing(
    "/inquiries/{inquiry_id:uuid}/answer",
    Operation(CommandAnswer, Reply, 201, ("not_found", "inquiry_closed", "reason_missing", "id_reused")),
)
async def answer(request: AnyRequest, inquiry_id: FromPath[UUID]) -> Response[Any]:
    """Answer a question without correcting the record. `data`: `inquiry_id`, `record_id`."""
    body = await body_of(request, Reply)
    command = Decline(
        id=command_id(body.id), actor_id=member_of(request).member_id, inquiry_id=inquiry_id, reason=body.reason
    )
    return settled(command.id, await bank_of(request).commits.decline.submit(command))


@writing(
    "/corrections",
    Operation(
        CommandAnswer,
        Correction,
        201,
        (
            "not_found",
            "own_record",
            "not_decided",
            "minutes_invalid",
            "reason_missing",
            "second_approver_needed",
            "inquiry_closed",
            "nothing_to_correct",
            "id_reused",
        ),
    ),
)
async def correct(request: AnyRequest) -> Response[Any]:
    """Take back what was decided about a record, and decide it anew.

    `data`: `record_id`, `state`, `credited_minutes`, `points`, `points_state`, and `debt_points`, which the volunteer
    owes because points that went back were spent.
    """
    body = await body_of(request, Correction)
    command = Correct(
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        record_id=body.record_id,
        minutes=body.minutes,
        reason=body.reason,
        inquiry_id=body.inquiry_id,
    )
    return settled(command.id, await bank_of(request).commits.correct.submit(command))


handlers = [my_record, ask, waiting, answer, correct]
