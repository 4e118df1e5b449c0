"""The codes that people scan: made and checked here, with no I/O.

A code is upper-case Crockford base32 (https://www.crockford.com/base32.html), so that QR's alphanumeric mode keeps
it small and a person can read it aloud. Its first character is the version, which alone fixes the layout and the
algorithm: HMAC-SHA-256, of which 80 bits are carried. That of a station code is made under its hour's key, see
`timebank/hourly.py`.

    station code   version 1 · station 4 · device 5 · slot 6 · MAC 16     32 characters
    poster         version 1 · station 4 · number 3 · MAC 16             24 characters
    member card    version 1 · number 9 · MAC 16                         26 characters
    redemption     version 1 · number 8 · MAC 16                         25 characters
    certificate    version 1 · number 8 · MAC 16                         25 characters

Beside each rotating code a screen shows six digits, for who stands before a printed poster. They are guessed at in a
million tries, so they count for half a minute, and a member has few tries.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from timebank.errors import BankError
from timebank.hourly import SLOT_SECONDS as SLOT_SECONDS
from timebank.hourly import HourlyKeys
from timebank.hourly import slot_at as slot_at
from timebank.hourly import slot_start as slot_start

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
VALUES = {character: value for value, character in enumerate(ALPHABET)}
# How a person may write a character. Nothing else is made to fit: `str.upper` would take a long s, or a dotless i.
SPELT = str.maketrans("abcdefghjkmnpqrstvwxyzOoIiLl", "ABCDEFGHJKMNPQRSTVWXYZ001111")
VERSION = "1"
MAC_LENGTH = 16
# A station code counts as live from two slots before the present one to one after it.
SLOTS_BEFORE, SLOTS_AFTER = 2, 1
# The six digits beside it count during their slot and the next.
DIGIT_SLOTS = 2
# How long after its slot a station code is still evidence, when a phone had no network.
LATE = timedelta(hours=72)
# What arrives so soon after a card was scanned is counted as scanned when it arrives.
AT_ONCE = timedelta(minutes=2)
STATION_LENGTH = 32
POSTER_LENGTH = 24
CARD_LENGTH = 26
REDEMPTION_LENGTH = 25
CERTIFICATE_LENGTH = 25
POSTER_NUMBER_LIMIT = 32**3
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What an authentic code said, or what was typed instead of one, and the moment that it counts for.

    `source` is how it came (checkin.md). A rotating code names station, device and slot; typed digits and a poster
    name the station, a card its number. `digits` are to be compared by who knows the station's devices, or its doors.
    """

    text: str
    source: str
    occurred_at: datetime
    station_number: int | None = None
    device_number: int | None = None
    slot: int | None = None
    poster_number: int | None = None
    card_number: int | None = None
    digits: str | None = None


def normalise(text: str) -> str:
    """The bare code in a scan: takes a URL or its path, lower case, spaces and hyphens, and O, I, L for 0, 1, 1."""
    match = URL.match(text.strip())
    bare = match.group(1) if match else text
    return re.sub(r"[\s-]", "", bare).translate(SPELT)


def spaced(code: str) -> str:
    """A code as a person reads it: in groups of five."""
    return " ".join(code[start : start + 5] for start in range(0, len(code), 5))


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


def parts(text: str, length: int) -> tuple[str, str]:
    """The body of a code and its MAC, which nobody has compared yet; raises CodeMalformed."""
    if len(text) > 200:
        raise CodeMalformed()
    code = normalise(text)
    if len(code) != length or code[0] != VERSION or not VALUES.keys() >= set(code):
        raise CodeMalformed()
    return code[:-MAC_LENGTH], code[-MAC_LENGTH:]


def open_code(secret: bytes, purpose: str, text: str, length: int) -> str:
    """The body of an authentic code; raises CodeMalformed or CodeForged."""
    body, given = parts(text, length)
    if not hmac.compare_digest(mac(secret, purpose, body), given):
        raise CodeForged()
    return body


def station_code(keys: HourlyKeys, station_number: int, device_number: int, slot: int) -> str:
    """The code that a station's device shows during one slot."""
    body = VERSION + encode(station_number, 4) + encode(device_number, 5) + encode(slot, 6)
    return body + mac(keys.of(device_number, slot), "station", body)


def read_station_code(keys: HourlyKeys, text: str, now: datetime) -> Scan:
    """What an authentic, live station code says, scanned at `now`.

    Raises CodeMalformed, CodeForged or CodeExpired, in this order.
    """
    scan = open_station_code(keys, text, "live", now)
    slot = scan.slot or 0
    if not slot_at(now) - SLOTS_BEFORE <= slot <= slot_at(now) + SLOTS_AFTER:
        raise CodeExpired(slot=slot)
    return scan


def read_late_code(keys: HourlyKeys, text: str, now: datetime) -> Scan:
    """What a station code says that was scanned when it was shown and is sent only `now`: the slot is the clock.

    One that is live still is taken as live. Raises as `read_station_code`; CodeExpired after `LATE`.
    """
    scan = open_station_code(keys, text, "late", now)
    slot = scan.slot or 0
    if slot >= slot_at(now) - SLOTS_BEFORE:
        return read_station_code(keys, text, now)
    if now - slot_start(slot) > LATE:
        raise CodeExpired(slot=slot)
    return replace(scan, occurred_at=slot_start(slot))


def open_station_code(keys: HourlyKeys, text: str, source: str, occurred_at: datetime) -> Scan:
    """What an authentic station code says, of whatever slot."""
    body, given = parts(text, STATION_LENGTH)
    device_number, slot = decode(body[5:10]), decode(body[10:16])
    if not any(hmac.compare_digest(mac(key, "station", body), given) for key in keys.believed(device_number, slot)):
        raise CodeForged()
    return Scan(
        text=normalise(text),
        station_number=decode(body[1:5]),
        device_number=device_number,
        slot=slot,
        occurred_at=occurred_at,
        source=source,
    )


def station_digits(keys: HourlyKeys, station_number: int, device_number: int, slot: int) -> str:
    """The six digits that stand beside the code of a station's device during one slot."""
    return digits_under(keys.of(device_number, slot), station_number, device_number, slot)


def digits_under(key: bytes, station_number: int, device_number: int, slot: int) -> str:
    """The six digits of a slot, under the key of its hour."""
    named = f"digits\0{station_number}\0{device_number}\0{slot}"
    return f"{int.from_bytes(hmac.new(key, named.encode(), hashlib.sha256).digest()[:8]) % 10**6:06d}"


def digits_slot(keys: HourlyKeys, station_number: int, device_number: int, digits: str, now: datetime) -> int | None:
    """The slot whose six digits these are, of those that count at `now`; None when they are wrong."""
    for slot in range(slot_at(now), slot_at(now) - DIGIT_SLOTS, -1):
        for key in keys.believed(device_number, slot):
            if hmac.compare_digest(digits_under(key, station_number, device_number, slot), digits):
                return slot
    return None


def poster_code(secret: bytes, station_number: int, poster_number: int) -> str:
    """The code that is printed for the wall of a station."""
    body = VERSION + encode(station_number, 4) + encode(poster_number, 3)
    return body + mac(secret, "poster", body)


def read_poster_code(secret: bytes, text: str, now: datetime) -> Scan:
    """What an authentic poster says; raises CodeMalformed or CodeForged. Whether it still hangs, the tables know."""
    body = open_code(secret, "poster", text, POSTER_LENGTH)
    return Scan(
        text=normalise(text),
        station_number=decode(body[1:5]),
        poster_number=decode(body[5:8]),
        occurred_at=now,
        source="poster",
    )


def card_code(secret: bytes, card_number: int) -> str:
    """The code that is printed on a member's card."""
    body = VERSION + encode(card_number, 9)
    return body + mac(secret, "card", body)


def read_card_code(secret: bytes, text: str, now: datetime, source: str = "card") -> Scan:
    """What an authentic card says; raises CodeMalformed or CodeForged. Whose it is, the tables know."""
    body = open_code(secret, "card", text, CARD_LENGTH)
    return Scan(text=normalise(text), card_number=decode(body[1:]), occurred_at=now, source=source)


def kept_since(scanned_at: datetime | None, now: datetime) -> datetime:
    """When a card was scanned that arrives `now`: by the scanner's clock, when that is over `AT_ONCE` ago, else now.

    Raises CodeExpired after `LATE`: no scan is kept for longer.
    """
    if scanned_at is None or scanned_at > now - AT_ONCE:
        return now
    if now - scanned_at > LATE:
        raise CodeExpired()
    return scanned_at


def redemption_code(secret: bytes, number: int) -> str:
    """The code of one redemption."""
    body = VERSION + encode(number, 8)
    return body + mac(secret, "redemption", body)


def read_redemption_code(secret: bytes, text: str) -> int:
    """The redemption number in an authentic code; raises CodeMalformed or CodeForged."""
    return decode(open_code(secret, "redemption", text, REDEMPTION_LENGTH)[1:])


def certificate_code(secret: bytes, number: int) -> str:
    """The code on a certificate, by which anybody checks it."""
    body = VERSION + encode(number, 8)
    return body + mac(secret, "certificate", body)


def read_certificate_code(secret: bytes, text: str) -> int:
    """The number of a certificate in an authentic code; raises CodeMalformed or CodeForged."""
    return decode(open_code(secret, "certificate", text, CERTIFICATE_LENGTH)[1:])


def redemption_numbers(secret: bytes, redemption_id: Any, attempt: int) -> tuple[int, str]:
    """A number (40 bits) and eight digits for a redemption, the same at every call; `attempt` counts collisions."""
    digest = hmac.new(secret, f"number\0{redemption_id}\0{attempt}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:5]), f"{int.from_bytes(digest[5:13]) % 10**8:08d}"
