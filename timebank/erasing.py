"""Erasing a person takes two: who asks for it, and an administrator who carries it out.

A member asks for himself, or an administrator for him; whoever asked does not carry it out. The operator at the machine
needs nobody else. What goes and what stays is in `members.erase`; how old copies are kept from bringing somebody back,
in `erasure_list.py`.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, members, trail
from timebank.cursors import Cursor, Page, falling
from timebank.errors import BankError, NotFound
from timebank.tables import erasure, member, region

ROLES = ("admin",)


class AlreadyAsked(BankError):
    """Somebody has asked before that this person be erased, and it has not been carried out."""

    code = "erasure_asked"


class NotAsked(BankError):
    """Nobody asks that this person be erased."""

    code = "erasure_not_asked"


class SecondPersonNeeded(BankError):
    """Who asked that somebody be erased does not carry it out."""

    code = "second_person_needed"


async def ask(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, id: UUID, actor_id: UUID, now: datetime
) -> None:
    """Ask that a member be erased: oneself, or somebody of the branch.

    Errors: `not_found` (also for who is gone), `role_not_allowed` (see `access.require_over`), `erasure_asked`.
    """
    await require_alive(connection, book_id, member_id, actor_id, now)
    if await waiting(connection, book_id, member_id) is not None:
        raise AlreadyAsked()
    await connection.execute(
        insert(erasure).values(
            book_id=book_id, id=id, member_id=member_id, asked_by=actor_id, asked_at=now, state="asked"
        )
    )
    await write(connection, book_id, "erasure.ask", member_id, actor_id, now)


async def withdraw(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, actor_id: UUID, now: datetime
) -> None:
    """Take such a wish back: the member his own, an administrator any of the branch that is not the member's own.

    Errors: `not_found`, `role_not_allowed`, `erasure_not_asked`.
    """
    await require_alive(connection, book_id, member_id, actor_id, now)
    wish = await locked(connection, book_id, member_id)
    if actor_id != member_id and wish.asked_by == member_id:
        # Whether a person wants to be forgotten is for that person to say.
        raise NotAsked()
    await end(connection, book_id, wish.id, "withdrawn", actor_id, now)
    await write(connection, book_id, "erasure.withdraw", member_id, actor_id, now)


async def carry_out(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, actor_id: UUID, now: datetime
) -> None:
    """Erase a member who asked for it, or for whom another administrator did. There is no way back.

    Errors: `not_found`, `role_not_allowed`, `erasure_not_asked`, `second_person_needed`.
    """
    if actor_id == member_id:
        raise SecondPersonNeeded()
    await require_alive(connection, book_id, member_id, actor_id, now)
    wish = await locked(connection, book_id, member_id)
    if wish.asked_by == actor_id:
        raise SecondPersonNeeded()
    await end(connection, book_id, wish.id, "done", actor_id, now)
    await members.erase(connection, book_id, member_id, now=now, actor_id=actor_id)


async def by_operator(connection: AsyncConnection, book_id: int, member_id: UUID, *, id: UUID, now: datetime) -> None:
    """Erase a member at once, as the operator at the machine; `not_found` for who is gone."""
    row = await members.by_id(connection, book_id, member_id)
    if row.state in members.GONE:
        raise NotFound(kind="member")
    wish = await waiting(connection, book_id, member_id)
    if wish is not None:
        await end(connection, book_id, wish.id, "done", None, now)
    else:
        await connection.execute(
            insert(erasure).values(
                book_id=book_id, id=id, member_id=member_id, asked_at=now, state="done", ended_at=now
            )
        )
    await members.erase(connection, book_id, member_id, now=now)


async def waiting(connection: AsyncConnection, book_id: int, member_id: UUID) -> Row[Any] | None:
    """The wish about a member that nobody has carried out yet."""
    query = select(erasure).where(
        erasure.c.book_id == book_id, erasure.c.member_id == member_id, erasure.c.state == "asked"
    )
    return (await connection.execute(query)).one_or_none()


async def listed(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    region_id: UUID | None = None,
    before: Cursor | None = None,
    limit: int = 20,
) -> Page:
    """What waits in the administrator's branch, the latest first; of one region and below it. Each row is the wish, and
    the member's row to open."""
    query = (
        select(member, erasure.c.asked_at, erasure.c.asked_by)
        .join_from(erasure, member, and_(member.c.book_id == erasure.c.book_id, member.c.id == erasure.c.member_id))
        .join(region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .where(erasure.c.book_id == book_id, erasure.c.state == "asked", access.covers_region(actor_id, ROLES, now))
    )
    if region_id is not None:
        query = query.where(access.below(region_id))
    return await falling(connection, query, erasure.c.asked_at, member.c.id, before, limit)


async def require_alive(
    connection: AsyncConnection, book_id: int, member_id: UUID, actor_id: UUID, now: datetime
) -> None:
    """Raise unless the member is one that the actor may ask this about: oneself, or somebody of the branch."""
    if actor_id != member_id:
        await members.require(connection, book_id, member_id, actor_id, now)
        await access.require_over(connection, book_id, member_id, actor_id=actor_id, now=now)
    query = select(member.c.state).where(member.c.book_id == book_id, member.c.id == member_id).with_for_update()
    if await connection.scalar(query) in (None, *members.GONE):
        raise NotFound(kind="member")


async def locked(connection: AsyncConnection, book_id: int, member_id: UUID) -> Row[Any]:
    """The wish that waits; the member's row is locked already. `erasure_not_asked` where there is none."""
    wish = await waiting(connection, book_id, member_id)
    if wish is None:
        raise NotAsked()
    return wish


async def end(
    connection: AsyncConnection, book_id: int, id: UUID, state: str, actor_id: UUID | None, now: datetime
) -> None:
    """A wish is carried out or taken back."""
    await connection.execute(
        update(erasure)
        .where(erasure.c.book_id == book_id, erasure.c.id == id)
        .values(state=state, ended_by=actor_id, ended_at=now)
    )


async def write(
    connection: AsyncConnection, book_id: int, action: str, member_id: UUID, actor_id: UUID, now: datetime
) -> None:
    """Say so in the trail."""
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action=action,
        subject_kind="member",
        subject_id=member_id,
        now=now,
    )
