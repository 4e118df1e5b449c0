"""HTTP as the crowd sends it: a connection for each request, which may be hung up on, and answers kept as they came."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from tests.torture.town import Volunteer

HangUp = Literal["in the middle", "before the answer"]
PATIENCE_SECONDS = 240.0


@dataclass(frozen=True)
class Reply:
    """An answer: its status, and its JSON without what differs from one answer to the next."""

    status: int
    body: Any

    @property
    def is_final(self) -> bool:
        """Whether it will be the same for ever. Busy is none: it says to send the same again."""
        return self.status < 500

    @property
    def is_busy(self) -> bool:
        """Whether it is the problem `busy`."""
        return self.status == 503 and self.body["code"] == "busy"


async def send(
    port: int, volunteer: Volunteer, path: str, body: Any = None, *, hang_up: HangUp | None = None, method: str = "POST"
) -> Reply | None:
    """Send one request; None when no answer came, whether or not it arrived."""
    content = b"" if body is None else json.dumps(body).encode()
    host = f"127.0.0.1:{port}"
    headers = {"Host": host, "Origin": f"http://{host}", "Connection": "close", **volunteer.headers}
    if body is not None:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    whole = "\r\n".join(lines).encode() + content
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return None
    try:
        writer.write(whole[: len(whole) - len(content) // 2] if hang_up == "in the middle" else whole)
        await writer.drain()
        if hang_up:
            return None
        async with asyncio.timeout(PATIENCE_SECONDS):
            return read(await reader.read())
    except OSError:
        return None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def read(answer: bytes) -> Reply | None:
    """What came back; None when that was not the whole of it."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
    if b"content-length" not in fields or len(body) < int(fields[b"content-length"]):
        return None
    content = json.loads(body) if b"json" in fields.get(b"content-type", b"") else body.decode()
    if isinstance(content, dict):
        # A problem names the request that it was the answer to.
        content.pop("instance", None)
    return Reply(int(lines[0].split()[1]), content)
