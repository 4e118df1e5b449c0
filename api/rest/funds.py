"""Funds, the figures of a branch, and the audit trail: what administrators and auditors read."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    ListPage,
    Operation,
    ShortText,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    moment_query,
    numbered_cursor,
    reading,
    shaped,
    text_query,
)
from api.state import bank_of
from timebank import funds, overview, purses, trail
from timebank.trail import READERS


class Fund(Answered, frozen=True):
    """One fund of the branch."""

    id: UUID
    name_zh: str
    name_en: str
    region_id: UUID
    region_zh: str
    region_en: str | None
    points: int
    """What it holds now."""
    created_at: datetime


class Funds(ListPage, frozen=True):
    """One page of funds, the latest first."""

    funds: list[Fund]


class FundLine(Answered, frozen=True):
    """One posting of a fund."""

    transfer_id: UUID
    kind: str
    recorded_at: datetime
    amount: int
    """Below zero when points left the fund."""
    balance: int
    """What it held afterwards."""
    record_id: UUID | None
    station_zh: str | None
    station_en: str | None


class FundLines(ListPage, frozen=True):
    """One page of a fund's statement, the latest first."""

    lines: list[FundLine]


class NewFund(Body, frozen=True):
    """A fund to be set up, empty."""

    id: UUID
    """UUID version 7, made by the sender; the fund's id."""
    region_id: UUID
    name_zh: ShortText
    name_en: ShortText


class Filling(Body, frozen=True):
    """Points for a fund."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    points: Annotated[int, Meta(ge=1, le=10**12)]


class Figures(Answered, frozen=True):
    """The branch at a glance."""

    members: int
    minutes: int
    """Verified."""
    people_in: int
    waiting: int
    """Records that nobody has decided yet."""


class FundEntry(Answered, frozen=True):
    """One change."""

    id: UUID
    at: datetime
    actor_id: UUID | None
    """null: the operator, at the machine."""
    action: str
    subject_kind: str
    subject_id: UUID
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    personal: dict[str, Any] | None
    """Names and phone numbers before and after, for the administrators of the member's branch; null for others."""
    region_id: UUID | None
    """Whose branch it concerns; null: the whole book."""


class Trail(ListPage, frozen=True):
    """One page of the audit trail, the latest first."""

    entries: list[FundEntry]


@reading("/funds", Operation(Funds, refusals=("cursor_invalid", "invalid"), query=("region_id", "cursor", "limit")))
async def list_funds(request: AnyRequest) -> Response[Any]:
    """The funds of the branch."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        page = await funds.listed(
            connection,
            bank.book_id,
            actor_id=member_of(request).member_id,
            roles=READERS,
            now=bank.clock(),
            region_id=id_query(request, "region_id"),
            before=cursor_of(request),
            limit=limit_of(request),
        )
        points = await purses.fund_balances(connection, bank.book_id, [row.id for row in page.rows])
    return give(
        Funds(
            funds=[shaped(row, Fund, points=points[row.id]) for row in page.rows], following=following(page.following)
        )
    )


@reading(
    "/funds/{fund_id:uuid}/statement",
    Operation(
        FundLines, refusals=("not_found", "cursor_invalid", "invalid"), query=("since", "until", "cursor", "limit")
    ),
)
async def fund_statement(request: AnyRequest, fund_id: FromPath[UUID]) -> Response[Any]:
    """What went into a fund and out of it."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        await funds.require(
            connection,
            bank.book_id,
            fund_id,
            actor_id=member_of(request).member_id,
            roles=READERS,
            now=bank.clock(),
        )
        lines, later = await funds.statement(
            connection,
            bank.book_id,
            fund_id,
            before=numbered_cursor(request),
            limit=limit_of(request, 50),
            since=moment_query(request, "since"),
            until=moment_query(request, "until"),
        )
    return give(
        FundLines(
            lines=[msgspec.convert(line, FundLine, from_attributes=True) for line in lines],
            following=following(later),
        )
    )


@doing("/funds", NewFund)
async def add_fund(deed: Doing[NewFund]) -> dict[str, Any]:
    """Set up an empty fund of a region."""
    body = deed.body
    fund_id = await funds.add(
        deed.connection,
        deed.bank.book_id,
        name_zh=body.name_zh,
        name_en=body.name_en,
        region_id=body.region_id,
        id=deed.id,
        now=deed.now,
        actor_id=deed.actor_id,
    )
    return {"fund_id": str(fund_id)}


@doing("/funds/{fund_id:uuid}/fillings", Filling)
async def fill_fund(deed: Doing[Filling]) -> None:
    """Put new points into a fund. Who was owed points by it is paid soon afterwards."""
    await funds.fill(
        deed.connection,
        deed.bank.book_id,
        fund_id=deed.subject,
        points=deed.body.points,
        id=deed.id,
        now=deed.now,
        actor_id=deed.actor_id,
    )


@reading("/figures", Operation(Figures))
async def figures(request: AnyRequest) -> Response[Any]:
    """The figures of the branch."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        row = await overview.sums(
            connection, bank.book_id, actor_id=member_of(request).member_id, roles=READERS, now=bank.clock()
        )
    return give(shaped(row, Figures))


@reading(
    "/trail",
    Operation(
        Trail,
        refusals=("cursor_invalid", "invalid"),
        query=("actor_id", "action", "subject_id", "since", "until", "cursor", "limit"),
    ),
)
async def read_trail(request: AnyRequest) -> Response[Any]:
    """Who changed what in the branch, and when."""
    bank, actor_id, now = bank_of(request), member_of(request).member_id, bank_of(request).clock()
    async with bank.engine.connect() as connection:
        page = await trail.search(
            connection,
            bank.book_id,
            actor_id=actor_id,
            now=now,
            by=id_query(request, "actor_id"),
            action=text_query(request, "action"),
            subject_id=id_query(request, "subject_id"),
            since=moment_query(request, "since"),
            until=moment_query(request, "until"),
            before=cursor_of(request),
            limit=limit_of(request, 50),
        )
        personal = await trail.personal(connection, bank.book_id, bank.keys, page.rows, actor_id=actor_id, now=now)
    return give(
        Trail(
            entries=[shaped(row, FundEntry, personal=personal.get(row.id)) for row in page.rows],
            following=following(page.following),
        )
    )


handlers = [list_funds, fund_statement, add_fund.route, fill_fund.route, figures, read_trail]
