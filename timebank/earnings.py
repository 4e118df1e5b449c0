"""What verified records earn their members: hours at once, points out of a fund, and what pays back an older debt."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import book
from ledger.model import Outcome, Transfer
from timebank import postings, purses
from timebank.purses import MINUTE, POINT


@dataclass(frozen=True, slots=True, kw_only=True)
class Earning:
    """What one verified record earns its member, and all that "explain my balance" reads about it.

    Nothing is posted for zero minutes or zero points. `occurred_at` is the check-in.
    """

    record_id: UUID
    member_id: UUID
    fund_id: UUID
    in_punch_id: UUID
    out_punch_id: UUID | None
    verifier_id: UUID
    policy_number: int
    occurred_at: datetime
    minutes: int
    points: int
    expires_on: date
    # The latest correction of the record, from which the ids follow then.
    correction_id: UUID | None = None

    def id_of(self, what: str) -> UUID:
        """The id of the posting of `what`: hours, points, or the more points that a correction adds."""
        return uuid5(self.correction_id or self.record_id, what)

    def source(self) -> dict[str, Any]:
        """Where the postings come from."""
        return {
            "record_id": str(self.record_id),
            "in_punch_id": str(self.in_punch_id),
            "out_punch_id": str(self.out_punch_id) if self.out_punch_id else None,
            "verifier_id": str(self.verifier_id),
            "policy": self.policy_number,
            **({"correction_id": str(self.correction_id)} if self.correction_id else {}),
        }


async def earn(connection: AsyncConnection, book_id: int, earnings: Sequence[Earning], now: datetime) -> set[UUID]:
    """Post the hours and the points of records, opening accounts that are missing; who owes points pays them back.

    The members are locked. Answers the ids of the records whose points their fund could not pay: theirs wait. Raises
    Unpostable.
    """
    paid = [each for each in earnings if each.points]
    await open_for(connection, book_id, earnings, now)
    owed = await purses.owed(connection, book_id, {each.member_id for each in paid})
    batch = []
    for each in earnings:
        if each.minutes:
            batch.append(hours_of(each))
        if each.points:
            # A posting of a correction is what it adds to the points that it kept.
            batch += with_repayment(points_of(each, "more" if each.correction_id else "points"), each, owed)
    return await post_earnings(connection, book_id, batch, now)


async def open_for(
    connection: AsyncConnection,
    book_id: int,
    earnings: Sequence[Earning],
    now: datetime,
    debtor_ids: Iterable[UUID] = (),
) -> None:
    """Open the accounts that earnings go to, and say of purses that are past already that something comes."""
    wanted = {(each.member_id, each.fund_id, each.expires_on) for each in earnings if each.points}
    await purses.open_accounts(
        connection,
        book_id,
        member_ids={each.member_id for each in earnings if each.minutes},
        purses=wanted,
        debtor_ids=debtor_ids,
    )
    if past := [purses.purse_account(*key) for key in wanted if key[2] <= purses.tomorrow(now)]:
        await purses.reopen(connection, book_id, past, now)


async def post_earnings(
    connection: AsyncConnection, book_id: int, batch: Sequence[Transfer], now: datetime
) -> set[UUID]:
    """Post; answers the records whose points a fund could not pay. Everything else must go through."""
    dry = set()
    for transfer, outcome in zip(batch, await book.post(connection, book_id, batch, now), strict=True):
        record_id = UUID(transfer.source["record_id"])
        if outcome is Outcome.below_floor and transfer.code == "earn_points":
            dry.add(record_id)
        elif not (transfer.code == "repay" and record_id in dry):
            postings.require_settled(transfer, outcome)
    return dry


def with_repayment(points: Transfer, earning: Earning, owed: dict[UUID, int]) -> list[Transfer]:
    """Points as they are earned, and what of them pays back what the member owes: both or neither.

    Takes what is paid back from `owed`.
    """
    repaid = min(owed[earning.member_id], earning.points)
    if not repaid:
        return [points]
    owed[earning.member_id] -= repaid
    group_id = uuid5(points.id, "group")
    return [replace(points, group_id=group_id), repayment(points, earning, repaid, group_id)]


def repayment(points: Transfer, earning: Earning, repaid: int, group_id: UUID) -> Transfer:
    """Back to the debt account, out of points just earned."""
    return Transfer(
        id=uuid5(points.id, "repay"),
        debit_id=points.credit_id,
        credit_id=purses.debt_account(earning.member_id),
        unit=POINT,
        amount=repaid,
        code="repay",
        occurred_at=earning.occurred_at,
        group_id=group_id,
        source=earning.source(),
    )


def hours_of(earning: Earning) -> Transfer:
    """The transfer of a record's minutes."""
    return Transfer(
        id=earning.id_of("hours"),
        debit_id=purses.HOURS_ISSUANCE,
        credit_id=purses.hours_account(earning.member_id),
        unit=MINUTE,
        amount=earning.minutes,
        code="earn_hours",
        occurred_at=earning.occurred_at,
        source=earning.source(),
    )


def points_of(earning: Earning, what: str) -> Transfer:
    """The transfer of a record's points, out of the fund of its station."""
    return Transfer(
        id=earning.id_of(what),
        debit_id=purses.fund_account(earning.fund_id),
        credit_id=purses.purse_account(earning.member_id, earning.fund_id, earning.expires_on),
        unit=POINT,
        amount=earning.points,
        code="earn_points",
        occurred_at=earning.occurred_at,
        source=earning.source(),
    )
