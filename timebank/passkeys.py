"""Passkeys, for members with an office: a key pair on a device of their own, which a finger, a face or a PIN unlocks
(https://www.w3.org/TR/webauthn-3/).

What a device signs is asked by the bank, once, and answered within five minutes. A device signs for the address that
the browser is at, so what another site asks for is worth nothing here. As in `signing_in.py`, the verbs that judge an
answer take the engine: what was asked is used up though the answer is refused.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import bytes_to_base64url, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    RegistrationCredential,
)

from timebank import access, limits, members, private, sessions, texts, trail
from timebank.errors import BankError, Invalid, NotAllowed, NotFound
from timebank.keys import Keys
from timebank.limits import Limit
from timebank.tables import member, passkey, passkey_challenge

LIFE = timedelta(minutes=5)
# For how long after signing in somebody may add a passkey: a session that was left open must not become another's door.
FRESH = timedelta(minutes=10)
MOST = 10
NAME_LIMIT = 40
PURPOSE = "passkey"
TRIES_FROM_ADDRESS = Limit("passkey.address", 120, timedelta(minutes=10))
ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]


class PasskeyExpired(BankError):
    """What the device answers was not asked, was asked of somebody else, is answered already, or waited too long."""

    code = "passkey_expired"


class PasskeyUnknown(BankError):
    """No member has this passkey any more."""

    code = "passkey_unknown"


class PasskeyRefused(BankError):
    """What the device signed does not prove it: another address, another key, or nobody unlocked it."""

    code = "passkey_refused"


class PasskeyCopied(BankError):
    """The device says that it has signed less often than it had before: there may be two of it."""

    code = "passkey_copied"


class PasskeyThere(BankError):
    """The device has a passkey of this bank already."""

    code = "passkey_there"


class PasskeyNeeded(BankError):
    """This bank opens its offices to those alone who signed in by a passkey."""

    code = "passkey_needed"


class SignInAgain(BankError):
    """Too long ago: whoever sits here now might be somebody else."""

    code = "sign_in_again"


@dataclass(frozen=True, slots=True)
class Place:
    """Where browsers find the bank: the name that passkeys are for, and the address that has to ask for them."""

    name: str
    origin: str


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a device answers that has made a key pair."""

    credential: bytes
    client_data: bytes
    attestation: bytes


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a device answers that has signed."""

    credential: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    user: bytes


@dataclass(frozen=True, slots=True)
class Named:
    """A passkey as its owner knows it."""

    id: UUID
    name: str
    added_at: datetime
    used_at: datetime | None


def user_handle(keys: Keys, member_id: UUID) -> bytes:
    """What a device keeps to say whose a passkey is. It names nobody, and is no id of ours."""
    return hmac.new(keys.passkey, member_id.bytes, hashlib.sha256).digest()


def digest(challenge: bytes) -> bytes:
    """What the table knows a challenge by."""
    return hashlib.sha256(challenge).digest()


async def challenge(
    engine: AsyncEngine, book_id: int, keys: Keys, *, address: str, now: datetime, member_id: UUID | None = None
) -> bytes:
    """Something random to sign, for whoever signs in, or for the member who adds a passkey. `try_later`."""
    await limits.count_from(engine, book_id, keys, address, now, TRIES_FROM_ADDRESS)
    asked = secrets.token_bytes(32)
    async with engine.begin() as connection:
        await connection.execute(
            insert(passkey_challenge).values(
                book_id=book_id, challenge_hash=digest(asked), member_id=member_id, expires_at=now + LIFE
            )
        )
    return asked


async def take(engine: AsyncEngine, book_id: int, client_data: bytes, member_id: UUID | None, now: datetime) -> bytes:
    """The challenge that is answered, used up; `passkey_expired` where it was not asked of this person, or not now."""
    try:
        answered = parse_client_data_json(client_data).challenge
    except Exception:
        # Whatever the library makes of what is no answer at all.
        raise PasskeyRefused() from None
    async with engine.begin() as connection:
        asked = await connection.execute(
            delete(passkey_challenge)
            .where(
                passkey_challenge.c.book_id == book_id,
                passkey_challenge.c.challenge_hash == digest(answered),
                passkey_challenge.c.member_id.is_not_distinct_from(member_id),
                passkey_challenge.c.expires_at > now,
            )
            .returning(passkey_challenge.c.challenge_hash)
        )
        if asked.one_or_none() is None:
            raise PasskeyExpired()
    return answered


async def may_add(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    signed_in_at: datetime,
    by_passkey: bool,
    required: bool,
    now: datetime,
) -> list[bytes]:
    """The passkeys that the member has already, whose devices need no other; raises unless one may be added now.

    Errors: `role_not_allowed` (no office), `sign_in_again`, `passkey_needed` (`required`: they have one, and did not
    sign in by it), `invalid` (passkeys, too many).
    """
    if not await access.grants(connection, book_id, member_id, now):
        raise NotAllowed()
    if now - signed_in_at > FRESH:
        raise SignInAgain()
    query = select(passkey.c.credential_id).where(passkey.c.book_id == book_id, passkey.c.member_id == member_id)
    known = list(await connection.scalars(query))
    if required and known and not by_passkey:
        raise PasskeyNeeded()
    if len(known) >= MOST:
        raise Invalid(field="passkeys", reason="too_large")
    return known


async def add(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    member_id: UUID,
    answer: Attestation,
    *,
    id: UUID,
    name: str,
    place: Place,
    token: str,
    now: datetime,
) -> None:
    """Keep a passkey that a device has just made for the member. The session of `token`, in which it was made, counts
    as begun by it.

    Errors: `passkey_expired`, `passkey_refused`, `passkey_there`, `invalid` (name), `not_found` (who is gone).
    """
    name = texts.line("name", name, NAME_LIMIT)
    asked = await take(engine, book_id, answer.client_data, member_id, now)
    try:
        made = verify_registration_response(
            credential=RegistrationCredential(
                id=bytes_to_base64url(answer.credential),
                raw_id=answer.credential,
                response=AuthenticatorAttestationResponse(
                    client_data_json=answer.client_data, attestation_object=answer.attestation
                ),
            ),
            expected_challenge=asked,
            expected_rp_id=place.name,
            expected_origin=place.origin,
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
    except Exception:
        # The library's own refusals, and whatever its parsers make of bytes that are none of a device.
        raise PasskeyRefused() from None
    async with engine.begin() as connection:
        sealed = await private.seal(connection, book_id, keys, member_id, PURPOSE, name)
        if sealed is None:
            raise NotFound(kind="member")
        kept = await connection.execute(
            upsert(passkey)
            .values(
                book_id=book_id,
                id=id,
                member_id=member_id,
                credential_id=made.credential_id,
                public_key=made.credential_public_key,
                sign_count=made.sign_count,
                name=sealed,
                added_at=now,
            )
            .on_conflict_do_nothing()
            .returning(passkey.c.id)
        )
        if kept.one_or_none() is None:
            raise PasskeyThere()
        await sessions.raise_to_passkey(connection, book_id, token)
        await trail.write_own(connection, book_id, member_id, action="passkey.add", now=now, after={"passkey": str(id)})


async def sign_in(
    engine: AsyncEngine, book_id: int, keys: Keys, answer: Assertion, *, place: Place, address: str, now: datetime
) -> tuple[str, UUID]:
    """Begin a session with what a device has signed. Answers the token and the member's id.

    Errors: `passkey_expired`, `passkey_unknown`, `passkey_refused`, `passkey_copied`, `try_later`.
    """
    await limits.count_from(engine, book_id, keys, address, now, TRIES_FROM_ADDRESS)
    asked = await take(engine, book_id, answer.client_data, None, now)
    async with engine.connect() as connection:
        known = await by_credential(connection, book_id, answer.credential)
    if known is None:
        raise PasskeyUnknown()
    count = signed(answer, known, asked, place)
    if not hmac.compare_digest(answer.user, user_handle(keys, known.member_id)):
        raise PasskeyRefused()
    token = None
    async with engine.begin() as connection:
        # Some devices do not count, and say 0 each time.
        rising = passkey.c.sign_count < count if count else passkey.c.sign_count == 0
        used = await connection.execute(
            update(passkey)
            .where(passkey.c.book_id == book_id, passkey.c.id == known.id, rising)
            .values(sign_count=count, used_at=now)
            .returning(passkey.c.id)
        )
        if used.one_or_none() is not None:
            token = await sessions.begin(connection, book_id, known.member_id, now, by_passkey=True)
        else:
            after = {"passkey": str(known.id)}
            await trail.write_own(connection, book_id, known.member_id, action="passkey.suspect", now=now, after=after)
    # After the commit: what was seen stands in the trail.
    if token is None:
        raise PasskeyCopied()
    return token, known.member_id


def signed(answer: Assertion, known: Row[Any], asked: bytes, place: Place) -> int:
    """How often the device has signed, when this is its signature for what was asked here; else `passkey_refused`."""
    try:
        found = verify_authentication_response(
            credential=AuthenticationCredential(
                id=bytes_to_base64url(answer.credential),
                raw_id=answer.credential,
                response=AuthenticatorAssertionResponse(
                    client_data_json=answer.client_data,
                    authenticator_data=answer.authenticator_data,
                    signature=answer.signature,
                ),
            ),
            expected_challenge=asked,
            expected_rp_id=place.name,
            expected_origin=place.origin,
            credential_public_key=known.public_key,
            # Compared afterwards, where it is counted.
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except Exception:
        raise PasskeyRefused() from None
    return found.new_sign_count


async def by_credential(connection: AsyncConnection, book_id: int, credential: bytes) -> Row[Any] | None:
    """The passkey that a device calls so, of a member who is not gone."""
    query = (
        select(passkey)
        .join(member, (member.c.book_id == passkey.c.book_id) & (member.c.id == passkey.c.member_id))
        .where(passkey.c.book_id == book_id, passkey.c.credential_id == credential)
        .where(member.c.state.not_in(members.GONE))
    )
    return (await connection.execute(query)).one_or_none()


async def of(connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID) -> list[Named]:
    """A member's passkeys, the oldest first."""
    person = (await private.people(connection, book_id, [member_id]))[member_id]
    query = select(passkey).where(passkey.c.book_id == book_id, passkey.c.member_id == member_id)
    rows: Sequence[Row[Any]] = (await connection.execute(query.order_by(passkey.c.added_at, passkey.c.id))).all()
    return [
        Named(row.id, private.opened(keys, person, PURPOSE, row.name) or "", row.added_at, row.used_at) for row in rows
    ]


async def count(connection: AsyncConnection, book_id: int, member_id: UUID) -> int:
    """How many a member has."""
    query = select(func.count()).where(passkey.c.book_id == book_id, passkey.c.member_id == member_id)
    return await connection.scalar(query) or 0


async def remove(connection: AsyncConnection, book_id: int, id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """Take one's own passkey away: it signs nobody in from now on. `not_found` for what is no passkey of the actor."""
    gone = await connection.execute(
        delete(passkey)
        .where(passkey.c.book_id == book_id, passkey.c.id == id, passkey.c.member_id == actor_id)
        .returning(passkey.c.id)
    )
    if gone.one_or_none() is None:
        raise NotFound(kind="passkey")
    await trail.write_own(connection, book_id, actor_id, action="passkey.remove", now=now, after={"passkey": str(id)})
