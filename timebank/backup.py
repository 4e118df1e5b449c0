"""Copies of the whole database, and a bank made from one.

A copy is one file of `pg_dump`, taken in one snapshot while the bank serves. It holds no keys: those are in the keys
file, which is kept apart from it, and without which names and phone numbers in it cannot be read.
"""

import contextlib
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from sqlalchemy import text

from timebank.database import create_engine, for_clients, reached
from timebank.postgres_files import find_clients
from timebank.refusal import Refusal

# To whom something belongs, in a script of pg_restore.
OWNER = re.compile(rb"(ALTER .* OWNER TO )(.+);\n")


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
    """Fill the empty database at `owner_url` from a copy, all of it or nothing. The ledger's roles must exist; what the
    bank's owner had where the copy was made, whatever they are called there, belongs to whoever restores.

    Refusal as for `refuse_unreadable`, and `restore_failed` (with what pg_restore or psql said).
    """
    refuse_unreadable(file)
    place, secret = for_clients(owner_url)
    options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", f"--dbname={place}"]
    with tempfile.TemporaryFile() as unread, tempfile.TemporaryFile() as unwritten:
        reading = begin(["pg_restore", "--file=-", str(file)], {}, stdout=subprocess.PIPE, stderr=unread)
        writing = begin(["psql", *options], secret, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=unwritten)
        source, target = cast(IO[bytes], reading.stdout), cast(IO[bytes], writing.stdin)
        try:
            broken = False
            try:
                target.writelines(owned_here(source))
                target.flush()
            except BrokenPipeError:
                # psql has ended, and says why; that pg_restore then has nobody to write to is no cause.
                broken = True
            source.close()
            if not broken and reading.wait() != 0:
                # Before its end: psql would keep what has come so far.
                writing.kill()
                refuse("restore_failed", "pg_restore", reading.returncode, unread)
            with contextlib.suppress(BrokenPipeError):
                target.close()
            if writing.wait() != 0:
                refuse("restore_failed", "psql", writing.returncode, unwritten)
            if reading.wait() != 0:
                refuse("restore_failed", "pg_restore", reading.returncode, unread)
        finally:
            for process in (reading, writing):
                process.kill()
                process.wait()


def owned_here(script: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a restoring script, in which the ledger keeps its owner and the rest is whoever runs it's."""
    in_rows = False
    for line in script:
        if in_rows:
            in_rows = line != b"\\.\n"
        elif line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            in_rows = True
        elif (found := OWNER.fullmatch(line)) and found[2] != b"ledger_owner":
            yield found[1] + b"CURRENT_USER;\n"
            continue
        yield line


def begin(command: list[str], secret: dict[str, str], **pipes: Any) -> subprocess.Popen[bytes]:
    """Begin one of PostgreSQL's programs."""
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **secret}
    return subprocess.Popen([find_clients() / command[0], *command[1:]], env=environment, **pipes)  # noqa: S603


def refuse(code: str, program: str, status: int, said: IO[bytes]) -> NoReturn:
    """Refusal `code` with the last words of a program that failed."""
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines() or [f"{program} ended with status {status}"]
    raise Refusal(code, " / ".join(lines[-3:]), program=program)


def run(code: str, command: list[str], secret: dict[str, str]) -> None:
    """Run one of PostgreSQL's programs to its end; Refusal `code` with its last words when it fails."""
    with tempfile.TemporaryFile() as said:
        status = begin(command, secret, stdout=subprocess.DEVNULL, stderr=said).wait()
        if status != 0:
            refuse(code, command[0], status, said)


def sync(path: Path) -> None:
    """Make a file, or the names in a directory, last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
