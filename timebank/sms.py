"""Messages to people. A sender is anything with `send`; one that prints is built in, others are in `gateways.py`."""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger(__name__)


class Sender(Protocol):
    """Brings a message to a person."""

    async def send(self, phone: str, code: str, locale: str, mail: str | None = None) -> None:
        """Send a sign-in code to a phone number in E.164, or to the person's mail address where there is one and that
        is this sender's way, in words of `locale`. May raise: the person tries again."""
        ...


class LocalSender:
    """Prints each code where the service was started; in demo mode it also keeps the last one for the page."""

    def __init__(self, write: Callable[[str], object] = print, *, demo: bool = False) -> None:
        self.write = write
        self.demo = demo
        self.last: dict[str, str] = {}

    async def send(self, phone: str, code: str, locale: str, mail: str | None = None) -> None:
        """Print the code; see `Sender`."""
        self.write(f"sign-in code for {phone or mail}: {code}")
        if self.demo:
            self.last = {phone or mail or "": code}

    def last_code(self, phone: str) -> str | None:
        """The code last sent, when it went to this number (E.164) or address and this is a demo."""
        return self.last.get(phone)


under_way: set[asyncio.Task[None]] = set()


def send_soon(sender: Sender, phone: str, code: str, locale: str, mail: str | None = None) -> None:
    """Send without waiting: how long an answer takes must not tell whether anything was sent."""
    task = asyncio.create_task(sender.send(phone, code, locale, mail))
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
