"""What waits to be tried or imported: done one after the other, by a process of its own.

A mark beside a spreadsheet says that there is work. It goes when the work is done: a process that was killed is
followed by another, which goes on where the first stopped.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from timebank.clock import Clock
from timebank.errors import BankError
from timebank.imports import runs, sheets, uploads
from timebank.imports.outcomes import Outcome
from timebank.imports.runs import Plan, Tally
from timebank.keys import Keys
from timebank.tables import import_upload


def want(place: Path, id: UUID) -> None:
    """Say that there is work, for whatever process comes next."""
    uploads.mark_of(place, id).touch(mode=0o600)


def wanted(place: Path) -> UUID | None:
    """The one whose turn it is; None where nothing waits."""
    found = sorted((mark.stat().st_mtime_ns, mark.stem) for mark in place.glob("*.wanted"))
    return UUID(found[0][1]) if found else None


async def work(engine: AsyncEngine, book_id: int, keys: Keys, place: Path, clock: Clock) -> int:
    """Do what was asked, one import after the other, until nothing waits; answers how many were done."""
    done = 0
    while (id := wanted(place)) is not None:
        await carry_out(engine, book_id, keys, place, id, clock)
        uploads.mark_of(place, id).unlink(missing_ok=True)
        done += 1
    return done


async def carry_out(engine: AsyncEngine, book_id: int, keys: Keys, place: Path, id: UUID, clock: Clock) -> None:
    """Try or import one. What the bank refuses of the whole is kept as its `code`; other failures are raised, and it is
    gone on with later."""
    async with engine.connect() as connection:
        query = select(import_upload).where(import_upload.c.book_id == book_id, import_upload.c.id == id)
        row = (await connection.execute(query)).one_or_none()
    if row is None or row.state not in uploads.WORKING:
        return
    values: dict[str, Any] = {"state": uploads.WORKING[row.state]}
    try:
        tally = await tell(engine, book_id, keys, place, row, clock)
        values |= counted(tally)
    except BankError as error:
        values = {"state": "failed", "code": error.code}
    except FileNotFoundError:
        values = {"state": "failed", "code": sheets.SheetUnreadable.code}
    if values["state"] == "done":
        values["ended_at"] = clock()
    async with engine.begin() as connection:
        await uploads.set_values(connection, book_id, id, **values)
    if values["state"] == "done":
        for path in (uploads.file_of(place, id), uploads.look_of(place, id)):
            path.unlink(missing_ok=True)


async def tell(engine: AsyncEngine, book_id: int, keys: Keys, place: Path, row: Row[Any], clock: Clock) -> Tally:
    """Carry one out, keeping how far it is, and what became of each row."""
    planned = plan_of(place, row)
    run = runs.new_run(
        book_id,
        row.kind,
        keys,
        source=row.file_name,
        actor_id=row.actor_id,
        now=clock(),
        dry=row.state == "trying",
        station_id=row.station_id,
        fund_id=row.fund_id,
    )
    with new_report(place, row.id) as out:
        write = csv.writer(out).writerow

        async def hear(outcomes: Sequence[Outcome], tally: Tally) -> None:
            for each in outcomes:
                write((each.number, each.state, each.code or "", each.field or ""))
            async with engine.begin() as connection:
                reached = tally.row - planned.header.header
                await uploads.set_values(connection, book_id, row.id, reached=reached, **counted(tally))

        return await runs.carry_out(engine, run, planned, clock, hear=hear)


def new_report(place: Path, id: UUID) -> TextIO:
    """The file for what becomes of each row, empty."""
    path = uploads.report_of(place, id)
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="")


def plan_of(place: Path, row: Row[Any]) -> Plan:
    """How its file is read."""
    seen = uploads.saved(place, row.id)
    if seen is None:
        raise FileNotFoundError(uploads.look_of(place, row.id))
    return runs.plan(uploads.file_of(place, row.id), row.kind, sheet=seen.sheet, chosen=seen.chosen)


def counted(tally: Tally) -> dict[str, int]:
    """How many rows became what."""
    counts = tally.counts
    return {"added": counts["added"], "same": counts["same"], "left_out": counts["left"], "refused": counts["refused"]}
