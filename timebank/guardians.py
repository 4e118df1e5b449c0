"""Minors: joined by a guardian, who agrees for them and acts for them until they are of age.

The child is a member of the guardian's household, so neither verifies the other's hours. A guardian goes on as the
child in the session that was their own, and stops; the trail says who began and who stopped.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from datetime import time as clock_time
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import consents, joining, members, membership, purses, sessions, trail
from timebank.errors import Invalid, NotAllowed, NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.tables import guardian, member

CHILDREN_LIMIT = 12


async def add_child(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    *,
    name: str,
    born: date,
    agreed: Collection[str],
    id: UUID,
    actor_id: UUID,
    now: datetime,
) -> UUID:
    """Join one's child, agreeing for them.

    Errors: `invalid` (name; born, reason `range`: not under 18; agreed; and after a dozen children), `role_not_allowed`
    (who is a child himself), `not_found` (who is gone).
    """
    zone = await purses.time_zone(connection, book_id)
    today = now.astimezone(zone).date()
    joining.check_born(born, today)
    if not joining.is_minor(born, today):
        raise Invalid(field="born", reason="range")
    if joining.NEEDED not in agreed:
        raise Invalid(field="agreed", reason="missing")
    row = await membership.locked_row(connection, book_id, actor_id)
    if row.state != "active" or await guardian_ids(connection, book_id, actor_id, now):
        raise NotAllowed()
    if len(await children(connection, book_id, actor_id, now)) >= CHILDREN_LIMIT:
        raise Invalid(field="name", reason="range")
    household_id = row.household_id
    if household_id is None:
        household_id = uuid7(now)
        await connection.execute(
            update(member)
            .where(member.c.book_id == book_id, member.c.id == actor_id)
            .values(household_id=household_id, version=member.c.version + 1)
        )
    await members.add(
        connection,
        book_id,
        keys,
        name=name,
        phone=None,
        born=born,
        region_id=row.region_id,
        household_id=household_id,
        locale=row.locale,
        id=id,
        now=now,
        joined_by=actor_id,
    )
    of_age = joining.birthday(born, joining.FULL_AGE_YEARS)
    until = datetime.combine(of_age, clock_time(), zone).astimezone(UTC)
    await connection.execute(
        insert(guardian).values(book_id=book_id, child_id=id, guardian_id=actor_id, since=now, until=until)
    )
    for purpose in consents.PURPOSES:
        if purpose in agreed or purpose == "location":
            await consents.answer(
                connection,
                book_id,
                id,
                purpose=purpose,
                number=consents.in_use(purpose).number,
                agreed=purpose in agreed,
                id=uuid7(now),
                actor_id=actor_id,
                now=now,
            )
    await write(connection, book_id, "guardian.add", id, actor_id, now)
    return id


async def act(
    connection: AsyncConnection, book_id: int, child_id: UUID, *, token: str, actor_id: UUID, now: datetime
) -> str:
    """Go on as one's child, in the session of `token`: it gets another token, which is answered.

    Errors: `not_found`, for everybody who is not a guardian of the child now, and for one who is suspended.
    """
    acts = actor_id in await guardian_ids(connection, book_id, child_id, now)
    if not acts or (await members.by_id(connection, book_id, actor_id)).state != "active":
        raise NotFound(kind="member")
    await write(connection, book_id, "guardian.act", child_id, actor_id, now)
    return await sessions.turn(connection, book_id, token, child_id=child_id)


async def stop(
    connection: AsyncConnection, book_id: int, child_id: UUID, *, token: str, guardian_id: UUID, now: datetime
) -> str:
    """Go on for oneself again, in the session of `token`: it gets another token, which is answered."""
    changed = await sessions.turn(connection, book_id, token)
    await write(connection, book_id, "guardian.stop", child_id, guardian_id, now)
    return changed


async def guardian_ids(connection: AsyncConnection, book_id: int, child_id: UUID, now: datetime) -> set[UUID]:
    """Who acts for a member who is under age."""
    query = select(guardian.c.guardian_id).where(
        guardian.c.book_id == book_id, guardian.c.child_id == child_id, guardian.c.until > now
    )
    return set(await connection.scalars(query))


async def children(connection: AsyncConnection, book_id: int, guardian_id: UUID, now: datetime) -> Sequence[Row[Any]]:
    """The rows of the members whom somebody acts for, the first to join first."""
    query = (
        select(member, guardian.c.until)
        .join_from(guardian, member, and_(member.c.book_id == guardian.c.book_id, member.c.id == guardian.c.child_id))
        .where(
            guardian.c.book_id == book_id,
            guardian.c.guardian_id == guardian_id,
            guardian.c.until > now,
            member.c.state.not_in(members.GONE),
        )
        .order_by(guardian.c.since, member.c.id)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def write(
    connection: AsyncConnection, book_id: int, action: str, child_id: UUID, actor_id: UUID, now: datetime
) -> None:
    """Say so in the trail."""
    await trail.write(
        connection, book_id, actor_id=actor_id, action=action, subject_kind="member", subject_id=child_id, now=now
    )
