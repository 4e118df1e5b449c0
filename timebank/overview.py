"""Figures of a branch at a glance: its stations, its funds, its people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, any_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access
from timebank.tables import attendance, fund, member, record, region, role_grant, service_kind, station


def of_stations() -> Select[Any]:
    """Stations, each with its region and fund, and what goes on there: `people_in`, `waiting`."""
    people_in = (
        select(func.count())
        .where(
            attendance.c.book_id == station.c.book_id,
            attendance.c.station_id == station.c.id,
            attendance.c.state == "open",
        )
        .scalar_subquery()
    )
    waiting = (
        select(func.count())
        .where(record.c.book_id == station.c.book_id, record.c.station_id == station.c.id, record.c.state == "waiting")
        .scalar_subquery()
    )
    return (
        select(
            station.c.id,
            station.c.number,
            station.c.name_zh,
            station.c.name_en,
            station.c.address,
            station.c.state,
            region.c.name_zh.label("region_zh"),
            region.c.name_en.label("region_en"),
            fund.c.name_zh.label("fund_zh"),
            fund.c.name_en.label("fund_en"),
            people_in.label("people_in"),
            waiting.label("waiting"),
        )
        .join_from(station, region, and_(region.c.book_id == station.c.book_id, region.c.id == station.c.region_id))
        .join(fund, and_(fund.c.book_id == station.c.book_id, fund.c.id == station.c.fund_id))
    )


async def stations(
    connection: AsyncConnection, book_id: int, *, actor_id: UUID, roles: Sequence[str], now: datetime
) -> Sequence[Row[Any]]:
    """The stations where the actor holds one of `roles`, by number, with their region and fund.

    `people_in` counts who is checked in, `waiting` the records that nobody has decided yet.
    """
    query = of_stations().where(station.c.book_id == book_id, access.in_branch(actor_id, roles, now))
    query = query.order_by(station.c.number)
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def sums(
    connection: AsyncConnection, book_id: int, *, actor_id: UUID, roles: Sequence[str], now: datetime
) -> Row[Any]:
    """Of the actor's branch: `members` who live there, verified `minutes`, `people_in` and records `waiting`."""
    of_branch = access.in_branch(actor_id, roles, now)
    at_record = and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id)
    members = (
        select(func.count())
        .join_from(member, region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .where(
            member.c.book_id == book_id,
            member.c.state.not_in(("erased", "merged")),
            access.covers_region(actor_id, roles, now),
        )
    )
    minutes = (
        select(func.coalesce(func.sum(record.c.credited_minutes), 0))
        .join_from(record, station, at_record)
        .where(record.c.book_id == book_id, record.c.state == "verified", of_branch)
    )
    waiting = (
        select(func.count())
        .join_from(record, station, at_record)
        .where(record.c.book_id == book_id, record.c.state == "waiting", of_branch)
    )
    people_in = (
        select(func.count())
        .join_from(
            attendance,
            station,
            and_(station.c.book_id == attendance.c.book_id, station.c.id == attendance.c.station_id),
        )
        .where(attendance.c.book_id == book_id, attendance.c.state == "open", of_branch)
    )
    query: Select[Any] = select(
        members.scalar_subquery().label("members"),
        minutes.scalar_subquery().label("minutes"),
        waiting.scalar_subquery().label("waiting"),
        people_in.scalar_subquery().label("people_in"),
    )
    row: Row[Any] = (await connection.execute(query)).one()
    return row


def granted(actor_id: UUID, roles: Sequence[str], now: datetime, column: Any) -> Any:
    """The condition that the actor holds one of `roles` on exactly the region that `column` names."""
    return (
        select(role_grant.c.id)
        .where(
            role_grant.c.book_id == region.c.book_id,
            role_grant.c.member_id == actor_id,
            role_grant.c.role.in_(roles),
            access.in_force(now),
            role_grant.c.region_id == column,
        )
        .correlate(region)
        .exists()
    )


async def branches(
    connection: AsyncConnection, book_id: int, *, actor_id: UUID, roles: Sequence[str], now: datetime
) -> Sequence[Row[Any]]:
    """The regions on which the actor holds one of `roles`, the widest first: `id`, `name_zh`, `name_en`."""
    query: Select[Any] = (
        select(region.c.id, region.c.name_zh, region.c.name_en)
        .where(region.c.book_id == book_id, granted(actor_id, roles, now, region.c.id))
        .order_by(func.array_length(region.c.path, 1), region.c.code, region.c.id)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def parts(
    connection: AsyncConnection, book_id: int, *, actor_id: UUID, roles: Sequence[str], now: datetime
) -> Sequence[Row[Any]]:
    """The regions directly under those of `branches`, each with the figures of everything under it.

    `members` who live there, `stations`, verified `minutes`, `people_in` and records `waiting`.
    """
    home = region.alias()
    here = and_(home.c.book_id == region.c.book_id, region.c.id == any_(home.c.path))
    lives = and_(member.c.book_id == home.c.book_id, member.c.region_id == home.c.id)
    stands = and_(station.c.book_id == home.c.book_id, station.c.region_id == home.c.id)
    served = and_(record.c.book_id == station.c.book_id, record.c.station_id == station.c.id)
    stays = and_(attendance.c.book_id == station.c.book_id, attendance.c.station_id == station.c.id)
    of_stations = home.join(station, stands)

    def figure(value: Any, source: Any, *conditions: Any) -> Any:
        return select(value).select_from(source).where(here, *conditions).correlate(region).scalar_subquery()

    minutes = func.coalesce(func.sum(record.c.credited_minutes), 0)
    query: Select[Any] = (
        select(
            region.c.id,
            region.c.name_zh,
            region.c.name_en,
            figure(func.count(), home.join(member, lives), member.c.state != "erased").label("members"),
            figure(func.count(), of_stations).label("stations"),
            figure(minutes, of_stations.join(record, served), record.c.state == "verified").label("minutes"),
            figure(func.count(), of_stations.join(attendance, stays), attendance.c.state == "open").label("people_in"),
            figure(func.count(), of_stations.join(record, served), record.c.state == "waiting").label("waiting"),
        )
        .where(region.c.book_id == book_id, granted(actor_id, roles, now, region.c.parent_id))
        .order_by(region.c.code, region.c.id)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def funds(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    roles: Sequence[str],
    now: datetime,
    limit: int | None = None,
) -> Sequence[Row[Any]]:
    """The funds of the actor's branch, and those above that may pay in it, by region; the first `limit` or all.

    `owed` are points that volunteers have earned from the fund and that wait until it is filled.
    """
    owed = (
        select(func.coalesce(func.sum(record.c.points - record.c.kept_points), 0))
        .join_from(record, station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
        .where(
            record.c.book_id == fund.c.book_id,
            station.c.fund_id == fund.c.id,
            record.c.points_state == "waiting",
        )
        .scalar_subquery()
    )
    below = region.alias()
    pays_below = (
        select(below.c.id)
        .where(
            below.c.book_id == fund.c.book_id,
            fund.c.region_id == any_(below.c.path),
            access.covers_region(actor_id, roles, now, region=below),
        )
        .exists()
    )
    query: Select[Any] = (
        select(
            fund.c.id,
            fund.c.name_zh,
            fund.c.name_en,
            fund.c.account_id,
            region.c.name_zh.label("region_zh"),
            region.c.name_en.label("region_en"),
            owed.label("owed"),
        )
        .join_from(fund, region, and_(region.c.book_id == fund.c.book_id, region.c.id == fund.c.region_id))
        .where(fund.c.book_id == book_id, pays_below)
        .order_by(func.array_length(region.c.path, 1), fund.c.created_at, fund.c.id)
        .limit(limit)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def regions(
    connection: AsyncConnection, book_id: int, *, actor_id: UUID, roles: Sequence[str], now: datetime
) -> Sequence[Row[Any]]:
    """The regions of the actor's branch, each after the one above it: `id`, names, `level`, `depth`."""
    query: Select[Any] = (
        select(
            region.c.id,
            region.c.parent_id,
            region.c.name_zh,
            region.c.name_en,
            region.c.level,
            func.array_length(region.c.path, 1).label("depth"),
        )
        .where(region.c.book_id == book_id, access.covers_region(actor_id, roles, now))
        .order_by(region.c.path)
    )
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


async def place(
    connection: AsyncConnection, book_id: int, *, number: int | None = None, id: UUID | None = None
) -> Row[Any]:
    """What a station tells anybody who stands in front of it: `id`, `number`, names, `address`, usual kind.

    By its number or its id; `NotFound` when there is none.
    """
    query: Select[Any] = (
        select(
            station.c.id,
            station.c.number,
            station.c.name_zh,
            station.c.name_en,
            station.c.address,
            service_kind.c.name_zh.label("kind_zh"),
            service_kind.c.name_en.label("kind_en"),
        )
        .join_from(
            station,
            service_kind,
            and_(service_kind.c.book_id == station.c.book_id, service_kind.c.id == station.c.service_kind_id),
        )
        .where(station.c.book_id == book_id, station.c.number == number if id is None else station.c.id == id)
    )
    return await access.one(connection, query, "station")


async def people_in(connection: AsyncConnection, book_id: int, station_id: UUID) -> int:
    """How many are checked in at a station."""
    query = (
        select(func.count())
        .select_from(attendance)
        .where(attendance.c.book_id == book_id, attendance.c.station_id == station_id, attendance.c.state == "open")
    )
    return await connection.scalar(query) or 0
