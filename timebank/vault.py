"""Personal fields, encrypted under a key of one person alone.

Each person has one random 256-bit data key. It encrypts that person's fields with AES-256-GCM wherever they are
stored, and is itself wrapped, with AES-256-GCM, by a numbered key-encryption key from outside the database. Dropping
the wrapped data key erases the person from every table at once.

Every text is bound to its book, its person and its purpose: moved to another row, it does not open.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.keys import Keys
from timebank.tables import member

NONCE_BYTES = 12
# First byte of every encrypted text: which algorithm made it.
ALGORITHM = b"\x01"


class Damaged(Exception):
    """A text that does not open: changed, moved to another row, or sealed under other keys."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the database stores of a person: the key-encryption key's number, the wrapped data key, the fields."""

    key_id: int
    data_key: bytes
    personal: bytes


def seal(keys: Keys, book_id: int, member_id: UUID, fields: dict[str, Any]) -> Sealed:
    """Encrypt the fields of a new person under a new data key."""
    data_key = secrets.token_bytes(32)
    wrapping_key = keys.key_encryption_keys[keys.key_id]
    wrapped = encrypt(wrapping_key, data_key, binding("data key", book_id, member_id, keys.key_id))
    return Sealed(keys.key_id, wrapped, encrypt_fields(data_key, "member", book_id, member_id, fields))


def unseal(keys: Keys, row: Any) -> dict[str, Any] | None:
    """The fields of a row of `member`; None when the person was erased. `Damaged` when they do not open."""
    if row.data_key is None or row.personal is None:
        return None
    plain = decrypt(unwrap(keys, row), row.personal, binding("member", row.book_id, row.id))
    return msgspec.json.decode(plain, type=dict[str, Any])


def reseal(keys: Keys, row: Any, fields: dict[str, Any]) -> bytes:
    """Encrypt changed fields of a person under the data key that the row already has."""
    return seal_beside(keys, row, "member", fields)


def seal_beside(keys: Keys, row: Any, purpose: str, fields: dict[str, Any]) -> bytes:
    """Encrypt fields that are stored elsewhere, an audit entry's for one, under the person's own data key."""
    return encrypt_fields(unwrap(keys, row), purpose, row.book_id, row.id, fields)


def unseal_beside(keys: Keys, row: Any, purpose: str, sealed: bytes) -> dict[str, Any]:
    """What `seal_beside` encrypted for the person of this row; `Damaged` when it does not open."""
    plain = decrypt(unwrap(keys, row), sealed, binding(purpose, row.book_id, row.id))
    return msgspec.json.decode(plain, type=dict[str, Any])


def unwrap(keys: Keys, row: Any) -> bytes:
    """The person's data key. Refusal `key_unknown` when its key-encryption key is not in the keys file."""
    wrapping_key = keys.key_encryption_keys.get(row.key_id) or keys.derive("kek", row.key_id)
    return decrypt(wrapping_key, row.data_key, binding("data key", row.book_id, row.id, row.key_id))


def encrypt_fields(data_key: bytes, purpose: str, book_id: int, member_id: UUID, fields: Any) -> bytes:
    """Encrypt JSON values for one purpose of one person."""
    return encrypt(data_key, msgspec.json.encode(fields), binding(purpose, book_id, member_id))


def binding(purpose: str, book_id: int, member_id: UUID, *more: int) -> bytes:
    """The associated data: what a text is bound to without holding it."""
    return msgspec.json.encode(["timebank", purpose, book_id, member_id, *more])


def encrypt(key: bytes, plain: bytes, bound_to: bytes) -> bytes:
    """AES-256-GCM under a fresh random nonce."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return ALGORITHM + nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def decrypt(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    """The plain text, or `Damaged`."""
    nonce, text = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if sealed[:1] != ALGORITHM:
        raise Damaged("unknown algorithm")
    try:
        return AESGCM(key).decrypt(nonce, text, bound_to)
    except (InvalidTag, ValueError):
        raise Damaged("does not open") from None


async def keys_for(connection: AsyncConnection, book_id: int, path: Path) -> Keys:
    """The keys in the file, which is made first where there is none and nobody's fields are stored yet.

    Refusal as of `Keys.load`: `keys_missing` where fields are stored, which new keys would not open.
    """
    anybody = select(member.c.id).where(member.c.book_id == book_id, member.c.data_key.is_not(None)).limit(1)
    found = await connection.scalar(anybody) is not None
    return Keys.load(path) if found else Keys.load_or_create(path)
