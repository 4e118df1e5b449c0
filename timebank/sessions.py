"""Staying signed in, and signing out.

A session is an opaque token of 256 random bits in the browser; the table holds its SHA-256, so that a copy of the
database signs nobody in. It ends 14 days after it was last used, 30 days after it began, when its member signs out,
or when the member's password changes.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, LargeBinary, and_, any_, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, limits, members, retention
from timebank.errors import NotFound
from timebank.rows import Query
from timebank.tables import activation, guardian, helping, member, phone_code, role_grant, session

IDLE = timedelta(days=14)
LONGEST = timedelta(days=30)
# How stale `seen_at` may be: a session that is used all day is written a few times an hour.
SEEN_EVERY = timedelta(minutes=15)


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
            member.c.state == "active",
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
