"""A kiosk's credential: every request of it carries a JWT (RFC 7519) that it signed with its own key for that request.

One algorithm, ES256, whatever the token says. It names the method, the address and the body that it is for, and is good
for a minute by the bank's clock: who picks one up can send the same request again, and a command that is sent again
gets the same answer.
"""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.types import HTTPScope
from sqlalchemy import Row

from api.auth import visitor_of
from api.problems import Problem
from api.state import bank_of
from timebank import kiosks

ALGORITHM = "ES256"
KIND = "kiosk+jwt"
ISSUER = "timebank-kiosk"
LIFE = timedelta(seconds=60)
# How far the kiosk's clock, set by the bank's answers, may be from the bank's.
TOLERANCE = timedelta(seconds=30)
# One of ours is under 500 characters, with the longest address that is taken.
LENGTH_LIMIT = 3000
REQUIRED = ["iss", "aud", "iat", "exp", "htm", "htu", "body"]
REFUSALS = (
    "credential_missing",
    "credential_malformed",
    "credential_forged",
    "credential_expired",
    "device_revoked",
)
AnyConnection = ASGIConnection[Any, Any, Any, Any]


async def admit(connection: AnyConnection) -> None:
    """Let a kiosk in, and keep who it is for `kiosk_of`; or raise, in this order, `credential_missing`,
    `credential_malformed`, `credential_forged`, `credential_expired` or `device_revoked`."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem("credential_missing")
    number = device_number(token)
    bank = bank_of(connection)
    async with bank.engine.connect() as reading:
        row = await kiosks.by_number(reading, bank.book_id, number)
    if row is None:
        raise Problem("credential_forged")
    body = await connection.body() if isinstance(connection, Request) else b""
    claims = verified(token, row.public_key, audience=visitor_of(connection).arrival.origin)
    scope = cast(HTTPScope, connection.scope)
    query = scope["query_string"].decode("latin-1")
    asked = (scope["method"], scope["path"] + (f"?{query}" if query else ""), digest(body))
    if (claims["htm"], claims["htu"], claims["body"]) != asked:
        raise Problem("credential_forged")
    require_fresh(claims, bank.clock())
    if row.revoked_at is not None:
        raise Problem("device_revoked")
    visitor_of(connection).kiosk = row


def device_number(token: str) -> int:
    """The number of the device that a token says it is of; `credential_malformed` for what is no token of a kiosk."""
    try:
        header = jwt.get_unverified_header(token) if len(token) <= LENGTH_LIMIT else {}
    except (jwt.InvalidTokenError, ValueError):
        header = {}
    number = str(header.get("kid", ""))
    if header.get("alg") != ALGORITHM or header.get("typ") != KIND:
        raise Problem("credential_malformed")
    if not number.isascii() or not number.isdigit() or len(number) > 8:
        raise Problem("credential_malformed")
    return int(number)


def verified(token: str, public_key: bytes, *, audience: str) -> dict[str, Any]:
    """The claims of a token that this key has signed for this bank; `credential_malformed` where one is missing,
    `credential_forged` else."""
    key = load_der_public_key(public_key)
    assert isinstance(key, EllipticCurvePublicKey)  # noqa: S101  no other is kept
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=audience,
            # The bank has a clock of its own, which is compared afterwards.
            options={"require": REQUIRED, "verify_exp": False, "verify_iat": False},
        )
    except (jwt.MissingRequiredClaimError, jwt.InvalidIssuedAtError):
        raise Problem("credential_malformed") from None
    except jwt.InvalidTokenError:
        raise Problem("credential_forged") from None
    return claims


def require_fresh(claims: dict[str, Any], now: datetime) -> None:
    """Raise unless a token is good at `now`. `credential_expired` tells the bank's time, so that a kiosk whose clock
    is off can set it and ask again."""
    try:
        begins, ends = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
    except (TypeError, ValueError, OverflowError, OSError):
        raise Problem("credential_malformed") from None
    if not timedelta() < ends - begins <= LIFE:
        raise Problem("credential_malformed")
    if not begins - TOLERANCE <= now < ends + TOLERANCE:
        raise Problem("credential_expired", {"now": now.isoformat()})


def digest(body: bytes) -> str:
    """What a token knows a body by: SHA-256 in base64url without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


def kiosk_of(connection: AnyConnection) -> Row[Any]:
    """The kiosk that sent this request."""
    row: Row[Any] | None = visitor_of(connection).kiosk
    if row is None:
        raise Problem("credential_missing")
    return row
