"""Inquiries: a volunteer asks about a record of theirs, a manager of its branch answers, by a correction or in words.

Order 67 gives everybody the right to query their records and to have errors corrected. Question and answer are sealed
under the volunteer's own data key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import helpers, private, records, texts
from timebank.commands import Answer, settle
from timebank.cursors import Cursor, Page, rising
from timebank.errors import Invalid
from timebank.keys import Keys
from timebank.tables import inquiry, member, record, station

TEXT_LIMIT = 500
# What the texts are sealed for.
QUESTION, ANSWER = "inquiry question", "inquiry answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A volunteer's question about one of their records; its id becomes the inquiry's. `by_id`: a helper who asks."""

    id: UUID
    actor_id: UUID
    record_id: UUID
    question: str
    by_id: UUID | None = None

    def content(self) -> tuple[object, ...]:
        """What was written."""
        written = (self.record_id, self.question)
        return written if self.by_id is None else (*written, self.by_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """A manager's answer to a question after which the record stays as it is."""

    id: UUID
    actor_id: UUID
    inquiry_id: UUID
    reason: str

    def content(self) -> tuple[object, ...]:
        """What the manager wrote."""
        return (self.inquiry_id, self.reason)


async def ask(
    connection: AsyncConnection, book_id: int, commands: Sequence[Ask], now: datetime, *, keys: Keys
) -> list[Answer]:
    """Ask about records. `ok` carries `inquiry_id` and `record_id`.

    Refused: `helper_not_allowed`, `not_found` (also somebody else's record), `invalid` (question), `inquiry_open` (the
    last question about this record has no answer yet), `id_reused`.
    """

    async def decide(fresh: list[Ask]) -> list[Answer]:
        return [await ask_one(connection, book_id, command, now, keys) for command in fresh]

    return await settle(connection, book_id, "ask", commands, now, decide)


async def ask_one(connection: AsyncConnection, book_id: int, command: Ask, now: datetime, keys: Keys) -> Answer:
    """One question, under the lock of its record."""
    if helpers.pairs([command]) - await helpers.pairs_in_force(connection, book_id, helpers.pairs([command]), now):
        return Answer("helper_not_allowed")
    try:
        question = texts.lines("question", command.question, TEXT_LIMIT)
    except Invalid as error:
        return Answer(error.code, error.data)
    if not question:
        return Answer(Invalid.code, {"field": "question", "reason": "empty"})
    own = and_(record.c.id == command.record_id, record.c.member_id == command.actor_id)
    query = select(record.c.id).where(record.c.book_id == book_id, own).with_for_update(key_share=True)
    if await connection.scalar(query) is None:
        return Answer("not_found")
    if await lock_open(connection, book_id, command.record_id) is not None:
        return Answer("inquiry_open")
    await connection.execute(
        insert(inquiry).values(
            book_id=book_id,
            id=command.id,
            record_id=command.record_id,
            member_id=command.actor_id,
            question=await private.seal(connection, book_id, keys, command.actor_id, QUESTION, question),
            asked_at=now,
            state="open",
        )
    )
    if command.by_id is not None:
        facts = {"record_id": str(command.record_id)}
        await helpers.write(connection, book_id, "inquiry.ask", command.actor_id, command.by_id, now, facts)
    return Answer("ok", {"inquiry_id": str(command.id), "record_id": str(command.record_id)})


async def decline(
    connection: AsyncConnection, book_id: int, commands: Sequence[Decline], now: datetime, *, keys: Keys
) -> list[Answer]:
    """Answer questions without changing the record. `ok` carries `inquiry_id` and `record_id`.

    Refused: `not_found` (also outside the manager's branch, of himself or his household), `inquiry_closed`,
    `reason_missing`, `invalid` (reason), `id_reused`.
    """

    async def decide(fresh: list[Decline]) -> list[Answer]:
        return [await decline_one(connection, book_id, command, now, keys) for command in fresh]

    return await settle(connection, book_id, "decline", commands, now, decide)


async def decline_one(connection: AsyncConnection, book_id: int, command: Decline, now: datetime, keys: Keys) -> Answer:
    """One answer, under the lock of its inquiry."""
    actor = member.alias()
    query = (
        select(inquiry)
        .join(record, and_(record.c.book_id == inquiry.c.book_id, record.c.id == inquiry.c.record_id))
        .join(station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
        .join(actor, and_(actor.c.book_id == inquiry.c.book_id, actor.c.id == command.actor_id))
        .where(
            inquiry.c.book_id == book_id,
            inquiry.c.id == command.inquiry_id,
            actor.c.state == "active",
            records.may_decide(book_id, command.actor_id, now),
        )
        .with_for_update(of=inquiry, key_share=True)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return Answer("not_found")
    if row.state != "open":
        return Answer("inquiry_closed")
    try:
        reason = texts.lines("reason", command.reason, TEXT_LIMIT)
    except Invalid as error:
        return Answer(error.code, error.data)
    if not reason:
        return Answer("reason_missing")
    await close(connection, book_id, keys, row, reason, actor_id=command.actor_id, correction_id=None, now=now)
    return Answer("ok", {"inquiry_id": str(row.id), "record_id": str(row.record_id)})


async def lock_open(connection: AsyncConnection, book_id: int, record_id: UUID) -> Row[Any] | None:
    """The question about a record that has no answer yet, locked."""
    query = select(inquiry).where(
        inquiry.c.book_id == book_id, inquiry.c.record_id == record_id, inquiry.c.state == "open"
    )
    row: Row[Any] | None = (await connection.execute(query.with_for_update(key_share=True))).one_or_none()
    return row


async def close(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    row: Row[Any],
    text: str,
    *,
    actor_id: UUID,
    correction_id: UUID | None,
    now: datetime,
) -> None:
    """Keep the answer to an open question that is locked."""
    await connection.execute(
        update(inquiry)
        .where(inquiry.c.book_id == book_id, inquiry.c.id == row.id)
        .values(
            state="corrected" if correction_id else "declined",
            answer=await private.seal(connection, book_id, keys, row.member_id, ANSWER, text.strip()),
            answered_by=actor_id,
            answered_at=now,
            correction_id=correction_id,
        )
    )


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question with its answer, opened for who may read them. A text is None once its writer was erased."""

    id: UUID
    record_id: UUID
    member_id: UUID
    question: str | None
    asked_at: datetime
    state: str
    answer: str | None
    answered_by: UUID | None
    answered_at: datetime | None
    correction_id: UUID | None


async def about(connection: AsyncConnection, book_id: int, record_id: UUID, keys: Keys) -> list[Inquiry]:
    """Every question about a record, the first first. Who may see the record may read them."""
    query = select(inquiry).where(inquiry.c.book_id == book_id, inquiry.c.record_id == record_id)
    rows = (await connection.execute(query.order_by(inquiry.c.asked_at, inquiry.c.id))).all()
    return await opened(connection, book_id, keys, rows)


async def opened(connection: AsyncConnection, book_id: int, keys: Keys, rows: Sequence[Row[Any]]) -> list[Inquiry]:
    """Rows of `inquiry` with their texts."""
    people = await private.people(connection, book_id, {row.member_id for row in rows})
    found = []
    for row in rows:
        values = {name: getattr(row, name) for name in Inquiry.__slots__}
        values["question"] = private.opened(keys, people[row.member_id], QUESTION, row.question)
        values["answer"] = private.opened(keys, people[row.member_id], ANSWER, row.answer)
        found.append(Inquiry(**values))
    return found


async def queue(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    station_id: UUID | None = None,
    after: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """The questions that wait for this manager, the oldest first: rows of `inquiry` with `started_at` of the record,
    `measured_minutes`, `credited_minutes`, `record_state`, and the names of station and kind. `opened` opens them."""
    query: Select[Any] = (
        records.of_stations()
        .with_only_columns(
            inquiry,
            record.c.started_at,
            record.c.measured_minutes,
            record.c.credited_minutes,
            record.c.state.label("record_state"),
            *(column for column in records.COLUMNS if column.key in NAMES),
        )
        .join(inquiry, and_(inquiry.c.book_id == record.c.book_id, inquiry.c.record_id == record.c.id))
        .where(inquiry.c.state == "open", records.may_decide(book_id, actor_id, now))
    )
    if station_id is not None:
        query = query.where(record.c.station_id == station_id)
    return await rising(connection, query, inquiry.c.asked_at, inquiry.c.id, after, limit)


NAMES = ("station_id", "station_number", "station_zh", "station_en", "kind_zh", "kind_en")


async def count(connection: AsyncConnection, book_id: int, *, actor_id: UUID, now: datetime) -> int:
    """How many questions wait for this manager."""
    query = (
        select(func.count())
        .select_from(inquiry)
        .join(record, and_(record.c.book_id == inquiry.c.book_id, record.c.id == inquiry.c.record_id))
        .join(station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
        .where(inquiry.c.state == "open", records.may_decide(book_id, actor_id, now))
    )
    return await connection.scalar(query) or 0
