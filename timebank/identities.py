"""Real names: a manager sees a document at the desk and types its number once, which is kept nowhere.

What is kept: which document, the last four characters sealed under the member's key, a keyed hash by which the same
document is found at another member, who saw it and when. Who was not checked serves all the same. A document that
another member has shown is held until an administrator has looked. Where the operator has a register, it is asked
whether name and number go together before anything is kept.
"""

import asyncio
import hashlib
import hmac
import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal
from uuid import UUID

import httpx
import msgspec
from sqlalchemy import Row, Select, and_, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import access, gateways, members, private, purses, trail
from timebank.cards import ISSUING_ROLES
from timebank.cursors import Cursor, Page, falling
from timebank.errors import BankError, Conflict, Invalid, NotAllowed, NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.settings import Settings
from timebank.tables import identity_check, member, region
from timebank.tables.identities import IDENTITY_KINDS

PURPOSE = "identity"
ENDING = 4
# GB 11643: weights of the first 17 digits, and what the remainder by 11 stands for (ISO 7064, MOD 11-2).
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS = "10X98765432"
FIRST_YEAR = 1900
OTHER_NUMBER = re.compile(r"[A-Z0-9]{5,20}")
Verdict = Literal["accept", "refuse"]


class IdentityMismatch(BankError):
    """The register says that name and number do not go together."""

    code = "identity_mismatch"


class IdentityDown(BankError):
    """The register does not answer; it may in a moment."""

    code = "identity_down"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a member's document."""

    kind: str
    ending: str
    state: str
    checked_by: UUID
    checked_at: datetime


class Register:
    """Who knows names and numbers: one POST, signed as for the SMS gateway (docs/reference/real-names.md)."""

    def __init__(
        self, url: str, key: str, *, answer_seconds: float = 8.0, clock: Callable[[], float] = time.time
    ) -> None:
        self.url, self.key, self.clock = url, key, clock
        self.timeout = httpx.Timeout(answer_seconds, connect=min(3.0, answer_seconds))

    async def matches(self, name: str, kind: str, number: str) -> bool:
        """Whether they go together. `IdentityDown` for every answer that is neither yes nor no."""
        timestamp = str(int(self.clock()))
        id = str(uuid7(datetime.fromtimestamp(self.clock(), UTC)))
        body = msgspec.json.encode({"id": id, "name": name, "kind": kind, "number": number})
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": id,
            "X-Timebank-Timestamp": timestamp,
            "X-Timebank-Signature": gateways.signature(self.key, timestamp, body),
        }
        try:
            async with httpx.AsyncClient(timeout=self.timeout) as client, asyncio.timeout(self.timeout.read):
                answer = await client.post(self.url, content=body, headers=headers)
            said = msgspec.json.decode(answer.content) if answer.status_code == 200 else None
        except (httpx.HTTPError, TimeoutError, msgspec.DecodeError):
            raise IdentityDown() from None
        if not isinstance(said, dict) or not isinstance(said.get("match"), bool):
            raise IdentityDown()
        return bool(said["match"])


def chosen(settings: Settings) -> Register | None:
    """The register that the settings describe."""
    return Register(settings.identity_url, settings.identity_key or "") if settings.identity_url else None


def plain(kind: str, number: str, today: date) -> str:
    """The number as it is compared: half-width, capital, without blanks.

    `invalid`: kind (unknown), number (identity: an ID card's that has not 18 characters, a wrong check character or no
    day of birth; another document's that is not 5 to 20 letters and digits).
    """
    if kind not in IDENTITY_KINDS:
        raise Invalid(field="kind", reason="unknown")
    found = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", number[:80])).upper()
    fits = is_id_card(found, today) if kind == "id_card" else bool(OTHER_NUMBER.fullmatch(found))
    if not fits or len(number) > 80:
        raise Invalid(field="number", reason="identity")
    return found


def is_id_card(number: str, today: date) -> bool:
    """Whether a text can be the number of a Chinese ID card of somebody born between 1900 and today."""
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", number, re.ASCII):
        return False
    remainder = sum(int(digit) * weight for digit, weight in zip(number[:17], WEIGHTS, strict=True)) % 11
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return number[17] == CHECK_CHARACTERS[remainder] and born.year >= FIRST_YEAR and born <= today


def number_hash(keys: Keys, kind: str, number: str) -> bytes:
    """What the table knows a document by."""
    return hmac.new(keys.identity, f"{kind}\0{number}".encode(), hashlib.sha256).digest()


async def see(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    register: Register | None,
    member_id: UUID,
    *,
    kind: str,
    number: str,
    actor_id: UUID,
    now: datetime,
) -> str:
    """Keep that the actor has seen a member's document. Answers "checked", or "held": another member has shown it.

    Errors: `not_found`, `role_not_allowed` (oneself, the household), `invalid` (kind, number), `identity_mismatch`,
    `identity_down`.
    """
    async with engine.connect() as connection:
        row = await access.served_member(
            connection, book_id, member_id, actor_id=actor_id, roles=ISSUING_ROLES, now=now
        )
        actor = await members.by_id(connection, book_id, actor_id)
        zone = await purses.time_zone(connection, book_id)
        name = (await members.names(connection, book_id, keys, [member_id])).get(member_id)
    kin = row.household_id is not None and row.household_id == actor.household_id
    if member_id == actor_id or kin:
        raise NotAllowed()
    if name is None or row.state in members.GONE:
        raise NotFound(kind="member")
    found = plain(kind, number, now.astimezone(zone).date())
    # Asked while nothing is held open.
    if register is not None and not await register.matches(name, kind, found):
        raise IdentityMismatch()
    hashed = number_hash(keys, kind, found)
    async with engine.begin() as connection:
        sealed = await private.seal(connection, book_id, keys, member_id, PURPOSE, found[-ENDING:])
        if sealed is None:
            raise NotFound(kind="member")
        others = await shown_by(connection, book_id, hashed, member_id)
        values = {
            "kind": kind,
            "ending": sealed,
            "number_hash": hashed,
            "state": "held" if others else "checked",
            "checked_by": actor_id,
            "checked_at": now,
        }
        await connection.execute(
            insert(identity_check)
            .values(book_id=book_id, member_id=member_id, **values)
            .on_conflict_do_update(index_elements=["book_id", "member_id"], set_=values)
        )
        await written(connection, book_id, "identity.check", member_id, actor_id, values, now)
    return str(values["state"])


async def shown_by(connection: AsyncConnection, book_id: int, hashed: bytes, member_id: UUID) -> list[UUID]:
    """The other members, not gone, who have shown the same document."""
    query = (
        select(identity_check.c.member_id)
        .join(member, and_(member.c.book_id == identity_check.c.book_id, member.c.id == identity_check.c.member_id))
        .where(
            identity_check.c.book_id == book_id,
            identity_check.c.number_hash == hashed,
            identity_check.c.member_id != member_id,
            member.c.state.not_in(members.GONE),
        )
    )
    return list(await connection.scalars(query))


async def of(connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID) -> Standing | None:
    """What is known of a member's document; None where nobody has seen one."""
    query = select(identity_check).where(identity_check.c.book_id == book_id, identity_check.c.member_id == member_id)
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    person = (await private.people(connection, book_id, [member_id]))[member_id]
    ending = private.opened(keys, person, PURPOSE, row.ending) or ""
    return Standing(row.kind, ending, row.state, row.checked_by, row.checked_at)


async def same(connection: AsyncConnection, book_id: int, member_id: UUID) -> list[UUID]:
    """The other members who have shown the document that a member has shown."""
    query = select(identity_check.c.number_hash).where(
        identity_check.c.book_id == book_id, identity_check.c.member_id == member_id
    )
    hashed = await connection.scalar(query)
    return [] if hashed is None else await shown_by(connection, book_id, hashed, member_id)


async def held(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    region_id: UUID | None = None,
    before: Cursor | None = None,
    limit: int = 20,
) -> Page:
    """The members of an administrator's branch whose document another has shown, the latest first; of one region and
    below it. Each row is the member's to open, with `kind`, `checked_at` and `checked_by`."""
    query: Select[Any] = (
        select(member, identity_check.c.kind, identity_check.c.checked_at, identity_check.c.checked_by)
        .join(member, and_(member.c.book_id == identity_check.c.book_id, member.c.id == identity_check.c.member_id))
        .join(region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .where(
            identity_check.c.book_id == book_id,
            identity_check.c.state == "held",
            access.covers_region(actor_id, ("admin",), now),
        )
    )
    if region_id is not None:
        query = query.where(access.below(region_id))
    return await falling(connection, query, identity_check.c.checked_at, member.c.id, before, limit)


async def settle(
    connection: AsyncConnection, book_id: int, member_id: UUID, verdict: Verdict, *, actor_id: UUID, now: datetime
) -> None:
    """An administrator has looked at a document that is held: it is this member's and nobody else's, or not.

    Errors: `not_found` (also where another member who has shown it is outside the branch), `role_not_allowed` (see
    `access.require_over`), `conflict` (nothing is held).
    """
    await members.require(connection, book_id, member_id, actor_id, now)
    await access.require_over(connection, book_id, member_id, actor_id=actor_id, now=now)
    waiting = and_(
        identity_check.c.book_id == book_id,
        identity_check.c.member_id == member_id,
        identity_check.c.state == "held",
    )
    if verdict == "accept":
        # A document is one person's: it counts for nobody else any more.
        for other_id in await same(connection, book_id, member_id):
            await members.require(connection, book_id, other_id, actor_id, now)
            await connection.execute(
                delete(identity_check).where(
                    identity_check.c.book_id == book_id, identity_check.c.member_id == other_id
                )
            )
            await written(connection, book_id, "identity.void", other_id, actor_id, {}, now, {"state": "checked"})
        changed = await connection.execute(update(identity_check).where(waiting).values(state="checked"))
    else:
        changed = await connection.execute(delete(identity_check).where(waiting))
    if not changed.rowcount:
        raise Conflict(field="identity")
    after = {"state": "checked"} if verdict == "accept" else {}
    await written(connection, book_id, f"identity.{verdict}", member_id, actor_id, after, now, {"state": "held"})


async def written(
    connection: AsyncConnection,
    book_id: int,
    action: str,
    member_id: UUID,
    actor_id: UUID,
    values: dict[str, Any],
    now: datetime,
    before: dict[str, Any] | None = None,
) -> None:
    """Say so in the trail, without anything of the number."""
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action=action,
        subject_kind="member",
        subject_id=member_id,
        before=before,
        after={name: values[name] for name in ("kind", "state") if name in values},
        now=now,
    )
