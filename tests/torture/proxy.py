"""A TCP proxy on this machine that goes away, comes back, and swallows answers, as networks do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Proxy:
    """Carries bytes between whoever connects to `port` and what `connect` reaches."""

    connect: Callable[[], object]
    """Opens a connection to the other side; awaited."""
    port: int = 0
    away: bool = False
    """Hang up on everybody who connects."""
    swallow: bytes | None = None
    """Carry on what comes with this in it, and hang up, once, instead of handing over what the other side answers."""
    swallowed: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side hangs up."""
        if self.away:
            writer.close()
            return
        try:
            far_reader, far_writer = await self.connect()  # type: ignore[misc]  # as its docstring says
        except OSError:
            writer.close()
            return
        ends = {writer, far_writer}
        self.open |= ends
        back = asyncio.create_task(self.pump(far_reader, writer))
        try:
            while data := await reader.read(65536):
                if self.swallow is not None and self.swallow in data:
                    self.swallow = None
                    await stopped(back)
                    far_writer.write(data)
                    # Whatever is answered now has been carried out; nobody gets to know.
                    await far_reader.read(65536)
                    self.swallowed += 1
                    return
                far_writer.write(data)
        except OSError:
            pass
        finally:
            await stopped(back)
            for end in ends:
                end.close()
            self.open -= ends

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The other way."""
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()

    def go_away(self) -> None:
        """Hang up on everybody, and on everybody who comes."""
        self.away = True
        for writer in list(self.open):
            transport = writer.transport
            transport.abort()

    def come_back(self) -> None:
        """Carry again."""
        self.away = False


async def stopped(task: "asyncio.Task[None]") -> None:
    """Stop a task, and wait until it has."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError):
        await task


@contextlib.asynccontextmanager
async def proxy_to(connect: Callable[[], object]) -> AsyncIterator[Proxy]:
    """A proxy on a free port for the time of the block."""
    proxy = Proxy(connect)
    server = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.go_away()
        server.close()
        await server.wait_closed()


def to_tcp(port: int) -> Callable[[], object]:
    """Reaches a port of this machine."""
    return lambda: asyncio.open_connection("127.0.0.1", port)


def to_socket(path: str) -> Callable[[], object]:
    """Reaches a unix socket."""
    return lambda: asyncio.open_unix_connection(path)
