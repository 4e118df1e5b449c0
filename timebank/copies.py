"""What was copied when: one small file in the data directory, so that whoever looks after the bank is told what is old.

It says when, and what a copy was of; never what a copy holds, nor anything that a restore depends on.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

FILE = "copies.json"

Kind = Literal["database", "keys"]


def note(data: Path, kind: Kind, at: datetime, **facts: Any) -> None:
    """Remember that a copy of this kind was made at `at`, in the data directory. An older note is replaced."""
    path = data / FILE
    notes = {**read(data), kind: {"at": at.isoformat(timespec="seconds"), **facts}}
    beside = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(notes, file, indent=2)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def noted(data: Path, kind: Kind) -> tuple[datetime, Mapping[str, Any]] | None:
    """When the last copy of this kind was made, and what is noted of it; None when nobody made one."""
    found = read(data).get(kind)
    if isinstance(found, dict):
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return datetime.fromisoformat(found["at"]), found
    return None


def read(data: Path) -> dict[str, Any]:
    """All notes. A file that is no longer whole counts as none: what it says can be said again."""
    try:
        found = json.loads((data / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
