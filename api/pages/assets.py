"""The bank's own files for browsers: style sheets and pictures as they are, scripts as `api/web/build.py` made them."""

import gzip
import hashlib
from functools import cache
from pathlib import Path

from timebank.refusal import Refusal

STATIC = Path(__file__).parent.parent / "static"
# Built from `api/web/`; in the wheel, and not in the repository.
SCRIPTS = STATIC / "dist"
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
}
# Read once: what a build changes is served from the next start on.
FILES = {
    path.name: path.read_bytes()
    for directory in (STATIC, SCRIPTS)
    if directory.is_dir()
    for path in directory.iterdir()
    if path.suffix in TYPES
}


def media_type(name: str) -> str:
    """What a file of ours is."""
    return TYPES[Path(name).suffix]


@cache
def packed(name: str) -> bytes | None:
    """A file as gzip, where that is worth it; packed when it is first asked for."""
    found = gzip.compress(FILES[name], 6)
    return found if len(found) < 0.9 * len(FILES[name]) else None


BUILT = frozenset(path.name for path in SCRIPTS.iterdir()) if SCRIPTS.is_dir() else frozenset()


@cache
def static(name: str) -> str:
    """The address of one of our own files. It changes with the file, so that browsers may keep it for ever.

    Scripts load each other by their names alone, so all of them change their addresses together.
    """
    digest = build_digest() if name in BUILT else hashlib.sha256(FILES[name]).hexdigest()[:12]
    return f"/static/{digest}/{name}"


@cache
def build_digest() -> str:
    """What all scripts together are known by."""
    found = hashlib.sha256()
    for name in sorted(BUILT & FILES.keys()):
        found.update(hashlib.sha256(FILES[name]).digest())
    return found.hexdigest()[:12]


def refuse_unbuilt() -> None:
    """Refusal `scripts_missing`: the pages would ask for scripts that are not there."""
    if not any(name.endswith(".js") for name in FILES):
        raise Refusal(
            "scripts_missing",
            "The scripts of the pages are not built. Build them with `python api/web/build.py`, or install the wheel, "
            "which has them",
        )
