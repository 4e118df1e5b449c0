"""Long lists in pages: where one page ended is where the next begins, whatever was added meanwhile."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.errors import BankError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Microseconds since 1970, at most 20 November 2286, or another number, and an id.
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
        found = parts(text)
        return cls(EPOCH + timedelta(microseconds=found[0]), found[1]) if found else None


class Ranked(NamedTuple):
    """A place in a list that is ordered by a whole number, not below zero, and then by id."""

    rank: int
    id: UUID

    def __str__(self) -> str:
        """The cursor as text for an address."""
        return f"{self.rank}.{self.id.hex}"

    @classmethod
    def read(cls, text: str | None) -> "Ranked | None":
        """The cursor that `str` wrote; None for no text at all. Raises CursorInvalid."""
        found = parts(text)
        return cls(*found) if found else None


def parts(text: str | None) -> tuple[int, UUID] | None:
    """The number and the id of a cursor; None for no text at all. Raises CursorInvalid."""
    if not text:
        return None
    match = FORM.fullmatch(text)
    if match is None:
        raise CursorInvalid()
    return int(match[1]), UUID(hex=match[2])


def numbered(text: str | None) -> int | None:
    """The cursor of a list in which every item has a number of its own; None for no text. Raises CursorInvalid."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise CursorInvalid()
    return int(text)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list; `following` is where the rest begins, None at the end."""

    rows: Sequence[Row[Any]]
    following: Cursor | Ranked | None


def page(
    rows: Sequence[Row[Any]], limit: int, column: str, cursor: Callable[[Any, UUID], Cursor | Ranked] = Cursor
) -> Page:
    """The first `limit` of `rows`, which were asked for with one more; `column` names the one of the order."""
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], cursor(getattr(last, column), last.id))


async def rising(
    connection: AsyncConnection,
    query: Select[Any],
    column: ColumnElement[Any],
    id: ColumnElement[Any],
    after: Cursor | Ranked | None,
    limit: int,
    cursor: Callable[[Any, UUID], Cursor | Ranked] = Cursor,
) -> Page:
    """One page of a query from behind `after` on, ordered by a column that the query has, and then by id."""
    if after is not None:
        query = query.where(tuple_(column, id) > tuple_(*after))
    query = query.order_by(column, id).limit(limit + 1)
    return page((await connection.execute(query)).all(), limit, str(column.key), cursor)


async def falling(
    connection: AsyncConnection,
    query: Select[Any],
    column: ColumnElement[Any],
    id: ColumnElement[Any],
    before: Cursor | None,
    limit: int,
) -> Page:
    """One page of a query from before `before` on, the latest first; see `rising`."""
    if before is not None:
        query = query.where(tuple_(column, id) < tuple_(*before))
    query = query.order_by(column.desc(), id.desc()).limit(limit + 1)
    return page((await connection.execute(query)).all(), limit, str(column.key))
