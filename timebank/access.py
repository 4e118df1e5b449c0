"""The only door from an id to a row that belongs to a branch of the region tree.

A role is granted on a region, which covers everything under it, or on one station. What lies outside an actor's
branch is answered like something that does not exist, so that nobody learns of it by asking.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Row, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank.errors import NotFound
from timebank.tables import region, role_grant, station


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


def in_force(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """The condition that a role grant holds at `now`: its start is included, its end is not."""
    return and_(
        role_grant.c.starts_at <= now,
        or_(role_grant.c.ends_at.is_(None), role_grant.c.ends_at > now),
    )


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
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(kind="station")
    return row


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
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(kind="region")
    return row
