"""The verbs that write the book. Each is one round trip, commits nothing, and takes the time from its caller."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.edge import (
    NAME_LENGTH_MAX,
    check_accounts,
    check_batch,
    check_book_id,
    check_id,
    check_size,
    check_text,
    check_time,
)
from ledger.model import Account, LedgerError, Outcome, Transfer, reversal

__all__ = ["RETRIED_SQLSTATES", "close_accounts", "create_book", "open_accounts", "post", "reversal", "send_again"]

# Serialization failure, deadlock, and a unique key that a concurrent batch took first: roll back, send again.
RETRIED_SQLSTATES = frozenset({"40001", "40P01", "23505"})

OUTCOMES = {outcome.value: outcome for outcome in Outcome}

CREATE_BOOK = "SELECT ledger.create_book($1, $2, $3)"
OPEN_ACCOUNTS = "SELECT ledger.open_accounts($1, $2, $3, $4, $5, $6)"
CLOSE_ACCOUNTS = "SELECT ledger.close_accounts($1, $2, $3)"
POST = "SELECT ledger.post($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"


async def create_book(connection: AsyncConnection, book_id: int, name: str, time_zone: str) -> None:
    """Create a book (a number above 0), or find it there with the same name and time zone.

    Raises LedgerError `book_conflict` where the number belongs to a book of another name or time zone.
    """
    check_book_id(book_id)
    check_text(name, "name", NAME_LENGTH_MAX)
    check_text(time_zone, "time_zone")
    await call(connection, CREATE_BOOK, (book_id, name, time_zone))


async def open_accounts(connection: AsyncConnection, book_id: int, accounts: Sequence[Account]) -> None:
    """Open all of `accounts`; those that are open with the same content already are left as they are.

    Raises LedgerError `account_conflict` where an id belongs to an account of other content (roll back then: the
    others are open in this transaction), and `book_unknown`.
    """
    check_book_id(book_id)
    check_accounts(accounts)
    columns = [[getattr(account, name) for account in accounts] for name in ("id", "unit", "kind", "system", "floor")]
    await call(connection, OPEN_ACCOUNTS, (book_id, *columns))


async def close_accounts(connection: AsyncConnection, book_id: int, ids: Sequence[UUID], now: datetime) -> None:
    """Close accounts for ever: what they hold stays readable, and nothing moves in or out any more, reversals included.

    One that is closed already stays as it is. Raises LedgerError `account_unknown` where any id is unknown; then none
    was closed.
    """
    check_book_id(book_id)
    check_size(ids)
    for id_ in ids:
        check_id(id_, "id")
    check_time(now, "now")
    await call(connection, CLOSE_ACCOUNTS, (book_id, list(ids), now))


async def post(connection: AsyncConnection, book_id: int, batch: Sequence[Transfer], now: datetime) -> list[Outcome]:
    """Post a batch: one outcome for each transfer, in the order of the batch, decided as if they came one by one.

    Transfers of one group are neighbours in the batch and are posted together or not at all. A refused transfer
    changes nothing and stops no neighbour outside its group. Call it once and last in a transaction: it locks the
    accounts named, members' by id, then system accounts by id, until the commit.

    Raises LedgerError for malformed input, before anything is sent. Where another session got in between, a
    DBAPIError that `send_again` knows: roll back, and send the same batch, with the same ids, in a new transaction.
    """
    check_book_id(book_id)
    check_time(now, "now")
    sources = check_batch(batch)
    if not batch:
        return []
    parameters = (
        book_id,
        now,
        [transfer.id for transfer in batch],
        [transfer.debit_id for transfer in batch],
        [transfer.credit_id for transfer in batch],
        [transfer.unit for transfer in batch],
        [transfer.amount for transfer in batch],
        [transfer.code for transfer in batch],
        ids_or_none([transfer.group_id for transfer in batch]),
        ids_or_none([transfer.reverses_id for transfer in batch]),
        [transfer.occurred_at for transfer in batch],
        sources,
    )
    outcomes = (await connection.exec_driver_sql(POST, parameters)).scalar_one()
    return [OUTCOMES[outcome] for outcome in outcomes]


def ids_or_none(ids: list[UUID | None]) -> list[UUID | None] | None:
    """A column of ids; None where it holds none, which spares everybody the work of reading that."""
    return ids if any(ids) else None


def send_again(error: DBAPIError) -> bool:
    """Whether `error`, raised by a statement or a commit, is cured by sending the same batch in a new transaction."""
    return getattr(error.orig, "sqlstate", None) in RETRIED_SQLSTATES


async def call(connection: AsyncConnection, statement: str, parameters: tuple[Any, ...]) -> None:
    """Call one of the book's functions that answer `ok` or the code of an error."""
    answer = (await connection.exec_driver_sql(statement, parameters)).scalar_one()
    if answer != "ok":
        raise LedgerError(answer)
