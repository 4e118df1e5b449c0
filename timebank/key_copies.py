"""Copies of the keys under a passphrase: argon2id makes the key of it, AES-256-GCM keeps the file.

What the file says of how it was made is bound to what it holds: nobody makes the guessing cheaper by changing it. A
file that asks for more than a machine can give is refused before anything is computed.
"""

import base64
import json
import os
import secrets
from pathlib import Path
from typing import Any

import msgspec
from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from timebank.keys import Keys, from_json, sync_directory, to_json
from timebank.refusal import Refusal

KIND = "timebank keys"
SHORTEST_PASSPHRASE = 12
# RFC 9106, second recommendation: 64 MiB, three passes, four lanes.
TIME_COST, MEMORY_KIB, LANES = 3, 65_536, 4
MOST = {"time_cost": 20, "memory_kib": 2**21, "lanes": 16}


class Sealed(msgspec.Struct, frozen=True):
    """The file."""

    kind: str
    format: int
    time_cost: int
    memory_kib: int
    lanes: int
    salt: str
    nonce: str
    text: str = ""

    def bound(self) -> bytes:
        """All but the text, which is bound to it."""
        return msgspec.json.encode(msgspec.structs.replace(self, text=""))


def refuse_weak(passphrase: str) -> None:
    """Refusal `passphrase_weak` for one that is guessed soon."""
    if len(passphrase) < SHORTEST_PASSPHRASE or len(set(passphrase)) < 6:
        raise Refusal(
            "passphrase_weak", f"Take a passphrase of at least {SHORTEST_PASSPHRASE} characters, such as four words"
        )


def seal(keys: Keys, passphrase: str) -> bytes:
    """The content of a copy. Refusal `passphrase_weak`."""
    refuse_weak(passphrase)
    salt, nonce = encoded(secrets.token_bytes(16)), encoded(secrets.token_bytes(12))
    empty = Sealed(KIND, 1, TIME_COST, MEMORY_KIB, LANES, salt=salt, nonce=nonce)
    text = AESGCM(key_of(empty, passphrase)).encrypt(
        base64.b64decode(empty.nonce), json.dumps(to_json(keys)).encode(), empty.bound()
    )
    return msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(empty, text=encoded(text)))) + b"\n"


def encoded(value: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(value).decode()


def key_of(sealed: Sealed, passphrase: str) -> bytes:
    """The key that a passphrase makes."""
    return hash_secret_raw(
        passphrase.encode("utf-8", "surrogatepass"),
        base64.b64decode(sealed.salt),
        time_cost=sealed.time_cost,
        memory_cost=sealed.memory_kib,
        parallelism=sealed.lanes,
        hash_len=32,
        type=Type.ID,
    )


def is_sealed(path: Path) -> bool:
    """Whether a file is a copy under a passphrase. Refusal `keys_missing`."""
    try:
        with path.open("rb") as file:
            start: Any = file.read(200)
    except FileNotFoundError:
        raise Refusal("keys_missing", f"There is no file {path}.", path=str(path)) from None
    return KIND.encode() in start


def opened(path: Path, passphrase: str) -> Keys:
    """The keys of a copy. Refusal `keys_damaged`, `passphrase_wrong`."""
    try:
        sealed = msgspec.json.decode(path.read_bytes(), type=Sealed)
        if (
            sealed.kind != KIND
            or sealed.format != 1
            or any(getattr(sealed, name) > most for name, most in MOST.items())
        ):
            raise ValueError("not one of ours")
        nonce, text = base64.b64decode(sealed.nonce), base64.b64decode(sealed.text)
        key = key_of(sealed, passphrase)
    except (ValueError, OSError, msgspec.MsgspecError, HashingError) as error:
        raise damaged(path) from error
    try:
        plain = AESGCM(key).decrypt(nonce, text, sealed.bound())
    except (InvalidTag, ValueError):
        raise Refusal("passphrase_wrong", f"This passphrase does not open {path}, or the file was changed") from None
    return from_json(json.loads(plain))


def damaged(path: Path) -> Refusal:
    """What is said of a file that is no copy."""
    return Refusal("keys_damaged", f"The keys file {path} is damaged. Restore your copy.", path=str(path))


def write(path: Path, content: bytes) -> None:
    """Write a new file, readable by its owner alone. Refusal `file_exists`: nothing is overwritten."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refusal("file_exists", f"{path} exists and is left alone.", path=str(path)) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)
