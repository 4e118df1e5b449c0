"""Chromium for the browser tests: found where it is, else installed through apt when this is root.

`python tests/chromium.py` is what `make test` calls first.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# The browser, and a font for the Chinese half of every page.
PACKAGES = ("chromium", "fonts-noto-cjk")
NEEDED = "The browser tests need Chromium and a CJK font: run `apt-get install chromium fonts-noto-cjk` as root."


class ChromiumMissing(Exception):
    """There is no browser to test with."""


def find_chromium() -> Path:
    """Where the browser is, by TIMEBANK_CHROMIUM or on the path. Raises ChromiumMissing."""
    if chosen := os.environ.get("TIMEBANK_CHROMIUM"):
        return Path(chosen)
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise ChromiumMissing(NEEDED)


def has_cjk_font() -> bool:
    """Whether the system can draw Chinese."""
    listing = shutil.which("fc-list")
    if listing is None:
        return False
    return bool(subprocess.run([listing, ":lang=zh"], capture_output=True, check=False).stdout.strip())


def is_ready() -> bool:
    """Whether browser and font are there."""
    try:
        find_chromium()
    except ChromiumMissing:
        return False
    return has_cjk_font()


def install() -> None:
    """Install both with apt."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", *command], check=True, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    if not is_ready() and os.geteuid() == 0 and shutil.which("apt-get"):
        print("Installing Chromium and a CJK font for the browser tests", flush=True)
        install()
    if not is_ready():
        sys.exit(NEEDED)
