"""The edge: whatever the database could not take, or would take for something else, is refused here with a code."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from ledger.model import HIGHEST, Account, LedgerError, Transfer

BATCH_SIZE_MAX = 10_000
TEXT_LENGTH_MAX = 64
NAME_LENGTH_MAX = 200
SOURCE_BYTES_MAX = 4096
BOOK_ID_MAX = 2**31 - 1
# The ends of Python's calendar mean infinity to the database driver, and come back without an offset.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)

# A NUL inside JSON text: an escape that is not itself the tail of an escaped backslash.
NUL_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
EMPTY_SOURCE = "{}"


def check_book_id(book_id: int) -> None:
    """Refuse what is no book's number."""
    if type(book_id) is not int:
        raise LedgerError("wrong_type", field="book_id")
    if not 0 < book_id <= BOOK_ID_MAX:
        raise LedgerError("number_out_of_range", field="book_id")


def check_id(value: UUID | None, field: str) -> None:
    """Refuse what is no UUID."""
    if not isinstance(value, UUID):
        raise LedgerError("wrong_type", field=field)


def check_number(value: int | None, field: str) -> None:
    """Refuse what a signed 64-bit column cannot hold; True and 1.0 are no numbers here."""
    if type(value) is not int:
        raise LedgerError("wrong_type", field=field)
    if not -HIGHEST <= value <= HIGHEST:
        raise LedgerError("number_out_of_range", field=field)


def check_text(value: str | None, field: str, length_max: int = TEXT_LENGTH_MAX) -> None:
    """Refuse empty, overlong and unstorable text."""
    if not isinstance(value, str):
        raise LedgerError("wrong_type", field=field)
    if not value:
        raise LedgerError("text_empty", field=field)
    if len(value) > length_max:
        raise LedgerError("text_too_long", field=field, length_max=length_max)
    if not value.isprintable():
        # Covers NUL and lone surrogates, which PostgreSQL cannot store, and line breaks, which belong in no label.
        raise LedgerError("text_unprintable", field=field)


def check_time(value: datetime, field: str) -> None:
    """Refuse a time without an offset, and one outside the centuries that a book can be about."""
    if not isinstance(value, datetime):
        raise LedgerError("wrong_type", field=field)
    if value.utcoffset() is None:
        raise LedgerError("time_naive", field=field)
    if not EARLIEST <= value < LATEST:
        raise LedgerError("time_out_of_range", field=field)


def check_accounts(accounts: Sequence[Account]) -> None:
    """Refuse accounts that could not be opened."""
    check_size(accounts)
    for account in accounts:
        if not isinstance(account, Account):
            raise LedgerError("wrong_type", field="account")
        check_id(account.id, "id")
        check_text(account.unit, "unit")
        check_text(account.kind, "kind")
        if type(account.system) is not bool:
            raise LedgerError("wrong_type", field="system")
        if account.floor is not None:
            check_number(account.floor, "floor")
            if not -HIGHEST < account.floor <= 0:
                raise LedgerError("number_out_of_range", field="floor")


def check_size(batch: Sequence[Any]) -> None:
    """Refuse more at once than one transaction should hold locks for."""
    if len(batch) > BATCH_SIZE_MAX:
        raise LedgerError("batch_too_large", size_max=BATCH_SIZE_MAX)


def check_batch(batch: Sequence[Transfer]) -> list[str]:
    """Refuse a batch with anything malformed in it; each transfer's source as JSON text, in order."""
    check_size(batch)
    return [check_transfer(transfer) for transfer in batch] if not grouped(batch) else check_groups(batch)


def grouped(batch: Sequence[Transfer]) -> bool:
    """Whether any transfer of the batch belongs to a group."""
    return any(getattr(transfer, "group_id", None) is not None for transfer in batch)


def check_groups(batch: Sequence[Transfer]) -> list[str]:
    """As `check_batch`; refuse besides a group that stands in two places, or holds one id twice."""
    sources = [check_transfer(transfer) for transfer in batch]
    ids_by_group: dict[UUID, set[UUID]] = {}
    current = None
    for transfer in batch:
        group_id = transfer.group_id
        if group_id is None:
            current = None
            continue
        if group_id != current and group_id in ids_by_group:
            raise LedgerError("group_split", group_id=group_id)
        ids = ids_by_group.setdefault(group_id, set())
        if transfer.id in ids:
            raise LedgerError("group_repeats_id", group_id=group_id, id=transfer.id)
        ids.add(transfer.id)
        current = group_id
    return sources


def check_transfer(transfer: Transfer) -> str:
    """Refuse a malformed transfer; its source as JSON text."""
    if not isinstance(transfer, Transfer):
        raise LedgerError("wrong_type", field="transfer")
    check_id(transfer.id, "id")
    check_text(transfer.code, "code")
    check_time(transfer.occurred_at, "occurred_at")
    if transfer.group_id is not None:
        check_id(transfer.group_id, "group_id")
    if transfer.reverses_id is None:
        check_id(transfer.debit_id, "debit_id")
        check_id(transfer.credit_id, "credit_id")
        check_text(transfer.unit, "unit")
        check_number(transfer.amount, "amount")
    else:
        check_id(transfer.reverses_id, "reverses_id")
        for field in ("debit_id", "credit_id", "unit", "amount"):
            if getattr(transfer, field) is not None:
                raise LedgerError("reversal_names_sides", field=field)
    return EMPTY_SOURCE if transfer.source == {} else check_source(transfer.source)


def check_source(source: Any) -> str:
    """The source as JSON text, refused where PostgreSQL could not store it."""
    if not isinstance(source, dict):
        raise LedgerError("wrong_type", field="source")
    try:
        encoded = msgspec.json.encode(source)
        text = encoded.decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        raise LedgerError("source_not_json", field="source") from None
    if len(encoded) > SOURCE_BYTES_MAX:
        raise LedgerError("source_too_large", field="source", bytes_max=SOURCE_BYTES_MAX)
    if "\\u0000" in text and NUL_ESCAPE.search(text):
        raise LedgerError("source_not_json", field="source")
    return text
