"""Where tests keep what need not outlast them."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def quick_place() -> str:
    """Where files are in memory, if there is room: what is tested are processes that die, not disks."""
    memory = "/dev/shm"
    with contextlib.suppress(OSError):
        facts = os.statvfs(memory)
        if facts.f_bavail * facts.f_frsize > 2 * 2**30:
            return memory
    return "/tmp"


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A directory with a short name that every account may pass through; unlike pytest's, which are private."""
    directory = Path(tempfile.mkdtemp(prefix="timebank-", dir=quick_place()))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
