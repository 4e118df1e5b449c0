"""A wire between the driver and PostgreSQL that a test cuts: before a COMMIT is sent on, or once it was carried out."""

import asyncio
import contextlib
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from timebank.database import plain_url, refuse_dead

COMMIT = b"COMMIT"


class Wire:
    """Carries bytes both ways. `cut` says what happens to the next COMMIT, once; None: nothing. One that is `dead`
    hangs up on everybody who connects."""

    def __init__(self, url: str) -> None:
        self.url = plain_url(url)
        self.cut: Literal["before", "after"] | None = None
        self.cuts = 0
        self.dead = False
        self.connections = 0
        self.port = 0
        self.down_the_line: list[asyncio.StreamWriter] = []

    async def start(self) -> asyncio.Server:
        """Listen on a free port of this machine."""
        server = await asyncio.start_server(self.carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def engine(self) -> AsyncEngine:
        """Connections through the wire."""

        async def connect() -> Any:
            return await asyncpg.connect(self.url, host="127.0.0.1", port=self.port, ssl=False)

        engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_size=2)
        event.listen(engine.sync_engine, "checkout", refuse_dead)
        return engine

    async def say_goodbye(self) -> None:
        """What a server says to everybody when it is shut down. Nobody has hung up yet."""
        fields = b"".join(part + b"\0" for part in (b"SFATAL", b"VFATAL", b"C57P01", b"Mterminating connection", b""))
        for writer in self.down_the_line:
            writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
            await writer.drain()

    async def upstream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the server that the URL names."""
        parts = urlsplit(self.url)
        query = parse_qs(parts.query)
        host = query.get("host", [parts.hostname or "127.0.0.1"])[0]
        port = int(query.get("port", [parts.port or 5432])[0])
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side hangs up."""
        self.connections += 1
        if self.dead:
            writer.close()
            return
        up_reader, up_writer = await self.upstream()
        self.down_the_line.append(writer)
        answered = asyncio.create_task(self.down(up_reader, writer))
        try:
            while data := await reader.read(65536):
                if self.cut and COMMIT in data:
                    cut, self.cut = self.cut, None
                    self.cuts += 1
                    if cut == "after":
                        answered.cancel()
                        up_writer.write(data)
                        # What comes back says that it is committed; nobody gets to know.
                        await up_reader.read(65536)
                    break
                up_writer.write(data)
        finally:
            answered.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await answered
            for end in (writer, up_writer):
                end.close()

    async def down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What the server says."""
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()
