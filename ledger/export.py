"""The book as a journal for plain-text accounting: anybody's own tool can add it up again.

Every transfer becomes a transaction of two postings, the account that was credited with a plus, the one that was
debited with a minus, so that the tool's balances are the book's. The journal ends with a balance assertion for every
account: the tool itself says so when one does not come out.
"""

import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.edge import check_book_id
from ledger.model import LedgerError
from ledger.snapshot import take_snapshot
from ledger.tables import account, book, transfer

# Rows fetched at once: memory stays flat however large the book.
ROWS_AT_ONCE = 1000
FIRST_DAY = date(1900, 1, 1)
# What every tool takes for a commodity without quoting or aliases.
PLAIN_UNIT = re.compile(r"[a-z][a-z]{0,11}")


def commodity(unit: str) -> str:
    """The unit in capital letters; a unit of other characters gets a name that no other unit has."""
    if PLAIN_UNIT.fullmatch(unit):
        return unit.upper()
    readable = re.sub(r"[^A-Z]+", "", unit.upper())[:8]
    digest = hashlib.sha256(unit.encode()).digest()[:5]
    return f"U{readable}{''.join(chr(ord('A') + byte % 26) for byte in digest)}X"


def account_name(kind: str, id_: UUID, *, system: bool) -> str:
    """Root, kind and id: `Assets:Purse:5F1C2A4E-…`; accounts of the system are `Equity`."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", kind).strip("-")
    root = "Equity" if system else "Assets"
    return (
        f"{root}:{readable[:1].upper()}{readable[1:]}:{str(id_).upper()}" if readable else f"{root}:{str(id_).upper()}"
    )


class Dialect(Protocol):
    """How one tool writes it. Each answers a block that ends with an empty line."""

    name: ClassVar[str]

    def head(self, title: str) -> str:
        """What stands first."""

    def opening(self, name: str, unit: str) -> str:
        """An account that is open from `FIRST_DAY` on."""

    def entry(self, row: "Row[Any]", day: date, debit: str, credit: str, unit: str) -> str:
        """One transfer."""

    def closing(self, day: date, name: str, balance: int, unit: str) -> str:
        """The balance that an account must have before anything on `day`."""


@dataclass(frozen=True)
class Beancount:
    """https://beancount.github.io/docs/beancount_language_syntax.html"""

    name: ClassVar[str] = "beancount"

    def head(self, title: str) -> str:
        """See `Dialect`."""
        return f'option "title" {quoted(title)}\n\n'

    def opening(self, name: str, unit: str) -> str:
        """See `Dialect`."""
        return f"{FIRST_DAY} open {name} {unit}\n"

    def entry(self, row: "Row[Any]", day: date, debit: str, credit: str, unit: str) -> str:
        """See `Dialect`."""
        facts = "".join(f"  {key}: {quoted(value)}\n" for key, value in facts_of(row))
        return (
            f"{day} * {quoted(row.code)}\n{facts}  {credit}  {row.amount} {unit}\n  {debit}  -{row.amount} {unit}\n\n"
        )

    def closing(self, day: date, name: str, balance: int, unit: str) -> str:
        """See `Dialect`."""
        return f"{day} balance {name}  {balance} {unit}\n"


@dataclass(frozen=True)
class Hledger:
    """https://hledger.org/hledger.html#journal"""

    name: ClassVar[str] = "hledger"

    def head(self, title: str) -> str:
        """See `Dialect`."""
        return f"; {' '.join(title.split())}\n\n"

    def opening(self, name: str, unit: str) -> str:
        """See `Dialect`."""
        return f"account {name}\n"

    def entry(self, row: "Row[Any]", day: date, debit: str, credit: str, unit: str) -> str:
        """See `Dialect`."""
        # A semicolon would begin a comment, a bar would divide payee from note.
        code = re.sub(r"[;|]", ",", row.code)
        facts = "".join(f"    ; {key}: {value}\n" for key, value in facts_of(row) if key != "source")
        return f"{day} * {code}\n{facts}    {credit}  {row.amount} {unit}\n    {debit}  -{row.amount} {unit}\n\n"

    def closing(self, day: date, name: str, balance: int, unit: str) -> str:
        """See `Dialect`."""
        return f"{day} * balance\n    {name}  0 {unit} = {balance} {unit}\n\n"


DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in (Beancount(), Hledger())}


def quoted(value: str) -> str:
    """A string in quotes, as JSON and beancount both read it."""
    return json.dumps(value, ensure_ascii=False)


def facts_of(row: "Row[Any]") -> list[tuple[str, str]]:
    """What a transfer says beside its two sides, by name."""
    facts = [("transfer", str(row.id)), ("occurred", row.occurred_at.isoformat())]
    facts += [("recorded", row.recorded_at.isoformat())]
    if row.group_id is not None:
        facts.append(("group", str(row.group_id)))
    if row.reverses_id is not None:
        facts.append(("reverses", str(row.reverses_id)))
    facts.append(("source", json.dumps(row.source, ensure_ascii=False, sort_keys=True)))
    return facts


async def journal(connection: AsyncConnection, book_id: int, dialect: Dialect) -> AsyncIterator[str]:
    """The whole book as one journal, piece by piece, from one snapshot; posting goes on meanwhile.

    Days are the book's, by when transfers were recorded. It must be the first thing in its transaction. LedgerError
    `book_unknown`, `snapshot_needed`.
    """
    check_book_id(book_id)
    await take_snapshot(connection)
    found = (await connection.execute(select(book).where(book.c.id == book_id))).one_or_none()
    if found is None:
        raise LedgerError("book_unknown", book_id=book_id)
    zone = ZoneInfo(found.time_zone)
    yield dialect.head(found.name)
    async for row in stream(connection, accounts_of(book_id)):
        yield dialect.opening(account_name(row.kind, row.id, system=row.system), commodity(row.unit))
    yield "\n"
    last = FIRST_DAY
    async for row in stream(connection, transfers_of(book_id)):
        last = day_of(row.recorded_at, zone)
        debit = account_name(row.debit_kind, row.debit_id, system=row.debit_system)
        credit = account_name(row.credit_kind, row.credit_id, system=row.credit_system)
        yield dialect.entry(row, last, debit, credit, commodity(row.unit))
    async for row in stream(connection, accounts_of(book_id)):
        name = account_name(row.kind, row.id, system=row.system)
        yield dialect.closing(last + timedelta(days=1), name, row.balance, commodity(row.unit))


def accounts_of(book_id: int) -> Any:
    """Every account of a book, in an order that stays."""
    return select(account).where(account.c.book_id == book_id).order_by(account.c.system, account.c.kind, account.c.id)


def transfers_of(book_id: int) -> Any:
    """Every transfer of a book with what its two accounts are, in the order of recording."""
    debit, credit = account.alias("debit"), account.alias("credit")
    return (
        select(
            transfer,
            debit.c.kind.label("debit_kind"),
            debit.c.system.label("debit_system"),
            credit.c.kind.label("credit_kind"),
            credit.c.system.label("credit_system"),
        )
        .join(debit, (debit.c.book_id == transfer.c.book_id) & (debit.c.id == transfer.c.debit_id))
        .join(credit, (credit.c.book_id == transfer.c.book_id) & (credit.c.id == transfer.c.credit_id))
        .where(transfer.c.book_id == book_id)
        .order_by(transfer.c.recorded_at, transfer.c.id)
    )


async def stream(connection: AsyncConnection, query: Any) -> AsyncIterator[Row[Any]]:
    """The rows of a query, some at a time."""
    async with connection.stream(query, execution_options={"yield_per": ROWS_AT_ONCE}) as rows:
        async for row in rows:
            yield row


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The day of a moment where the book is kept."""
    return at.astimezone(zone).date()
