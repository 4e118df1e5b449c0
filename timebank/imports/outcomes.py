"""What became of a row, and what all rows of one import share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from timebank import members
from timebank.errors import BankError
from timebank.keys import Keys

REMEMBERED = 20_000
# "same": the bank has it already. "left": not meant for this bank, such as a row of totals or another city's region.
State = Literal["added", "same", "left", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row. A refusal has a `code`, and the `field` that it is about where there is one."""

    number: int
    state: State
    code: str | None = None
    field: str | None = None
    subject_id: UUID | None = None
    before: bool = False
    """Whether the import had added it before it was cut off."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row to settle. `id` follows from what it says; `subject_id` is that of what it becomes, if it is new."""

    id: UUID
    subject_id: UUID
    number: int
    values: Mapping[str, Any]


@dataclass
class Import:
    """What all rows of one import share. `actor_id` is None for the operator."""

    id: UUID
    book_id: int
    kind: str
    keys: Keys
    actor_id: UUID | None
    source: str
    """Where the rows come from, for whoever asks later: the file's name."""
    dry: bool = False
    station_id: UUID | None = None
    fund_id: UUID | None = None
    resumed: set[UUID] = field(default_factory=set)
    """Imports of the same file that were cut off, which this one goes on with."""
    known: dict[str, Any] = field(default_factory=dict)
    """What earlier rows added, or would have."""
    phones: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def phone(self, phone: str) -> tuple[str, bytes]:
        """A phone number in E.164, and its `members.phone_index`. `Invalid` as there.

        Remembered: most lists name the same people again and again, and reading a number takes as long as all the rest
        of a row.
        """
        found = self.phones.get(phone)
        if found is None:
            if len(self.phones) > REMEMBERED:
                self.phones.clear()
            number = members.normal_phone(phone)
            found = self.phones[phone] = (number, members.number_index(self.keys, number))
        return found

    def phone_index(self, phone: str) -> bytes:
        """As `members.phone_index`."""
        return self.phone(phone)[1]


class Refused(BankError):
    """A row cannot be taken, for a reason that only imports have."""

    def __init__(self, code: str, field: str) -> None:
        super().__init__(field=field)
        self.row_code = code


def refusal(row: Row, error: BankError) -> Outcome:
    """A refusal of the bank's as what became of a row."""
    if isinstance(error, Refused):
        return Outcome(row.number, "refused", error.row_code, error.data["field"])
    return Outcome(row.number, "refused", error.code, error.data.get("field") or error.data.get("kind"))
