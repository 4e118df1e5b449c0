"""Imports from the office: a spreadsheet is handed in, looked at, tried, and carried out; then it is removed.

The file waits in a directory that nothing serves, readable by the bank alone. What takes long is done by a process of
its own, in `waiting.py`.
"""

import csv
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any, ClassVar
from uuid import UUID

import msgspec
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, kinds, trail
from timebank.cursors import Cursor, Page, falling
from timebank.errors import BankError, Conflict, NotFound
from timebank.imports import runs, sheets
from timebank.imports.cells import text
from timebank.imports.columns import HEADER_WITHIN, ColumnsUnclear, check_chosen, likely_header, missing_fields
from timebank.imports.outcomes import Outcome
from timebank.jobs import Job
from timebank.tables import import_upload

DIRECTORY = "uploads"
SIZE_LIMIT_BYTES = 32 * 2**20
PIECE_BYTES = 2**20
# Titles and samples as they are shown.
COLUMNS_SHOWN = 60
TEXT_SHOWN = 60
SAMPLES_WITHIN = 10
# For how long a spreadsheet that nobody goes on with stays.
LIFE = timedelta(days=7)
# What nobody is at work on, and what is over.
IDLE = ("there", "tried", "failed")
WORKING = {"trying": "tried", "importing": "done"}


class SheetTooLarge(BankError):
    """The file is larger than `SIZE_LIMIT_BYTES`."""

    code: ClassVar[str] = "sheet_too_large"


class Look(msgspec.Struct, frozen=True):
    """What a spreadsheet seems to say, if its rows are of one kind. It may say who somebody is, as the spreadsheet
    does: it is kept beside it, never in the database, and goes with it.

    `columns`: title, field (None where it says nothing to us) and a sample of each column that has a title.
    """

    kind: str
    sheet: str | None
    sheets: list[str]
    header: int
    columns: list[tuple[str, str | None, str]]
    missing: list[str]
    """The fields that every row needs and that no column is."""
    rows: int
    """How many there are below the header, about."""
    chosen: dict[str, str]
    """Titles to fields, where somebody knew better than the guess."""


def directory(data: Path) -> Path:
    """Where spreadsheets wait."""
    return data / DIRECTORY


def file_of(place: Path, id: UUID) -> Path:
    """The spreadsheet."""
    return place / f"{id}.sheet"


def report_of(place: Path, id: UUID) -> Path:
    """What became of each row, once it was tried or imported: number, state, code, field, as CSV. It names nobody."""
    return place / f"{id}.csv"


def mark_of(place: Path, id: UUID) -> Path:
    """Says that there is work."""
    return place / f"{id}.wanted"


def look_of(place: Path, id: UUID) -> Path:
    """The latest `Look` at the spreadsheet, as JSON."""
    return place / f"{id}.look"


def save(place: Path, id: UUID, seen: Look) -> None:
    """Keep a look beside its spreadsheet."""
    with open(os.open(look_of(place, id), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(msgspec.json.encode(seen))


def saved(place: Path, id: UUID) -> Look | None:
    """The latest look; None where the spreadsheet is not on this machine, or not any more."""
    try:
        return msgspec.json.decode(look_of(place, id).read_bytes(), type=Look)
    except FileNotFoundError:
        return None


def keep(place: Path, id: UUID, source: IO[bytes]) -> bytes:
    """Write a spreadsheet down; answers its SHA-256. Errors: `sheet_too_large`; then nothing is left of it."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, digest, size = file_of(place, id), hashlib.sha256(), 0
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            while piece := source.read(PIECE_BYTES):
                size += len(piece)
                if size > SIZE_LIMIT_BYTES:
                    raise SheetTooLarge()
                digest.update(piece)
                out.write(piece)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return digest.digest()


def look(path: Path, kind: str, *, sheet: str | None = None, chosen: Mapping[str, str] | None = None) -> Look:
    """Look at a spreadsheet: its header as it is guessed, or as `chosen` says by title.

    Errors: `sheet_unreadable`; `import_columns` for a field that the kind has not.
    """
    chosen = chosen or {}
    check_chosen(kind, chosen)
    names = sheets.names(path)
    sheet = sheet if sheet in names else None
    first = list(islice(sheets.rows(path, sheet), HEADER_WITHIN + SAMPLES_WITHIN))
    header = likely_header(kind, first[:HEADER_WITHIN], chosen)
    if header is None:
        raise sheets.SheetUnreadable(reason="empty")
    below = [row.cells for row in first if row.number > header.header]
    columns = [
        (title[:TEXT_SHOWN], field, sample_of(below, place))
        for place, (title, field) in enumerate(header.columns[:COLUMNS_SHOWN])
        if title
    ]
    rows = max(0, sheets.height(path, sheet) - header.header)
    return Look(kind, sheet, names, header.header, columns, missing_fields(kind, header), rows, dict(chosen))


def sample_of(rows: Sequence[Sequence[Any]], place: int) -> str:
    """The first thing that stands in a column."""
    return next((said[:TEXT_SHOWN] for cells in rows if place < len(cells) and (said := text(cells[place]))), "")


async def hand_in(
    connection: AsyncConnection,
    book_id: int,
    seen: Look,
    *,
    id: UUID,
    actor_id: UUID,
    file_name: str,
    digest: bytes,
    now: datetime,
) -> None:
    """Write that a spreadsheet was handed in, by whoever administers the whole book. Errors: `role_not_allowed`."""
    await kinds.require_keeper(connection, book_id, actor_id, now)
    values = {"actor_id": actor_id, "file_name": file_name[: runs.LARGEST_NAME] or "–", "file_digest": digest}
    await connection.execute(
        insert(import_upload).values(book_id=book_id, id=id, state="there", uploaded_at=now, **values, **written(seen))
    )
    await note(
        connection, book_id, id, actor_id, "import.upload", {"kind": seen.kind, "file_digest": digest.hex()}, now
    )


def written(seen: Look) -> dict[str, Any]:
    """What of a look names nobody."""
    return {"kind": seen.kind, "rows": seen.rows}


async def note(
    connection: AsyncConnection,
    book_id: int,
    id: UUID,
    actor_id: UUID | None,
    action: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Keep in the trail what was done with a spreadsheet."""
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action=action,
        subject_kind="import",
        subject_id=id,
        after=facts,
        now=now,
    )


async def one(
    connection: AsyncConnection, book_id: int, id: UUID, *, actor_id: UUID, now: datetime, lock: bool = False
) -> Row[Any]:
    """One import of the office, for whoever administers the whole book. Errors: `role_not_allowed`, `not_found`."""
    await kinds.require_keeper(connection, book_id, actor_id, now)
    query = select(import_upload).where(import_upload.c.book_id == book_id, import_upload.c.id == id)
    return await access.one(connection, query.with_for_update() if lock else query, "import")


async def listed(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    kind: str | None = None,
    state: str | None = None,
    before: Cursor | None = None,
    limit: int = 20,
) -> Page:
    """The imports of the office, of one kind or in one state, the latest first. Errors: `role_not_allowed`."""
    await kinds.require_keeper(connection, book_id, actor_id, now)
    query = select(import_upload).where(import_upload.c.book_id == book_id)
    if kind is not None:
        query = query.where(import_upload.c.kind == kind)
    if state is not None:
        query = query.where(import_upload.c.state == state)
    return await falling(connection, query, import_upload.c.uploaded_at, import_upload.c.id, before, limit)


async def choose(
    connection: AsyncConnection,
    book_id: int,
    id: UUID,
    seen: Look,
    *,
    station_id: UUID | None,
    fund_id: UUID | None,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Keep what somebody chose: which column is what, and whose rows they are that name no station and no fund.

    Errors: `role_not_allowed`, `not_found`, `conflict` (state: it is at work, or over).
    """
    row = await one(connection, book_id, id, actor_id=actor_id, now=now, lock=True)
    if row.state not in IDLE:
        raise Conflict(field="state")
    values = {"station_id": station_id, "fund_id": fund_id, "state": "there", "code": None}
    await set_values(connection, book_id, id, **values, **written(seen))


async def ask(
    connection: AsyncConnection, book_id: int, place: Path, id: UUID, state: str, *, actor_id: UUID, now: datetime
) -> None:
    """Ask that it be tried (`trying`) or imported (`importing`): for hours and points, under the asker's own name.

    The caller commits, and then sets the mark with `waiting.want`. Errors: `role_not_allowed`, `not_found` (also where
    the file is not on this machine), `conflict` (state), `import_columns` (a field is missing).
    """
    row = await one(connection, book_id, id, actor_id=actor_id, now=now, lock=True)
    if row.state == state:
        return
    # What was not tried is not imported.
    if row.state not in IDLE or (state == "importing" and row.state == "there"):
        raise Conflict(field="state")
    seen = saved(place, id)
    if seen is None:
        raise NotFound(kind="file")
    if seen.missing:
        raise ColumnsUnclear(fields=seen.missing, columns=[title for title, _, _ in seen.columns])
    counts = dict.fromkeys(("reached", "added", "same", "left_out", "refused"), 0)
    await set_values(connection, book_id, id, state=state, actor_id=actor_id, code=None, **counts)


async def set_values(connection: AsyncConnection, book_id: int, id: UUID, **values: Any) -> None:
    """Write how things are now."""
    mine = (import_upload.c.book_id == book_id, import_upload.c.id == id)
    await connection.execute(update(import_upload).where(*mine).values(**values))


async def remove(
    connection: AsyncConnection, book_id: int, place: Path, id: UUID, *, actor_id: UUID, now: datetime
) -> None:
    """Take a spreadsheet away without importing it. Errors: `role_not_allowed`, `not_found`, `conflict` (state)."""
    row = await one(connection, book_id, id, actor_id=actor_id, now=now, lock=True)
    if row.state not in IDLE:
        raise Conflict(field="state")
    await set_values(connection, book_id, id, state="removed", ended_at=now)
    await note(connection, book_id, id, actor_id, "import.discard", {"kind": row.kind}, now)
    forget(place, id)


def forget(place: Path, id: UUID) -> None:
    """Remove the file, and what was found of its rows."""
    for path in (file_of(place, id), look_of(place, id), report_of(place, id), mark_of(place, id)):
        path.unlink(missing_ok=True)


def ids_in(place: Path) -> set[UUID]:
    """Of which imports there are files."""
    return {UUID(path.stem) for path in place.glob("*-*.*")}


def dropping(place: Path) -> Job:
    """A job that removes spreadsheets, and reports, with which nobody went on for `LIFE`."""

    async def drop_past(connection: AsyncConnection, book_id: int, now: datetime) -> int:
        mine = (import_upload.c.book_id == book_id, import_upload.c.uploaded_at < now - LIFE)
        left = (
            update(import_upload)
            .where(*mine, import_upload.c.state.in_(IDLE))
            .values(state="removed", ended_at=now)
            .returning(import_upload.c.id)
        )
        gone = list(await connection.scalars(left))
        over = select(import_upload.c.id).where(*mine, import_upload.c.state.in_(("done", "removed")))
        for id in await connection.scalars(over.where(import_upload.c.id.in_(ids_in(place)))):
            forget(place, id)
        return len(gone)

    return drop_past


def report(place: Path, id: UUID) -> Iterator[Outcome]:
    """What became of each row, in order; nothing where the report is not here, or not any more."""
    with suppress(FileNotFoundError), report_of(place, id).open(encoding="utf-8", newline="") as lines:
        for number, state, code, field in csv.reader(lines):
            yield Outcome(int(number), state, code or None, field or None)  # type: ignore[arg-type]  # we wrote it
