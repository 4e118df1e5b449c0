"""Tickets: proof that a code was scanned in this browser at a moment, good for ten minutes.

A rotating code is dead a minute after it was scanned; a slow reader, or one who has to sign in first, is not. Opening
a station's code gives a ticket, and a check-in with the ticket counts from the opening. It is a JWT (RFC 7519) signed
with HS256 and nothing else, of no use in another browser, and opening it again changes nothing.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from litestar.connection import ASGIConnection

from api.auth import visitor_of
from api.problems import Problem
from api.state import bank_of
from timebank import scans
from timebank.codes import (
    CodeExpired,
    CodeForged,
    CodeMalformed,
    CodeRefused,
    Scan,
    read_late_code,
    read_station_code,
)
from timebank.ids import EPOCH
from timebank.scans import Sent

LIFE = timedelta(minutes=10)
ISSUER = "timebank"
AUDIENCE = "check-in"
ALGORITHM = "HS256"
# A ticket of ours is under 400 characters.
LENGTH_LIMIT = 600
REQUIRED = ["iss", "aud", "exp", "iat", "at", "code", "browser"]
AnyConnection = ASGIConnection[Any, Any, Any, Any]


def issue(connection: AnyConnection, code: str, now: datetime) -> str:
    """A ticket for what this browser has scanned at `now`. The caller has read the code and found it live.

    `https_required` where the browser cannot be known again.
    """
    keys = bank_of(connection).keys
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
        # Microseconds, and the claim `iat` has none.
        "at": (now - EPOCH) // timedelta(microseconds=1),
        "code": code,
        "browser": browser_of(connection),
    }
    return jwt.encode(claims, keys.ticket[keys.ticket_kid], ALGORITHM, headers={"kid": keys.ticket_kid})


def read(connection: AnyConnection, ticket: str, now: datetime, *, late: bool = False) -> Scan:
    """What was scanned, and when. Raises CodeMalformed, CodeForged or CodeExpired, like reading a code does.

    `late`: it was sent from a phone that had no network meanwhile. Past its ten minutes, it is what its code is.
    """
    keys = bank_of(connection).keys
    if len(ticket) > LENGTH_LIMIT or not looks_like_one(ticket):
        raise CodeMalformed()
    try:
        kid = jwt.get_unverified_header(ticket).get("kid")
        if kid not in keys.ticket:
            raise CodeForged()
        claims = jwt.decode(
            ticket,
            keys.ticket[kid],
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            # The bank has a clock of its own, which is compared below.
            options={"require": REQUIRED, "verify_exp": False, "verify_iat": False},
        )
        ends_at = datetime.fromtimestamp(int(claims["exp"]), UTC)
        scanned_at = EPOCH + timedelta(microseconds=int(claims["at"]))
    except (jwt.InvalidTokenError, TypeError, ValueError, OverflowError):
        raise CodeForged() from None
    if claims["browser"] != browser_of(connection):
        raise CodeForged()
    if now >= ends_at:
        if late:
            return read_late_code(keys.station, str(claims["code"]), now)
        raise CodeExpired()
    # The code was live at that moment, and is read as of then.
    return read_station_code(keys.station, str(claims["code"]), scanned_at)


def try_read(connection: AnyConnection, sent: Sent, now: datetime) -> tuple[Scan | None, str | None]:
    """What was sent, a ticket where a code stands, or the code of why it is refused: for `Punch`."""
    if not looks_like_one(sent.code):
        return scans.try_read(bank_of(connection).keys, sent, now)
    try:
        return read(connection, sent.code, now, late=sent.late), None
    except CodeRefused as refused:
        return None, refused.code


def looks_like_one(text: str) -> bool:
    """Whether a text is a ticket rather than a code: codes have no full stop, and addresses with codes have slashes."""
    return text.count(".") == 2 and "/" not in text


def browser_of(connection: AnyConnection) -> str:
    """What a ticket knows a browser by; it does not give the browser's own text away."""
    browser = visitor_of(connection).browser
    if browser is None:
        raise Problem("https_required" if not visitor_of(connection).arrival.private else "code_forged")
    return hashlib.sha256(b"ticket\0" + browser.encode()).hexdigest()[:32]
