"""Proves a book from its rows alone: every balance, version, group and reversal is worked out again.

Two passes over the transfers, made by the database in one snapshot; what comes back are findings only, so memory stays
flat however large the book and however much is wrong with it. The cached columns are compared, never relied on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.audit_checks import CHECKS, COUNT_ACCOUNTS, COUNT_TRANSFERS
from ledger.edge import check_book_id
from ledger.model import LedgerError
from ledger.snapshot import take_snapshot

# More of one kind than this says no more than this many do.
FINDINGS_PER_CHECK_MAX = 1000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that the book's rules do not allow. `code` is stable; `subject` is the id of what it was found on."""

    code: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an audit read and found. `cut_short`: the checks that found more than is listed."""

    book_id: int
    transfers: int
    accounts: int
    findings: list[Finding]
    cut_short: list[str]

    @property
    def passed(self) -> bool:
        """Whether the book is as its rules have it."""
        return not self.findings


async def audit(connection: AsyncConnection, book_id: int, progress: Progress | None = None) -> Report:
    """Prove the book, in a read-only snapshot of its own: posting goes on meanwhile.

    It must be the first thing in its transaction, or the transaction must be REPEATABLE READ already; otherwise
    LedgerError `snapshot_needed`. Ask for a fresh connection, and end the transaction afterwards.
    `progress(name, done, total)` is called before each check and once at the end. Raises LedgerError `book_unknown`.
    """
    check_book_id(book_id)
    await take_snapshot(connection)
    if not (
        await connection.execute(text("SELECT id FROM ledger.book WHERE id = :book_id"), {"book_id": book_id})
    ).all():
        raise LedgerError("book_unknown", book_id=book_id)
    findings: list[Finding] = []
    cut_short = []
    for done, (name, statement) in enumerate(CHECKS.items()):
        if progress is not None:
            progress(name, done, len(CHECKS))
        found = await run_check(connection, statement, book_id)
        if len(found) > FINDINGS_PER_CHECK_MAX:
            cut_short.append(name)
        findings += found[:FINDINGS_PER_CHECK_MAX]
    if progress is not None:
        progress("done", len(CHECKS), len(CHECKS))
    return Report(
        book_id=book_id,
        transfers=await count(connection, COUNT_TRANSFERS, book_id),
        accounts=await count(connection, COUNT_ACCOUNTS, book_id),
        findings=findings,
        cut_short=cut_short,
    )


async def run_check(connection: AsyncConnection, check: str, book_id: int) -> list[Finding]:
    """The findings of one check: one more than are kept where there are that many, and never more."""
    statement = text(f"{check} LIMIT :findings_max")
    parameters = {"book_id": book_id, "findings_max": FINDINGS_PER_CHECK_MAX + 1}
    rows = await connection.execute(statement, parameters)
    return [Finding(code=row.code, subject=row.subject, detail=row.detail) for row in rows]


async def count(connection: AsyncConnection, statement: str, book_id: int) -> int:
    """How many rows the book has of something."""
    return int((await connection.execute(text(statement), {"book_id": book_id})).scalar_one())
