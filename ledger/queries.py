"""Reading the book. Every answer is what the database held when the statement began."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Subquery,
    Text,
    Uuid,
    all_,
    any_,
    func,
    literal,
    select,
    text,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.edge import check_book_id, check_id, check_number, check_size, check_time
from ledger.model import LedgerError
from ledger.tables import account, transfer

LIMIT_MAX = 1000
# A name in `source`, and the values that are meant.
Sources = tuple[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One transfer, seen from the account `account_id`: `amount` is above 0 for a credit, below 0 for a debit."""

    account_id: UUID
    version: int
    transfer_id: UUID
    other_id: UUID
    unit: str
    amount: int
    balance: int
    code: str
    group_id: UUID | None
    reverses_id: UUID | None
    reversed_by_id: UUID | None
    occurred_at: datetime
    recorded_at: datetime
    source: dict[str, Any]


async def balances(connection: AsyncConnection, book_id: int, ids: Sequence[UUID]) -> dict[UUID, int]:
    """The balance of each account of `ids` that exists, by id."""
    check_book_id(book_id)
    check_size(ids)
    for id_ in ids:
        check_id(id_, "id")
    rows = await connection.execute(
        select(account.c.id, account.c.balance).where(account.c.book_id == book_id, account.c.id.in_(ids))
    )
    return {row.id: row.balance for row in rows}


# Versions of an account are 1, 2, 3 … and `recorded_at` never runs against them, so the last version recorded by a
# time is found by halving: some twenty index lookups for a million transfers, and no index by time to keep.
BALANCE_AT = text("""
WITH RECURSIVE search (low, high) AS (
  SELECT 0::bigint, version FROM ledger.account WHERE book_id = :book_id AND id = :account_id
  UNION ALL
  SELECT CASE WHEN middle.is_by_then THEN middle.version ELSE low END,
    CASE WHEN middle.is_by_then THEN high ELSE middle.version - 1 END
  FROM search CROSS JOIN LATERAL (
    SELECT half.version, coalesce(
      (SELECT recorded_at FROM ledger.transfer
        WHERE book_id = :book_id AND debit_id = :account_id AND debit_version = half.version),
      (SELECT recorded_at FROM ledger.transfer
        WHERE book_id = :book_id AND credit_id = :account_id AND credit_version = half.version)
    ) <= :at AS is_by_then
    FROM (SELECT (low + high + 1) / 2) AS half (version)
  ) AS middle
  WHERE low < high
)
SELECT coalesce(
  (SELECT debit_balance FROM ledger.transfer
    WHERE book_id = :book_id AND debit_id = :account_id AND debit_version = low),
  (SELECT credit_balance FROM ledger.transfer
    WHERE book_id = :book_id AND credit_id = :account_id AND credit_version = low),
  0)
FROM search WHERE low = high
""")


async def balance_at(connection: AsyncConnection, book_id: int, account_id: UUID, at: datetime) -> int:
    """The account's balance after everything the book had recorded up to and including `at`.

    Raises LedgerError `account_unknown`.
    """
    check_book_id(book_id)
    check_id(account_id, "account_id")
    check_time(at, "at")
    parameters = {"book_id": book_id, "account_id": account_id, "at": at}
    balance = (await connection.execute(BALANCE_AT, parameters)).scalar()
    if balance is None:
        raise LedgerError("account_unknown", account_id=account_id)
    return int(balance)


async def statement(
    connection: AsyncConnection,
    book_id: int,
    account_id: UUID,
    *,
    before: int | None = None,
    limit: int = 50,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Line]:
    """The account's transfers, newest first: at most `limit` (1 to 1,000), all of a version below `before`, recorded
    from `since` on and before `until`.

    For the next page, pass the last line's version. A page once read never changes, but for `reversed_by_id`.
    Raises LedgerError `account_unknown`.
    """
    check_book_id(book_id)
    check_id(account_id, "account_id")
    if before is not None:
        check_number(before, "before")
    check_limit(limit)
    check_times(since, until)
    sides = [side(book_id, [account_id], sign) for sign in (-1, 1)]
    if before is not None:
        sides = [lines.where(lines.selected_columns.version < before) for lines in sides]
    sides = [lines.where(*within(lines.selected_columns.recorded_at, since, until)) for lines in sides]
    newest = [select(lines.order_by(text("version DESC")).limit(limit).subquery()) for lines in sides]
    both = union_all(*newest).subquery("both")
    rows = (await connection.execute(select(both).order_by(both.c.version.desc()).limit(limit))).all()
    if not rows and not await balances(connection, book_id, [account_id]):
        raise LedgerError("account_unknown", account_id=account_id)
    return [Line(**row._mapping) for row in rows]


async def joint_statement(
    connection: AsyncConnection,
    book_id: int,
    ids: Sequence[UUID],
    *,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
    since: datetime | None = None,
    until: datetime | None = None,
    sources: Sources | None = None,
) -> list[Line]:
    """The transfers of several accounts together, newest first, those of one moment by id; at most `limit` (to 1,000).

    A transfer between two of the accounts changes nothing of what they hold together, and has no line. For the next
    page, `before` is the last line's `recorded_at` and `transfer_id`. Recorded from `since` on and before `until`; of
    `sources`, those whose source has one of the values under the name. Reads every transfer of these accounts: meant
    for the few accounts of one person, not for a fund. Ids that are no account's have no lines.
    """
    both = check_joint(book_id, ids, since, until)
    if before is not None:
        check_time(before[0], "before")
        check_id(before[1], "before")
    check_limit(limit)
    query = select(both).where(
        both.c.other_id != all_(literal(list(ids), ARRAY(Uuid))), *recorded(both, since, until, sources)
    )
    if before is not None:
        query = query.where(tuple_(both.c.recorded_at, both.c.transfer_id) < tuple_(*before))
    query = query.order_by(both.c.recorded_at.desc(), both.c.transfer_id.desc()).limit(limit)
    return [Line(**row._mapping) for row in await connection.execute(query)]


async def joint_sum(
    connection: AsyncConnection,
    book_id: int,
    ids: Sequence[UUID],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    sources: Sources | None = None,
) -> int:
    """What the lines of a `joint_statement` come to, all of them: without `since`, what the accounts held at `until`.

    The accounts are of one unit. Reads every transfer of these accounts.
    """
    both = check_joint(book_id, ids, since, until)
    query = select(func.coalesce(func.sum(both.c.amount), 0)).where(*recorded(both, since, until, sources))
    return int((await connection.execute(query)).scalar_one())


def check_joint(book_id: int, ids: Sequence[UUID], since: datetime | None, until: datetime | None) -> Subquery:
    """Refuse what is no question about several accounts; answers both sides of their transfers."""
    check_book_id(book_id)
    check_size(ids)
    for id_ in ids:
        check_id(id_, "id")
    check_times(since, until)
    return union_all(*(side(book_id, ids, sign) for sign in (-1, 1))).subquery("both")


def recorded(
    both: Subquery, since: datetime | None, until: datetime | None, sources: Sources | None
) -> list[ColumnElement[bool]]:
    """The conditions that lines were recorded in a time and come from these sources."""
    found = within(both.c.recorded_at, since, until)
    if sources is not None:
        name, values = sources
        found.append(both.c.source[name].astext == any_(literal(list(values), ARRAY(Text))))
    return found


def within(at: ColumnElement[datetime], since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """The conditions that a moment lies in a time."""
    return [*([at >= since] if since is not None else []), *([at < until] if until is not None else [])]


def check_times(since: datetime | None, until: datetime | None) -> None:
    """Refuse what are no moments to begin and to end with."""
    for value, field in ((since, "since"), (until, "until")):
        if value is not None:
            check_time(value, field)


def check_limit(limit: int) -> None:
    """Refuse a page that is empty or too long."""
    check_number(limit, "limit")
    if not 1 <= limit <= LIMIT_MAX:
        raise LedgerError("number_out_of_range", field="limit")


def side(book_id: int, ids: Sequence[UUID], sign: int) -> Select[Any]:
    """The lines in which one of the accounts is debited (`sign` -1) or credited (1)."""
    columns = transfer.c
    own, version, balance, other = (
        (columns.debit_id, columns.debit_version, columns.debit_balance, columns.credit_id)
        if sign < 0
        else (columns.credit_id, columns.credit_version, columns.credit_balance, columns.debit_id)
    )
    later = transfer.alias("later")
    return select(
        own.label("account_id"),
        version.label("version"),
        columns.id.label("transfer_id"),
        other.label("other_id"),
        columns.unit,
        (columns.amount * literal(sign)).label("amount"),
        balance.label("balance"),
        columns.code,
        columns.group_id,
        columns.reverses_id,
        select(later.c.id)
        .where(later.c.book_id == book_id, later.c.reverses_id == columns.id)
        .scalar_subquery()
        .label("reversed_by_id"),
        columns.occurred_at,
        columns.recorded_at,
        columns.source,
    ).where(columns.book_id == book_id, own == any_(literal(list(ids), ARRAY(Uuid))))
