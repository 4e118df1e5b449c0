"""Roles: granted to a member on a branch of the region tree or on one station, for a time or until they are ended."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, and_, case, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, members, regions, trail
from timebank.cursors import Cursor, Page, falling
from timebank.errors import Invalid, NotAllowed, NotFound
from timebank.tables import ROLES, guardian, member, region, role_grant, station


class Place(NamedTuple):
    """Where a role holds: on exactly one of the two."""

    region_id: UUID | None
    station_id: UUID | None


async def grant(
    connection: AsyncConnection,
    book_id: int,
    *,
    member_id: UUID,
    role: str,
    id: UUID,
    now: datetime,
    region_id: UUID | None = None,
    station_id: UUID | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    actor_id: UUID | None = None,
) -> UUID:
    """Give a member a role on exactly one region, which covers what is under it, or on exactly one station.

    The actor, unless the operator, must be an administrator there, and may not be the member: nobody gives a role to
    himself. Errors: `role_not_allowed`, `not_found` (member, region, station), `invalid` (role, scope, ends_at;
    member_id, reason `under_age`).
    """
    if role not in ROLES:
        raise Invalid(field="role", reason="unknown")
    if (region_id is None) == (station_id is None):
        raise Invalid(field="scope", reason="one_of")
    starts_at = starts_at or now
    if ends_at is not None and ends_at <= starts_at:
        raise Invalid(field="ends_at", reason="before_start")
    if actor_id == member_id:
        raise NotAllowed()
    place = await scope(connection, book_id, Place(region_id, station_id), actor_id, now)
    if (await members.require(connection, book_id, member_id, actor_id, now)).state in members.GONE:
        raise NotFound(kind="member")
    # Nobody enters a guardian for them in the meantime.
    known = select(member.c.id).where(member.c.book_id == book_id, member.c.id == member_id)
    await connection.execute(known.with_for_update())
    acted_for = exists().where(
        guardian.c.book_id == book_id, guardian.c.child_id == member_id, guardian.c.until > starts_at
    )
    if await connection.scalar(select(acted_for)):
        raise Invalid(field="member_id", reason="under_age")
    await connection.execute(
        insert(role_grant).values(
            book_id=book_id,
            id=id,
            member_id=member_id,
            role=role,
            region_id=region_id,
            station_id=station_id,
            starts_at=starts_at,
            ends_at=ends_at,
            granted_by=actor_id,
            granted_at=now,
        )
    )
    await raise_version(connection, book_id, member_id)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="role.grant",
        subject_kind="member",
        subject_id=member_id,
        after={
            "grant_id": str(id),
            "role": role,
            "region_id": str(region_id) if region_id else None,
            "station_id": str(station_id) if station_id else None,
            "starts_at": starts_at.isoformat(),
            "ends_at": ends_at.isoformat() if ends_at else None,
        },
        now=now,
        region_id=place,
    )
    return id


async def revoke(
    connection: AsyncConnection, book_id: int, grant_id: UUID, *, now: datetime, actor_id: UUID | None = None
) -> None:
    """End a role now; one that has not begun never will. `not_found` when it has ended, or outside the branch."""
    not_ended = or_(role_grant.c.ends_at.is_(None), role_grant.c.ends_at > now)
    query = select(role_grant).where(role_grant.c.book_id == book_id, role_grant.c.id == grant_id, not_ended)
    row = await access.one(connection, query, "grant")
    try:
        place = await scope(connection, book_id, row, actor_id, now)
    except NotFound:
        raise NotFound(kind="grant") from None
    ends_at = max(now, row.starts_at)
    await connection.execute(
        update(role_grant).where(role_grant.c.book_id == book_id, role_grant.c.id == grant_id).values(ends_at=ends_at)
    )
    await raise_version(connection, book_id, row.member_id)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="role.revoke",
        subject_kind="member",
        subject_id=row.member_id,
        before={"grant_id": str(grant_id), "role": row.role, "ends_at": row.ends_at and row.ends_at.isoformat()},
        after={"ends_at": ends_at.isoformat()},
        now=now,
        region_id=place,
    )


async def scope(connection: AsyncConnection, book_id: int, grant: Any, actor_id: UUID | None, now: datetime) -> UUID:
    """The region that a role lies in, of which the actor, unless the operator, is an administrator; or `NotFound`."""
    if grant.region_id is not None:
        region_id: UUID = (await regions.require(connection, book_id, grant.region_id, actor_id, now)).id
    else:
        region_id = (await access.administered_station(connection, book_id, grant.station_id, actor_id, now)).region_id
    return region_id


async def listed(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    now: datetime,
    member_id: UUID | None = None,
    role: str | None = None,
    state: str | None = None,
    before: Cursor | None = None,
    limit: int = 50,
) -> Page:
    """The roles in the reader's branch, the latest given first.

    Of one member, one `role`, or one `state`: "current", "coming" or "ended". Each row has the columns of `role_grant`,
    `state`, and the names of its place: `region_zh`, `region_en` (of the station too), `station_zh`, `station_en`.
    """
    home = func.coalesce(role_grant.c.region_id, station.c.region_id)
    stands = case(
        (role_grant.c.ends_at <= now, "ended"), (role_grant.c.starts_at > now, "coming"), else_="current"
    ).label("state")
    query: Select[Any] = (
        select(
            role_grant,
            stands,
            region.c.name_zh.label("region_zh"),
            region.c.name_en.label("region_en"),
            station.c.name_zh.label("station_zh"),
            station.c.name_en.label("station_en"),
        )
        .join_from(
            role_grant,
            station,
            and_(station.c.book_id == role_grant.c.book_id, station.c.id == role_grant.c.station_id),
            isouter=True,
        )
        .join(region, and_(region.c.book_id == role_grant.c.book_id, region.c.id == home))
        .where(role_grant.c.book_id == book_id, access.reaches(actor_id, trail.READERS, now))
    )
    if member_id is not None:
        query = query.where(role_grant.c.member_id == member_id)
    if role is not None:
        query = query.where(role_grant.c.role == role)
    if state is not None:
        query = query.where(stands == state)
    return await falling(connection, query, role_grant.c.granted_at, role_grant.c.id, before, limit)


async def raise_version(connection: AsyncConnection, book_id: int, member_id: UUID) -> None:
    """Let cached sessions of the member notice that what they may do has changed."""
    await connection.execute(
        update(member).where(member.c.book_id == book_id, member.c.id == member_id).values(version=member.c.version + 1)
    )
