"""An issuer of OpenID Connect and WeChat's side, on a port of this machine, that do what a test tells them to."""

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.api.people import Watch

CLIENT, SECRET = "timebank", "a secret: of/ours"


@cache
def own_keys() -> tuple[RSAPrivateKey, RSAPrivateKey]:
    """Two keys, made once: that takes a while."""
    return generate_private_key(65537, 2048), generate_private_key(65537, 2048)


@dataclass
class Issuer:
    """Who knows people. `will` is what each next request gets instead of its answer: a status, "hang", "drop"."""

    watch: Watch
    address: str = ""
    number: str = "first"
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    will: dict[str, int | str | bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: dict[str, list[str]] = field(default_factory=dict)
    """The query with which the browser came."""
    openid: dict[str, Any] = field(default_factory=lambda: {"openid": "o-one", "access_token": "x"})
    key: RSAPrivateKey = field(default_factory=lambda: own_keys()[0])

    def rotate(self) -> None:
        """Sign with another key from now on; the one before is not listed any more."""
        self.key, self.number = own_keys()[1], "second"

    def visited(self, address: str) -> str:
        """A browser comes here and signs in; answers the query that it goes back with."""
        self.sent = parse_qs(urlsplit(address).query)
        return f"state={self.sent['state'][0]}&code=good"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        _, target, _ = head.split("\r\n")[0].split(" ")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        plain = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
        path = urlsplit(target).path
        self.asked.append(path)
        will = self.will.get(path)
        if will == "hang":
            await reader.read()
            return
        if will == "drop":
            return
        status, said = (will, b"{}") if isinstance(will, int) else (200, will)
        if said is None:
            status, found = self.answer(path, parse_qs(body or urlsplit(target).query), plain)
            said = json.dumps(found).encode()
        assert isinstance(said, bytes)
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n".encode() + said)
        await writer.drain()

    def answer(self, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """What is answered when nothing is wrong."""
        if path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            found = {name: f"{self.address}/{end}" for name, end in names.items()}
            return 200, {"issuer": self.address, "scopes_supported": ["openid", "phone"], **found, **self.document}
        if path == "/keys":
            listed = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
            return 200, {"keys": [{"kty": "EC", "kid": "other"}, {**listed, "kid": self.number, "use": "sig"}]}
        if path == "/token":
            return self.token(query, headers)
        assert path == "/sns/oauth2/access_token"
        assert query["secret"] == [SECRET]
        return 200, self.openid if query["code"] == ["good"] else {"errcode": 40029, "errmsg": "invalid code"}

    def token(self, query: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """A token, for who has the code, the secret and the verifier."""
        proof = base64.urlsafe_b64encode(hashlib.sha256(query["code_verifier"][0].encode()).digest()).rstrip(b"=")
        given = headers.get("Authorization", headers.get("authorization", ""))
        basic = base64.b64encode(b"timebank:a%20secret%3A%20of%2Fours").decode()
        known = given == f"Basic {basic}" or query.get("client_secret") == [SECRET]
        fits = proof.decode() == self.sent["code_challenge"][0] and self.sent["code_challenge_method"] == ["S256"]
        if query["code"] != ["good"] or not known or not fits or query["redirect_uri"] != self.sent["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = self.watch.now
        claims = {
            "iss": self.address,
            "sub": "somebody",
            "aud": CLIENT,
            "nonce": self.sent["nonce"][0],
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(minutes=5)).timestamp()),
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return 200, {"id_token": self.signed(claims), "access_token": "x", "token_type": "Bearer"}

    def signed(self, claims: dict[str, Any]) -> str:
        """The claims, signed as the test says."""
        if self.algorithm == "none":
            return jwt.encode(claims, None, algorithm="none", headers={"kid": self.number})
        if self.algorithm == "HS256":
            # The confusion: what everybody knows, taken for a shared secret.
            public = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            said = [{"alg": "HS256", "typ": "JWT", "kid": self.number}, claims]
            text = ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in said)
            proof = hmac.digest(public, text.encode(), "sha256")
            return f"{text}.{base64.urlsafe_b64encode(proof).rstrip(b'=').decode()}"
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers={"kid": self.number, **self.header})
