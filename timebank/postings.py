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
    merge         hours/purse hours/purse  the command and the account; a release that comes later: the release

Ids follow from what is posted, so a record is credited once and a redemption ended once, whatever is sent again. What
comes here was decided under locks; each function posts all of a batch in one call, the last of its transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import Row, Select, select
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


@dataclass(frozen=True, slots=True)
class Replacement:
    """How a correction replaces what a record had earned: what to post, and what comes of it.

    `debt_points` are owed because the points that go back were spent; `kept_points` of the new points are moved over
    from the old ones and need nothing of the fund.
    """

    batch: list[Transfer]
    debt_points: int
    kept_points: int


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
            require_settled(transfer, outcome)
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
    await open_for(connection, book_id, [earning], now, debtor_ids={earning.member_id})
    await purses.reopen(connection, book_id, {each.credit_id for each in paid}, now)
    batch, lent = await taking_back(connection, book_id, earning, earlier, paid, now)
    group_id = earning.id_of("group")
    if earning.minutes:
        batch.append(replace(hours_of(earning), group_id=group_id))
    kept = min(earning.points, sum(each.amount for each in paid if each.debit_id == paid[0].debit_id))
    repaid = min(lent, kept)
    if kept:
        points = replace(points_of(earning, "points"), amount=kept, group_id=group_id)
        batch.append(points)
        batch += [repayment(points, earning, repaid, group_id)] if repaid else []
    if more := earning.points - kept:
        owed = await purses.owed(connection, book_id, [earning.member_id])
        owed[earning.member_id] += lent - repaid
        added = replace(earning, points=more)
        batch += with_repayment(points_of(added, "more"), added, owed)
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
    await post_all(connection, book_id, [*batch, *spending(at_once, now)], now)


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


async def fulfil(connection: AsyncConnection, book_id: int, handed: Sequence[Handed], now: datetime) -> None:
    """What was held for these redemptions is spent. Raises Unpostable."""
    await post_all(connection, book_id, spending(handed, now), now)


def spending(handed: Sequence[Handed], now: datetime) -> list[Transfer]:
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
