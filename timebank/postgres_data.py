"""What lies in the data directory of the embedded PostgreSQL: whose it is, who runs on it, how to sign in."""

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from timebank.postgres_files import programs_version
from timebank.refusal import Refusal


def hold(data: Path) -> IO[str]:
    """Take the data directory for this process until the file is closed, or say who has it."""
    lock = (data / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        try:
            holder = json.loads(lock.read())
        except ValueError:
            holder = {"process_id": 0, "since": "just now"}
        lock.close()
        raise Refusal(
            "data_directory_in_use",
            f"{data} is in use by process {holder['process_id']}, since {holder['since']}",
            **holder,
        ) from None
    # A serving process that is split off later must not hold the directory when this one has died.
    os.register_at_fork(after_in_child=lock.close)
    lock.truncate(0)
    now = datetime.now(UTC).isoformat(timespec="seconds")  # for people to read; nothing is decided by it
    lock.write(json.dumps({"process_id": os.getpid(), "since": now}))
    lock.flush()
    return lock


def runs_on(process_id: int, cluster: Path) -> bool:
    """Whether this process is a PostgreSQL on `cluster`. A number alone is no proof: after a reboot it is somebody
    else's."""
    if Path("/proc/self").exists():
        try:
            return os.path.samefile(f"/proc/{process_id}/cwd", cluster)
        except PermissionError:
            # Root without the right to look into other accounts' processes, as in many containers.
            with contextlib.suppress(OSError):
                return os.fsencode(cluster) in Path(f"/proc/{process_id}/cmdline").read_bytes().split(b"\0")
        except OSError:
            pass
        return False
    command = ["ps", "-p", str(process_id), "-o", "command="]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return str(cluster) in shown.stdout


def refuse_other_version(cluster: Path) -> None:
    """Refusal `postgresql_other_version` for files that another major version of PostgreSQL wrote."""
    made_by = (cluster / "PG_VERSION").read_text().strip()
    ours = programs_version().partition(".")[0]
    if made_by != ours:
        raise Refusal(
            "postgresql_other_version",
            f"{cluster} was written by PostgreSQL {made_by}, and this is PostgreSQL {ours}: make a backup with the "
            "version of the bank that wrote it, and restore it with this one into an empty directory",
            made_by=made_by,
            programs=ours,
        )


def status_lines(cluster: Path) -> list[str]:
    """What a postmaster says of itself: process, directory, start, port, socket directory, address, memory, state."""
    try:
        return [line.strip() for line in (cluster / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return []


def read_passwords(home: Path) -> dict[str, str]:
    """Of the three roles that log in, made at random when the cluster was."""
    passwords: dict[str, str] = json.loads((home / "passwords.json").read_text())
    return passwords


def write_passwords(home: Path, passwords: Mapping[str, str]) -> None:
    """Readable by this user alone, and on the disk before the cluster is."""
    path = home / "passwords.json"
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(dict(passwords), file)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make renames in `directory` last."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def noted_number(cluster: Path) -> int | None:
    """The process number that the cluster's last postmaster left, whoever has it now."""
    lines = status_lines(cluster)
    return int(lines[0]) if lines and lines[0].isdigit() and int(lines[0]) else None


def is_alive(process_id: int) -> bool:
    """Whether there is a process with this number."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
