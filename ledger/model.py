"""What the book is made of. Amounts and balances are whole numbers of a unit; a credit adds, a debit takes away."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

# The largest amount and balance, and by its negative the lowest balance: a signed 64-bit number less its odd one.
HIGHEST = 2**63 - 1


class LedgerError(ValueError):
    """Something that could never be posted, opened or read, refused before it reaches the book.

    `code` is stable and meant for programs; `data` says which field of what. Nothing was changed.
    """

    def __init__(self, code: str, **data: Any) -> None:
        """Keep the code and what it is about."""
        super().__init__(f"{code}: {data}" if data else code)
        self.code = code
        self.data = data


class Outcome(StrEnum):
    """What became of a transfer, in order of precedence: where two apply, the one further up is given."""

    ok = "ok"
    already_posted = "already_posted"
    id_reused = "id_reused"
    account_unknown = "account_unknown"
    account_closed = "account_closed"
    unit_mismatch = "unit_mismatch"
    same_account = "same_account"
    amount_not_positive = "amount_not_positive"
    below_floor = "below_floor"
    already_reversed = "already_reversed"
    group_refused = "group_refused"
    overflow = "overflow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account to open.

    `floor` is the least its balance may ever be (0 or less; None: no limit). `kind` is a label of the caller's own.
    `system` accounts are the few that everybody's transfers touch: they are locked last and so held for the shortest
    time; it changes no outcome.
    """

    id: UUID
    unit: str
    kind: str
    floor: int | None
    system: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """`amount` of `unit`, taken from `debit_id` and given to `credit_id`.

    The caller makes `id`, keeps it, and sends it again when in doubt. `occurred_at` is when it happened in the world
    (aware); when it was recorded is the book's to say. `source` is what it came from, as JSON.
    A reversal names the transfer it undoes in `reverses_id` and leaves sides, unit and amount out: the book takes
    them from the original, turned round. `reversal` makes one.
    """

    id: UUID
    debit_id: UUID | None = None
    credit_id: UUID | None = None
    unit: str | None = None
    amount: int | None = None
    code: str
    occurred_at: datetime
    group_id: UUID | None = None
    source: dict[str, Any] = field(default_factory=dict)
    reverses_id: UUID | None = None


def reversal(
    of: UUID,
    *,
    id: UUID,
    code: str,
    occurred_at: datetime,
    group_id: UUID | None = None,
    source: dict[str, Any] | None = None,
) -> Transfer:
    """The transfer that undoes the posted transfer `of`: a correction, or the release of a hold. Once only."""
    return Transfer(id=id, reverses_id=of, code=code, occurred_at=occurred_at, group_id=group_id, source=source or {})
