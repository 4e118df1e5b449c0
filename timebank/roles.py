"""Roles: granted to a member on a branch of the region tree or on one station, for a time or until they are ended."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, members, regions, stations, trail
from timebank.errors import Invalid, NotAllowed, NotFound
from timebank.tables import ROLES, member, role_grant


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
    himself. Errors: `role_not_allowed`, `not_found` (member, region, station), `invalid` (role, scope, ends_at).
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
    if region_id is not None:
        await regions.require(connection, book_id, region_id, actor_id, now)
    if station_id is not None:
        await stations.require(connection, book_id, station_id, actor_id, now)
    if (await members.by_id(connection, book_id, member_id)).state == "erased":
        raise NotFound(kind="member")
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
    )
    return id


async def revoke(
    connection: AsyncConnection, book_id: int, grant_id: UUID, *, now: datetime, actor_id: UUID | None = None
) -> None:
    """End a role now. `not_found` when it is not in force, or outside the actor's branch."""
    query = select(role_grant).where(role_grant.c.book_id == book_id, role_grant.c.id == grant_id, access.in_force(now))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(kind="grant")
    try:
        if row.region_id is not None:
            await regions.require(connection, book_id, row.region_id, actor_id, now)
        else:
            await stations.require(connection, book_id, row.station_id, actor_id, now)
    except NotFound:
        raise NotFound(kind="grant") from None
    await connection.execute(
        update(role_grant).where(role_grant.c.book_id == book_id, role_grant.c.id == grant_id).values(ends_at=now)
    )
    await raise_version(connection, book_id, row.member_id)
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="role.revoke",
        subject_kind="member",
        subject_id=row.member_id,
        before={"grant_id": str(grant_id), "role": row.role},
        after={"ends_at": now.isoformat()},
        now=now,
    )


async def raise_version(connection: AsyncConnection, book_id: int, member_id: UUID) -> None:
    """Let cached sessions of the member notice that what they may do has changed."""
    await connection.execute(
        update(member).where(member.c.book_id == book_id, member.c.id == member_id).values(version=member.c.version + 1)
    )
