"""A tablet that is a kiosk, as its page behaves: it has a key of its own and signs each request."""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api import credentials
from tests.api.people import Person, Town


def public_text(key: Any) -> str:
    """A public key as a tablet sends it."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def claims(address: str, method: str, path: str, body: bytes, at: datetime) -> dict[str, Any]:
    """What a kiosk of the bank at `address` signs for a request."""
    now = int(at.timestamp())
    return {
        "iss": credentials.ISSUER,
        "aud": address,
        "iat": now,
        "exp": now + 60,
        "htm": method,
        "htu": path,
        "body": credentials.digest(body),
    }


def signed(key: EllipticCurvePrivateKey, number: int, claims: dict[str, Any]) -> str:
    """The token of the kiosk with this device number."""
    return jwt.encode(claims, key, "ES256", headers={"kid": str(number), "typ": credentials.KIND})


@dataclass
class Tablet:
    """A tablet on the table of the city's station."""

    town: Town
    person: Person
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    id: str = ""
    number: int = 0

    async def enrol(self, manager: Person) -> "Tablet":
        """A manager makes it a kiosk."""
        body = {"id": manager.new_id(), "name": "门口的平板", "public_key": public_text(self.key)}
        answer = await manager.send(f"/api/v1/stations/{self.town.city.station.number}/kiosks", body)
        assert answer.status_code == 201, answer.text
        self.id, self.number = answer.json()["id"], answer.json()["number"]
        return self

    def claims(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        """What it signs for a request."""
        return claims(self.person.address, method, path, body, self.town.watch.now)

    def credential(self, method: str, path: str, content: bytes = b"", **other: Any) -> str:
        """The token for a request. `header`, `key` and `without` change what it is, other names its claims."""
        header = {"kid": str(self.number), "typ": credentials.KIND, **other.pop("header", {})}
        key, without, algorithm = other.pop("key", self.key), other.pop("without", ()), other.pop("algorithm", "ES256")
        claims = {**self.claims(method, path, content), **other}
        return jwt.encode({k: v for k, v in claims.items() if k not in without}, key, algorithm, headers=header)

    async def ask(self, path: str, body: Any = None, *, token: str | None = None) -> httpx.Response:
        """A request, signed unless there is a token already."""
        content = b"" if body is None else json.dumps(body).encode()
        method = "GET" if body is None else "POST"
        token = token or self.credential(method, path, content)
        headers = {"Authorization": f"Bearer {token}", "Origin": self.person.address}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return await self.person.client.request(method, path, content=content, headers=headers)
