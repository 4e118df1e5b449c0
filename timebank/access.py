"""The only door from an id to a row that belongs to a branch of the region tree.

A role is granted on a region, which covers everything under it, or on one station. What lies outside an actor's
branch is answered like something that does not exist, so that nobody learns of it by asking.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Row, Select, Uuid, and_, any_, exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.errors import NotAllowed, NotFound
from timebank.tables import member, region, role_grant, station


@dataclass(frozen=True, slots=True)
class Grant:
    """One role on one branch (`region_id`) or one station (`station_id`); exactly one of the two is set."""

    id: UUID
    role: str
    region_id: UUID | None
    station_id: UUID | None


# What a `Grant` is made of, in its order.
GRANT_COLUMNS = (
    role_grant.c.id.label("grant_id"),
    role_grant.c.role,
    role_grant.c.region_id,
    role_grant.c.station_id,
)


def in_force(now: datetime | ColumnElement[datetime], grant: FromClause = role_grant) -> ColumnElement[bool]:
    """The condition that a role grant holds at `now`: its start is included, its end is not."""
    return and_(grant.c.starts_at <= now, or_(grant.c.ends_at.is_(None), grant.c.ends_at > now))


async def grants(connection: AsyncConnection, book_id: int, actor_id: UUID, now: datetime) -> tuple[Grant, ...]:
    """Every role the actor holds at `now`."""
    rows = await connection.execute(
        select(*GRANT_COLUMNS)
        .where(role_grant.c.book_id == book_id, role_grant.c.member_id == actor_id, in_force(now))
        .order_by(role_grant.c.role, role_grant.c.id)
    )
    return tuple(Grant(*row) for row in rows)


def covers_region(
    actor_id: Any, roles: Sequence[str], now: datetime, *, region: FromClause = region
) -> ColumnElement[bool]:
    """WHERE fragment: the row of `region` lies in a branch where the actor holds one of `roles`."""
    return exists().where(
        role_grant.c.book_id == region.c.book_id,
        role_grant.c.member_id == actor_id,
        role_grant.c.role.in_(roles),
        in_force(now),
        role_grant.c.region_id == func.any(region.c.path),
    )


def below(region_id: UUID) -> ColumnElement[bool]:
    """WHERE fragment: the query's region is this one, or lies below it."""
    return literal(region_id, Uuid) == any_(region.c.path)


def reaches(actor_id: Any, roles: Sequence[str], now: datetime) -> ColumnElement[bool]:
    """WHERE fragment: the row of `region` lies in the actor's branch, or the row of `station` is the actor's own.

    For what belongs to a region or to a station of it, both joined; the station's row may be missing.
    """
    own = role_grant.alias()
    at_station = exists().where(
        own.c.book_id == station.c.book_id,
        own.c.member_id == actor_id,
        own.c.role.in_(roles),
        in_force(now, own),
        own.c.station_id == station.c.id,
    )
    in_region = exists().where(
        own.c.book_id == region.c.book_id,
        own.c.member_id == actor_id,
        own.c.role.in_(roles),
        in_force(now, own),
        own.c.region_id == func.any(region.c.path),
    )
    return or_(in_region, at_station)


def in_branch(
    actor_id: Any, roles: Sequence[str], now: datetime, *, station: FromClause = station
) -> ColumnElement[bool]:
    """WHERE fragment: the row of `station` is one where the actor holds one of `roles`, on it or above it."""
    home = region.alias()
    return exists().where(
        role_grant.c.book_id == station.c.book_id,
        role_grant.c.member_id == actor_id,
        role_grant.c.role.in_(roles),
        in_force(now),
        or_(
            role_grant.c.station_id == station.c.id,
            # Said outright, because by itself the innermost query would take `station` for one of its own tables, and
            # a role on any branch would cover every station.
            exists()
            .where(
                home.c.book_id == station.c.book_id,
                home.c.id == station.c.region_id,
                role_grant.c.region_id == func.any(home.c.path),
            )
            .correlate(role_grant, station),
        ),
    )


async def stations(
    connection: AsyncConnection, book_id: int, *, actor_id: UUID, roles: Sequence[str], now: datetime
) -> Sequence[Row[Any]]:
    """The stations where the actor holds one of `roles`, by number."""
    query = (
        select(station).where(station.c.book_id == book_id, in_branch(actor_id, roles, now)).order_by(station.c.number)
    )
    return (await connection.execute(query)).all()


async def one(connection: AsyncConnection, query: Select[Any], kind: str) -> Row[Any]:
    """The one row of a query for a thing of this kind; `NotFound` where there is none, or none for who asks."""
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(kind=kind)
    return row


async def visible_station(
    connection: AsyncConnection,
    book_id: int,
    station_id: UUID,
    *,
    actor_id: UUID,
    roles: Sequence[str],
    now: datetime,
) -> Row[Any]:
    """The station, when the actor holds one of `roles` there; NotFound otherwise."""
    query = select(station).where(
        station.c.book_id == book_id, station.c.id == station_id, in_branch(actor_id, roles, now)
    )
    return await one(connection, query, "station")


async def administered_station(
    connection: AsyncConnection, book_id: int, station_id: UUID, actor_id: UUID | None, now: datetime
) -> Row[Any]:
    """The station, when it exists and the actor, unless the operator, administers it; `NotFound` otherwise."""
    if actor_id is not None:
        return await visible_station(connection, book_id, station_id, actor_id=actor_id, roles=("admin",), now=now)
    query = select(station).where(station.c.book_id == book_id, station.c.id == station_id)
    return await one(connection, query, "station")


async def covered_stations(
    connection: AsyncConnection,
    book_id: int,
    actor_ids: Collection[UUID],
    station_ids: Collection[UUID],
    roles: Sequence[str],
    now: datetime,
) -> set[tuple[UUID, UUID]]:
    """(actor, station) where the actor, not suspended, holds one of `roles`; no statement where nothing is asked."""
    if not actor_ids or not station_ids:
        return set()
    rows = await connection.execute(
        select(member.c.id, station.c.id)
        .join_from(member, station, station.c.book_id == member.c.book_id)
        .where(
            member.c.book_id == book_id,
            member.c.id.in_(actor_ids),
            member.c.state == "active",
            station.c.id.in_(station_ids),
            in_branch(member.c.id, roles, now),
        )
    )
    return {(actor_id, station_id) for actor_id, station_id in rows}


def serves(actor_id: Any, roles: Sequence[str], now: datetime, *, region: FromClause = region) -> ColumnElement[bool]:
    """WHERE fragment: who lives in the row of `region` is served by the actor: by a role on that branch, or at a
    station whose region is that one or above it."""
    there = station.alias()
    return exists().where(
        role_grant.c.book_id == region.c.book_id,
        role_grant.c.member_id == actor_id,
        role_grant.c.role.in_(roles),
        in_force(now),
        or_(
            role_grant.c.region_id == func.any(region.c.path),
            exists()
            .where(
                there.c.book_id == region.c.book_id,
                there.c.id == role_grant.c.station_id,
                there.c.region_id == func.any(region.c.path),
            )
            .correlate(role_grant, region),
        ),
    )


async def served_member(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    actor_id: UUID,
    roles: Sequence[str],
    now: datetime,
) -> Row[Any]:
    """The row of a member whom the actor serves in one of `roles`; NotFound otherwise, and for who was erased."""
    query = (
        select(member)
        .join_from(member, region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .where(
            member.c.book_id == book_id,
            member.c.id == member_id,
            member.c.state != "erased",
            serves(actor_id, roles, now),
        )
    )
    return await one(connection, query, "member")


async def visible_region(
    connection: AsyncConnection,
    book_id: int,
    region_id: UUID,
    *,
    actor_id: UUID,
    roles: Sequence[str],
    now: datetime,
) -> Row[Any]:
    """The region, when the actor holds one of `roles` on it or above it; NotFound otherwise."""
    query = select(region).where(
        region.c.book_id == book_id, region.c.id == region_id, covers_region(actor_id, roles, now)
    )
    return await one(connection, query, "region")


async def visible_member(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    actor_id: UUID,
    roles: Sequence[str],
    now: datetime,
) -> Row[Any]:
    """The member, when the actor holds one of `roles` on their region or above it; NotFound otherwise."""
    query = (
        select(member)
        .join_from(member, region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .where(member.c.book_id == book_id, member.c.id == member_id, covers_region(actor_id, roles, now))
    )
    return await one(connection, query, "member")


async def require_over(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, actor_id: UUID, now: datetime
) -> None:
    """Raise NotAllowed unless the actor may change who this member is and how they sign in.

    That opens every role of theirs to whoever changes it. So nobody may for himself, nor for somebody with a role
    outside his branch, nor for another administrator or auditor of the same region: who administers above them may.
    """
    if actor_id == member_id:
        raise NotAllowed()
    home = region.alias()
    place = and_(
        home.c.book_id == role_grant.c.book_id, home.c.id == func.coalesce(role_grant.c.region_id, station.c.region_id)
    )
    query = (
        select(role_grant.c.role, role_grant.c.region_id, role_grant.c.station_id, home.c.path)
        .join_from(
            role_grant,
            station,
            and_(station.c.book_id == role_grant.c.book_id, station.c.id == role_grant.c.station_id),
            isouter=True,
        )
        .join(home, place)
        .where(
            role_grant.c.book_id == book_id,
            role_grant.c.member_id == member_id,
            or_(role_grant.c.ends_at.is_(None), role_grant.c.ends_at > now),
        )
    )
    branches = {
        grant.region_id for grant in await grants(connection, book_id, actor_id, now) if grant.role == "admin"
    } - {None}
    for theirs in await connection.execute(query):
        above = branches & set(theirs.path)
        if theirs.role in ("admin", "auditor"):
            above -= {theirs.region_id}
        if not above:
            raise NotAllowed()


async def refuse_household(connection: AsyncConnection, book_id: int, row: Row[Any], actor_id: UUID) -> None:
    """Raise NotAllowed for the member of the row themselves, and for whoever is of their household."""
    query = select(member.c.household_id).where(member.c.book_id == book_id, member.c.id == actor_id)
    household_id = await connection.scalar(query)
    if actor_id == row.id or (household_id is not None and household_id == row.household_id):
        raise NotAllowed()
