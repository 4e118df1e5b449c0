"""Who asks: the session behind a cookie, the browser itself, and the token that proves a form is ours."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from litestar import Request, Response
from litestar.connection import ASGIConnection
from sqlalchemy import Row

from api.arrival import Arrival
from api.problems import Problem
from api.state import Bank, bank_of
from timebank import members, sessions
from timebank.sessions import Session

R = TypeVar("R", bound=Response[Any])
AnyConnection = ASGIConnection[Any, Any, Any, Any]

SESSION = "timebank"
BROWSER = "timebank-browser"
BROWSER_LIFE_SECONDS = 400 * 24 * 3600
# A cookie of ours is never longer; a longer one is not looked at.
COOKIE_LIMIT = 100


@dataclass(slots=True)
class Visitor:
    """Who sends a request. `session` is None for a stranger."""

    arrival: Arrival
    session: Session | None = None
    token: str | None = None
    browser: str | None = None
    """The browser's own random text. It says that two requests come from one browser, and not whose it is."""
    browser_is_new: bool = False
    reads: str | None = None
    """The scope of the token in place of a session; see `api/reading.py`."""
    acts_for: str | None = None
    """Whom a helper or a guardian acts for, by name."""
    kiosk: Row[Any] | None = None
    """The kiosk that signed this request, where the route is for kiosks; see `api/credentials.py`."""

    @property
    def csrf(self) -> str:
        """What a form of ours carries: derived from a cookie that no other site can read or set."""
        return token_for(self.token or self.browser or "", "csrf")

    @property
    def phone_id(self) -> UUID | None:
        """The number under which scans of this phone are kept; it does not give the browser's own text away."""
        if self.browser is None:
            return None
        return UUID(bytes=hashlib.sha256(b"phone\0" + self.browser.encode()).digest()[:16], version=4)

    def is_ours(self, csrf: str) -> bool:
        """Whether a form was made for this visitor."""
        bound = self.token or self.browser
        return bound is not None and hmac.compare_digest(csrf.encode("utf-8", "replace"), self.csrf.encode())


def token_for(secret: str, purpose: str) -> str:
    """A text that only who knows `secret` can make, and that does not give it away."""
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def cookie_name(name: str, arrival: Arrival) -> str:
    """`__Host-` makes browsers refuse the cookie from other hosts and open lines; plain http cannot have it."""
    return f"__Host-{name}" if arrival.secure else name


async def recognise(bank: Bank, arrival: Arrival, cookies: dict[str, str], *, keep_browser: bool) -> Visitor:
    """Who sends these cookies. Over an open line nobody is known: whoever reads along could come back as them."""
    visitor = Visitor(arrival)
    if not arrival.private:
        return visitor
    visitor.browser = short(cookies.get(cookie_name(BROWSER, arrival)))
    if visitor.browser is None and keep_browser:
        visitor.browser, visitor.browser_is_new = secrets.token_urlsafe(24), True
    token = short(cookies.get(cookie_name(SESSION, arrival)))
    if token is not None:
        visitor.session = await bank.recognition.session_of(token)
        visitor.token = token if visitor.session else None
    session = visitor.session
    if session is not None and session.acting_id is not None:
        async with bank.engine.connect() as connection:
            names = await members.names(connection, bank.book_id, bank.keys, [session.member_id])
        visitor.acts_for = names.get(session.member_id, "?")
    return visitor


def short(cookie: str | None) -> str | None:
    """A cookie that may be ours."""
    return cookie if cookie and len(cookie) <= COOKIE_LIMIT and cookie.isascii() else None


def visitor_of(connection: AnyConnection) -> Visitor:
    """Who sent this request."""
    visitor: Visitor = connection.scope["auth"]
    return visitor


def member_of(connection: AnyConnection) -> Session:
    """Who is signed in; raises `not_signed_in`."""
    session = visitor_of(connection).session
    if session is None:
        raise Problem("not_signed_in")
    return session


def address_of(connection: AnyConnection) -> str:
    """The visitor's network address, which tries are counted by."""
    return visitor_of(connection).arrival.address


def sign_in_with(request: Request[Any, Any, Any], response: R, token: str) -> R:
    """Give the browser its new session, whose token `timebank.sessions` has just made."""
    set_cookie(response, SESSION, token, int(sessions.LONGEST.total_seconds()), visitor_of(request).arrival)
    return response


async def sign_out_from(request: Request[Any, Any, Any], response: R) -> R:
    """End the session of this browser, here and in the database. Without one, nothing happens."""
    bank, visitor = bank_of(request), visitor_of(request)
    if visitor.token is not None:
        async with bank.engine.begin() as connection:
            await sessions.end(connection, bank.book_id, visitor.token)
        bank.recognition.forget(visitor.token)
    set_cookie(response, SESSION, "", 0, visitor.arrival)
    return response


def set_cookie(response: Response[Any], name: str, value: str, life_seconds: int, arrival: Arrival) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send along with a write."""
    if not arrival.private:
        raise Problem("https_required")
    response.set_cookie(
        cookie_name(name, arrival),
        value,
        max_age=life_seconds,
        path="/",
        secure=arrival.secure,
        httponly=True,
        samesite="lax",
    )
