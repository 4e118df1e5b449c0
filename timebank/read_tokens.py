"""Tokens with which other programs read: made by a manager or an administrator, for themselves or for a system.

A token reads what its maker sees at that moment, by the routes of its one scope, and changes nothing. It has 256 random
bits and is shown once; the table holds its SHA-256. It ends on its day, a year off at most, when it is revoked, and
with the roles, the suspension or the account of its maker.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, private, texts, trail
from timebank.errors import Conflict, Invalid, NotAllowed, NotFound
from timebank.keys import Keys
from timebank.sessions import Session, token_hash
from timebank.tables import READ_SCOPES, member, read_token

# Who makes tokens.
ROLES = ("manager", "admin")
PREFIX = "timebank-read-"
LONGEST_DAYS = 366
# How many one member has at once.
MOST = 20
NAME_LIMIT = 60
PURPOSE = "read_token"
# How stale `used_at` may be: a token that is used all day is written a few times an hour.
USED_EVERY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Named:
    """One token, without its secret."""

    id: UUID
    name: str
    scope: str
    made_at: datetime
    expires_at: datetime
    used_at: datetime | None


async def make(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    *,
    name: str,
    scope: str,
    life_days: int,
    id: UUID,
    actor_id: UUID,
    now: datetime,
) -> str:
    """Make a token of the actor's and answer its secret, which is kept nowhere.

    Errors: `role_not_allowed`, `invalid` (name, scope, life_days, read_tokens: too many), `conflict` (id: it was made
    before, and its secret cannot be shown again), `not_found` (the actor was erased).
    """
    name = texts.line("name", name, NAME_LIMIT)
    if scope not in READ_SCOPES:
        raise Invalid(field="scope", reason="unknown")
    if not 1 <= life_days <= LONGEST_DAYS:
        raise Invalid(field="life_days", reason="range")
    if not any(grant.role in ROLES for grant in await access.grants(connection, book_id, actor_id, now)):
        raise NotAllowed()
    # Two at once wait for each other here, so that there are never more than there may be.
    await connection.execute(
        select(member.c.id).where(member.c.book_id == book_id, member.c.id == actor_id).with_for_update()
    )
    mine = (read_token.c.book_id == book_id, read_token.c.member_id == actor_id)
    await connection.execute(delete(read_token).where(*mine, read_token.c.expires_at <= now))
    if (await connection.scalar(select(func.count()).select_from(read_token).where(*mine)) or 0) >= MOST:
        raise Invalid(field="read_tokens", reason="too_large")
    sealed = await private.seal(connection, book_id, keys, actor_id, PURPOSE, name)
    if sealed is None:
        raise NotFound(kind="member")
    secret = PREFIX + secrets.token_urlsafe(32)
    made = await connection.execute(
        insert(read_token)
        .values(
            book_id=book_id,
            id=id,
            member_id=actor_id,
            name=sealed,
            token_hash=token_hash(secret),
            scope=scope,
            made_at=now,
            expires_at=now + timedelta(days=life_days),
        )
        .on_conflict_do_nothing(index_elements=["book_id", "id"])
    )
    if not made.rowcount:
        raise Conflict(field="id")
    after = {"token_id": str(id), "scope": scope, "expires_at": (now + timedelta(days=life_days)).isoformat()}
    await trail.write_own(connection, book_id, actor_id, action="read_token.make", now=now, after=after)
    return secret


async def revoke(connection: AsyncConnection, book_id: int, id: UUID, *, actor_id: UUID, now: datetime) -> None:
    """End a token of the actor's now. `not_found` for what is none."""
    gone = await connection.execute(
        delete(read_token)
        .where(read_token.c.book_id == book_id, read_token.c.id == id, read_token.c.member_id == actor_id)
        .returning(read_token.c.scope)
    )
    row = gone.one_or_none()
    if row is None:
        raise NotFound(kind="read_token")
    before = {"token_id": str(id), "scope": row.scope}
    await trail.write_own(connection, book_id, actor_id, action="read_token.revoke", now=now, before=before)


async def of(connection: AsyncConnection, book_id: int, keys: Keys, member_id: UUID, now: datetime) -> Sequence[Named]:
    """A member's tokens that still read, the oldest first."""
    person = (await private.people(connection, book_id, [member_id]))[member_id]
    query = select(read_token).where(
        read_token.c.book_id == book_id, read_token.c.member_id == member_id, read_token.c.expires_at > now
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query.order_by(read_token.c.made_at, read_token.c.id))).all()
    return [
        Named(
            row.id,
            private.opened(keys, person, PURPOSE, row.name) or "",
            row.scope,
            row.made_at,
            row.expires_at,
            row.used_at,
        )
        for row in rows
    ]


async def recognised(
    connection: AsyncConnection, book_id: int, secret: str, now: datetime
) -> tuple[Session, str] | None:
    """Whose token this is, with what they may see now, and its scope; None for what reads nothing (any more).

    That its maker had signed in by a passkey where one is needed was asked when it was made.
    """
    query = (
        select(read_token, member.c.locale, member.c.state, member.c.version)
        .join_from(
            read_token, member, (member.c.book_id == read_token.c.book_id) & (member.c.id == read_token.c.member_id)
        )
        .where(
            read_token.c.book_id == book_id,
            read_token.c.token_hash == token_hash(secret),
            read_token.c.expires_at > now,
            member.c.state == "active",
        )
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    if row.used_at is None or now - row.used_at >= USED_EVERY:
        await connection.execute(
            update(read_token).where(read_token.c.book_id == book_id, read_token.c.id == row.id).values(used_at=now)
        )
    grants = await access.grants(connection, book_id, row.member_id, now)
    return Session(row.member_id, row.locale, row.state, row.version, grants, row.made_at, True), row.scope
