"""How a correction replaces what a record had earned: reversals, new postings, and what is owed then, in one group."""

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
from timebank.purses import POINT


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
    await purses.reopen(connection, book_id, {each.credit_id for each in paid}, now)
    batch, lent = await taking_back(connection, book_id, earning, earlier, paid, now)
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
    connection: AsyncConnection,
    book_id: int,
    earning: Earning,
    earlier: Sequence[Row[Any]],
    paid: Sequence[Row[Any]],
    now: datetime,
) -> tuple[list[Transfer], int]:
    """The reversals of what a record earned `earlier`, and before them what fills the purses; how much of it is lent.

    `paid` are those of points. What expired unused comes back from there, so that nobody owes what was never spent.
    """
    batch: list[Transfer] = []
    group_id, lent = earning.id_of("group"), 0
    for purse_id in sorted({each.credit_id for each in paid}):
        held, _ = (await purses.standing(connection, book_id, [purse_id]))[purse_id]
        missing = sum(each.amount for each in paid if each.credit_id == purse_id) - held
        for expired in await unused(connection, book_id, purse_id, missing):
            batch.append(undo(expired.id, earning, "unexpire", now))
            missing -= expired.amount
        if missing <= 0:
            continue
        lent += missing
        loan = Transfer(
            id=earning.id_of(f"owe/{purse_id}"),
            debit_id=purses.debt_account(earning.member_id),
            credit_id=purse_id,
            unit=POINT,
            amount=missing,
            code="owe",
            occurred_at=now,
            group_id=group_id,
            source=earning.source(),
        )
        batch.append(loan)
    return batch + [undo(each.id, earning, "reverse", now) for each in earlier], lent


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
        select(table.c.id, table.c.amount)
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
