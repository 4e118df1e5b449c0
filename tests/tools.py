"""Programs that the tests drive and pip cannot bring: found where they are, else installed by apt when this is root.

`python tests/tools.py` is what `make test` calls first.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CHROMIUM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
HLEDGER = ("hledger",)
# A browser, a font for the Chinese half of every page, and a second opinion on the ledger's journal.
PACKAGES = ("chromium", "fonts-noto-cjk", "hledger")
NEEDED = f"The tests need Chromium, a CJK font and hledger: run `apt-get install {' '.join(PACKAGES)}` as root."


class ToolMissing(Exception):
    """A program that the tests drive is not there."""


def find(names: tuple[str, ...], variable: str) -> Path:
    """Where a program is: where `variable` says, else on the path. Raises ToolMissing."""
    if chosen := os.environ.get(variable):
        return Path(chosen)
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    raise ToolMissing(NEEDED)


def find_chromium() -> Path:
    """The browser."""
    return find(CHROMIUM, "TIMEBANK_CHROMIUM")


def find_hledger() -> Path:
    """The accounting program."""
    return find(HLEDGER, "TIMEBANK_HLEDGER")


def has_cjk_font() -> bool:
    """Whether the system can draw Chinese."""
    listing = shutil.which("fc-list")
    if listing is None:
        return False
    return bool(subprocess.run([listing, ":lang=zh"], capture_output=True, check=False).stdout.strip())


def is_ready() -> bool:
    """Whether everything is there."""
    try:
        find_chromium()
        find_hledger()
    except ToolMissing:
        return False
    return has_cjk_font()


def install() -> None:
    """Install what is missing with apt."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", *command], check=True, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    if not is_ready() and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing what the tests drive: " + ", ".join(PACKAGES), flush=True)
        install()
    if not is_ready():
        sys.exit(NEEDED)
