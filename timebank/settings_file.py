"""Settings in a file, one `KEY=VALUE` a line: for a service that starts with the machine, and for its operator."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from timebank.refusal import Refusal
from timebank.settings import Settings

QUOTES = "\"'"


def read(path: Path) -> Mapping[str, str]:
    """What the file says, by variable. Empty lines and those that begin with # say nothing; quotes around a value are
    taken off; nothing is expanded.

    Refusal `settings_file_wrong` naming the line that is no setting: a name that is misspelt would say nothing at all.
    """
    known = {each.metadata["variable"] for each in fields(Settings)}
    found: dict[str, str] = {}
    for number, line in enumerate(lines_of(path), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or name not in known:
            raise wrong(path, f"line {number} is no setting")
        if len(value) > 1 and value[0] in QUOTES and value[0] == value[-1]:
            value = value[1:-1]
        found[name] = value
    return found


def lines_of(path: Path) -> list[str]:
    """The lines of the file."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise wrong(path, "it cannot be read as UTF-8") from None


def wrong(path: Path, why: str) -> Refusal:
    """What is said of a file that is not one of settings. Never what is in it: it may hold a password."""
    return Refusal("settings_file_wrong", f"{path}: {why}", path=str(path))
