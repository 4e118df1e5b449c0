"""A serving process: it ends when the service that started it ends, however that ends."""

import asyncio
import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

PR_SET_PDEATHSIG = 1
# Longer than the service itself waits for a worker that it has told to stop (`serving.STOP_SECONDS`).
LAST_SECONDS = 45


def end_with_parent() -> None:
    """Let the kernel send SIGTERM to this process when the thread that started it dies. Linux only; elsewhere
    nothing.

    The service's main thread starts the workers and lives as long as the service, so this is its end, SIGKILL
    included. A worker that outlived it would keep the port and serve from a database that is shutting down.
    """
    service = multiprocessing.parent_process()
    if sys.platform != "linux" or service is None:
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # It may have died a moment ago, before anybody asked for the signal.
    if os.getppid() != service.pid:
        os.kill(os.getpid(), signal.SIGTERM)


def freeze_what_is_loaded() -> None:
    """Call once everything is loaded: the collector then looks through what requests leave behind, and no longer
    through all that was imported, which never becomes garbage (a tenth of a busy worker's time, in long pauses)."""
    gc.collect()
    gc.freeze()


def when_stopped(call: Callable[[], None], last_seconds: int = LAST_SECONDS) -> None:
    """Call in the running loop, also, when this process is told to stop; what else happens then stays as it is.

    A worker that is told so in the moment before granian listens for it would never hear it, and where the service is
    gone nobody insists: after `last_seconds` the kernel ends it.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def heard(
            number: int, frame: FrameType | None, before: object = before, loop: asyncio.AbstractEventLoop = loop
        ) -> None:
            signal.alarm(last_seconds)
            loop.call_soon_threadsafe(call)
            if callable(before):
                before(number, frame)

        signal.signal(number, heard)
        # As the loop has it: no system call fails because of the signal.
        signal.siginterrupt(number, False)
