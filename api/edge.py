"""The outermost layer: what is true of every answer, whoever gives it.

Every answer has a request id, a log line and the security headers; every failure becomes a problem; a request for a
host that is not ours goes no further.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from typing import Any

import structlog
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Message, Receive, Scope, Send

from api import content_policy, reading, refusing
from api.arrival import arrival, is_served
from api.auth import BROWSER, BROWSER_LIFE_SECONDS, Visitor, cookie_name, recognise
from api.problems import PROGRAM_PATHS, Problem
from api.state import Bank

HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=(), payment=()"),
]
POLICY = (content_policy.HEADER.encode(), content_policy.USUAL.encode())
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
NO_STORE = (b"cache-control", b"no-store")
# What is the same for everybody: nobody is looked up, no cookie is set.
IMPERSONAL = ("/static/", "/health/", "/metrics", "/offline", "/service-worker.js")
# In bytes, query included: one Chinese character takes nine.
ADDRESS_LIMIT = 4000
# How much of a body that nobody wants is read before the answer, and for how long at most: more than the largest file
# that is taken (`imports/uploads.py`), so that whoever sends a larger one is told so.
LEFT_BYTES = 48 * 2**20
LEFT_SECONDS = 5

Observe = Callable[[str, str, int, float], None]

log = structlog.get_logger(__name__)


class Edge:
    """Wraps the app. `observe` is told the method, route, status and seconds of every answer."""

    def __init__(self, app: ASGIApp, bank: Callable[[], Bank], observe: Observe) -> None:
        self.app = app
        self.bank = bank
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer whoever calls."""
        if scope["type"] == ScopeType.WEBSOCKET:
            await send({"type": "websocket.close", "code": 1000, "reason": "no sockets here"})
            return
        await self.respond(scope, receive, send)

    async def respond(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started_at, request_id = time.perf_counter(), secrets.token_hex(8)
        bank = self.bank()
        headers = dict(scope["headers"])
        came = arrival(scope, headers, bank.settings)
        visitor = Visitor(came)
        scope["state"]["request_id"] = request_id
        scope["auth"] = visitor
        status = 0
        body = Body(receive, ended=scope["method"] in ("GET", "HEAD"))

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                complete(message, visitor, request_id)
                await body.leave()
            await send(message)

        try:
            visitor = await self.admit(scope, headers, bank, visitor)
            scope["auth"] = visitor
            await self.app(scope, body.receive, answer)
        except Exception as error:
            if status:
                log.error("answer_broken", request_id=request_id, exc_info=error)
                raise
            await refuse(scope, body.receive, answer, error)
        finally:
            seconds = time.perf_counter() - started_at
            route = route_of(scope)
            self.observe(scope["method"], route, status, seconds)
            log.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                route=route,
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )

    async def admit(self, scope: HTTPScope, headers: dict[bytes, bytes], bank: Bank, visitor: Visitor) -> Visitor:
        """Who sends this request; raises the problem of one that is not for this bank."""
        if not is_served(visitor.arrival.host, bank.settings):
            raise Problem("host_unknown")
        raw_path, query = scope.get("raw_path") or b"", scope["query_string"]
        if len(raw_path) + len(query) > ADDRESS_LIMIT:
            raise Problem("address_too_long")
        if "\0" in scope["path"] or b"%00" in query or not is_text(scope["path"]):
            raise Problem("text_has_nul")
        path = scope["path"]
        if path.startswith(IMPERSONAL):
            return visitor
        if path.startswith(PROGRAM_PATHS) and (token := reading.token_in(headers)):
            return await reading.recognise(bank, visitor.arrival, token)
        cookies = cookies_of(scope) if b"cookie" in headers else {}
        return await recognise(
            bank, visitor.arrival, cookies, keep_browser=not path.startswith(PROGRAM_PATHS) or path == "/api/v1/tickets"
        )


class Body:
    """What a request brings.

    Who is answered before the whole of it has been read, because it is too large or the sender may not, is hung up on
    by the server: the answer may be lost on the way, and the sender sees no more than a broken connection. So the rest
    is read and thrown away first, up to what a network carries in a moment.
    """

    def __init__(self, receive: Receive, ended: bool) -> None:
        self.source = receive
        self.ended = ended

    async def receive(self) -> Any:
        """The next part, as the app asks for it."""
        message = await self.source()
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def leave(self) -> None:
        """Read on to the end, to the limit, or until the time is over, whichever comes first."""
        left = LEFT_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEFT_SECONDS):
                while not self.ended and left > 0:
                    left -= len((await self.receive()).get("body", b""))


def cookies_of(scope: HTTPScope) -> dict[str, str]:
    """The cookies by name. In ours nothing is ever quoted, so nothing is unquoted here, which spares half the work."""
    header = b";".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    pairs = (part.partition("=") for part in header.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def is_text(path: str) -> bool:
    """Whether a path is made of characters that can be stored; broken UTF-8 arrives as halves of pairs."""
    return "�" not in path and not any("\ud800" <= character <= "\udfff" for character in path)


def complete(message: HTTPResponseStartEvent, visitor: Visitor, request_id: str) -> None:
    """Add what every answer has. What the answer says itself about being kept stays."""
    headers = list(message["headers"])
    names = {name.lower() for name, _ in headers}
    headers += HEADERS
    # A page that needs a camera has said so itself.
    if POLICY[0] not in names:
        headers.append(POLICY)
    headers.append((b"x-request-id", request_id.encode()))
    if b"cache-control" not in names:
        headers.append(NO_STORE)
    if visitor.arrival.secure:
        headers.append(HSTS)
    if visitor.browser_is_new:
        headers.append((b"set-cookie", browser_cookie(visitor)))
    message["headers"] = headers


def browser_cookie(visitor: Visitor) -> bytes:
    """The cookie by which a browser is known again."""
    name, secure = cookie_name(BROWSER, visitor.arrival), "; Secure" if visitor.arrival.secure else ""
    text = f"{name}={visitor.browser}; Path=/; Max-Age={BROWSER_LIFE_SECONDS}; HttpOnly; SameSite=Lax{secure}"
    return text.encode()


def route_of(scope: HTTPScope) -> str:
    """The route as the table of guards names it; never the path, which holds codes and ids."""
    return scope.get("path_template") or "none"


async def refuse(scope: HTTPScope, receive: Receive, send: Send, error: Exception) -> None:
    """Answer a failure outside the app as the app would have."""
    request: Request[Any, Any, Any] = Request(scope, receive, send)
    response = refusing.answer(request, error)
    await response.to_asgi_response(app=None, request=request)(scope, receive, send)
