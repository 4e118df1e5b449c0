"""Sends the messages of webhooks, again and again, in every serving process; a message is one process's at a time."""

import asyncio
import contextlib
import socket
import ssl
from urllib.parse import urlsplit

import httpx
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from timebank import webhooks
from timebank.clock import Clock
from timebank.keys import Keys
from timebank.setting_values import is_loopback
from timebank.settings import Settings
from timebank.webhooks import Message, Outcome

TURN_SECONDS = 5.0
# To reach the far side, and for its whole answer.
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
AT_ONCE = 10

log = structlog.get_logger(__name__)


class Deliveries:
    """Looks every few seconds, until stopped."""

    def __init__(
        self,
        engine: AsyncEngine,
        settings: Settings,
        keys: Keys,
        clock: Clock,
        *,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.engine, self.settings, self.keys, self.clock = engine, settings, keys, clock
        self.answer_seconds = answer_seconds
        # Read once: it is a file of many authorities.
        self.trust = ssl.create_default_context()
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self.task = asyncio.create_task(self.turns())

    async def stop(self) -> None:
        """End; what was being sent is sent again after its lease, with the same id."""
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task

    async def turns(self) -> None:
        """One turn after another."""
        while True:
            await asyncio.sleep(TURN_SECONDS)
            try:
                while await self.turn():
                    pass
            except Exception as error:
                # The database may be away; the next turn tries again.
                log.error("deliveries_failed", exc_info=error)

    async def turn(self) -> int:
        """Send what is due; answers how many messages were tried. No connection is held while the far side thinks."""
        async with self.engine.begin() as connection:
            found = await webhooks.claim(connection, self.settings.book_id, self.clock(), AT_ONCE)
        await asyncio.gather(*map(self.tried, found))
        return len(found)

    async def tried(self, message: Message) -> None:
        """One message, once."""
        try:
            async with asyncio.timeout(self.answer_seconds):
                outcome = await self.sent(message)
        except TimeoutError:
            outcome = Outcome(failure="too_slow")
        async with self.engine.begin() as connection:
            state = await webhooks.settle(connection, self.settings.book_id, message, outcome, self.clock())
        log.info("webhook", state=state, tries=message.tries, status=outcome.status, failure=outcome.failure)

    async def sent(self, message: Message) -> Outcome:
        """What the far side answers. A redirect is an answer, and not followed: nobody checked where it leads."""
        now, body = self.clock(), message.body
        secret = webhooks.secret_of(self.keys, self.settings.book_id, message.webhook_id)
        headers = webhooks.signed(secret, message.id, int(now.timestamp()), body)
        parts = urlsplit(message.url)
        host = parts.hostname or ""
        address = await self.place_of(host, parts.port or (443 if parts.scheme == "https" else 80))
        if address is None:
            return Outcome(failure="no_such_place")
        # To the address that was checked, whatever the name leads to by now; the certificate is the name's.
        literal = f"[{address}]" if ":" in address else address
        url = parts._replace(netloc=f"{literal}:{parts.port}" if parts.port else literal).geturl()
        headers["Host"] = parts.netloc
        timeout = httpx.Timeout(self.answer_seconds, connect=min(CONNECT_SECONDS, self.answer_seconds))
        try:
            async with (
                httpx.AsyncClient(
                    verify=self.trust, timeout=timeout, follow_redirects=False, trust_env=False
                ) as client,
                client.stream("POST", url, content=body, headers=headers, extensions={"sni_hostname": host}) as answer,
            ):
                # What it says beyond its status is not read.
                return Outcome(status=answer.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Outcome(failure=type(error).__name__)

    async def place_of(self, host: str, port: int) -> str | None:
        """The first address of a name; None where there is none, or any lies where messages may not go."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return None
        addresses = [str(each[4][0]) for each in found]
        if self.settings.webhooks_private:
            return addresses[0]
        allowed = [
            webhooks.is_outside(each) or (self.settings.demo and is_loopback(host) and is_loopback(each))
            for each in addresses
        ]
        return addresses[0] if addresses and all(allowed) else None
