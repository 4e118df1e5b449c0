"""Signing in: by a password, or by six digits that are sent to the phone.

The verbs take the engine and not a connection, unlike most others: a failed try must stay counted though the request
fails, and no connection is held while a password is hashed. None of them says whether a phone number belongs to a
member: not by its answer, and not by the time it takes.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import limits, members, passwords, sessions, sms, vault
from timebank.errors import BankError
from timebank.keys import Keys
from timebank.limits import Limit
from timebank.sms import Sender
from timebank.tables import member, phone_code

CODE_LIFE = timedelta(minutes=5)
CODE_TRIES = 5
PASSWORD_TRIES = Limit("password.phone", 5, timedelta(minutes=10))
PASSWORD_TRIES_FROM_ADDRESS = Limit("password.address", 60, timedelta(minutes=10))
CODES_SENT = Limit("code.phone", 5, timedelta(hours=1))
CODES_SENT_TO_ADDRESS = Limit("code.address", 30, timedelta(hours=1))
CODE_TRIES_FROM_PHONE = Limit("code_try.phone", 10, timedelta(minutes=10))
CODE_TRIES_FROM_ADDRESS = Limit("code_try.address", 60, timedelta(minutes=10))


class SignInRefused(BankError):
    """The phone number and the password, or the code, do not belong together. Never says which of them is wrong."""

    code = "sign_in_refused"


async def sign_in_by_password(
    engine: AsyncEngine, book_id: int, keys: Keys, *, phone: str, password: str, address: str, now: datetime
) -> tuple[str, UUID]:
    """Begin a session with phone number and password. Answers the token for the browser and the member's id.

    `address` is the caller's network address. Errors: `sign_in_refused`, `try_later`, `invalid` (phone).
    """
    index = members.phone_index(keys, phone)
    await count_tries(engine, book_id, keys, index, address, now, PASSWORD_TRIES, PASSWORD_TRIES_FROM_ADDRESS)
    async with engine.connect() as connection:
        known = await signed_in_as(connection, book_id, index)
    if not await passwords.matches(keys, password, known[1] if known else None) or known is None:
        raise SignInRefused()
    member_id, stored = known
    renewed = await passwords.renewed(keys, password, stored)
    async with engine.begin() as connection:
        await limits.clear(connection, book_id, PASSWORD_TRIES, index)
        if renewed:
            await connection.execute(
                update(member)
                .where(member.c.book_id == book_id, member.c.id == member_id, member.c.password_hash == stored)
                .values(password_hash=renewed)
            )
        return await sessions.begin(connection, book_id, member_id, now), member_id


async def signed_in_as(connection: AsyncConnection, book_id: int, index: bytes) -> tuple[UUID, str] | None:
    """The member with this phone index and the stored hash of their password, when they have one."""
    query = select(member.c.id, member.c.password_hash).where(
        member.c.book_id == book_id, member.c.phone_index == index, member.c.password_hash.is_not(None)
    )
    row = (await connection.execute(query)).one_or_none()
    return (row.id, row.password_hash) if row else None


async def send_phone_code(
    engine: AsyncEngine, book_id: int, keys: Keys, *, phone: str, address: str, now: datetime, sender: Sender
) -> None:
    """Send six digits, good for five minutes, to a member's phone. To a number of nobody, nothing is sent.

    A new code replaces the one before. Errors, the same for members and strangers: `try_later`, `invalid` (phone).
    """
    number = members.normal_phone(phone)
    index = members.phone_index(keys, number)
    await count_tries(engine, book_id, keys, index, address, now, CODES_SENT, CODES_SENT_TO_ADDRESS)
    digits = f"{secrets.randbelow(10**6):06d}"
    async with engine.begin() as connection:
        # Written for a stranger's number too, so that both ways do the same work.
        values = {
            "code_hash": code_hash(keys, index, digits),
            "tries": 0,
            "sent_at": now,
            "expires_at": now + CODE_LIFE,
        }
        await connection.execute(
            insert(phone_code)
            .values(book_id=book_id, phone_index=index, **values)
            .on_conflict_do_update(index_elements=["book_id", "phone_index"], set_=values)
        )
        row = await members.by_phone(connection, book_id, keys, number)
    if row is not None:
        mail = (vault.unseal(keys, row) or {}).get("mail")
        sms.send_soon(sender, number, digits, row.locale, mail)


async def sign_in_by_code(
    engine: AsyncEngine, book_id: int, keys: Keys, *, phone: str, digits: str, address: str, now: datetime
) -> tuple[str, UUID]:
    """Begin a session with the six digits sent to a phone; they work once, and stand five tries.

    Errors: `sign_in_refused`, `try_later`, `invalid` (phone).
    """
    index = members.phone_index(keys, phone)
    await count_tries(engine, book_id, keys, index, address, now, CODE_TRIES_FROM_PHONE, CODE_TRIES_FROM_ADDRESS)
    token, member_id = None, None
    async with engine.begin() as connection:
        if await take_code(connection, book_id, index, code_hash(keys, index, digits), now):
            query = select(member.c.id).where(member.c.book_id == book_id, member.c.phone_index == index)
            member_id = await connection.scalar(query)
        if member_id is not None:
            await limits.clear(connection, book_id, CODE_TRIES_FROM_PHONE, index)
            token = await sessions.begin(connection, book_id, member_id, now)
    # Raised after the commit: the try is counted.
    if token is None or member_id is None:
        raise SignInRefused()
    return token, member_id


async def take_code(connection: AsyncConnection, book_id: int, index: bytes, digest: bytes, now: datetime) -> bool:
    """Whether this is the code that was sent to the phone. It is counted as a try, and a right code is used up."""
    stored = await connection.scalar(
        update(phone_code)
        .where(
            phone_code.c.book_id == book_id,
            phone_code.c.phone_index == index,
            phone_code.c.expires_at > now,
            phone_code.c.tries < CODE_TRIES,
        )
        .values(tries=phone_code.c.tries + 1)
        .returning(phone_code.c.code_hash)
    )
    if stored is None or not hmac.compare_digest(stored, digest):
        return False
    await connection.execute(
        delete(phone_code).where(phone_code.c.book_id == book_id, phone_code.c.phone_index == index)
    )
    return True


async def count_tries(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    index: bytes,
    address: str,
    now: datetime,
    by_phone: Limit,
    by_address: Limit,
) -> None:
    """Count a try for the phone and for the address, for good; `TryLater` when either had enough."""
    # Each in its own transaction: the second's refusal does not undo the first's count.
    await limits.count_from(engine, book_id, keys, address, now, by_address)
    await limits.count_for_good(engine, book_id, by_phone, index, now)


def code_hash(keys: Keys, index: bytes, digits: str) -> bytes:
    """The keyed hash of a code for one phone: a million digits are quickly tried on a hash without a key."""
    return hmac.new(keys.phone_code, index + digits.strip().encode(), hashlib.sha256).digest()
