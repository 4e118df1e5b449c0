"""One page that takes every code: by the camera, by a scanner that types, or by hand. Each goes where it belongs."""

from typing import Any
from urllib.parse import urlsplit

from litestar import Response, get
from litestar.params import FromQuery

from api.pages.page import AnyRequest, go, holds_role, member, own_hosts, show, speaker
from api.state import bank_of
from timebank import codes
from timebank.counter import COUNTER_ROLES
from timebank.scans import EIGHT, SIX
from timebank.sessions import Session

# By how many characters a code has; what is not genuine, the page that opens it says.
LETTERS = {
    codes.STATION_LENGTH: "K",
    codes.POSTER_LENGTH: "S",
    codes.CARD_LENGTH: "C",
    codes.REDEMPTION_LENGTH: "R",
}
LENGTH_LIMIT = 200


@get("/scan")
async def scan(request: AnyRequest, code: FromQuery[str] = "") -> Response[Any]:
    """The camera and a field; with a code, on to where it belongs, or why it is none of ours."""
    session, spoken = member(request), speaker(request)
    text, words = code.strip(), None
    if text:
        host = named_host(text)
        if host is not None and host not in own_hosts(bank_of(request).settings):
            words = spoken.say("This code belongs to another site, %(host)s. It has nothing to do with us.", host=host)
        elif (onward := place_of(text, session)) is not None:
            return go(onward[0], **onward[1])
        else:
            words = spoken.gettext("This is no code of the time bank. Point at one code only, or type it again.")
    return show(request, "scan.html", status=422 if words else 200, camera=True, code=code, refusal=words)


def named_host(text: str) -> str | None:
    """The host in an address, which may be broken; None when it is no address."""
    if "://" not in text:
        return None
    try:
        return urlsplit(text).hostname or ""
    except ValueError:
        return ""


def place_of(text: str, session: Session) -> tuple[str, dict[str, str]] | None:
    """Where a code is dealt with, by what it looks like; None when it looks like none of ours."""
    if len(text) > LENGTH_LIMIT:
        return None
    bare = codes.normalise(text)
    if letter := LETTERS.get(len(bare)):
        return (f"/{letter}/{bare}", {}) if bare[0] == codes.VERSION and set(bare) <= set(codes.ALPHABET) else None
    if not (bare.isascii() and bare.isdigit()):
        return None
    if len(bare) == SIX:
        return "/check-in/digits", {"digits": bare}
    if len(bare) == EIGHT and holds_role(session, *COUNTER_ROLES):
        return "/counter", {"code": bare}
    return None


handlers = [scan]
