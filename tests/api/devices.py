"""A device with passkeys, made of software: what it answers, a browser would send (https://www.w3.org/TR/webauthn-3/)."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
import httpx
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from tests.api.people import Person

# What a device says of a key: somebody was there, it knew who, and it tells of a key that it has just made.
PRESENT, VERIFIED, MADE = 0x01, 0x04, 0x40


def text(value: bytes) -> str:
    """Bytes in base64url, as browsers write them."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def plain(value: str) -> bytes:
    """The bytes of base64url."""
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


@dataclass
class Device:
    """One key pair, and what may be wrong with what it says."""

    origin: str = "http://localhost:8000"
    flags: int = PRESENT | VERIFIED
    counts: int = 0
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    user: str = ""

    def says(self, kind: str, challenge: str) -> bytes:
        """What the browser adds: for whom, and at which address it was asked."""
        return json.dumps({"type": f"webauthn.{kind}", "challenge": challenge, "origin": self.origin}).encode()

    def data(self, rp_id: str, flags: int, more: bytes = b"") -> bytes:
        """What the device says of itself."""
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.counts.to_bytes(4, "big") + more

    def made(self, asked: dict[str, Any]) -> dict[str, str]:
        """Make a key pair: what is sent to have it kept."""
        self.user = asked["user"]
        point = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})
        known = bytes(16) + len(self.credential).to_bytes(2, "big") + self.credential + public
        data = self.data(asked["rp_id"], self.flags | MADE, known)
        return {
            "credential": text(self.credential),
            "client_data": text(self.says("create", asked["challenge"])),
            "attestation": text(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
        }

    def signed(self, asked: dict[str, Any]) -> dict[str, str]:
        """Sign what was asked: what is sent to sign in."""
        said, data = self.says("get", asked["challenge"]), self.data(asked["rp_id"], self.flags)
        return {
            "credential": text(self.credential),
            "client_data": text(said),
            "authenticator_data": text(data),
            "signature": text(self.key.sign(data + hashlib.sha256(said).digest(), ECDSA(SHA256()))),
            "user": self.user,
        }


async def invited(person: Person) -> dict[str, Any]:
    """What a device makes a key pair for."""
    answer = await person.send("/api/v1/me/passkey-challenges", Host="localhost:8000", Origin="http://localhost:8000")
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def add(person: Person, device: Device, name: str = "我的手机") -> httpx.Response:
    """Add a passkey of a device."""
    body = {"id": person.new_id(), "name": name, **device.made(await invited(person))}
    return await person.send("/api/v1/me/passkeys", body, Host="localhost:8000", Origin="http://localhost:8000")
