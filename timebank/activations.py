"""A one-time code on paper, for members whom no message reaches: it sets their first password.

A manager who prints it could use it. So it is printed for volunteers without a role and without a password alone, never
for oneself or one's household; it stands in the trail who printed it, and it needs the member's phone number beside it.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import access, cards, limits, members, passwords, sessions, signing_in, trail
from timebank.cards import ISSUING_ROLES
from timebank.codes import ALPHABET
from timebank.errors import BankError, Conflict, Invalid, NotAllowed
from timebank.keys import Keys
from timebank.tables import activation, member

LIFE = timedelta(days=14)
TRIES = 5
# Sixty bits: nobody guesses one in five tries a fortnight.
LENGTH = 12
# Ten sheets of ten.
SHEET_LIMIT = 100


class Slip(NamedTuple):
    """A code for somebody, and until when it is good."""

    name: str
    text: str
    until: datetime


async def issue(
    connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID, *, actor_id: UUID, now: datetime
) -> str:
    """Make a code for a member whom the actor serves; the one before is void. It is kept as a keyed hash alone.

    Errors: `not_found`, `role_not_allowed` (oneself, the household, somebody with a role), `conflict` (password: there
    is one), `invalid` (phone: they have none to sign in with).
    """
    row = await access.served_member(connection, book_id, member_id, actor_id=actor_id, roles=ISSUING_ROLES, now=now)
    actor = await members.by_id(connection, book_id, actor_id)
    kin = row.household_id is not None and row.household_id == actor.household_id
    if row.id == actor_id or kin or await access.grants(connection, book_id, member_id, now):
        raise NotAllowed()
    if row.password_hash is not None:
        raise Conflict(field="password")
    if row.phone_index is None:
        raise Invalid(field="phone", reason="missing")
    text = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    values = {
        "code_hash": code_hash(keys, member_id, text),
        "tries": 0,
        "issued_by": actor_id,
        "issued_at": now,
        "expires_at": now + LIFE,
    }
    await connection.execute(
        insert(activation)
        .values(book_id=book_id, member_id=member_id, **values)
        .on_conflict_do_update(index_elements=["book_id", "member_id"], set_=values)
    )
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="member.activation",
        subject_kind="member",
        subject_id=member_id,
        after={"ends_at": (now + LIFE).isoformat()},
        now=now,
    )
    return text


async def issue_all(
    connection: AsyncConnection, book_id: int, keys: Keys, texts: Sequence[str], *, actor_id: UUID, now: datetime
) -> list[Slip]:
    """Codes for everybody in a list, each once, in order; or for nobody.

    `texts` are phone numbers, scanned cards or member numbers, up to `SHEET_LIMIT`. Errors: `invalid` (members:
    missing, too_long), and for a text those of `cards.find` and `issue`, with its `line` counted from 1.
    """
    if not texts:
        raise Invalid(field="members", reason="missing")
    if len(texts) > SHEET_LIMIT:
        raise Invalid(field="members", reason="too_long")
    made: dict[UUID, str] = {}
    for line, text in enumerate(texts, start=1):
        try:
            person = await cards.find(connection, book_id, keys, text, now)
            if person.id not in made:
                made[person.id] = await issue(connection, book_id, keys, person.id, actor_id=actor_id, now=now)
        except BankError as error:
            error.data["line"] = line
            raise
    names = await members.names(connection, book_id, keys, made)
    return [Slip(names.get(member_id, ""), text, now + LIFE) for member_id, text in made.items()]


async def use(
    engine: AsyncEngine,
    book_id: int,
    keys: Keys,
    *,
    phone: str,
    code: str,
    password: str,
    address: str,
    now: datetime,
) -> tuple[str, UUID]:
    """Choose the first password with a code on paper. Answers the token of a session and the member's id.

    Errors: `sign_in_refused` (number and code do not go together; never says which is wrong), `try_later`,
    `password_weak`, `invalid` (phone).
    """
    index = members.phone_index(keys, phone)
    await signing_in.count_tries(
        engine, book_id, keys, index, address, now, signing_in.CODE_TRIES_FROM_PHONE, signing_in.CODE_TRIES_FROM_ADDRESS
    )
    # Before the code: a weak password must not use it up.
    chosen = await passwords.hashed(keys, password)
    token, member_id = None, None
    async with engine.begin() as connection:
        row = await members.by_phone(connection, book_id, keys, phone)
        if row is not None and await take(connection, book_id, keys, row, code, now):
            member_id = row.id
            await members.set_password(connection, book_id, row.id, password_hash=chosen, now=now, actor_id=row.id)
            await limits.clear(connection, book_id, signing_in.CODE_TRIES_FROM_PHONE, index)
            token = await sessions.begin(connection, book_id, row.id, now)
    # After the commit: the try is counted.
    if token is None or member_id is None:
        raise signing_in.SignInRefused()
    return token, member_id


async def take(connection: AsyncConnection, book_id: int, keys: Keys, row: Row[Any], code: str, now: datetime) -> bool:
    """Whether this is the member's code, which is used up by that; a wrong one is counted."""
    mine = (activation.c.book_id == book_id, activation.c.member_id == row.id)
    stored = await connection.scalar(
        update(activation)
        .where(*mine, activation.c.expires_at > now, activation.c.tries < TRIES)
        .values(tries=activation.c.tries + 1)
        .returning(activation.c.code_hash)
    )
    # A password that was chosen meanwhile, by a code to the phone for one, is not taken away by paper.
    if stored is None or not hmac.compare_digest(stored, code_hash(keys, row.id, code)):
        return False
    await connection.execute(delete(activation).where(*mine))
    query = select(member.c.password_hash).where(member.c.book_id == book_id, member.c.id == row.id)
    return (await connection.scalar(query.with_for_update())) is None


def code_hash(keys: Keys, member_id: UUID, text: str) -> bytes:
    """The keyed hash of a code for one member, however it is spaced and capitalised."""
    plain = "".join(character for character in text.upper()[:40] if character in ALPHABET)
    return hmac.new(keys.phone_code, b"paper" + member_id.bytes + plain.encode(), hashlib.sha256).digest()


def spaced(text: str) -> str:
    """The code as it is printed: in fours."""
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
