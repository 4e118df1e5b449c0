"""Who knows people outside: an OpenID Connect issuer, and WeChat's official accounts. Both are asked over HTTP.

Of what an issuer signs, only asymmetric signatures count, with a key from its own list, for this bank, for this
errand, and now (OpenID Connect Core 1.0, 3.1.3.7). Nothing of what goes over the line is logged.
"""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
import jwt
import msgspec

from timebank.outside import Errand, Identity, OutsideDown, OutsideRefused, Provider
from timebank.setting_values import is_loopback
from timebank.settings import Settings

CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 8.0
ANSWER_LIMIT_BYTES = 256 * 1024
# How long what an issuer says of itself, and its keys, are believed.
BELIEVED_SECONDS = 3600.0
# How far an issuer's clock may be from the bank's.
TOLERANCE = timedelta(seconds=60)
# A shared secret proves nothing: whoever can check such a signature can make it.
ASYMMETRIC = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
DISCOVERY = "/.well-known/openid-configuration"
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]
SUBJECT_LIMIT = 255


async def asked(
    client: httpx.AsyncClient, method: str, url: str, *, refusals: tuple[int, ...] = (), **more: Any
) -> dict[str, Any]:
    """The JSON object that an address answers. `OutsideRefused` for the statuses `refusals`; for everything else that
    is no such object, whole and in time, `OutsideDown`."""
    try:
        async with client.stream(method, url, **more) as answer:
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > ANSWER_LIMIT_BYTES:
                    raise OutsideDown()
    except httpx.HTTPError:
        raise OutsideDown() from None
    if answer.status_code in refusals:
        raise OutsideRefused()
    try:
        found = msgspec.json.decode(body) if answer.status_code == 200 else None
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        raise OutsideDown()
    return found


def client(seconds: float) -> httpx.AsyncClient:
    """Something to ask with; it follows nobody elsewhere."""
    timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
    return httpx.AsyncClient(timeout=timeout, follow_redirects=False)


class OpenId:
    """An issuer of OpenID Connect: authorization code, PKCE with S256, state and nonce."""

    name = "oidc"

    def __init__(
        self, issuer: str, client_id: str, client_secret: str, *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self.issuer = issuer
        self.client_id, self.client_secret = client_id, client_secret
        self.answer_seconds = answer_seconds
        # What the issuer says of itself, its keys, and since when either is believed.
        self.document: dict[str, Any] = {}
        self.keys: dict[str, Any] = {}
        self.document_since = self.keys_since = -BELIEVED_SECONDS

    async def address(self, errand: Errand) -> str:
        """Where to send somebody; see `Provider`."""
        async with client(self.answer_seconds) as line:
            document = await self.described(line)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(errand.verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.client_id,
                "redirect_uri": errand.back,
                "scope": " ".join(["openid", *(["phone"] if "phone" in offered(document) else [])]),
                "state": errand.state,
                "nonce": errand.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        endpoint = str(document["authorization_endpoint"])
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"

    async def identity(self, errand: Errand, code: str, now: datetime) -> Identity:
        """Who came back; see `Provider`."""
        async with client(self.answer_seconds) as line:
            document = await self.described(line)
            form = {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": errand.back,
                "code_verifier": errand.verifier,
            }
            answer = await asked(
                line,
                "POST",
                str(document["token_endpoint"]),
                refusals=(400, 401, 403),
                **self.signed_in(document, form),
            )
            token = answer.get("id_token")
            if not isinstance(token, str):
                raise OutsideRefused()
            claims = await self.proved(line, token)
        return self.judged(claims, errand.nonce, now)

    def signed_in(self, document: Mapping[str, Any], form: dict[str, str]) -> dict[str, Any]:
        """How the bank says to the issuer who it is: by the header, unless the issuer only reads the form."""
        ways = document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if isinstance(ways, list) and "client_secret_basic" not in ways and "client_secret_post" in ways:
            return {"data": {**form, "client_id": self.client_id, "client_secret": self.client_secret}}
        # RFC 6749, 2.3.1: encoded as in a form, then joined.
        return {"data": form, "auth": httpx.BasicAuth(quote(self.client_id, ""), quote(self.client_secret, ""))}

    async def described(self, line: httpx.AsyncClient) -> dict[str, Any]:
        """What the issuer says of itself. It must be this issuer that says so, over a line that nobody reads."""
        if time.monotonic() - self.document_since > BELIEVED_SECONDS:
            found = await asked(line, "GET", self.issuer.rstrip("/") + DISCOVERY)
            if not is_fit(found, self.issuer):
                raise OutsideDown()
            self.document, self.document_since = found, time.monotonic()
        return self.document

    async def proved(self, line: httpx.AsyncClient, token: str) -> dict[str, Any]:
        """The claims of a token that one of the issuer's keys has signed. A key that is not known yet may be new."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError):
            raise OutsideRefused() from None
        algorithm, number = header.get("alg"), header.get("kid")
        if algorithm not in ASYMMETRIC:
            raise OutsideRefused()
        fresh = time.monotonic() - self.keys_since > BELIEVED_SECONDS
        if fresh or chosen_key(self.keys, number, algorithm) is None:
            document = await self.described(line)
            self.keys, self.keys_since = await asked(line, "GET", str(document["jwks_uri"])), time.monotonic()
        key = chosen_key(self.keys, number, algorithm)
        if key is None:
            raise OutsideRefused()
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.issuer,
                audience=self.client_id,
                # The bank has a clock of its own, which is compared afterwards.
                options={
                    "require": REQUIRED,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.InvalidTokenError, jwt.InvalidKeyError, ValueError, TypeError):
            raise OutsideRefused() from None
        return claims

    def judged(self, claims: dict[str, Any], nonce: str, now: datetime) -> Identity:
        """Who it is, where the claims are for this bank, this errand and this moment."""
        try:
            begins, ends = (datetime.fromtimestamp(int(claims[name]), UTC) for name in ("iat", "exp"))
        except (TypeError, ValueError, OverflowError, OSError):
            raise OutsideRefused() from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        subject = claims["sub"]
        proved = (
            begins - TOLERANCE <= now < ends + TOLERANCE
            and hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode())
            and (claims.get("azp") == self.client_id or not (several or "azp" in claims))
            and isinstance(subject, str)
            and 0 < len(subject) <= SUBJECT_LIMIT
        )
        if not proved:
            raise OutsideRefused()
        phone = claims.get("phone_number")
        verified = claims.get("phone_number_verified") is True and isinstance(phone, str)
        return Identity(subject, phone if verified else None)


def is_fit(document: Mapping[str, Any], issuer: str) -> bool:
    """Whether it is this issuer that a document describes, with addresses that nobody else reads."""
    return document.get("issuer") == issuer and all(is_private(document.get(name)) for name in ENDPOINTS)


def described(issuer: str) -> dict[str, Any]:
    """What an issuer says of itself, for who has no loop running. `OutsideDown`."""

    async def ask() -> dict[str, Any]:
        async with client(ANSWER_SECONDS) as line:
            return await asked(line, "GET", issuer.rstrip("/") + DISCOVERY)

    return asyncio.run(ask())


def offered(document: Mapping[str, Any]) -> list[Any]:
    """The scopes that an issuer says it has."""
    found = document.get("scopes_supported")
    return found if isinstance(found, list) else []


def is_private(url: object) -> bool:
    """Whether nobody on the way reads what is said to an address."""
    if not isinstance(url, str):
        return False
    parts = urlsplit(url)
    host = parts.hostname or ""
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


def chosen_key(document: Mapping[str, Any], number: object, algorithm: object) -> Any:
    """The key that a token says it was signed with; of those for signing, and of the kind that the algorithm needs."""
    listed = document.get("keys")
    fitting = []
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig":
            continue
        if each.get("alg", algorithm) != algorithm or (number is not None and each.get("kid") != number):
            continue
        try:
            fitting.append(jwt.PyJWK.from_dict(each, algorithm=str(algorithm)))
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
    # Without a number, there must be only one that it can be.
    return fitting[0] if fitting and (number is not None or len(fitting) == 1) else None


class WeChat:
    """WeChat's web sign-in of an official account (公众号网页授权), silent: who it is, and nothing else of them."""

    name = "wechat"

    def __init__(
        self,
        app_id: str,
        app_secret: str,
        *,
        page_url: str,
        api_url: str,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.app_id, self.app_secret = app_id, app_secret
        self.page_url, self.api_url = page_url, api_url.rstrip("/")
        self.answer_seconds = answer_seconds
        # An openid is of one account alone.
        self.issuer = f"wechat:{app_id}"

    async def address(self, errand: Errand) -> str:
        """Where to send somebody; see `Provider`. The order of the query is WeChat's."""
        query = urlencode(
            {
                "appid": self.app_id,
                "redirect_uri": errand.back,
                "response_type": "code",
                "scope": "snsapi_base",
                "state": errand.state,
            }
        )
        return f"{self.page_url}?{query}#wechat_redirect"

    async def identity(self, errand: Errand, code: str, now: datetime) -> Identity:
        """Who came back; see `Provider`."""
        query = {
            "appid": self.app_id,
            "secret": self.app_secret,
            "code": code,
            "grant_type": "authorization_code",
        }
        async with client(self.answer_seconds) as line:
            answer = await asked(line, "GET", f"{self.api_url}/sns/oauth2/access_token", params=query)
        # A refusal comes with status 200 and a number; -1 is WeChat's "busy".
        if answer.get("errcode") == -1:
            raise OutsideDown()
        subject = answer.get("openid")
        if answer.get("errcode") or not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LIMIT:
            raise OutsideRefused()
        return Identity(subject)


def chosen(settings: Settings) -> dict[str, Provider]:
    """Those that the settings describe, by their names in our addresses."""
    found: list[Provider] = []
    if settings.wechat_app_id:
        found.append(
            WeChat(
                settings.wechat_app_id,
                settings.wechat_app_secret or "",
                page_url=settings.wechat_page_url,
                api_url=settings.wechat_api_url,
            )
        )
    if settings.oidc_issuer:
        found.append(OpenId(settings.oidc_issuer, settings.oidc_client_id or "", settings.oidc_client_secret or ""))
    return {provider.name: provider for provider in found}
