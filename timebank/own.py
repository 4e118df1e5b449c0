"""What members change about themselves: name, phone number, mail address, password. Each stands in the trail.

A new number or address is proved with six digits that are sent to it. As in `signing_in.py`, the verbs that compare
digits or a password take the engine: a failed try stays counted, and no connection is held while a password is hashed.
"""

import hashlib
import hmac
import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import limits, members, membership, passwords, sessions, signing_in, sms
from timebank.errors import Invalid
from timebank.keys import Keys
from timebank.membership import Changes
from timebank.setting_values import MAIL_ADDRESS
from timebank.sms import Sender
from timebank.tables import phone_code


async def rename(
    connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID, name: str, *, now: datetime
) -> None:
    """Correct one's own name. Errors: `invalid` (name), `not_found` (who is gone)."""
    row = await membership.locked_row(connection, book_id, member_id)
    await membership.apply(connection, book_id, keys, row, Changes(name=name), now=now, actor_id=member_id)


async def prove(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    member_id: UUID,
    *,
    phone: str = "",
    mail: str = "",
    address: str,
    locale: str,
    now: datetime,
    sender: Sender,
) -> None:
    """Send six digits to the number, or to the mail address, that shall be a member's; good for five minutes. Whether a
    number is somebody's already is not said before they are typed.

    Errors: `try_later`, `invalid` (phone, mail).
    """
    index = named(keys, phone, mail)
    await signing_in.count_tries(
        engine, book_id, keys, index, address, now, signing_in.CODES_SENT, signing_in.CODES_SENT_TO_ADDRESS
    )
    subject = proof(keys, index, member_id)
    digits = await new_code(engine, book_id, keys, subject, now)
    sms.send_soon(sender, members.normal_phone(phone) if phone else "", digits, locale, normal_mail(mail) or None)


async def new_code(engine: AsyncEngine, book_id: int, keys: Keys, subject: bytes, now: datetime) -> str:
    """Six digits for one subject, in place of those before."""
    digits = f"{secrets.randbelow(10**6):06d}"
    values = {
        "code_hash": signing_in.code_hash(keys, subject, digits),
        "tries": 0,
        "sent_at": now,
        "expires_at": now + signing_in.CODE_LIFE,
    }
    async with engine.begin() as connection:
        await connection.execute(
            insert(phone_code)
            .values(book_id=book_id, phone_index=subject, **values)
            .on_conflict_do_update(index_elements=["book_id", "phone_index"], set_=values)
        )
    return digits


async def change_address(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    member_id: UUID,
    *,
    phone: str = "",
    mail: str = "",
    digits: str,
    address: str,
    guardian: bool = False,
    now: datetime,
) -> str | None:
    """Make a number or a mail address one's own by the digits that were sent to it. Every session ends; answers the
    token of a new one, or None where a `guardian` does it for a child, whose own session goes on.

    Errors: `sign_in_refused` (digits), `try_later`, `phone_taken`, `invalid` (phone, mail).
    """
    index = named(keys, phone, mail)
    await signing_in.count_tries(
        engine, book_id, keys, index, address, now, signing_in.CODE_TRIES_FROM_PHONE, signing_in.CODE_TRIES_FROM_ADDRESS
    )
    subject = proof(keys, index, member_id)
    async with engine.begin() as connection:
        right = await signing_in.take_code(
            connection, book_id, subject, signing_in.code_hash(keys, subject, digits), now
        )
    # After the commit: the try is counted.
    if not right:
        raise signing_in.SignInRefused()
    changes = Changes(phone=phone) if phone else Changes(mail=normal_mail(mail))
    async with engine.begin() as connection:
        row = await membership.locked_row(connection, book_id, member_id)
        await membership.apply(connection, book_id, keys, row, changes, now=now, actor_id=member_id)
        await sessions.end_all(connection, book_id, member_id)
        await limits.clear(connection, book_id, signing_in.CODE_TRIES_FROM_PHONE, index)
        return None if guardian else await sessions.begin(connection, book_id, member_id, now)


async def forget_mail(connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID, *, now: datetime) -> None:
    """Take one's mail address away: codes go to the phone from now on."""
    row = await membership.locked_row(connection, book_id, member_id)
    await membership.apply(connection, book_id, keys, row, Changes(mail=""), now=now, actor_id=member_id)


def normal_mail(mail: str) -> str:
    """The address without blanks around it; `Invalid` with reason `mail` when it is none; "" for nothing at all."""
    found = mail.strip()
    if found and not MAIL_ADDRESS.fullmatch(found[:255]):
        raise Invalid(field="mail", reason="mail")
    return found


def named(keys: Keys, phone: str, mail: str) -> bytes:
    """The keyed hash of what shall be proved."""
    if phone:
        return members.phone_index(keys, phone)
    if not (found := normal_mail(mail)):
        raise Invalid(field="phone", reason="one_of")
    return hmac.new(keys.phone_index, b"mail" + found.casefold().encode(), hashlib.sha256).digest()


def proof(keys: Keys, index: bytes, member_id: UUID) -> bytes:
    """Under what the digits for a new address are kept: they sign nobody in, and are of use to this member alone."""
    return hmac.new(keys.phone_code, b"proof" + index + member_id.bytes, hashlib.sha256).digest()


async def change_password(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    member_id: UUID,
    *,
    present: str,
    password: str,
    guardian: bool = False,
    now: datetime,
) -> str | None:
    """Choose a password; who has one types it first. Every session ends; answers the token of a new one, or None where
    a `guardian` does it for a child, whose own session goes on.

    Errors: `sign_in_refused` (the present one), `password_weak`, `try_later`.
    """
    async with engine.connect() as connection:
        stored = (await members.by_id(connection, book_id, member_id)).password_hash
        try:
            await limits.count(connection, book_id, signing_in.PASSWORD_TRIES, member_id.bytes, now)
        finally:
            await connection.commit()
    if stored is not None and not await passwords.matches(keys, present, stored):
        raise signing_in.SignInRefused()
    chosen = await passwords.hashed(keys, password)
    async with engine.begin() as connection:
        await members.set_password(connection, book_id, member_id, password_hash=chosen, now=now, actor_id=member_id)
        await limits.clear(connection, book_id, signing_in.PASSWORD_TRIES, member_id.bytes)
        return None if guardian else await sessions.begin(connection, book_id, member_id, now)
