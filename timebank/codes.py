"""The codes that people scan: made and checked here, with no I/O.

A code is upper-case Crockford base32 (https://www.crockford.com/base32.html), so that QR's alphanumeric mode keeps
it small and a person can read it aloud. Its first character is the version, which alone fixes the layout and the
algorithm: HMAC-SHA-256, of which 80 bits are carried.

    station code   version 1 · station 4 · device 5 · slot 6 · MAC 16     32 characters
    redemption     version 1 · number 8 · MAC 16                         25 characters
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from timebank.errors import BankError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
VALUES = {character: value for value, character in enumerate(ALPHABET)} | {"O": 0, "I": 1, "L": 1}
VERSION = "1"
MAC_LENGTH = 16
SLOT_SECONDS = 20
# A station code counts as live from two slots before the present one to one after it.
SLOTS_BEFORE, SLOTS_AFTER = 2, 1
STATION_LENGTH = 32
REDEMPTION_LENGTH = 25
# A whole URL, or its path alone, as the API gives it.
URL = re.compile(r"^(?:[A-Za-z]+://[^/?#]+)?/(?:[A-Za-z]/)?([^/?#]*)")


class CodeRefused(BankError):
    """The code cannot be taken; `code` says why."""


class CodeMalformed(CodeRefused):
    """It is not one of our codes."""

    code: ClassVar[str] = "code_malformed"


class CodeForged(CodeRefused):
    """It looks like one of ours, and its MAC is wrong."""

    code: ClassVar[str] = "code_forged"


class CodeExpired(CodeRefused):
    """It is ours and no longer live. data: `slot`."""

    code: ClassVar[str] = "code_expired"


@dataclass(frozen=True, slots=True)
class StationScan:
    """An authentic station code, and the moment that it counts for."""

    text: str
    station_number: int
    device_number: int
    slot: int
    occurred_at: datetime
    source: str


def normalise(text: str) -> str:
    """The bare code in a scan: takes a URL or its path, lower case, spaces and hyphens, and O, I, L for 0, 1, 1."""
    match = URL.match(text.strip())
    bare = match.group(1) if match else text
    return re.sub(r"[\s-]", "", bare).upper().replace("O", "0").replace("I", "1").replace("L", "1")


def encode(value: int, length: int) -> str:
    """`value` in exactly `length` characters, most significant first."""
    return "".join([ALPHABET[value >> shift & 31] for shift in range(5 * (length - 1), -1, -5)])


def decode(text: str) -> int:
    """The number that `text` spells; ValueError on a foreign character."""
    value = 0
    for character in text:
        if character not in VALUES:
            raise ValueError(character)
        value = value << 5 | VALUES[character]
    return value


def mac(secret: bytes, purpose: str, body: str) -> str:
    """The first 80 bits of HMAC-SHA-256 over purpose and body, in 16 characters."""
    digest = hmac.new(secret, f"{purpose}\0{body}".encode(), hashlib.sha256).digest()
    return encode(int.from_bytes(digest[:10]), MAC_LENGTH)


def open_code(secret: bytes, purpose: str, text: str, length: int) -> str:
    """The body of an authentic code; raises CodeMalformed or CodeForged."""
    if len(text) > 200:
        raise CodeMalformed()
    code = normalise(text)
    if len(code) != length or code[0] != VERSION or not VALUES.keys() >= set(code):
        raise CodeMalformed()
    body, given = code[:-MAC_LENGTH], code[-MAC_LENGTH:]
    if not hmac.compare_digest(mac(secret, purpose, body), given):
        raise CodeForged()
    return body


def slot_at(now: datetime) -> int:
    """The number of the 20-second slot that `now` lies in, counted from 1970."""
    return int(now.timestamp()) // SLOT_SECONDS


def slot_start(slot: int) -> datetime:
    """When a slot begins, in UTC."""
    return datetime.fromtimestamp(slot * SLOT_SECONDS, UTC)


def station_code(secret: bytes, station_number: int, device_number: int, slot: int) -> str:
    """The code that a station's device shows during one slot."""
    body = VERSION + encode(station_number, 4) + encode(device_number, 5) + encode(slot, 6)
    return body + mac(secret, "station", body)


def read_station_code(secret: bytes, text: str, now: datetime) -> StationScan:
    """What an authentic, live station code says, scanned at `now`.

    Raises CodeMalformed, CodeForged or CodeExpired, in this order.
    """
    body = open_code(secret, "station", text, STATION_LENGTH)
    slot = decode(body[10:16])
    if not slot_at(now) - SLOTS_BEFORE <= slot <= slot_at(now) + SLOTS_AFTER:
        raise CodeExpired(slot=slot)
    return StationScan(
        text=normalise(text),
        station_number=decode(body[1:5]),
        device_number=decode(body[5:10]),
        slot=slot,
        occurred_at=now,
        source="live",
    )


def redemption_code(secret: bytes, number: int) -> str:
    """The code of one redemption."""
    body = VERSION + encode(number, 8)
    return body + mac(secret, "redemption", body)


def read_redemption_code(secret: bytes, text: str) -> int:
    """The redemption number in an authentic code; raises CodeMalformed or CodeForged."""
    return decode(open_code(secret, "redemption", text, REDEMPTION_LENGTH)[1:])


def redemption_numbers(secret: bytes, redemption_id: Any, attempt: int) -> tuple[int, str]:
    """A number (40 bits) and eight digits for a redemption, the same at every call; `attempt` counts collisions."""
    digest = hmac.new(secret, f"number\0{redemption_id}\0{attempt}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:5]), f"{int.from_bytes(digest[5:13]) % 10**8:08d}"
