"""What each event means in the ledger: which accounts a transfer joins, what its id follows from, what it came from.

    event         debit       credit       its id follows from
    fill_fund     issuance    fund         whoever asks
    earn_hours    issuance    hours        the record
    earn_points   fund        purse        the record
    hold          purse       held         the redemption and the purse; one group a redemption
    release       the reversal of a hold   the hold; one group a redemption
    fulfil        held        fulfilled    the redemption
    merge         hours/purse hours/purse  the command and the account; a release that comes later: the release

Ids follow from what is posted, so a record is credited once and a redemption ended once, whatever is sent again. What
comes here was decided under locks; each function posts all of a batch in one call, the last of its transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import book
from ledger.model import HIGHEST, Outcome, Transfer, reversal
from ledger.tables import transfer as table
from timebank import purses
from timebank.errors import Conflict, Invalid
from timebank.purses import MINUTE, POINT

SETTLED = (Outcome.ok, Outcome.already_posted)


class Unpostable(RuntimeError):
    """The ledger refused what was decided under locks: a bug. Nothing of the batch may be committed."""


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

    def source(self) -> dict[str, Any]:
        """Where the postings come from."""
        return {
            "record_id": str(self.record_id),
            "in_punch_id": str(self.in_punch_id),
            "out_punch_id": str(self.out_punch_id) if self.out_punch_id else None,
            "verifier_id": str(self.verifier_id),
            "policy": self.policy_number,
        }


class Part(NamedTuple):
    """What one redemption takes out of one purse; `transfer_id` is that of its hold."""

    transfer_id: UUID
    redemption_id: UUID
    purse_id: UUID
    points: int


class Handed(NamedTuple):
    """A redemption that a clerk hands over."""

    redemption_id: UUID
    clerk_id: UUID
    points: int


def part(redemption_id: UUID, purse_id: UUID, points: int) -> Part:
    """A part of a redemption that is being made."""
    return Part(uuid5(redemption_id, f"hold/{purse_id}"), redemption_id, purse_id, points)


async def earn(connection: AsyncConnection, book_id: int, earnings: Sequence[Earning], now: datetime) -> set[UUID]:
    """Post the hours and the points of records, opening accounts that are missing.

    Answers the ids of the records whose points their fund could not pay: theirs wait. Raises Unpostable.
    """
    await purses.open_accounts(
        connection,
        book_id,
        member_ids={each.member_id for each in earnings if each.minutes},
        purses={(each.member_id, each.fund_id, each.expires_on) for each in earnings if each.points},
    )
    batch = []
    for each in earnings:
        if each.minutes:
            batch.append(hours_of(each))
        if each.points:
            batch.append(points_of(each))
    dry = set()
    for transfer, outcome in zip(batch, await book.post(connection, book_id, batch, now), strict=True):
        if outcome is Outcome.below_floor and transfer.code == "earn_points":
            dry.add(UUID(transfer.source["record_id"]))
        else:
            require_settled(transfer, outcome)
    return dry


def hours_of(earning: Earning) -> Transfer:
    """The transfer of a record's minutes."""
    return Transfer(
        id=uuid5(earning.record_id, "hours"),
        debit_id=purses.HOURS_ISSUANCE,
        credit_id=purses.hours_account(earning.member_id),
        unit=MINUTE,
        amount=earning.minutes,
        code="earn_hours",
        occurred_at=earning.occurred_at,
        source=earning.source(),
    )


def points_of(earning: Earning) -> Transfer:
    """The transfer of a record's points, out of the fund of its station."""
    return Transfer(
        id=uuid5(earning.record_id, "points"),
        debit_id=purses.fund_account(earning.fund_id),
        credit_id=purses.purse_account(earning.member_id, earning.fund_id, earning.expires_on),
        unit=POINT,
        amount=earning.points,
        code="earn_points",
        occurred_at=earning.occurred_at,
        source=earning.source(),
    )


async def hold(connection: AsyncConnection, book_id: int, parts: Sequence[Part], now: datetime) -> None:
    """Take the parts of redemptions out of their purses; those of one redemption are neighbours. Raises Unpostable."""
    batch = [
        Transfer(
            id=each.transfer_id,
            debit_id=each.purse_id,
            credit_id=purses.HELD,
            unit=POINT,
            amount=each.points,
            code="hold",
            occurred_at=now,
            group_id=each.redemption_id,
            source={"redemption_id": str(each.redemption_id)},
        )
        for each in parts
    ]
    await post_all(connection, book_id, batch, now)


async def release(connection: AsyncConnection, book_id: int, parts: Sequence[Part], now: datetime) -> None:
    """Give held parts back to the purses they came from; those of one redemption are neighbours. Raises Unpostable."""
    batch = [
        reversal(
            each.transfer_id,
            id=uuid5(each.transfer_id, "release"),
            code="release",
            occurred_at=now,
            group_id=uuid5(each.redemption_id, "release"),
            source={"redemption_id": str(each.redemption_id)},
        )
        for each in parts
    ]
    await post_all(connection, book_id, [*batch, *await onward(connection, book_id, parts, now)], now)


async def onward(connection: AsyncConnection, book_id: int, parts: Sequence[Part], now: datetime) -> list[Transfer]:
    """What came back to the purse of a member who was merged goes on to the survivor's, of the same fund and day."""
    kept = await purses.merged_purses(connection, book_id, {each.purse_id for each in parts})
    await purses.open_accounts(
        connection, book_id, member_ids=(), purses={(row.merged_into, row.fund_id, row.expires_on) for row in kept}
    )
    survivors = {row.id: row for row in kept}
    return [
        Transfer(
            id=uuid5(each.transfer_id, "merge"),
            debit_id=each.purse_id,
            credit_id=purses.purse_account(row.merged_into, row.fund_id, row.expires_on),
            unit=POINT,
            amount=each.points,
            code="merge",
            occurred_at=now,
            source={"merged_id": str(row.member_id), "member_id": str(row.merged_into)},
        )
        for each in parts
        if (row := survivors.get(each.purse_id))
    ]


async def merge(
    connection: AsyncConnection,
    book_id: int,
    *,
    id: UUID,
    from_id: UUID,
    into_id: UUID,
    actor_id: UUID | None,
    now: datetime,
) -> tuple[int, int]:
    """Empty one member's hours and purses into another's, of the same fund and last day; answers minutes and points.

    Both are locked, and nothing is posted to the first any more. Raises Unpostable.
    """
    minutes = await purses.hours(connection, book_id, from_id)
    full = [each for each in await purses.purses_of(connection, book_id, [from_id]) if each.points]
    await purses.open_accounts(
        connection,
        book_id,
        member_ids=[into_id] if minutes else [],
        purses={(into_id, each.fund_id, each.expires_on) for each in full},
    )
    moves = [
        (each.id, purses.purse_account(into_id, each.fund_id, each.expires_on), POINT, each.points) for each in full
    ]
    if minutes:
        moves.append((purses.hours_account(from_id), purses.hours_account(into_id), MINUTE, minutes))
    batch = [
        Transfer(
            id=uuid5(id, f"merge/{debit_id}"),
            debit_id=debit_id,
            credit_id=credit_id,
            unit=unit,
            amount=amount,
            code="merge",
            occurred_at=now,
            source={
                "merged_id": str(from_id),
                "member_id": str(into_id),
                "actor_id": str(actor_id) if actor_id else None,
            },
        )
        for debit_id, credit_id, unit, amount in moves
    ]
    await post_all(connection, book_id, batch, now)
    return minutes, sum(each.points for each in full)


async def fulfil(connection: AsyncConnection, book_id: int, handed: Sequence[Handed], now: datetime) -> None:
    """What was held for these redemptions is spent. Raises Unpostable."""
    batch = [
        Transfer(
            id=uuid5(each.redemption_id, "fulfil"),
            debit_id=purses.HELD,
            credit_id=purses.FULFILLED,
            unit=POINT,
            amount=each.points,
            code="fulfil",
            occurred_at=now,
            source={"redemption_id": str(each.redemption_id), "clerk_id": str(each.clerk_id)},
        )
        for each in handed
    ]
    await post_all(connection, book_id, batch, now)


async def fill_fund(
    connection: AsyncConnection,
    book_id: int,
    *,
    id: UUID,
    fund_id: UUID,
    points: int,
    actor_id: UUID | None,
    now: datetime,
) -> bool:
    """Put new points into a fund; whether that is new, or this id did it before.

    Errors: `invalid` (points: a whole number above zero that the fund can still hold), `conflict` (field `id`: used
    for something else before).
    """
    out_of_range = Invalid(field="points", reason="range", lowest=1, highest=HIGHEST)
    if not 0 < points <= HIGHEST:
        raise out_of_range
    filling = Transfer(
        id=id,
        debit_id=purses.ISSUANCE,
        credit_id=purses.fund_account(fund_id),
        unit=POINT,
        amount=points,
        code="fill_fund",
        occurred_at=now,
        source={"fund_id": str(fund_id), "actor_id": str(actor_id) if actor_id else None},
    )
    (outcome,) = await book.post(connection, book_id, [filling], now)
    if outcome is Outcome.overflow:
        raise out_of_range
    if outcome is not Outcome.ok and not await is_posted(connection, book_id, filling):
        raise Conflict(field="id")
    return outcome is Outcome.ok


async def is_posted(connection: AsyncConnection, book_id: int, wanted: Transfer) -> bool:
    """Whether `wanted` was posted, be it at another time."""
    columns = table.c
    query = select(columns.debit_id, columns.credit_id, columns.amount, columns.code, columns.source)
    row = (await connection.execute(query.where(columns.book_id == book_id, columns.id == wanted.id))).one_or_none()
    return row is not None and tuple(row) == (
        wanted.debit_id,
        wanted.credit_id,
        wanted.amount,
        wanted.code,
        wanted.source,
    )


async def post_all(connection: AsyncConnection, book_id: int, batch: Sequence[Transfer], now: datetime) -> None:
    """Post what cannot be refused."""
    for transfer, outcome in zip(batch, await book.post(connection, book_id, batch, now), strict=True):
        require_settled(transfer, outcome)


def require_settled(transfer: Transfer, outcome: Outcome) -> None:
    """Raise Unpostable for a transfer that was refused."""
    if outcome not in SETTLED:
        raise Unpostable(f"{transfer.code} of {transfer.source}: {outcome}")
