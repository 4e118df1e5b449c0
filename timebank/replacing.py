"""How a correction replaces what a record had earned: reversals, new postings, and what is owed then, in one group."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.model import Transfer, reversal
from ledger.tables import transfer as table
from timebank import earnings, purses
from timebank.earnings import Earning
from timebank.purses import MINUTE, POINT


@dataclass(frozen=True, slots=True)
class Replacement:
    """How a correction replaces what a record had earned: what to post, and what comes of it.

    `debt_points` are owed because the points that go back were spent; `kept_points` of the new points are moved over
    from the old ones and need nothing of the fund.
    """

    batch: list[Transfer]
    debt_points: int
    kept_points: int


async def replacement(
    connection: AsyncConnection, book_id: int, earning: Earning, *, of: UUID | None, now: datetime
) -> Replacement:
    """How `earning` replaces what its record earned before, by the record itself or by the correction `of`.

    What was earned goes back by reversals, out of purses that are lent what is missing. The new points come from the
    same fund into the same purse, as far as the old ones reach, and pay the loan back; only what they add may have to
    wait for the fund, and pays back older debts. The member and the record are locked. Opens what accounts are missing.
    """
    earlier = await posted(connection, book_id, of or earning.record_id)
    paid = [each for each in earlier if each.unit == POINT]
    if paid:
        purse = await purses.purse_row(connection, book_id, paid[0].credit_id)
        earning = replace(earning, fund_id=purse.fund_id, expires_on=purse.expires_on)
    await earnings.open_for(connection, book_id, [earning], now, debtor_ids={earning.member_id})
    batch, lent = await taking_back(connection, book_id, earning, earlier, now)
    group_id = earning.id_of("group")
    if earning.minutes:
        batch.append(replace(earnings.hours_of(earning), group_id=group_id))
    kept = min(earning.points, sum(each.amount for each in paid if each.debit_id == paid[0].debit_id))
    repaid = min(lent, kept)
    if kept:
        points = replace(earnings.points_of(earning, "points"), amount=kept, group_id=group_id)
        batch.append(points)
        batch += [earnings.repayment(points, earning, repaid, group_id)] if repaid else []
    if more := earning.points - kept:
        owed = await purses.owed(connection, book_id, [earning.member_id])
        owed[earning.member_id] += lent - repaid
        added = replace(earning, points=more)
        batch += earnings.with_repayment(earnings.points_of(added, "more"), added, owed)
    return Replacement(batch, lent - repaid, kept)


async def taking_back(
    connection: AsyncConnection, book_id: int, earning: Earning, earlier: Sequence[Row[Any]], now: datetime
) -> tuple[list[Transfer], int]:
    """The reversals of what a record earned `earlier`, and before them what fills the accounts; how much of it is lent.

    What expired unused comes back from there, so that nobody owes what was never spent; and what went over to the
    survivor of a merge comes from the survivor's, so that nobody owes what is still there.
    """
    own_hours = purses.hours_account(earning.member_id)
    batch = [
        back(earning, own_hours, each.credit_id, each.amount, MINUTE, now)
        for each in earlier
        if each.unit == MINUTE and each.credit_id != own_hours
    ]
    wanted: Counter[UUID] = Counter()
    for each in earlier:
        if each.unit == POINT:
            wanted[each.credit_id] += each.amount
    lent = 0
    if wanted:
        refill, lent = await refilling(connection, book_id, earning, wanted, now)
        batch += refill
    return batch + [undo(each.id, earning, "reverse", now) for each in earlier], lent


async def refilling(
    connection: AsyncConnection, book_id: int, earning: Earning, wanted: Counter[UUID], now: datetime
) -> tuple[list[Transfer], int]:
    """What brings purses to at least what is `wanted` out of them, and how much of it is lent.

    All purses of the fund and day count that belong to the member or to whoever was merged into the member.
    """
    key = (earning.fund_id, earning.expires_on)
    people = [earning.member_id, *await purses.merged_ids(connection, book_id, earning.member_id)]
    own, *others = [purses.purse_account(member_id, *key) for member_id in people]
    if wanted.keys() != {own}:
        await purses.open_accounts(connection, book_id, member_ids=(), purses={(earning.member_id, *key)})
    await purses.reopen(connection, book_id, {own, *others}, now)
    standing = await purses.standing(connection, book_id, [own, *others])
    held = Counter({purse_id: points for purse_id, (points, _) in standing.items()})
    batch: list[Transfer] = []
    missing = wanted.total() - held.total()
    for expired in [each for id_ in (own, *others) for each in await unused(connection, book_id, id_, missing)]:
        if missing > 0:
            batch.append(undo(expired.id, earning, "unexpire", now))
            held[expired.debit_id] += expired.amount
            missing -= expired.amount
    moves = {purse_id: held[purse_id] - wanted[purse_id] for purse_id in others}
    batch += [back(earning, id_, own, points, POINT, now) for id_, points in moves.items() if points > 0]
    if missing > 0:
        batch.append(loan(earning, own, missing, now))
    batch += [back(earning, own, id_, -points, POINT, now) for id_, points in moves.items() if points < 0]
    return batch, max(0, missing)


def loan(earning: Earning, purse_id: UUID, points: int, now: datetime) -> Transfer:
    """What the member owes from now on, because it was spent."""
    return Transfer(
        id=earning.id_of(f"owe/{purse_id}"),
        debit_id=purses.debt_account(earning.member_id),
        credit_id=purse_id,
        unit=POINT,
        amount=points,
        code="owe",
        occurred_at=now,
        group_id=earning.id_of("group"),
        source=earning.source(),
    )


def back(earning: Earning, debit_id: UUID, credit_id: UUID, amount: int, unit: str, now: datetime) -> Transfer:
    """What a merge had moved, back to where a record had earned it; or what is left there, on to the survivor."""
    return Transfer(
        id=earning.id_of(f"merge/{debit_id}/{credit_id}"),
        debit_id=debit_id,
        credit_id=credit_id,
        unit=unit,
        amount=amount,
        code="merge",
        occurred_at=now,
        group_id=earning.id_of("group"),
        source=earning.source(),
    )


def undo(transfer_id: UUID, earning: Earning, code: str, now: datetime) -> Transfer:
    """The reversal of a posting by the correction that `earning` belongs to."""
    return reversal(
        transfer_id,
        id=earning.id_of(f"{code}/{transfer_id}"),
        code=code,
        occurred_at=now,
        group_id=earning.id_of("group"),
        source=earning.source(),
    )


async def posted(connection: AsyncConnection, book_id: int, cause_id: UUID) -> Sequence[Row[Any]]:
    """What a record, or its latest correction, earned: `id`, `unit`, `amount`, `debit_id`, `credit_id`; what still
    waits for its fund was not posted."""
    columns = table.c
    ids = [uuid5(cause_id, what) for what in ("hours", "points", "more")]
    query: Select[Any] = select(columns.id, columns.unit, columns.amount, columns.debit_id, columns.credit_id)
    rows = (await connection.execute(query.where(columns.book_id == book_id, columns.id.in_(ids)))).all()
    return sorted(rows, key=lambda row: ids.index(row.id))


async def unused(connection: AsyncConnection, book_id: int, purse_id: UUID, missing: int) -> Sequence[Row[Any]]:
    """Postings that expired points of a purse, the latest first, until they make up for what is `missing`."""
    if missing <= 0:
        return []
    undone = table.alias()
    query: Select[Any] = (
        select(table.c.id, table.c.amount, table.c.debit_id)
        .where(
            table.c.book_id == book_id,
            table.c.debit_id == purse_id,
            table.c.code == "expire",
            ~select(undone.c.id).where(undone.c.book_id == book_id, undone.c.reverses_id == table.c.id).exists(),
        )
        .order_by(table.c.debit_version.desc())
    )
    found = []
    for row in await connection.execute(query):
        if missing > 0:
            found.append(row)
            missing -= row.amount
    return found
