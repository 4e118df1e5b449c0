"""Passwords: argon2id over a keyed hash of what was typed, so that the table alone cannot be searched.

Hashing takes tens of milliseconds on purpose. The functions here run it in a thread, and callers hold no database
connection meanwhile.
"""

import asyncio
import hashlib
import hmac
import unicodedata

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from timebank.errors import BankError
from timebank.keys import Keys

SHORTEST = 10
LONGEST = 200

# OWASP's recommendation for argon2id: 19 MiB, two passes, one lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)

# Verified in place of the hash of a person who does not exist or has no password: the answer takes as long.
NOBODY = HASHER.hash("nobody's password, which no keyed hash can equal")


class PasswordWeak(BankError):
    """The password is too short, too long or too simple. data: `shortest`, `longest`, `reason`."""

    code = "password_weak"


def check_strength(password: str) -> None:
    """Raise `PasswordWeak` unless 10 to 200 characters, at least five of them different."""
    reason = None
    if len(password) < SHORTEST:
        reason = "too_short"
    elif len(password) > LONGEST:
        reason = "too_long"
    elif len(set(password)) < 5:
        reason = "too_simple"
    if reason:
        raise PasswordWeak(reason=reason, shortest=SHORTEST, longest=LONGEST)


async def hashed(keys: Keys, password: str) -> str:
    """What to store for a new password; `PasswordWeak` when it may not be used."""
    check_strength(password)
    return await asyncio.to_thread(HASHER.hash, peppered(keys, password))


async def matches(keys: Keys, password: str, stored: str | None) -> bool:
    """Whether the password is the stored one. Takes the same time when nothing is stored, and then is False."""
    return await asyncio.to_thread(verify, peppered(keys, password), stored)


def verify(typed: bytes, stored: str | None) -> bool:
    """The slow part of `matches`."""
    try:
        return HASHER.verify(stored or NOBODY, typed) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


async def renewed(keys: Keys, password: str, stored: str) -> str | None:
    """A new hash of a password that matched, when the stored one was made with other parameters than today's."""
    if not HASHER.check_needs_rehash(stored):
        return None
    return await asyncio.to_thread(HASHER.hash, peppered(keys, password))


def peppered(keys: Keys, password: str) -> bytes:
    """HMAC-SHA256 of the password in NFKC, so that two keyboards give the same bytes for the same characters."""
    typed = unicodedata.normalize("NFKC", password[: LONGEST + 1]).encode("utf-8", "surrogatepass")
    return hmac.new(keys.pepper, typed, hashlib.sha256).digest()
