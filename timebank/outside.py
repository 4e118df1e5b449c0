"""Signing in by an account that somebody has elsewhere: sent there, back with a word of who they are, and let in here
as the member whom that account is linked to.

An account is linked by its member while signed in, or by a phone number that the issuer has verified; never by a mail
address or a name, and no role and no member is ever made of one. What the issuer calls the member is kept as a keyed
hash. Who comes back has to be the browser that was sent, once, within ten minutes.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Result, Row, Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import limits, members, passkeys, sessions, trail
from timebank.errors import BankError, Invalid, NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.limits import Limit
from timebank.tables import member, outside_account, outside_errand

LIFE = timedelta(minutes=10)
TRIES_FROM_ADDRESS = Limit("outside.address", 120, timedelta(minutes=10))


class OutsideDown(BankError):
    """The other side does not answer, or not as it should; it may in a moment."""

    code = "outside_down"


class OutsideRefused(BankError):
    """The other side says no, or what it says does not prove who came back."""

    code = "outside_refused"


class OutsideExpired(BankError):
    """Nobody was sent there from this browser, or too long ago, or they have come back already."""

    code = "outside_expired"


class OutsideUnknown(BankError):
    """The account is nobody's here yet."""

    code = "outside_unknown"


class OutsideTaken(BankError):
    """The account is linked to another member."""

    code = "outside_taken"


@dataclass(frozen=True, slots=True)
class Errand:
    """What somebody is sent outside with. The secrets follow from `state` under a key, and are kept nowhere."""

    state: str
    nonce: str
    verifier: str
    """PKCE (RFC 7636): 43 characters."""
    back: str
    """Where they come back to."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who came back, by the issuer's own word; `phone` only where the issuer has verified it."""

    subject: str
    phone: str | None = None


class Provider(Protocol):
    """Somebody outside who knows people."""

    @property
    def name(self) -> str:
        """In our addresses: `oidc` or `wechat`."""

    @property
    def issuer(self) -> str:
        """Under what accounts are kept; another issuer's are others."""

    async def address(self, errand: Errand) -> str:
        """Where to send somebody. Raises `OutsideDown`."""

    async def identity(self, errand: Errand, code: str, now: datetime) -> Identity:
        """Who came back with `code`. Raises `OutsideDown` or `OutsideRefused`."""


@dataclass(frozen=True, slots=True)
class Landed:
    """What became of somebody who came back."""

    token: str | None
    """Of the session that begins; None: the account is linked to who is signed in."""
    following: str


def errand(keys: Keys, state: str, back: str) -> Errand:
    """The errand of a state."""

    def derived(purpose: str) -> str:
        return hmac.new(keys.outside, f"{purpose}\0{state}".encode(), hashlib.sha256).hexdigest()

    return Errand(state, derived("nonce"), derived("verifier"), back)


def subject_hash(keys: Keys, issuer: str, subject: str) -> bytes:
    """What the table knows an account by."""
    return hmac.new(keys.outside, f"subject\0{issuer}\0{subject}".encode(), hashlib.sha256).digest()


def digest(text: str) -> bytes:
    """What the table knows a state, or a browser, by."""
    return hashlib.sha256(b"outside\0" + text.encode("utf-8", "surrogatepass")).digest()


async def send(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    provider: Provider,
    *,
    browser: str,
    address: str,
    back: str,
    following: str,
    now: datetime,
    member_id: UUID | None = None,
    signed_in_at: datetime | None = None,
) -> str:
    """Where to send somebody who signs in, or the member who links an account, soon after signing in.

    Errors: `try_later`, `sign_in_again`, `outside_down`.
    """
    if signed_in_at is not None and now - signed_in_at > passkeys.FRESH:
        raise passkeys.SignInAgain()
    await limits.count_from(engine, book_id, keys, address, now, TRIES_FROM_ADDRESS)
    state = secrets.token_hex(24)
    found = await provider.address(errand(keys, state, back))
    async with engine.begin() as connection:
        await connection.execute(
            insert(outside_errand).values(
                book_id=book_id,
                state_hash=digest(state),
                provider=provider.name,
                browser_hash=digest(browser),
                member_id=member_id,
                following=following,
                expires_at=now + LIFE,
            )
        )
    return found


async def land(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    provider: Provider,
    *,
    state: str,
    code: str,
    browser: str | None,
    back: str,
    now: datetime,
    member_id: UUID | None,
) -> Landed:
    """Let somebody in who comes back, or link the account to `member_id`, who is signed in and was sent for it.

    Errors: `outside_expired`, `outside_refused` (also where no code came back), `outside_down`, `outside_unknown`,
    `outside_taken`.
    """
    async with engine.begin() as connection:
        sent = await taken(connection, book_id, provider.name, state, browser, now)
    if sent is None or (sent.member_id is not None and sent.member_id != member_id):
        raise OutsideExpired()
    if not code:
        raise OutsideRefused()
    identity = await provider.identity(errand(keys, state, back), code, now)
    hashed = subject_hash(keys, provider.issuer, identity.subject)
    async with engine.begin() as connection:
        if sent.member_id is not None:
            await link(connection, book_id, provider.issuer, hashed, sent.member_id, now)
            return Landed(None, sent.following)
        known = await whose(connection, book_id, provider.issuer, hashed, now)
        if known is None:
            known = await by_verified_phone(connection, book_id, keys, identity.phone)
            if known is None:
                raise OutsideUnknown()
            await link(connection, book_id, provider.issuer, hashed, known, now)
        return Landed(await sessions.begin(connection, book_id, known, now), sent.following)


async def taken(
    connection: AsyncConnection, book_id: int, provider: str, state: str, browser: str | None, now: datetime
) -> Row[Any] | None:
    """The errand that ends with this state in this browser, used up."""
    if browser is None or len(state) > 100:
        return None
    gone: Result[Any] = await connection.execute(
        delete(outside_errand)
        .where(
            outside_errand.c.book_id == book_id,
            outside_errand.c.state_hash == digest(state),
            outside_errand.c.provider == provider,
            outside_errand.c.browser_hash == digest(browser),
            outside_errand.c.expires_at > now,
        )
        .returning(outside_errand.c.member_id, outside_errand.c.following)
    )
    return gone.one_or_none()


async def whose(connection: AsyncConnection, book_id: int, issuer: str, subject: bytes, now: datetime) -> UUID | None:
    """The member whom an account is linked to, and who is not gone; it counts as used."""
    there = select(member.c.id).where(
        member.c.book_id == book_id,
        member.c.id == outside_account.c.member_id,
        member.c.state.not_in(members.GONE),
    )
    found: UUID | None = await connection.scalar(
        update(outside_account)
        .where(
            outside_account.c.book_id == book_id,
            outside_account.c.issuer == issuer,
            outside_account.c.subject_hash == subject,
            there.exists(),
        )
        .values(used_at=now)
        .returning(outside_account.c.member_id)
    )
    return found


async def by_verified_phone(connection: AsyncConnection, book_id: int, keys: Keys, phone: str | None) -> UUID | None:
    """The member with a number that the issuer has verified."""
    if not phone:
        return None
    try:
        row = await members.by_phone(connection, book_id, keys, phone)
    except Invalid:
        return None
    return row.id if row is not None else None


async def link(
    connection: AsyncConnection, book_id: int, issuer: str, subject: bytes, member_id: UUID, now: datetime
) -> None:
    """Make an account a member's way in. Linked to them before, nothing changes; to another member, `outside_taken`."""
    id = uuid7(now)
    made = await connection.execute(
        insert(outside_account)
        .values(book_id=book_id, id=id, member_id=member_id, issuer=issuer, subject_hash=subject, linked_at=now)
        .on_conflict_do_nothing()
        .returning(outside_account.c.id)
    )
    if made.one_or_none() is not None:
        await trail.write_own(connection, book_id, member_id, action="outside.link", now=now, after={"issuer": issuer})
        return
    query = select(outside_account.c.member_id).where(
        outside_account.c.book_id == book_id,
        outside_account.c.issuer == issuer,
        outside_account.c.subject_hash == subject,
    )
    if await connection.scalar(query) != member_id:
        raise OutsideTaken()


async def of(connection: AsyncConnection, book_id: int, member_id: UUID) -> Sequence[Row[Any]]:
    """A member's accounts elsewhere, the oldest first: `id`, `issuer`, `linked_at`, `used_at`."""
    query: Select[Any] = (
        select(outside_account.c.id, outside_account.c.issuer, outside_account.c.linked_at, outside_account.c.used_at)
        .where(outside_account.c.book_id == book_id, outside_account.c.member_id == member_id)
        .order_by(outside_account.c.linked_at, outside_account.c.id)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def unlink(connection: AsyncConnection, book_id: int, id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """End an account's way in. `not_found` for what is no account of the actor."""
    issuer = await connection.scalar(
        delete(outside_account)
        .where(
            outside_account.c.book_id == book_id, outside_account.c.id == id, outside_account.c.member_id == actor_id
        )
        .returning(outside_account.c.issuer)
    )
    if issuer is None:
        raise NotFound(kind="outside_account")
    await trail.write_own(connection, book_id, actor_id, action="outside.unlink", now=now, after={"issuer": issuer})
