"""What was scanned, on its way from the code's own address to the page that it is for.

A code that stays in an address is read over a shoulder, kept in a history, and sent on with a link. So opening one
puts it into a cookie of this browser, for ten minutes, and leads on to an address without it.
"""

from typing import Any, Literal
from urllib.parse import quote, unquote

from litestar import Response, get

from api import tickets
from api.auth import cookie_name, set_cookie, visitor_of
from api.pages.page import AnyRequest, go, holds_role, show
from timebank.counter import COUNTER_ROLES

COOKIE = "scanned"
LIFE_SECONDS = int(tickets.LIFE.total_seconds())
# A ticket is the longest; what somebody types at a counter is cut, and is no code then either.
LENGTH_LIMIT = tickets.LENGTH_LIMIT
Kind = Literal["ticket", "station", "poster", "card", "redemption"]
# The pages for who is signed in.
ONWARD: dict[Kind, str] = {"poster": "/check-in/digits", "card": "/check-in/door", "redemption": "/counter"}


def keep(request: AnyRequest, kind: Kind, text: str, path: str, **query: Any) -> Response[Any]:
    """On to `path`, with what was scanned in the cookie and not in the address. `https_required` on an open line."""
    response = go(path, **query, scanned=1)
    value = quote(f"{kind}:{text[:LENGTH_LIMIT]}", safe=":")
    set_cookie(response, COOKIE, value, LIFE_SECONDS, visitor_of(request).arrival)
    return response


def kept(request: AnyRequest, kind: Kind) -> str:
    """What was scanned before this page, when it is of this kind; "" for who came by another way."""
    found = held(request)
    return found[1] if found[0] == kind and request.query_params.get("scanned") else ""


def held(request: AnyRequest) -> tuple[str, str]:
    """The kind and the text in the cookie; both "" without one."""
    value = request.cookies.get(cookie_name(COOKIE, visitor_of(request).arrival)) or ""
    kind, _, text = unquote(value[: 10 * LENGTH_LIMIT], errors="replace").partition(":")
    return kind, text if text.isprintable() else ""


@get("/scanned")
async def scanned(request: AnyRequest) -> Response[Any]:
    """Where a code leads whoever opened it before signing in. It tells a stranger nothing of what it stands for."""
    kind, text = held(request)
    session = visitor_of(request).session
    if kind == "ticket":
        return go("/check-in", ticket=text) if session else show(request, "checkin/landing.html", ticket=text)
    if kind == "redemption" and not holds_role(session, *COUNTER_ROLES):
        return show(request, "catalogue/scanned.html", signed_in=session is not None)
    if kind not in ONWARD:
        return go("/")
    if session is not None:
        return go(ONWARD[kind], scanned=1)
    onward = f"{ONWARD[kind]}?scanned=1"
    return show(request, "checkin/onward.html", onward=onward, may_join=kind == "poster")


handlers = [scanned]
