"""What each event means in the ledger: which accounts a transfer joins, what its id follows from, what it came from.

    event         debit       credit       its id follows from
    fill_fund     issuance    fund         whoever asks
    earn_hours    issuance    hours        the record, or its latest correction
    earn_points   fund        purse        the record, or its latest correction
    repay         purse       debt         the earning that pays back; one group with it
    reverse       the reversal of an earn  the correction; one group with owe and the new earnings
    owe           debt        purse        the correction and the purse
    hold          purse       held         the redemption and the purse; one group a redemption
    release       the reversal of a hold   the hold; one group a redemption
    expire        purse       expired      the purse and its account's version
    unexpire      the reversal of expire   the correction; in its group
    fulfil        held        fulfilled    the hand-over, a command; the redemption where nobody hands over
    undo_fulfil   the reversal of a fulfil the hand-over
    open_points   fund        purse        the row of an import
    merge         hours/purse hours/purse  the command and the account; a release or correction that comes later: it

Ids follow from what is posted, so a record is credited once and a redemption ended once, whatever is sent again. What
comes here was decided under locks; each function posts all of a batch in one call, the last of its transaction.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import book
from ledger.model import HIGHEST, Outcome, Transfer
from ledger.tables import transfer as table
from timebank import purses
from timebank.errors import Conflict, Invalid
from timebank.purses import MINUTE, POINT

SETTLED = (Outcome.ok, Outcome.already_posted)


class Unpostable(RuntimeError):
    """The ledger refused what was decided under locks: a bug. Nothing of the batch may be committed."""


class Opening(NamedTuple):
    """Points that a member brings along, out of a fund. `source` says from where."""

    id: UUID
    member_id: UUID
    fund_id: UUID
    expires_on: date
    points: int
    source: dict[str, Any]


class Left(NamedTuple):
    """What is left in a purse whose last day is over; `version` is that of its account."""

    purse_id: UUID
    points: int
    version: int


async def expire(connection: AsyncConnection, book_id: int, left: Sequence[Left], now: datetime) -> None:
    """Take what is left out of purses, whose members are locked. Raises Unpostable."""
    batch = [
        Transfer(
            # A refund gives the account a new version, and what came back an expiry of its own.
            id=uuid5(each.purse_id, f"expire/{each.version}"),
            debit_id=each.purse_id,
            credit_id=purses.EXPIRED,
            unit=POINT,
            amount=each.points,
            code="expire",
            occurred_at=now,
            source={"purse_id": str(each.purse_id)},
        )
        for each in left
    ]
    await post_all(connection, book_id, batch, now)


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

    What the first owes, the other owes from then on. Both are locked, and nothing is posted to the first any more.
    Raises Unpostable.
    """
    minutes = await purses.hours(connection, book_id, from_id)
    full = [each for each in await purses.purses_of(connection, book_id, [from_id]) if each.points]
    debt = (await purses.owed(connection, book_id, [from_id]))[from_id]
    await purses.open_accounts(
        connection,
        book_id,
        member_ids=[into_id] if minutes else [],
        purses={(into_id, each.fund_id, each.expires_on) for each in full},
        debtor_ids=[into_id] if debt else [],
    )
    # What went over into a purse that is past has to expire there.
    into = {purses.purse_account(into_id, each.fund_id, each.expires_on) for each in full}
    await purses.reopen(connection, book_id, into, now)
    moves = [
        (each.id, purses.purse_account(into_id, each.fund_id, each.expires_on), POINT, each.points) for each in full
    ]
    if minutes:
        moves.append((purses.hours_account(from_id), purses.hours_account(into_id), MINUTE, minutes))
    if debt:
        moves.append((purses.debt_account(into_id), purses.debt_account(from_id), POINT, debt))
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


async def open_points(
    connection: AsyncConnection, book_id: int, openings: Sequence[Opening], now: datetime
) -> list[bool]:
    """Pay points that members bring along into purses of theirs; whether each was paid, or its fund is dry.

    The members are locked. Raises Unpostable.
    """
    keys = [(each.member_id, each.fund_id, each.expires_on) for each in openings]
    await purses.open_accounts(connection, book_id, member_ids=(), purses=keys)
    batch = [
        Transfer(
            id=each.id,
            debit_id=purses.fund_account(each.fund_id),
            credit_id=purses.purse_account(*key),
            unit=POINT,
            amount=each.points,
            code="open_points",
            occurred_at=now,
            source=each.source,
        )
        for each, key in zip(openings, keys, strict=True)
    ]
    paid = []
    for wanted, outcome in zip(batch, await book.post(connection, book_id, batch, now), strict=True):
        if outcome is not Outcome.below_floor:
            require_settled(wanted, outcome)
        paid.append(outcome is not Outcome.below_floor)
    return paid


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
