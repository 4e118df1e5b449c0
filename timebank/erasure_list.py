"""The list of who was erased, apart from the database: an old copy that is restored forgets them again.

One line of JSON for each, `{"book": 1, "member": "0192…", "noted_at": "…"}`, in `erasures.jsonl` of the data directory.
It names ids and no person. Lines are only added; one that stands twice is as good as one that stands once.
"""

import contextlib
import fcntl
import os
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import members
from timebank.errors import NotFound
from timebank.refusal import Refusal
from timebank.tables import member

NAME = "erasures.jsonl"


class Line(msgspec.Struct, frozen=True):
    """One person who was erased."""

    book: int
    member: UUID
    noted_at: datetime


def read(path: Path) -> Iterator[Line]:
    """Every line of the list; nothing where there is none. Refusal `erasures_damaged` for a line that is no line.

    The last one may be cut off by a crash: what it said is still in the database, and is noted again.
    """
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            if line:
                yield msgspec.json.decode(line, type=Line)
        except (msgspec.DecodeError, msgspec.ValidationError):
            if number < len(lines):
                raise Refusal(
                    "erasures_damaged",
                    f"{path}: line {number} cannot be read. Put back your copy of the list.",
                    path=str(path),
                    line=number,
                ) from None


def refuse_unreadable(path: Path) -> None:
    """Refusal `erasures_missing`, or `erasures_damaged` as for `read`."""
    if not path.is_file():
        raise Refusal("erasures_missing", f"There is no file {path}.", path=str(path))
    for _ in read(path):
        pass


def carry_over(copy: Path, path: Path) -> None:
    """Add to the list at `path` what a copy of it has more."""
    known = {(line.book, line.member) for line in read(path)}
    if more := [line for line in read(copy) if (line.book, line.member) not in known]:
        add(path, more)


def add(path: Path, lines: list[Line]) -> None:
    """Write lines to the end of the list, for good; processes take turns."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        # A line that a crash cut off does not spoil the next one.
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            whole = os.pread(descriptor, size, 0).rfind(b"\n") + 1
            os.ftruncate(descriptor, whole)
        os.write(descriptor, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def note(connection: AsyncConnection, book_id: int, path: Path, now: datetime) -> int:
    """Add to the list whoever was erased and is not on it; answers how many. Run after the erasure was committed.

    A member who had been merged into an erased one is listed too: in an older copy they are still somebody.
    """
    erased = select(member.c.id).where(
        member.c.book_id == book_id,
        or_(member.c.state == "erased", and_(member.c.state == "merged", member.c.data_key.is_(None))),
    )
    found = set(await connection.scalars(erased.order_by(member.c.id)))
    missing = found - {line.member for line in read(path) if line.book == book_id} if found else set()
    if missing:
        add(path, [Line(book_id, member_id, now) for member_id in sorted(missing)])
    return len(missing)


def noting(path: Path) -> Callable[[AsyncConnection, int, datetime], Awaitable[int]]:
    """The job that `note` is: what a crash kept from the list gets there at the next turn."""

    async def job(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        return await note(connection, book_id, path, now)

    return job


async def replay(connection: AsyncConnection, path: Path, now: datetime) -> int:
    """Erase again whoever is on the list, in every book of a database that was restored; answers how many were there.

    Who joined after the copy was taken is not in it, and who was erased before it is erased.
    """
    again = 0
    for line in read(path):
        # Whoever had been merged into somebody is forgotten with that one.
        with contextlib.suppress(NotFound):
            await members.erase(connection, line.book, line.member, now=now)
            again += 1
    return again
