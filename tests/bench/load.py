"""Many connections that each wait for an answer before they ask again; leaner than any client library, so that the
server is what is measured."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Ask = Callable[[], bytes | None]


@dataclass
class Measured:
    """What one round found."""

    seconds: float = 0
    waits: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(self.statuses.values()) / self.seconds


class Caller(asyncio.Protocol):
    """One connection. `ask` makes the next request, or None when there is none left."""

    def __init__(self, ask: Ask, measured: Measured, end: float) -> None:
        self.ask, self.measured, self.end = ask, measured, end
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first time."""
        self.transport = transport
        self.next()

    def next(self) -> None:
        """Ask again, until time is up."""
        request = self.ask() if time.perf_counter() < self.end else None
        if request is None:
            self.transport.close()
            return
        self.asked = time.perf_counter()
        self.transport.write(request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole."""
        self.buffer += data
        head, separator, body = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        status = int(head[9:12])
        self.measured.statuses[status] = self.measured.statuses.get(status, 0) + 1
        self.measured.waits.append(time.perf_counter() - self.asked)
        self.buffer = b""
        self.next()

    def connection_lost(self, error: Exception | None) -> None:
        """The end, wanted or not."""
        if error is not None:
            self.done.set_exception(error)
        elif not self.done.done():
            self.done.set_result(None)


async def load(port: int, asks: Sequence[Ask], seconds: float) -> Measured:
    """Let one connection for each of `asks` ask for `seconds`."""
    loop, measured = asyncio.get_running_loop(), Measured()
    start = time.perf_counter()
    callers = []
    for ask in asks:
        _, caller = await loop.create_connection(
            lambda ask=ask: Caller(ask, measured, start + seconds),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        callers.append(caller)
    await asyncio.gather(*(caller.done for caller in callers))
    measured.seconds = time.perf_counter() - start
    return measured


def request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """One POST of JSON."""
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body
