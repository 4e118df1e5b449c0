"""The keys that station codes are made with: one for each device and hour, none of which gives another away.

A device is handed the keys of the hours to come and never what they are derived from, so that a stolen one is worth
the hours it holds. The bank makes the same keys when it reads a code. No I/O, and no clock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SLOT_SECONDS = 20
SLOTS_PER_HOUR = 3600 // SLOT_SECONDS
# How many hours a device is given at a time, this one included.
HOURS_AHEAD = 24
# For how long after a rotation the old secret still makes codes that are taken: a device that got its keys a moment
# before shows them for a day, and the hour it stands in.
BELIEVED = timedelta(hours=HOURS_AHEAD + 1)


def slot_at(now: datetime) -> int:
    """The number of the 20-second slot that `now` lies in, counted from 1970."""
    return int(now.timestamp()) // SLOT_SECONDS


def slot_start(slot: int) -> datetime:
    """When a slot begins, in UTC."""
    return datetime.fromtimestamp(slot * SLOT_SECONDS, UTC)


def hour_of(slot: int) -> int:
    """The number of the hour that a slot lies in, counted from 1970."""
    return slot // SLOTS_PER_HOUR


@lru_cache(maxsize=4096)
def hour_key(secret: bytes, device_number: int, hour: int) -> bytes:
    """The key of one device for one hour, 32 bytes: HKDF-SHA256 (RFC 5869) of the bank's secret."""
    info = f"timebank/kiosk/{device_number}/{hour}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)


@dataclass(frozen=True, slots=True)
class HourlyKeys:
    """Makes the hourly keys. `former` are the secrets of before, each with the moment at which it was replaced.

    Immutable; its `repr` shows no secret.
    """

    secret: bytes
    former: tuple[tuple[bytes, datetime], ...] = ()

    def __repr__(self) -> str:
        return f"HourlyKeys(former={len(self.former)})"

    def of(self, device_number: int, slot: int) -> bytes:
        """What a device makes its codes with during a slot."""
        return hour_key(self.secret, device_number, hour_of(slot))

    def believed(self, device_number: int, slot: int) -> list[bytes]:
        """What a code of a device and slot may have been made with, the present key first."""
        secrets = [self.secret]
        secrets += [secret for secret, replaced_at in self.former if slot_start(slot) < replaced_at + BELIEVED]
        return [hour_key(secret, device_number, hour_of(slot)) for secret in secrets]

    def ahead(self, device_number: int, now: datetime) -> dict[int, bytes]:
        """The keys of this hour and those that follow, by the number of the hour: what a device is handed."""
        first = hour_of(slot_at(now))
        return {hour: hour_key(self.secret, device_number, hour) for hour in range(first, first + HOURS_AHEAD)}
