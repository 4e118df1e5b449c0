"""Messages to phones. A sender is anything with `send`; a city plugs in its own, and one that prints is built in."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)


class Sender(Protocol):
    """Brings a message to a phone."""

    async def send(self, phone: str, code: str, locale: str) -> None:
        """Send a sign-in code to a phone number in E.164, in words of `locale`. May raise: the person tries again."""
        ...


class LocalSender:
    """Prints each code where the service was started; in demo mode it also keeps the last one for the page."""

    def __init__(self, write: Callable[[str], object] = print, *, demo: bool = False) -> None:
        self.write = write
        self.demo = demo
        self.last: dict[str, str] = {}

    async def send(self, phone: str, code: str, locale: str) -> None:
        """Print the code; see `Sender`."""
        self.write(f"sign-in code for {phone}: {code}")
        if self.demo:
            self.last = {phone: code}

    def last_code(self, phone: str) -> str | None:
        """The code last sent, when it went to this number (E.164) and this is a demo."""
        return self.last.get(phone)


under_way: set[asyncio.Task[None]] = set()


def send_soon(sender: Sender, phone: str, code: str, locale: str) -> None:
    """Send without waiting: how long an answer takes must not tell whether anything was sent."""
    task = asyncio.create_task(sender.send(phone, code, locale))
    # The loop itself keeps tasks weakly; this set keeps them until they are done.
    under_way.add(task)
    task.add_done_callback(finished)


def finished(task: asyncio.Task[None]) -> None:
    """Log a message that could not be sent: the kind of error only, since its text may hold the number."""
    under_way.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a sign-in code could not be sent: %s", type(error).__name__)


async def all_sent() -> None:
    """Wait for the messages under way: before the service stops."""
    await asyncio.gather(*under_way, return_exceptions=True)
