"""A balance and everything it came from: a member's own, and to a manager what comes from the branch."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncConnection

from api.auth import member_of
from api.periods import period_of
from api.rest.operation import (
    Answered,
    AnyRequest,
    ListPage,
    Operation,
    choice_query,
    following,
    give,
    limit_of,
    reading,
    text_query,
)
from api.rest.queue import Punch, Record
from api.state import Bank, bank_of
from timebank import explain, members, statements
from timebank.database import snapshot
from timebank.periods import Period

UNITS = ("point", "minute")
QUERY = ("unit", "since:day", "until:day", "cursor", "limit")


class LineRedemption(Answered, frozen=True):
    """The redemption that a line belongs to."""

    id: UUID
    reward_zh: str
    reward_en: str


class LineCorrection(Answered, frozen=True):
    """The correction that posted a line, and what it changed about the record."""

    id: UUID
    made_at: datetime
    minutes_before: int
    minutes_after: int
    points_before: int
    points_after: int


class Line(Answered, frozen=True):
    """One posting, with everything it came from."""

    transfer_id: UUID
    """Its number in the ledger."""
    kind: str
    recorded_at: datetime
    amount: int
    """Points or minutes; below zero when they went away."""
    fund_zh: str | None
    fund_en: str | None
    expires_on: date | None
    record: Record | None
    """As it is now, after every correction."""
    verified_by: str | None
    """Who verified what this line was posted for, by name."""
    verified_at: datetime | None
    policy_number: int | None
    """The version of the rules that this line was posted by."""
    credited_minutes: int | None
    """What was credited for the record when this line was posted."""
    correction: LineCorrection | None
    """Null for what was posted by the first decision."""
    punches: list[Punch]
    redemption: LineRedemption | None


class Statement(ListPage, frozen=True):
    """One page of a statement, the latest first."""

    opening: int
    """The balance when the period began; 0 without `since`."""
    closing: int
    """The balance when the period had ended, or now if it goes on."""
    lines: list[Line]


class BranchStatement(ListPage, frozen=True):
    """One page of what comes from the stations of a manager, the latest first."""

    member_id: UUID
    member_name: str | None
    """None for somebody who was erased."""
    total: int
    """What all lines of the period come to."""
    lines: list[Line]


def asked(request: AnyRequest) -> tuple[str, Period]:
    """Points or minutes, of which days."""
    unit = choice_query(request, "unit", UNITS) or "point"
    return unit, period_of(text_query(request, "since"), text_query(request, "until"))


@reading("/statement", Operation(Statement, refusals=("cursor_invalid", "invalid"), query=QUERY))
async def statement(request: AnyRequest) -> Response[Any]:
    """Every line of a balance with what it came from: check-in, check-out, who verified it, under which rules."""
    bank, member_id = bank_of(request), member_of(request).member_id
    (unit, period), cursor, limit = asked(request), text_query(request, "cursor"), limit_of(request)
    async with snapshot(bank.engine) as connection:
        page = await explain.lines(
            connection, bank.book_id, member_id, unit=unit, period=period, before=cursor, limit=limit
        )
        sums = await statements.sums(connection, bank.book_id, member_id, unit=unit, period=period)
        lines = await explained(connection, bank, page.lines)
    return give(Statement(opening=sums.opening, closing=sums.closing, lines=lines, following=following(page.following)))


@reading(
    "/queue/{record_id:uuid}/statement",
    Operation(BranchStatement, refusals=("not_found", "cursor_invalid", "invalid"), query=QUERY),
)
async def branch_statement(request: AnyRequest, record_id: FromPath[UUID]) -> Response[Any]:
    """Where the points or minutes of a record's volunteer come from, as far as from the manager's stations.

    That the manager looked is kept in the trail.
    """
    bank, actor_id = bank_of(request), member_of(request).member_id
    (unit, period), cursor, limit = asked(request), text_query(request, "cursor"), limit_of(request)
    async with bank.engine.begin() as connection:
        found = await statements.of_branch(
            connection,
            bank.book_id,
            record_id,
            actor_id=actor_id,
            now=bank.clock(),
            unit=unit,
            period=period,
            before=cursor,
            limit=limit,
        )
        lines = await explained(connection, bank, found.page.lines)
        names = await members.names(connection, bank.book_id, bank.keys, [found.record.member_id])
    return give(
        BranchStatement(
            member_id=found.record.member_id,
            member_name=names.get(found.record.member_id),
            total=found.total,
            lines=lines,
            following=following(found.page.following),
        )
    )


async def explained(connection: AsyncConnection, bank: Bank, lines: Iterable[explain.Line]) -> list[Line]:
    """Lines for a program."""
    found = list(lines)
    ids = {line.verified_by for line in found if line.verified_by}
    names = await members.names(connection, bank.book_id, bank.keys, ids)
    return [shaped_line(line, names) for line in found]


def shaped_line(line: explain.Line, names: dict[UUID, str]) -> Line:
    """One of them."""
    return Line(
        transfer_id=line.transfer_id,
        kind=line.kind,
        recorded_at=line.recorded_at,
        amount=line.amount,
        fund_zh=line.fund_zh,
        fund_en=line.fund_en,
        expires_on=line.expires_on,
        record=msgspec.convert(line.record, Record, from_attributes=True) if line.record else None,
        verified_by=names.get(line.verified_by) if line.verified_by else None,
        verified_at=line.verified_at,
        policy_number=line.policy_number,
        credited_minutes=line.credited_minutes,
        correction=msgspec.convert(line.correction, LineCorrection, from_attributes=True) if line.correction else None,
        punches=[msgspec.convert(punch, Punch, from_attributes=True) for punch in line.punches],
        redemption=msgspec.convert(line.redemption, LineRedemption, from_attributes=True) if line.redemption else None,
    )


handlers = [statement, branch_statement]
