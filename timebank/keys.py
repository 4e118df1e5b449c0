"""The bank's secrets: one file outside the database, made at first start, readable by its owner alone.

The file holds numbered master keys, 32 random bytes each, and says which number each purpose uses now. Every key in
use is HKDF-SHA256 (RFC 5869) of a master and its purpose, so a key that leaks gives away neither the master nor the
keys of other purposes. Rotating a purpose makes a new master; older ones stay in the file, because what they
encrypted must still be read.
"""

import base64
import json
import os
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from timebank.hourly import HourlyKeys
from timebank.refusal import Refusal

FORMAT = 1
MASTER_BYTES = 32

# What a rotation may touch. Redemption codes that are on show when their key changes are refused as forged, and leave
# their digits; station codes of the old key are believed for a day, because kiosks hold keys for as long.
ROTATED = ("kek", "ticket")
ROTATABLE = (*ROTATED, "station", "redemption")
# What a new key would make unfindable or worthless: everybody's phone number, name, password and card, the posters on
# the walls, and which records are drawn.
FIXED = (
    "phone_index",
    "name_index",
    "pepper",
    "phone_code",
    "address",
    "draw",
    "poster",
    "card",
    "door",
    "certificate",
    "import",
    "passkey",
    "webhook",
    "outside",
    "identity",
)
PURPOSES = (*ROTATABLE, *FIXED)


@dataclass(frozen=True)
class Keys:
    """The masters by number, and the number that each purpose uses now. Immutable; its `repr` shows no secret.

    `replaced`: when each master that station codes were made with before was replaced, by its number.
    """

    masters: dict[int, bytes]
    current: dict[str, int]
    replaced: dict[int, datetime] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Keys(current={self.current!r})"

    def derive(self, purpose: str, number: int | None = None) -> bytes:
        """The 32-byte key of `purpose` under master `number`, by default the one in use now.

        Refusal `key_unknown` when the file holds no such master: the data belongs to another keys file, or to a
        newer one than was loaded.
        """
        number = self.current[purpose] if number is None else number
        master = self.masters.get(number)
        if master is None:
            raise Refusal("key_unknown", f"The keys file holds no key number {number}.", number=number)
        info = f"timebank/{purpose}/{number}".encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(master)

    @cached_property
    def station(self) -> HourlyKeys:
        """Makes the keys of the rotating station codes."""
        former = sorted(self.replaced.items(), reverse=True)
        return HourlyKeys(self.derive("station"), tuple((self.derive("station", number), at) for number, at in former))

    @cached_property
    def poster(self) -> bytes:
        """Signs the posters on the walls of stations."""
        return self.derive("poster")

    @cached_property
    def card(self) -> bytes:
        """Signs the members' cards."""
        return self.derive("card")

    @cached_property
    def certificate(self) -> bytes:
        """Signs the numbers of certificates: what is on paper is checked for ever."""
        return self.derive("certificate")

    @cached_property
    def door(self) -> bytes:
        """Keys the hash under which one-time door codes are kept."""
        return self.derive("door")

    @cached_property
    def redemption(self) -> bytes:
        """Signs redemption codes."""
        return self.derive("redemption")

    @cached_property
    def ticket(self) -> dict[str, bytes]:
        """Every key that a ticket may be signed with, by its `kid`; sign with `ticket_kid`."""
        return {str(number): self.derive("ticket", number) for number in self.masters}

    @property
    def ticket_kid(self) -> str:
        """The `kid` that new tickets are signed with."""
        return str(self.current["ticket"])

    @cached_property
    def key_encryption_keys(self) -> dict[int, bytes]:
        """The keys that wrap people's data keys, by number; new people get `key_id`."""
        return {number: self.derive("kek", number) for number in self.masters}

    @property
    def key_id(self) -> int:
        """The number of the key-encryption key for new people."""
        return self.current["kek"]

    @cached_property
    def phone_index(self) -> bytes:
        """Keys the hash by which a member is found from a phone number."""
        return self.derive("phone_index")

    @cached_property
    def name_index(self) -> bytes:
        """Keys the hash by which members are found from a name."""
        return self.derive("name_index")

    @cached_property
    def pepper(self) -> bytes:
        """Mixed into every password before it is hashed: the table alone cannot be searched."""
        return self.derive("pepper")

    @cached_property
    def phone_code(self) -> bytes:
        """Keys the hash of the six digits sent to a phone."""
        return self.derive("phone_code")

    @cached_property
    def address(self) -> bytes:
        """Keys the hash under which tries from one network address are counted."""
        return self.derive("address")

    @cached_property
    def rows(self) -> bytes:
        """Keys the ids of imported rows, which follow from what the rows say of people."""
        return self.derive("import")

    @cached_property
    def webhook(self) -> bytes:
        """Makes what the messages of each webhook are signed with."""
        return self.derive("webhook")

    @cached_property
    def passkey(self) -> bytes:
        """Makes what a device keeps to say whose a passkey is."""
        return self.derive("passkey")

    @cached_property
    def outside(self) -> bytes:
        """Keys the hash under which members' accounts elsewhere are kept, and what is asked of those who know them."""
        return self.derive("outside")

    @cached_property
    def identity(self) -> bytes:
        """Keys the hash by which a document is found that two members have shown."""
        return self.derive("identity")

    @cached_property
    def draw(self) -> bytes:
        """Draws the records that a person must look at, so that nobody can foresee which."""
        return self.derive("draw")

    def rotated(self, now: datetime, purposes: Iterable[str] = ROTATED, *, believe: bool = True) -> "Keys":
        """The same keys with a new master, used by `purposes` from `now` on.

        Station codes of the old key are believed for a while, unless `believe` is false: somebody else has the key.
        Refusal `key_fixed` for a purpose that cannot change its key.
        """
        number = max(self.masters) + 1
        current, replaced = dict(self.current), dict(self.replaced)
        if "station" in (purposes := tuple(purposes)):
            replaced = {**replaced, current["station"]: now} if believe else {}
        for purpose in purposes:
            if purpose not in ROTATABLE:
                raise Refusal("key_fixed", f"The key for {purpose} cannot be rotated.", purpose=purpose)
            current[purpose] = number
        return Keys({**self.masters, number: secrets.token_bytes(MASTER_BYTES)}, current, replaced)

    @classmethod
    def new(cls) -> "Keys":
        """Fresh keys, not yet written anywhere."""
        return cls({1: secrets.token_bytes(MASTER_BYTES)}, dict.fromkeys(PURPOSES, 1))

    @classmethod
    def load(cls, path: Path) -> "Keys":
        """The keys in the file.

        Refusal `keys_missing`, `keys_readable_by_others` or `keys_damaged`.
        """
        try:
            mode = path.stat().st_mode
            text = path.read_text(encoding="utf-8") if stat.S_IMODE(mode) & 0o077 == 0 else None
        except FileNotFoundError:
            raise Refusal("keys_missing", f"There is no keys file at {path}.", path=str(path)) from None
        if text is None:
            raise Refusal(
                "keys_readable_by_others",
                f"Other accounts of this machine may read the keys file {path}. Run: chmod 600 {path}",
                path=str(path),
            )
        try:
            return from_json(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Refusal(
                "keys_damaged", f"The keys file {path} is damaged. Restore your copy.", path=str(path)
            ) from None

    @classmethod
    def load_or_create(cls, path: Path) -> "Keys":
        """The keys in the file, which is made first when there is none. Processes that race get the same keys."""
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = write_beside(path, cls.new())
            try:
                # A link, unlike a rename, never replaces the keys that another process has just made.
                path.hardlink_to(beside)
            except FileExistsError:
                pass
            finally:
                beside.unlink()
            sync_directory(path.parent)
        return cls.load(path)

    def save(self, path: Path) -> None:
        """Replace the file: afterwards it holds the old keys or these, whatever happens meanwhile."""
        write_beside(path, self).replace(path)
        sync_directory(path.parent)

    def backup(self, path: Path) -> None:
        """Write a copy to `path`, readable by its owner alone. Refusal `file_exists`: nothing is overwritten."""
        beside = write_beside(path, self)
        try:
            path.hardlink_to(beside)
        except FileExistsError:
            raise Refusal("file_exists", f"{path} exists and is left alone.", path=str(path)) from None
        finally:
            beside.unlink()
        sync_directory(path.parent)


class ServedKeys(Keys):
    """Keys that follow their file while the bank serves: whoever holds them sees a rotation without being told.

    One object for every part of a process, so it changes in place. A file that cannot be read changes nothing.
    """

    def __init__(self, path: Path) -> None:
        self.follow(path)

    def follow(self, path: Path) -> None:
        """Take the keys of this file, made where there is none. Refusals as for `Keys.load`."""
        seen = stamp(path) if path.exists() else None
        loaded = Keys.load_or_create(path)
        facts = {each.name: getattr(loaded, each.name) for each in fields(Keys)}
        facts |= {"path": path, "seen": seen or stamp(path)}
        # At once: threads that hash passwords read these meanwhile.
        object.__setattr__(self, "__dict__", facts)

    def renew(self) -> bool:
        """Look whether the file has changed, and take what it says now; whether it did."""
        path: Path = self.__dict__["path"]
        try:
            if stamp(path) == self.__dict__["seen"]:
                return False
            self.follow(path)
        except (OSError, Refusal):
            return False
        return True

    def derive(self, purpose: str, number: int | None = None) -> bytes:
        """As `Keys.derive`; for a number that is new, the file is looked at again."""
        if number is not None and number not in self.masters:
            self.renew()
        return super().derive(purpose, number)


def stamp(path: Path) -> tuple[int, int, int]:
    """What is different of a file that was replaced."""
    facts = path.stat()
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


def to_json(keys: Keys) -> dict[str, Any]:
    """What the file holds."""
    masters = {str(number): base64.b64encode(key).decode() for number, key in keys.masters.items()}
    replaced = {str(number): at.isoformat() for number, at in keys.replaced.items()}
    return {"format": FORMAT, "masters": masters, "current": keys.current, "replaced": replaced}


def from_json(document: dict[str, Any]) -> Keys:
    """The keys of a parsed file; ValueError, KeyError, TypeError or AttributeError when it is not whole."""
    if document["format"] != FORMAT:
        raise ValueError("unknown format")
    masters = {int(number): base64.b64decode(key, validate=True) for number, key in document["masters"].items()}
    # A purpose that a newer version added starts at the first master.
    current = {purpose: int(document["current"].get(purpose, 1)) for purpose in PURPOSES}
    # A file from before kiosks has none.
    replaced = {int(number): datetime.fromisoformat(at) for number, at in document.get("replaced", {}).items()}
    if any(len(key) != MASTER_BYTES for key in masters.values()) or not {*current.values(), *replaced} <= set(masters):
        raise ValueError("a master is missing or cut")
    if any(at.tzinfo is None for at in replaced.values()):
        raise ValueError("a moment without an offset")
    return Keys(masters, current, replaced)


def write_beside(path: Path, keys: Keys) -> Path:
    """Write `keys` to a new file in the directory of `path`, durably, and say where."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(to_json(keys), file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    return beside


def sync_directory(path: Path) -> None:
    """Make a new name in the directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
