"""Where a balance comes from: every line down to the record, its punches, who verified it, and under which rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Uuid, and_, any_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import purses, records
from timebank.cursors import Cursor
from timebank.tables import attendance, fund, punch, purse, record, redemption, reward

Unit = Literal["point", "minute"]


@dataclass(frozen=True, slots=True)
class PurseView:
    """Points of one fund that end on one day."""

    fund_zh: str
    fund_en: str
    points: int
    expires_on: date


@dataclass(frozen=True, slots=True)
class Balance:
    """What a member has: verified minutes, points to spend now, and points held for redemptions.

    `purses` are those that hold points to spend, the first to end first; their points add up to `points`.
    """

    minutes: int
    points: int
    held_points: int
    purses: list[PurseView]


@dataclass(frozen=True, slots=True)
class Line:
    """One posting of a member's, with what it came from.

    `kind` is the transfer's code; `amount` is in points or minutes, below zero when they went away. A line of service
    has its `record` (as `timebank.records.COLUMNS`) and the record's `punches`; a line of a redemption has `id`,
    `state`, `reward_zh` and `reward_en` of it. Fund and last day belong to points alone.
    """

    transfer_id: UUID
    kind: str
    recorded_at: datetime
    amount: int
    fund_zh: str | None
    fund_en: str | None
    expires_on: date | None
    record: Row[Any] | None
    punches: Sequence[Row[Any]]
    redemption: Row[Any] | None


@dataclass(frozen=True, slots=True)
class Lines:
    """One page; `following` is the cursor of the next one, None on the last."""

    lines: list[Line]
    following: Cursor | None


async def balance(connection: AsyncConnection, book_id: int, member_id: UUID, now: datetime) -> Balance:
    """What a member has at `now`. Points whose last day is over are not counted."""
    zone = await purses.time_zone(connection, book_id)
    today = now.astimezone(zone).date()
    valid = await purses.purses_of(connection, book_id, [member_id], today=today)
    funds = await funds_of(connection, book_id, {each.fund_id for each in valid})
    held = await connection.scalar(
        select(func.coalesce(func.sum(redemption.c.points), 0)).where(
            redemption.c.book_id == book_id, redemption.c.member_id == member_id, redemption.c.state == "held"
        )
    )
    return Balance(
        minutes=await purses.hours(connection, book_id, member_id),
        points=sum(each.points for each in valid),
        held_points=int(held or 0),
        purses=[
            PurseView(funds[each.fund_id].name_zh, funds[each.fund_id].name_en, each.points, each.expires_on)
            for each in valid
            if each.points
        ],
    )


async def lines(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    unit: str,
    before: str | None = None,
    limit: int = 20,
) -> Lines:
    """A member's statement of points or of minutes (`Unit`), the latest first. Raises CursorInvalid."""
    cursor = Cursor.read(before)
    own: dict[UUID, Row[Any]] = {}
    if unit == "point":
        own = await purse_rows(connection, book_id, member_id)
    accounts = list(own) if unit == "point" else [purses.hours_account(member_id)]
    found = await purses.statement(connection, book_id, accounts, before=cursor, limit=limit + 1)
    shown = found[:limit]
    services = await served(
        connection, book_id, {UUID(each.source["record_id"]) for each in shown if "record_id" in each.source}
    )
    scans = await punches_of(connection, book_id, list(services))
    redeemed = await redemptions_of(
        connection,
        book_id,
        {UUID(each.source["redemption_id"]) for each in shown if "redemption_id" in each.source},
    )
    funds = await funds_of(connection, book_id, {row.fund_id for row in own.values()})
    page = []
    for each in shown:
        source = own.get(each.account_id)
        record_id = UUID(each.source["record_id"]) if "record_id" in each.source else None
        page.append(
            Line(
                transfer_id=each.transfer_id,
                kind=each.code,
                recorded_at=each.recorded_at,
                amount=each.amount,
                fund_zh=funds[source.fund_id].name_zh if source else None,
                fund_en=funds[source.fund_id].name_en if source else None,
                expires_on=source.expires_on if source else None,
                record=services.get(record_id) if record_id else None,
                punches=scans.get(record_id, []) if record_id else [],
                redemption=redeemed.get(UUID(each.source["redemption_id"])) if "redemption_id" in each.source else None,
            )
        )
    following = Cursor(page[-1].recorded_at, page[-1].transfer_id) if len(found) > limit else None
    return Lines(page, following)


async def purse_rows(connection: AsyncConnection, book_id: int, member_id: UUID) -> dict[UUID, Row[Any]]:
    """Every purse that a member ever had, by its account."""
    rows = await connection.execute(select(purse).where(purse.c.book_id == book_id, purse.c.member_id == member_id))
    return {row.id: row for row in rows}


async def funds_of(connection: AsyncConnection, book_id: int, ids: set[UUID]) -> dict[UUID, Row[Any]]:
    """The names of funds."""
    query: Select[Any] = select(fund.c.id, fund.c.name_zh, fund.c.name_en).where(
        fund.c.book_id == book_id, among(fund.c.id, ids)
    )
    return {row.id: row for row in await connection.execute(query)}


async def served(connection: AsyncConnection, book_id: int, ids: set[UUID]) -> dict[UUID, Row[Any]]:
    """Records, by id."""
    query: Select[Any] = records.of_stations().where(record.c.book_id == book_id, among(record.c.id, ids))
    return {row.id: row for row in await connection.execute(query)}


async def punches_of(connection: AsyncConnection, book_id: int, ids: list[UUID]) -> dict[UUID, list[Row[Any]]]:
    """The scans behind each record, in the order they happened."""
    query: Select[Any] = (
        select(
            attendance.c.id.label("record_id"),
            punch.c.id,
            punch.c.kind,
            punch.c.source,
            punch.c.occurred_at,
            punch.c.holds,
            punch.c.reason,
        )
        .join_from(
            attendance,
            punch,
            and_(
                punch.c.book_id == attendance.c.book_id,
                or_(punch.c.id == attendance.c.in_punch_id, punch.c.id == attendance.c.out_punch_id),
            ),
        )
        .where(attendance.c.book_id == book_id, among(attendance.c.id, ids))
        .order_by(punch.c.occurred_at, punch.c.kind)
    )
    found: dict[UUID, list[Row[Any]]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.record_id, []).append(row)
    return found


async def redemptions_of(connection: AsyncConnection, book_id: int, ids: set[UUID]) -> dict[UUID, Row[Any]]:
    """Redemptions with what they were for, by id."""
    query: Select[Any] = (
        select(
            redemption.c.id,
            redemption.c.state,
            reward.c.name_zh.label("reward_zh"),
            reward.c.name_en.label("reward_en"),
        )
        .join_from(
            redemption, reward, and_(reward.c.book_id == redemption.c.book_id, reward.c.id == redemption.c.reward_id)
        )
        .where(redemption.c.book_id == book_id, among(redemption.c.id, ids))
    )
    return {row.id: row for row in await connection.execute(query)}


def among(column: Any, ids: Any) -> Any:
    """The condition that `column` is one of `ids`, as one parameter, so that the statement is prepared once."""
    return column == any_(literal(list(ids), ARRAY(Uuid)))
