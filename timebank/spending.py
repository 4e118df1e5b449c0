"""What redemptions do in the ledger: points are held, given back, spent, and held again where a hand-over is undone."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.model import Transfer, reversal
from timebank import postings, purses
from timebank.purses import POINT


class Part(NamedTuple):
    """What one redemption takes out of one purse; `transfer_id` is that of its hold."""

    transfer_id: UUID
    redemption_id: UUID
    purse_id: UUID
    points: int


class Handed(NamedTuple):
    """A redemption that is fulfilled. `id` is that of the hand-over, because one that is undone may be followed by
    another; of the redemption itself where no clerk is needed."""

    id: UUID
    redemption_id: UUID
    clerk_id: UUID | None
    points: int


def part(redemption_id: UUID, purse_id: UUID, points: int) -> Part:
    """A part of a redemption that is being made."""
    return Part(uuid5(redemption_id, f"hold/{purse_id}"), redemption_id, purse_id, points)


async def hold(
    connection: AsyncConnection, book_id: int, parts: Sequence[Part], now: datetime, *, at_once: Sequence[Handed] = ()
) -> None:
    """Take the parts of redemptions out of their purses; those of one redemption are neighbours. Those `at_once` are
    spent in the same moment. Raises Unpostable."""
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
    await postings.post_all(connection, book_id, [*batch, *handovers(at_once, now)], now)


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
    await purses.reopen(connection, book_id, {each.purse_id for each in parts}, now)
    await postings.post_all(connection, book_id, [*batch, *await onward(connection, book_id, parts, now)], now)


async def onward(connection: AsyncConnection, book_id: int, parts: Sequence[Part], now: datetime) -> list[Transfer]:
    """What came back to the purse of a member who was merged goes on to the survivor's, of the same fund and day."""
    kept = await purses.merged_purses(connection, book_id, {each.purse_id for each in parts})
    await purses.open_accounts(
        connection, book_id, member_ids=(), purses={(row.merged_into, row.fund_id, row.expires_on) for row in kept}
    )
    survivors = {row.id: row for row in kept}
    into = {purses.purse_account(row.merged_into, row.fund_id, row.expires_on) for row in kept}
    await purses.reopen(connection, book_id, into, now)
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


async def fulfil(connection: AsyncConnection, book_id: int, handed: Sequence[Handed], now: datetime) -> None:
    """What was held for these redemptions is spent. Raises Unpostable."""
    await postings.post_all(connection, book_id, handovers(handed, now), now)


def handovers(handed: Sequence[Handed], now: datetime) -> list[Transfer]:
    """The transfers of what was held and is spent now."""
    return [
        Transfer(
            id=uuid5(each.id, "fulfil"),
            debit_id=purses.HELD,
            credit_id=purses.FULFILLED,
            unit=POINT,
            amount=each.points,
            code="fulfil",
            occurred_at=now,
            source={
                "redemption_id": str(each.redemption_id),
                "clerk_id": str(each.clerk_id) if each.clerk_id else None,
            },
        )
        for each in handed
    ]


async def undo_fulfil(connection: AsyncConnection, book_id: int, undone: Sequence[Handed], now: datetime) -> None:
    """What was spent at these hand-overs is held again; `clerk_id` is who undoes. Raises Unpostable."""
    batch = [
        reversal(
            uuid5(each.id, "fulfil"),
            id=uuid5(each.id, "undo"),
            code="undo_fulfil",
            occurred_at=now,
            source={"redemption_id": str(each.redemption_id), "clerk_id": str(each.clerk_id)},
        )
        for each in undone
    ]
    await postings.post_all(connection, book_id, batch, now)
