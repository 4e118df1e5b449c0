"""The bank's accounts in the ledger: their ids, how they are opened, what they hold; see `postings` for what moves.

    issuance ──▶ fund ──▶ purse ──▶ held ──▶ fulfilled          points
                          purse ──▶ expired                     points
                 debt ──▶ purse ──▶ debt                        points
    issuance ──▶ hours                                          minutes

A member has one account of hours, and one purse a fund and expiry date. What is held for a redemption has left its
purse; it comes back as a reversal. What a member owes, because a correction took back points that were spent, is the
debt account's balance below zero.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, Row, Uuid, and_, any_, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import book
from ledger.audit import Progress, Report, audit
from ledger.export import DIALECTS, journal
from ledger.model import Account, LedgerError
from ledger.queries import Line, balances, joint_statement, joint_sum
from ledger.queries import statement as account_statement
from ledger.tables import account
from ledger.tables import book as book_table
from timebank.errors import Conflict, Invalid
from timebank.tables import member, policy_version, purse

__all__ = ["DIALECTS", "LedgerError", "Progress", "Report", "audit", "journal"]

MINUTE, POINT = "minute", "point"

# Ids of accounts that follow from whose they are, so that nobody has to look them up. Any fixed UUID.
NAMESPACE = UUID("5f1c2a4e-7d0b-5c36-9a58-74696d656261")
HOURS_ISSUANCE = uuid5(NAMESPACE, "issuance/minute")
ISSUANCE = uuid5(NAMESPACE, "issuance/point")
HELD = uuid5(NAMESPACE, "held")
FULFILLED = uuid5(NAMESPACE, "fulfilled")
EXPIRED = uuid5(NAMESPACE, "expired")

SYSTEM_ACCOUNTS = (
    Account(id=HOURS_ISSUANCE, unit=MINUTE, kind="issuance", floor=None, system=True),
    Account(id=ISSUANCE, unit=POINT, kind="issuance", floor=None, system=True),
    # Nothing is handed over that was not held before.
    Account(id=HELD, unit=POINT, kind="held", floor=0, system=True),
    Account(id=FULFILLED, unit=POINT, kind="fulfilled", floor=None, system=True),
    Account(id=EXPIRED, unit=POINT, kind="expired", floor=None, system=True),
)

# The rules of a new book, until an administrator decides otherwise: `policy.Rules` with its defaults.
FIRST_RULES: dict[str, Any] = {"rate_points_per_hour": {}}
FIRST_DAY = date(2000, 1, 1)


class Purse(NamedTuple):
    """One member's points of one fund and expiry date."""

    id: UUID
    member_id: UUID
    fund_id: UUID
    expires_on: date
    points: int


def hours_account(member_id: UUID) -> UUID:
    """The id of a member's account of hours."""
    return uuid5(NAMESPACE, f"hours/{member_id}")


def purse_account(member_id: UUID, fund_id: UUID, expires_on: date) -> UUID:
    """The id of a purse, which is also that of its account."""
    return uuid5(NAMESPACE, f"purse/{member_id}/{fund_id}/{expires_on.isoformat()}")


def fund_account(fund_id: UUID) -> UUID:
    """The id of a fund's account."""
    return uuid5(NAMESPACE, f"fund/{fund_id}")


def debt_account(member_id: UUID) -> UUID:
    """The id of the account of what a member owes."""
    return uuid5(NAMESPACE, f"debt/{member_id}")


async def create_book(connection: AsyncConnection, book_id: int, name: str, time_zone: str, *, now: datetime) -> None:
    """Create a book, its system accounts and its first policy. Doing it again changes nothing.

    Errors: `conflict` (field `name`) where the number belongs to a book of another name or time zone.
    """
    try:
        await book.create_book(connection, book_id, name, time_zone)
    except LedgerError as error:
        if error.code == "book_conflict":
            raise Conflict(field="name") from None
        raise Invalid(field=error.data.get("field", "name"), reason=error.code) from None
    await book.open_accounts(connection, book_id, SYSTEM_ACCOUNTS)
    first = {"book_id": book_id, "number": 1, "starts_on": FIRST_DAY, "rules": FIRST_RULES, "created_at": now}
    await connection.execute(insert(policy_version).values(**first).on_conflict_do_nothing())


async def time_zone(connection: AsyncConnection, book_id: int) -> ZoneInfo:
    """The community's time zone: where its days begin."""
    zone = await time_zone_if_any(connection, book_id)
    assert zone is not None  # noqa: S101  whoever asks works in a book that is there
    return zone


async def time_zone_if_any(connection: AsyncConnection, book_id: int) -> ZoneInfo | None:
    """The same; None in a bank that has no city yet."""
    name = await connection.scalar(select(book_table.c.time_zone).where(book_table.c.id == book_id))
    return None if name is None else ZoneInfo(name)


async def book_name(connection: AsyncConnection, book_id: int) -> str:
    """What the book is called: the bank that issues what is issued in its name."""
    name: str = (await connection.execute(select(book_table.c.name).where(book_table.c.id == book_id))).scalar_one()
    return name


async def open_fund(connection: AsyncConnection, book_id: int, fund_id: UUID) -> UUID:
    """Open a fund's account, empty and never below zero; answers the account's id."""
    account = Account(id=fund_account(fund_id), unit=POINT, kind="fund", floor=0, system=True)
    await book.open_accounts(connection, book_id, [account])
    return account.id


async def open_accounts(
    connection: AsyncConnection,
    book_id: int,
    *,
    member_ids: Iterable[UUID],
    purses: Iterable[tuple[UUID, UUID, date]],
    debtor_ids: Iterable[UUID] = (),
) -> None:
    """Open the accounts of hours of `member_ids`, the purses (member, fund, expiry), and the debt accounts of
    `debtor_ids`, those that are missing.

    In one order, so that two batches never wait for each other.
    """
    accounts = {id_: Account(id=id_, unit=MINUTE, kind="hours", floor=0) for id_ in map(hours_account, member_ids)}
    accounts |= {id_: Account(id=id_, unit=POINT, kind="debt", floor=None) for id_ in map(debt_account, debtor_ids)}
    rows = {purse_account(*key): key for key in purses}
    accounts |= {id_: Account(id=id_, unit=POINT, kind="purse", floor=0) for id_ in rows}
    if not accounts:
        return
    await book.open_accounts(connection, book_id, [accounts[id_] for id_ in sorted(accounts)])
    if rows:
        values = [
            {"book_id": book_id, "id": id_, "member_id": member_id, "fund_id": fund_id, "expires_on": expires_on}
            for id_, (member_id, fund_id, expires_on) in sorted(rows.items())
        ]
        await connection.execute(insert(purse).values(values).on_conflict_do_nothing())


async def purses_of(
    connection: AsyncConnection, book_id: int, member_ids: Sequence[UUID], *, today: date | None = None
) -> list[Purse]:
    """The purses of these members with what they hold, the earliest expiry first; with `today`, those still valid."""
    query = select(purse).where(purse.c.book_id == book_id, purse.c.member_id.in_(member_ids))
    if today is not None:
        query = query.where(purse.c.expires_on >= today)
    rows = (await connection.execute(query.order_by(purse.c.expires_on, purse.c.id))).all()
    # In a statement of its own, after whatever lock the caller waited for.
    held = await balances(connection, book_id, [row.id for row in rows])
    return [Purse(row.id, row.member_id, row.fund_id, row.expires_on, held[row.id]) for row in rows]


async def purse_row(connection: AsyncConnection, book_id: int, id: UUID) -> Row[Any]:
    """The purse that an account belongs to."""
    return (await connection.execute(select(purse).where(purse.c.book_id == book_id, purse.c.id == id))).one()


async def standing(connection: AsyncConnection, book_id: int, ids: Sequence[UUID]) -> dict[UUID, tuple[int, int]]:
    """Balance and version of each purse; read after the locks that keep others from taking out of it."""
    query = select(account.c.id, account.c.balance, account.c.version)
    rows = await connection.execute(query.where(account.c.book_id == book_id, account.c.id.in_(ids)))
    return {row.id: (row.balance, row.version) for row in rows}


async def reopen(connection: AsyncConnection, book_id: int, ids: Iterable[UUID], now: datetime) -> None:
    """Say of purses that something is about to come back into them: what is past will expire again.

    Locks those whose last day may be over, in order of their ids, against `postings.expire`; touches no other.
    """
    past = and_(purse.c.book_id == book_id, purse.c.id.in_(sorted(ids)), purse.c.expires_on <= tomorrow(now))
    await connection.execute(select(purse.c.id).where(past).order_by(purse.c.id).with_for_update(key_share=True))
    await connection.execute(update(purse).where(past, purse.c.swept_at.is_not(None)).values(swept_at=None))


def tomorrow(now: datetime) -> date:
    """A day that has not ended anywhere on earth."""
    return now.date() + timedelta(days=1)


async def owed(connection: AsyncConnection, book_id: int, member_ids: Iterable[UUID]) -> dict[UUID, int]:
    """The points that each of these members owes; 0 for most. Lock the members first when it is to be paid back."""
    accounts = {debt_account(member_id): member_id for member_id in member_ids}
    found = await balances(connection, book_id, list(accounts))
    return {member_id: max(0, -found.get(account_id, 0)) for account_id, member_id in accounts.items()}


async def balances_digest(connection: AsyncConnection, book_id: int) -> str:
    """One text that follows from the id, balance and version of every account: other balances, another text."""
    query = text(
        "SELECT encode(sha256(coalesce(string_agg(id::text || ' ' || balance || ' ' || version, ',' ORDER BY id), '')"
        "::bytea), 'hex') FROM ledger.account WHERE book_id = :book_id"
    )
    return str(await connection.scalar(query, {"book_id": book_id}))


async def merged_purses(connection: AsyncConnection, book_id: int, ids: Iterable[UUID]) -> Sequence[Row[Any]]:
    """Those of these purses whose member was merged: the columns of `purse` and `merged_into`, the survivor."""
    query = (
        select(purse, member.c.merged_into)
        .join_from(purse, member, (member.c.book_id == purse.c.book_id) & (member.c.id == purse.c.member_id))
        .where(
            purse.c.book_id == book_id,
            purse.c.id == any_(literal(list(ids), ARRAY(Uuid))),
            member.c.merged_into.is_not(None),
        )
        .order_by(purse.c.id)
    )
    return (await connection.execute(query)).all()


async def merged_ids(connection: AsyncConnection, book_id: int, member_id: UUID) -> list[UUID]:
    """The members who were merged into this one: what their accounts tell is part of this one's story."""
    query = select(member.c.id).where(member.c.book_id == book_id, member.c.merged_into == member_id)
    return [row.id for row in await connection.execute(query.order_by(member.c.id))]


async def hours(connection: AsyncConnection, book_id: int, member_id: UUID) -> int:
    """The verified minutes of a member."""
    account_id = hours_account(member_id)
    return (await balances(connection, book_id, [account_id])).get(account_id, 0)


async def statement(
    connection: AsyncConnection,
    book_id: int,
    account_ids: Sequence[UUID],
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
    record_ids: Collection[UUID] | None = None,
) -> list[Line]:
    """The lines of one member's accounts together, newest first; `before` is the last line of the page before.

    Recorded from `since` on and before `until`; with `record_ids`, those that come from one of these records.
    """
    return await joint_statement(
        connection,
        book_id,
        account_ids,
        before=before,
        limit=limit,
        since=since,
        until=until,
        sources=of_records(record_ids),
    )


async def came_to(
    connection: AsyncConnection,
    book_id: int,
    account_ids: Sequence[UUID],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    record_ids: Collection[UUID] | None = None,
) -> int:
    """The sum of all lines of a `statement`; without `since`, what the accounts held together at `until`."""
    return await joint_sum(connection, book_id, account_ids, since=since, until=until, sources=of_records(record_ids))


def of_records(record_ids: Collection[UUID] | None) -> tuple[str, list[str]] | None:
    """Records as the ledger knows them: by what its transfers say of where they come from."""
    return None if record_ids is None else ("record_id", [str(id_) for id_ in record_ids])


async def fund_balances(connection: AsyncConnection, book_id: int, fund_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The points in each fund."""
    accounts = {fund_account(fund_id): fund_id for fund_id in fund_ids}
    found = await balances(connection, book_id, list(accounts))
    return {accounts[id_]: points for id_, points in found.items()}


async def fund_statement(
    connection: AsyncConnection,
    book_id: int,
    fund_id: UUID,
    *,
    before: int | None,
    limit: int,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Line]:
    """The lines of a fund's account, newest first, recorded from `since` on and before `until`; `before` is the
    `version` of the last line of the page before."""
    return await account_statement(
        connection, book_id, fund_account(fund_id), before=before, limit=limit, since=since, until=until
    )
