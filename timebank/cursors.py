"""Long lists in pages: where one page ended is where the next begins, whatever was added meanwhile."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import Row

from timebank.errors import BankError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Microseconds since 1970, at most 20 November 2286, and an id.
FORM = re.compile(r"([0-9]{1,16})\.([0-9a-f]{32})")


class CursorInvalid(BankError):
    """The text is no cursor of ours."""

    code: ClassVar[str] = "cursor_invalid"


class Cursor(NamedTuple):
    """A place in a list that is ordered by a moment and then by id."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        """The cursor as text for an address."""
        return f"{(self.at - EPOCH) // timedelta(microseconds=1)}.{self.id.hex}"

    @classmethod
    def read(cls, text: str | None) -> "Cursor | None":
        """The cursor that `str` wrote; None for no text at all. Raises CursorInvalid."""
        if not text:
            return None
        match = FORM.fullmatch(text)
        if match is None:
            raise CursorInvalid()
        return cls(EPOCH + timedelta(microseconds=int(match[1])), UUID(hex=match[2]))


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list; `following` is where the rest begins, None at the end."""

    rows: Sequence[Row[Any]]
    following: Cursor | None


def page(rows: Sequence[Row[Any]], limit: int, moment: str) -> Page:
    """The first `limit` of `rows`, which were asked for with one more; `moment` names the column of the order."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], Cursor(getattr(last, moment), last.id))
