"""Copies of the whole database, and a bank made from one.

A copy is one file of `pg_dump`, taken in one snapshot while the bank serves. It holds no keys: those are in the keys
file, which is kept apart from it, and without which names and phone numbers in it cannot be read.
"""

import os
import secrets
import subprocess
from pathlib import Path

from sqlalchemy import text

from timebank.database import create_engine, for_clients, reached
from timebank.postgres_files import find_clients
from timebank.refusal import Refusal


def dump(owner_url: str, file: Path, *, snapshot: str | None = None) -> None:
    """Write a copy to `file`, readable by its owner alone; it is whole or not there. Of the `snapshot` that another
    connection exported and holds, or of now.

    Refusal `file_exists` (nothing is overwritten), `backup_failed` (with what pg_dump said).
    """
    if file.exists():
        raise Refusal("file_exists", f"{file} exists and is left alone.", path=str(file))
    if not file.parent.is_dir():
        raise Refusal("directory_missing", f"There is no directory {file.parent}.", path=str(file.parent))
    beside = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    place, secret = for_clients(owner_url)
    try:
        command = ["pg_dump", "--format=custom", f"--file={beside}", f"--dbname={place}"]
        run("backup_failed", [*command, *([f"--snapshot={snapshot}"] if snapshot else [])], secret)
        # What cannot be listed could not be restored.
        run("backup_failed", ["pg_restore", "--list", str(beside)], {})
        sync(beside)
        try:
            # A link, unlike a rename, never replaces a file that came meanwhile.
            file.hardlink_to(beside)
        except FileExistsError:
            raise Refusal("file_exists", f"{file} exists and is left alone.", path=str(file)) from None
        sync(file.parent)
    finally:
        beside.unlink(missing_ok=True)


async def refuse_used(owner_url: str) -> None:
    """Refusal `database_not_empty` when there is a bank in the database already."""
    engine = create_engine(owner_url, application_name="timebank restore", pool_size=1)
    try:
        async with reached(engine) as connection:
            found = await connection.scalar(
                text("SELECT count(*) FROM pg_namespace WHERE nspname IN ('ledger', 'timebank')")
            )
    finally:
        await engine.dispose()
    if found:
        raise Refusal(
            "database_not_empty", "There is a bank in this database already; a restore needs an empty one.", found=found
        )


def refuse_unreadable(file: Path) -> None:
    """Refusal `backup_missing`, or `backup_unreadable` where the file is no copy of a database, before anything is
    started for it."""
    if not file.is_file():
        raise Refusal("backup_missing", f"There is no file {file}.", path=str(file))
    run("backup_unreadable", ["pg_restore", "--list", str(file)], {})


def restore(owner_url: str, file: Path) -> None:
    """Fill the empty database at `owner_url` from a copy, all of it or nothing. The roles must exist.

    Refusal as for `refuse_unreadable`, and `restore_failed` (with what pg_restore said).
    """
    refuse_unreadable(file)
    place, secret = for_clients(owner_url)
    run(
        "restore_failed",
        ["pg_restore", "--exit-on-error", "--single-transaction", f"--dbname={place}", str(file)],
        secret,
    )


def run(code: str, command: list[str], secret: dict[str, str]) -> None:
    """Run one of PostgreSQL's programs to its end; Refusal `code` with its last words when it fails."""
    program = find_clients() / command[0]
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **secret}
    done = subprocess.run(  # noqa: S603
        [program, *command[1:]], env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"{command[0]} ended with status {done.returncode}"]
        raise Refusal(code, " / ".join(lines[-3:]), program=command[0])


def sync(path: Path) -> None:
    """Make a file, or the names in a directory, last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
