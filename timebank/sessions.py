"""Signing in, staying signed in, signing out.

A session is an opaque token of 256 random bits in the browser; the table holds its SHA-256, so that a copy of the
database signs nobody in. It ends 14 days after it was last used, 30 days after it began, when its member signs out,
or when the member's password changes.

The verbs that sign in take the engine and not a connection, unlike all others: a failed try must stay counted though
the request fails, and no connection is held while a password is hashed. None of them says whether a phone number
belongs to a member: not by its answer, and not by the time it takes.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, LargeBinary, and_, any_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import access, limits, members, passwords, retention, sms, vault
from timebank.errors import BankError, NotFound
from timebank.keys import Keys
from timebank.limits import Limit
from timebank.rows import Query
from timebank.sms import Sender
from timebank.tables import activation, guardian, helping, member, phone_code, role_grant, session

IDLE = timedelta(days=14)
LONGEST = timedelta(days=30)
# How stale `seen_at` may be: a session that is used all day is written a few times an hour.
SEEN_EVERY = timedelta(minutes=15)

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


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in. `version` rises with every change of what the member may do.

    Where somebody acts for a member, `member_id` and `state` are that member's, `helper_id` says who it is, and there
    are no grants: a helper has no role of theirs. A guardian who goes on as a child is `guardian_id`, and may do
    what the child may.
    """

    member_id: UUID
    locale: str
    state: str
    version: int
    grants: tuple[access.Grant, ...]
    created_at: datetime
    by_passkey: bool = False
    """Whether a passkey began it."""
    helper_id: UUID | None = None
    guardian_id: UUID | None = None

    @property
    def acting_id(self) -> UUID | None:
        """Who acts for the member, as a helper or a guardian."""
        return self.helper_id or self.guardian_id

    @property
    def person_id(self) -> UUID:
        """Who sits before the screen."""
        return self.acting_id or self.member_id


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
        return await begin(connection, book_id, member_id, now), member_id


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
            token = await begin(connection, book_id, member_id, now)
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
    await count_from(engine, book_id, keys, address, now, by_address)
    await count_for_good(engine, book_id, by_phone, index, now)


async def count_from(engine: AsyncEngine, book_id: int, keys: Keys, address: str, now: datetime, limit: Limit) -> None:
    """Count a try from a network address, for good; `TryLater` when it had enough."""
    subject = hmac.new(keys.address, limits.network(address).encode(), hashlib.sha256).digest()
    await count_for_good(engine, book_id, limit, subject, now)


async def count_for_good(engine: AsyncEngine, book_id: int, limit: Limit, subject: bytes, now: datetime) -> None:
    """Count a try in a transaction of its own, which is committed though it was one too many."""
    async with engine.connect() as connection:
        try:
            await limits.count(connection, book_id, limit, subject, now)
        finally:
            await connection.commit()


def code_hash(keys: Keys, index: bytes, digits: str) -> bytes:
    """The keyed hash of a code for one phone: a million digits are quickly tried on a hash without a key."""
    return hmac.new(keys.phone_code, index + digits.strip().encode(), hashlib.sha256).digest()


async def begin(
    connection: AsyncConnection, book_id: int, member_id: UUID, now: datetime, *, by_passkey: bool = False
) -> str:
    """Begin a session of a member who has proved who they are. Answers the token; it is not stored anywhere."""
    token = secrets.token_urlsafe(32)
    await connection.execute(
        insert(session).values(
            book_id=book_id,
            token_hash=token_hash(token),
            member_id=member_id,
            created_at=now,
            seen_at=now,
            expires_at=now + IDLE,
            by_passkey=by_passkey,
        )
    )
    return token


async def turn(
    connection: AsyncConnection,
    book_id: int,
    token: str,
    *,
    helping_id: UUID | None = None,
    child_id: UUID | None = None,
) -> str:
    """For whom a session acts from now on, under a token of its own: what another tab holds is of the one before.

    For the member themselves where nobody is named. Errors: `not_found`.
    """
    following = secrets.token_urlsafe(32)
    changed = await connection.execute(
        update(session)
        .where(session.c.book_id == book_id, session.c.token_hash == token_hash(token))
        .values(token_hash=token_hash(following), helping_id=helping_id, child_id=child_id)
    )
    if changed.rowcount != 1:
        raise NotFound(kind="session")
    return following


async def raise_to_passkey(connection: AsyncConnection, book_id: int, token: str) -> None:
    """From now on the session counts as one that a passkey began."""
    await connection.execute(
        update(session)
        .where(session.c.book_id == book_id, session.c.token_hash == token_hash(token))
        .values(by_passkey=True)
    )


def token_hash(token: str) -> bytes:
    """What the table knows a token by."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


async def find(connection: AsyncConnection, book_id: int, token: str, now: datetime) -> Session | None:
    """Who is signed in with this token and what they may do now; None when the session has ended."""
    return (await find_all(connection, book_id, [token], now))[0]


async def find_all(
    connection: AsyncConnection, book_id: int, tokens: Sequence[str], now: datetime
) -> list[Session | None]:
    """`find` for several tokens at once, in their order: a city's rush hour is one question and not hundreds."""
    digests = [token_hash(token) for token in tokens]
    rows = await FIND.rows(connection, book_id=book_id, digests=digests, now=now)
    found: dict[bytes, Session] = {}
    stale: dict[bytes, datetime] = {}
    for digest, seen_at, created_at, by_passkey, child_id, helped_id, helped_state, *of_member in rows:
        member_id, locale, state, version, *grant = of_member
        known = found.get(digest)
        grants = known.grants if known else ()
        if grant[0] is not None:
            grants = (*grants, access.Grant(*grant))
        if helped_id is None:
            found[digest] = Session(member_id, locale, state, version, grants, created_at, by_passkey)
        else:
            acting = {"guardian_id" if child_id else "helper_id": member_id}
            found[digest] = Session(helped_id, locale, helped_state, version, (), created_at, **acting)
        if now - seen_at >= SEEN_EVERY:
            stale[digest] = min(now + IDLE, created_at + LONGEST)
    for digest, expires_at in stale.items():
        await connection.execute(
            update(session)
            .where(session.c.book_id == book_id, session.c.token_hash == digest)
            .values(seen_at=now, expires_at=expires_at)
        )
    return [found.get(digest) for digest in digests]


# The member for whom somebody acts.
helped = member.alias("helped")
# One row a role, and one for whoever has none.
FIND = Query(
    select(
        session.c.token_hash,
        session.c.seen_at,
        session.c.created_at,
        session.c.by_passkey,
        session.c.child_id,
        helped.c.id.label("helped_id"),
        helped.c.state.label("helped_state"),
        member.c.id,
        member.c.locale,
        member.c.state,
        member.c.version,
        *access.GRANT_COLUMNS,
    )
    .join_from(session, member, (session.c.book_id == member.c.book_id) & (session.c.member_id == member.c.id))
    .outerjoin(
        helping,
        and_(
            helping.c.book_id == session.c.book_id,
            helping.c.id == session.c.helping_id,
            helping.c.starts_at <= bindparam("now"),
            helping.c.ends_at > bindparam("now"),
            helping.c.ended_at.is_(None),
            member.c.state == "active",
        ),
    )
    .outerjoin(
        guardian,
        and_(
            guardian.c.book_id == session.c.book_id,
            guardian.c.child_id == session.c.child_id,
            guardian.c.guardian_id == session.c.member_id,
            guardian.c.until > bindparam("now"),
        ),
    )
    .outerjoin(
        helped,
        and_(
            helped.c.book_id == session.c.book_id,
            helped.c.id == func.coalesce(helping.c.member_id, guardian.c.child_id),
            *(helped.c.state != state for state in members.GONE),
        ),
    )
    .outerjoin(
        role_grant,
        and_(
            role_grant.c.book_id == member.c.book_id,
            role_grant.c.member_id == member.c.id,
            access.in_force(bindparam("now", type_=DateTime(timezone=True))),
        ),
    )
    .where(
        session.c.book_id == bindparam("book_id"),
        session.c.token_hash == any_(bindparam("digests", type_=ARRAY(LargeBinary))),
        session.c.expires_at > bindparam("now"),
        *(member.c.state != state for state in members.GONE),
        # Where somebody may not act for a member any more, their session for that member is over.
        or_(and_(session.c.helping_id.is_(None), session.c.child_id.is_(None)), helped.c.id.is_not(None)),
    )
    .order_by(role_grant.c.role, role_grant.c.id)
)


async def end(connection: AsyncConnection, book_id: int, token: str) -> None:
    """Sign out: the token is worth nothing from now on. Ending an ended session changes nothing."""
    await connection.execute(
        delete(session).where(session.c.book_id == book_id, session.c.token_hash == token_hash(token))
    )


async def end_all(connection: AsyncConnection, book_id: int, member_id: UUID) -> int:
    """Sign a member out everywhere, and let cached sessions notice. Answers how many sessions ended."""
    await connection.execute(
        update(member).where(member.c.book_id == book_id, member.c.id == member_id).values(version=member.c.version + 1)
    )
    return await members.end_sessions(connection, book_id, member_id)


async def set_locale(connection: AsyncConnection, book_id: int, member_id: UUID, locale: str) -> None:
    """Remember the language a member reads; `invalid` for one the bank does not speak."""
    members.check_locale(locale)
    await connection.execute(
        update(member).where(member.c.book_id == book_id, member.c.id == member_id).values(locale=locale)
    )


async def drop_past(connection: AsyncConnection, book_id: int, now: datetime) -> int:
    """Drop sessions and codes that have expired, and counters of past windows. Answers how many sessions."""
    for table in (phone_code, activation):
        await retention.drop_expired(connection, book_id, table, now)
    await limits.drop_past(connection, book_id, now)
    return await retention.drop_expired(connection, book_id, session, now)
