"""The book once more, from its reference page, in plain dictionaries: no SQL, no code shared with the real posting.

Transfers come one by one; a group is tried on a copy and the copy is kept only if all of it went well.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from ledger.model import Account, Transfer

HIGHEST = 2**63 - 1


@dataclass
class Held:
    """What an account is and holds."""

    unit: str
    floor: int | None
    balance: int = 0
    version: int = 0
    last_recorded_at: datetime | None = None
    is_closed: bool = False


@dataclass
class Posted:
    """What a transfer did."""

    content: tuple[Any, ...]
    debit_id: UUID
    credit_id: UUID
    unit: str
    amount: int
    recorded_at: datetime
    debit: tuple[int, int]
    credit: tuple[int, int]


@dataclass
class BookModel:
    """Accounts and transfers by id, groups and reversals by what they name."""

    accounts: dict[UUID, Held] = field(default_factory=dict)
    transfers: dict[UUID, Posted] = field(default_factory=dict)
    groups: set[UUID] = field(default_factory=set)
    reversed: set[UUID] = field(default_factory=set)

    def open(self, account: Account) -> None:
        """Open an account."""
        self.accounts.setdefault(account.id, Held(account.unit, account.floor))

    def post(self, batch: Sequence[Transfer], now: datetime) -> list[str]:
        """The outcome of each transfer of the batch."""
        originals = dict(self.transfers)
        outcomes: list[str] = []
        alone = iter(range(len(batch)))
        for _, part in groupby(batch, key=lambda transfer: transfer.group_id or next(alone)):
            group = list(part)
            before = copy.deepcopy(self)
            answers = [self.post_one(transfer, len(group), originals, now) for transfer in group]
            if any(answer not in ("ok", "already_posted") for answer in answers):
                self.__dict__ = before.__dict__
                answers = ["group_refused" if answer == "ok" else answer for answer in answers]
            elif group[0].group_id is not None:
                self.groups.add(group[0].group_id)
            outcomes += answers
        return outcomes

    def post_one(self, transfer: Transfer, group_size: int, originals: dict[UUID, Posted], now: datetime) -> str:
        """The outcome of one transfer, applied where that is `ok`."""
        sides: tuple[Any, ...] = (transfer.debit_id, transfer.credit_id, transfer.unit, transfer.amount)
        content = (
            *sides,
            transfer.code,
            transfer.group_id,
            group_size,
            transfer.reverses_id,
            transfer.occurred_at,
            dict(transfer.source),
        )
        if transfer.id in self.transfers:
            return "already_posted" if self.transfers[transfer.id].content == content else "id_reused"
        if transfer.group_id in self.groups:
            return "id_reused"
        if transfer.reverses_id is not None:
            original = originals.get(transfer.reverses_id)
            if original is None:
                return "account_unknown"
            sides = (original.credit_id, original.debit_id, original.unit, original.amount)
        debit_id, credit_id, unit, amount = sides
        debit, credit = self.accounts.get(debit_id), self.accounts.get(credit_id)
        if debit is None or credit is None:
            return "account_unknown"
        if debit.is_closed or credit.is_closed:
            return "account_closed"
        if {debit.unit, credit.unit} != {unit}:
            return "unit_mismatch"
        if debit_id == credit_id:
            return "same_account"
        if amount <= 0:
            return "amount_not_positive"
        if debit.floor is not None and debit.balance - amount < debit.floor:
            return "below_floor"
        if transfer.reverses_id in self.reversed:
            return "already_reversed"
        if debit.balance - amount < -HIGHEST or credit.balance + amount > HIGHEST:
            return "overflow"
        recorded_at = max(t for t in (now, debit.last_recorded_at, credit.last_recorded_at) if t is not None)
        for held, change in ((debit, -amount), (credit, amount)):
            held.balance += change
            held.version += 1
            held.last_recorded_at = recorded_at
        if transfer.reverses_id is not None:
            self.reversed.add(transfer.reverses_id)
        self.transfers[transfer.id] = Posted(
            content,
            debit_id,
            credit_id,
            unit,
            amount,
            recorded_at,
            (debit.balance, debit.version),
            (credit.balance, credit.version),
        )
        return "ok"
