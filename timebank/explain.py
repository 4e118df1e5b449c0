"""Where a balance comes from: every line down to the record, its punches, who verified it, and under which rules."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Uuid, and_, any_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import purses, records
from timebank.clock import local_day
from timebank.cursors import Cursor
from timebank.periods import EVER, Period
from timebank.tables import attendance, correction, decision, fund, punch, purse, record, redemption, reward

Unit = Literal["point", "minute"]
# How many days before they end a volunteer is warned of points.
WARNING_DAYS = 30


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

    `purses` are those that hold points to spend, the first to end first; their points add up to `points`. Of those,
    `expiring_points` end within `WARNING_DAYS`. `owed_points` are paid back out of what is earned next.
    """

    minutes: int
    points: int
    held_points: int
    owed_points: int
    expiring_points: int
    purses: list[PurseView]


@dataclass(frozen=True, slots=True)
class Correction:
    """What a correction changed about its record: minutes and points that were credited before, and after."""

    id: UUID
    made_at: datetime
    minutes_before: int
    minutes_after: int
    points_before: int
    points_after: int


@dataclass(frozen=True, slots=True)
class Line:
    """One posting of a member's, with what it came from.

    `kind` is the transfer's code; `amount` is in points or minutes, below zero when they went away. A line of service
    has its `record` (as `timebank.records.COLUMNS`) and the record's `punches`; a line of a redemption has `id`,
    `state`, `reward_zh` and `reward_en` of it. Fund and last day belong to points alone.

    The record is as it is now; what the line itself was posted for is told beside it: who verified, when, by which
    version of the rules, how many minutes were credited then, and the `correction` that posted it, if one did.
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
    verified_by: UUID | None
    verified_at: datetime | None
    policy_number: int | None
    credited_minutes: int | None
    correction: Correction | None

    @property
    def is_replaced(self) -> bool:
        """Whether the record was corrected after this line."""
        latest = self.record.correction_id if self.record else None
        return latest is not None and (self.correction is None or self.correction.id != latest)


@dataclass(frozen=True, slots=True)
class Lines:
    """One page; `following` is the cursor of the next one, None on the last."""

    lines: list[Line]
    following: Cursor | None


async def balance(connection: AsyncConnection, book_id: int, member_id: UUID, now: datetime) -> Balance:
    """What a member has at `now`. Points whose last day is over are not counted."""
    today = local_day(now, await purses.time_zone(connection, book_id))
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
        owed_points=(await purses.owed(connection, book_id, [member_id]))[member_id],
        expiring_points=sum(each.points for each in valid if each.expires_on <= today + timedelta(days=WARNING_DAYS)),
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
    period: Period = EVER,
    record_ids: Collection[UUID] | None = None,
    before: str | Cursor | None = None,
    limit: int = 20,
) -> Lines:
    """A member's statement of points or of minutes (`Unit`), the latest first; `limit` is at most 999.

    Of the days of `period`, by when lines were recorded; with `record_ids`, only what comes from those records. Raises
    CursorInvalid.
    """
    cursor = before if isinstance(before, Cursor) else Cursor.read(before)
    since, until = await moments_of(connection, book_id, period)
    accounts, own = await accounts_of(connection, book_id, member_id, unit)
    found = await purses.statement(
        connection,
        book_id,
        accounts,
        before=cursor,
        limit=limit + 1,
        since=since,
        until=until,
        record_ids=record_ids,
    )
    shown = found[:limit]
    services = await served(connection, book_id, ids_in(shown, "record_id"))
    scans = await punches_of(connection, book_id, list(services))
    steps = await steps_of(connection, book_id, list(services))
    redeemed = await redemptions_of(connection, book_id, ids_in(shown, "redemption_id"))
    funds = await funds_of(connection, book_id, {row.fund_id for row in own.values()})
    page = []
    for each in shown:
        source = own.get(each.account_id)
        record_id, redemption_id = id_in(each, "record_id"), id_in(each, "redemption_id")
        service = services.get(record_id) if record_id else None
        page.append(
            Line(
                transfer_id=each.transfer_id,
                kind=each.code,
                recorded_at=each.recorded_at,
                amount=each.amount,
                fund_zh=funds[source.fund_id].name_zh if source else None,
                fund_en=funds[source.fund_id].name_en if source else None,
                expires_on=source.expires_on if source else None,
                record=service,
                punches=scans.get(record_id, []) if record_id else [],
                redemption=redeemed.get(redemption_id) if redemption_id else None,
                **decided(each, service, steps.get(record_id, []) if record_id else []),
            )
        )
    following = Cursor(page[-1].recorded_at, page[-1].transfer_id) if len(found) > limit else None
    return Lines(page, following)


async def moments_of(
    connection: AsyncConnection, book_id: int, period: Period
) -> tuple[datetime | None, datetime | None]:
    """When a period begins and has ended, where the community lives."""
    if period == EVER:
        return None, None
    return period.moments(await purses.time_zone(connection, book_id))


async def accounts_of(
    connection: AsyncConnection, book_id: int, member_id: UUID, unit: str
) -> tuple[list[UUID], dict[UUID, Row[Any]]]:
    """The accounts of a member's points or minutes; those of points with the purse that each is."""
    # Whoever was merged into this member earned and spent in accounts of their own.
    people = [member_id, *await purses.merged_ids(connection, book_id, member_id)]
    if unit != "point":
        return [purses.hours_account(person) for person in people], {}
    own = await purse_rows(connection, book_id, people)
    return list(own), own


def id_in(line: Any, name: str) -> UUID | None:
    """What a posting says under `name` about where it comes from."""
    value = line.source.get(name)
    return UUID(value) if value else None


def ids_in(lines: Sequence[Any], name: str) -> set[UUID]:
    """The same of many."""
    return {found for line in lines if (found := id_in(line, name))}


def decided(line: Any, service: Row[Any] | None, steps: Sequence[Row[Any]]) -> dict[str, Any]:
    """What a line was posted for: by the words of the posting itself, and by the decision that they name.

    `steps` are the decisions on its record, the first first.
    """
    correction_id = id_in(line, "correction_id")
    if correction_id:
        step = next((each for each in steps if each.id == correction_id), None)
    else:
        step = next((each for each in reversed(steps) if each.verdict in ("verify", "approve", "adjust")), None)
    minutes = service.credited_minutes if service else None
    if correction_id:
        minutes = step.minutes_after if step else None
    elif first := next((each for each in steps if each.verdict == "reverse"), None):
        minutes = first.minutes_before
    return {
        "verified_by": id_in(line, "verifier_id"),
        "verified_at": step.decided_at if step else None,
        "policy_number": line.source.get("policy"),
        "credited_minutes": minutes,
        "correction": Correction(
            step.id,
            step.decided_at,
            step.minutes_before,
            step.minutes_after,
            step.points_before,
            step.points_after,
        )
        if step and correction_id
        else None,
    }


async def steps_of(connection: AsyncConnection, book_id: int, ids: list[UUID]) -> dict[UUID, list[Row[Any]]]:
    """The decisions on each record, the first first, with what corrections changed; without anybody's words."""
    query: Select[Any] = (
        select(
            decision.c.record_id,
            decision.c.id,
            decision.c.verdict,
            decision.c.decided_at,
            correction.c.minutes_before,
            correction.c.minutes_after,
            correction.c.points_before,
            correction.c.points_after,
        )
        .join_from(
            decision,
            correction,
            and_(correction.c.book_id == decision.c.book_id, correction.c.id == decision.c.id),
            isouter=True,
        )
        .where(decision.c.book_id == book_id, among(decision.c.record_id, ids))
        .order_by(decision.c.decided_at, decision.c.id)
    )
    found: dict[UUID, list[Row[Any]]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.record_id, []).append(row)
    return found


async def purse_rows(connection: AsyncConnection, book_id: int, people: list[UUID]) -> dict[UUID, Row[Any]]:
    """Every purse that these members ever had, by its account."""
    rows = await connection.execute(select(purse).where(purse.c.book_id == book_id, among(purse.c.member_id, people)))
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
