"""The copies that a bank keeps by itself: one a night and one before each upgrade, of which the newest are kept.

Beside each copy stands what the audit said at the very moment of the copy: the same snapshot is copied and proved. A
restore of it has to say the same.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

import migrations
from timebank import backup, purses, schema
from timebank.database import create_engine, is_current, reached
from timebank.postgres_data import sync_directory
from timebank.refusal import Refusal

Why = Literal["nightly", "upgrade"]

ENDING = ".dump"
NOTE_ENDING = ".audit.json"
GRACE = timedelta(minutes=10)


class Proof(msgspec.Struct, frozen=True):
    """What an audit found, and a digest of every balance."""

    book_id: int
    passed: bool
    transfers: int
    accounts: int
    balances: str


def directory(data: Path) -> Path:
    """Where the copies are."""
    return data / "backups"


def file_for(data: Path, why: Why, now: datetime) -> Path:
    """The name of a new copy: the order of names is the order of time."""
    return directory(data) / f"{now.astimezone(UTC):%Y-%m-%dT%H%M%SZ}-{why}{ENDING}"


def kept(data: Path) -> list[Path]:
    """The copies that are there, the oldest first."""
    return sorted(directory(data).glob(f"*{ENDING}"))


def newest(data: Path) -> Path:
    """The newest copy. Refusal `backup_missing`."""
    found = kept(data)
    if not found:
        raise Refusal("backup_missing", f"There is no copy in {directory(data)}.", path=str(directory(data)))
    return found[-1]


def made_at(file: Path) -> datetime | None:
    """When a copy of ours was made, by its name."""
    try:
        return datetime.strptime(file.name[:18], "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def prune(data: Path, keep: int) -> list[Path]:
    """Remove all but the `keep` newest copies of each reason, and what an interrupted one left; answers what went."""
    gone: list[Path] = []
    for why in ("nightly", "upgrade"):
        gone += sorted(directory(data).glob(f"*-{why}{ENDING}"))[:-keep]
    for file in gone:
        file.unlink(missing_ok=True)
        note_of(file).unlink(missing_ok=True)
    for left in directory(data).glob(f".*{ENDING}.*"):
        left.unlink(missing_ok=True)
    return gone


def is_due(copied_at: datetime | None, at: time, zone: ZoneInfo, started_at: datetime, now: datetime) -> bool:
    """Whether tonight's copy is to be made: its time has come since the last one. A machine that was off then makes up
    for it, once it has served for some minutes."""
    local = now.astimezone(zone)
    last = datetime.combine(local.date(), at, zone)
    if last > local:
        last = datetime.combine(local.date() - timedelta(days=1), at, zone)
    if copied_at is not None and copied_at >= last:
        return False
    return last >= started_at or now - started_at >= GRACE


async def before_upgrade(owner_url: str, data: Path, keep: int, now: datetime) -> Path | None:
    """Copy a database that is about to be migrated; None where it is empty, or current. Refusal `schema_newer`."""
    engine = create_engine(owner_url, application_name="timebank backup", pool_size=1)
    try:
        async with reached(engine) as connection:
            versions = await schema.versions_of(connection)
    finally:
        await engine.dispose()
    schema.refuse_newer(versions)
    if not versions or set(versions) == migrations.HEADS:
        return None
    directory(data).mkdir(mode=0o700, parents=True, exist_ok=True)
    file = file_for(data, "upgrade", now)
    await asyncio.to_thread(backup.dump, owner_url, file)
    prune(data, keep)
    return file


def note_of(file: Path) -> Path:
    """Where the proof of a copy is."""
    return file.with_name(f"{file.name}{NOTE_ENDING}")


@contextlib.contextmanager
def alone(data: Path) -> Iterator[bool]:
    """Whether this process alone copies now; another one that does is not waited for."""
    directory(data).mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory(data) / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


async def copy(owner_url: str, service_url: str, book_id: int, file: Path) -> Proof | None:
    """Copy the database to `file`, with the proof of the same snapshot beside it; None where there is no book yet, or
    the schema of another version, which this one cannot prove.

    Refusals as for `backup.dump`. The copy is kept even when its proof fails: it is what there is.
    """
    engine = create_engine(service_url, application_name="timebank backup", pool_size=1, limits={})
    try:
        async with reached(engine) as connection:
            is_ours = await is_current(connection)
            await connection.rollback()
            proof = await prove(connection, book_id) if is_ours else None
            if proof is None:
                await asyncio.to_thread(backup.dump, owner_url, file)
                return None
            # What was proved is what is copied.
            snapshot = str(await connection.scalar(text("SELECT pg_export_snapshot()")))
            await asyncio.to_thread(backup.dump, owner_url, file, snapshot=snapshot)
    finally:
        await engine.dispose()
    write_note(file, proof)
    return proof


async def prove(connection: AsyncConnection, book_id: int) -> Proof | None:
    """Prove a book in a snapshot, which stays open on the connection; None where there is no such book."""
    try:
        report = await purses.audit(connection, book_id)
    except purses.LedgerError as error:
        await connection.rollback()
        if error.code != "book_unknown":
            raise
        return None
    digest = await purses.balances_digest(connection, book_id)
    return Proof(book_id, report.passed, report.transfers, report.accounts, digest)


def write_note(file: Path, proof: Proof) -> None:
    """Keep the proof beside its copy."""
    note = note_of(file)
    with open(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(msgspec.json.format(msgspec.json.encode(proof)) + b"\n")
    sync_directory(file.parent)


def read_note(file: Path) -> Proof | None:
    """The proof beside a copy; None where nobody wrote one. Refusal `backup_note_damaged`."""
    note = note_of(file)
    try:
        return msgspec.json.decode(note.read_bytes(), type=Proof)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise Refusal("backup_note_damaged", f"{note} cannot be read.", path=str(note)) from None


def agrees(restored: Proof | None, noted: Proof | None, live: Proof | None) -> bool:
    """Whether a copy that was restored passes, is what it was, and has nothing that the bank has not."""
    if restored is None or live is None:
        # A copy of a bank without a book; nothing to compare.
        return restored == noted
    if not restored.passed or not live.passed or noted not in (None, restored):
        return False
    if restored.transfers == live.transfers and restored.balances != live.balances:
        return False
    return restored.transfers <= live.transfers and restored.accounts <= live.accounts
