"""Funds: the money-like budgets behind every point. Each has one ledger account that never goes below zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Select, Uuid, and_, any_, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, postings, purses, regions, texts, trail
from timebank.cursors import Cursor, Page, falling
from timebank.errors import NotFound
from timebank.tables import fund, record, region, station

NAME_LIMIT = 80


async def add(
    connection: AsyncConnection,
    book_id: int,
    *,
    name_zh: str,
    name_en: str,
    region_id: UUID,
    id: UUID,
    now: datetime,
    actor_id: UUID | None = None,
) -> UUID:
    """Set up an empty fund of a region; `fill` puts points into it.

    Errors: `not_found` (region), `invalid` (names).
    """
    name_zh = texts.line("name_zh", name_zh, NAME_LIMIT)
    name_en = texts.line("name_en", name_en, NAME_LIMIT)
    await regions.require(connection, book_id, region_id, actor_id, now)
    account_id = await purses.open_fund(connection, book_id, id)
    await connection.execute(
        insert(fund).values(
            book_id=book_id,
            id=id,
            name_zh=name_zh,
            name_en=name_en,
            region_id=region_id,
            account_id=account_id,
            created_at=now,
        )
    )
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="fund.add",
        subject_kind="fund",
        subject_id=id,
        after={"name_zh": name_zh, "name_en": name_en, "region_id": str(region_id)},
        now=now,
    )
    return id


async def fill(
    connection: AsyncConnection,
    book_id: int,
    *,
    fund_id: UUID,
    points: int,
    id: UUID,
    now: datetime,
    actor_id: UUID | None,
) -> None:
    """Put new points into a fund, once for each `id`. The actor, unless the operator, administers the fund's region.

    Errors: `not_found` (fund), `invalid` (points: a whole number above zero that the fund can still hold),
    `conflict` (field `id`: used for something else before).
    """
    query = select(fund.c.region_id).where(fund.c.book_id == book_id, fund.c.id == fund_id)
    region_id: UUID | None = await connection.scalar(query)
    if region_id is None:
        raise NotFound(kind="fund")
    try:
        await regions.require(connection, book_id, region_id, actor_id, now)
    except NotFound:
        raise NotFound(kind="fund") from None
    is_new = await postings.fill_fund(
        connection, book_id, id=id, fund_id=fund_id, points=points, actor_id=actor_id, now=now
    )
    if not is_new:
        return
    await trail.write(
        connection,
        book_id,
        actor_id=actor_id,
        action="fund.fill",
        subject_kind="fund",
        subject_id=fund_id,
        after={"points": points, "transfer_id": str(id)},
        now=now,
    )


async def require(
    connection: AsyncConnection, book_id: int, fund_id: UUID, *, actor_id: UUID, roles: Sequence[str], now: datetime
) -> Row[Any]:
    """The fund, with its region's names, when the actor holds one of `roles` on its region; `NotFound` otherwise."""
    query = (
        select(fund, region.c.name_zh.label("region_zh"), region.c.name_en.label("region_en"))
        .join_from(fund, region, and_(region.c.book_id == fund.c.book_id, region.c.id == fund.c.region_id))
        .where(fund.c.book_id == book_id, fund.c.id == fund_id, access.covers_region(actor_id, roles, now))
    )
    return await access.one(connection, query, "fund")


async def listed(
    connection: AsyncConnection,
    book_id: int,
    *,
    actor_id: UUID,
    roles: Sequence[str],
    now: datetime,
    region_id: UUID | None = None,
    before: Cursor | None = None,
    limit: int = 20,
) -> Page:
    """The funds of the regions of the actor's branch, the latest first; of one region and below it."""
    query: Select[Any] = (
        select(fund, region.c.name_zh.label("region_zh"), region.c.name_en.label("region_en"))
        .join_from(fund, region, and_(region.c.book_id == fund.c.book_id, region.c.id == fund.c.region_id))
        .where(fund.c.book_id == book_id, access.covers_region(actor_id, roles, now))
    )
    if region_id is not None:
        query = query.where(access.below(region_id))
    return await falling(connection, query, fund.c.created_at, fund.c.id, before, limit)


@dataclass(frozen=True, slots=True)
class FundLine:
    """One posting of a fund. `amount` is below zero when points left it; `balance` is what it held afterwards.

    Points for service name the record, and its station in both languages.
    """

    version: int
    transfer_id: UUID
    kind: str
    recorded_at: datetime
    amount: int
    balance: int
    record_id: UUID | None
    station_zh: str | None
    station_en: str | None


async def statement(
    connection: AsyncConnection,
    book_id: int,
    fund_id: UUID,
    *,
    before: int | None = None,
    limit: int = 50,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[list[FundLine], int | None]:
    """What went in and out from `since` on and before `until`, the latest first, and where the next page begins (None
    on the last).

    Who asks has been let through by `require`.
    """
    found = await purses.fund_statement(
        connection, book_id, fund_id, before=before, limit=limit + 1, since=since, until=until
    )
    shown = found[:limit]
    served = {UUID(line.source["record_id"]) for line in shown if "record_id" in line.source}
    query: Select[Any] = (
        select(record.c.id, station.c.name_zh, station.c.name_en)
        .join_from(record, station, and_(station.c.book_id == record.c.book_id, station.c.id == record.c.station_id))
        .where(record.c.book_id == book_id, record.c.id == any_(literal(list(served), ARRAY(Uuid))))
    )
    places = {row.id: row for row in await connection.execute(query)}
    lines = []
    for line in shown:
        record_id = UUID(line.source["record_id"]) if "record_id" in line.source else None
        place = places.get(record_id)
        lines.append(
            FundLine(
                version=line.version,
                transfer_id=line.transfer_id,
                kind=line.code,
                recorded_at=line.recorded_at,
                amount=line.amount,
                balance=line.balance,
                record_id=record_id,
                station_zh=place.name_zh if place else None,
                station_en=place.name_en if place else None,
            )
        )
    return lines, shown[-1].version if len(found) > limit else None


async def nearest(connection: AsyncConnection, book_id: int, region_id: UUID) -> UUID:
    """The fund that pays in a region unless another is chosen: of the region itself, or else of the nearest above it.

    The oldest where a region has several. `not_found` when there is none.
    """
    place = region.alias()
    query = (
        select(fund.c.id)
        .join(place, (place.c.book_id == fund.c.book_id) & (fund.c.region_id == any_(place.c.path)))
        .where(fund.c.book_id == book_id, place.c.id == region_id)
        .order_by(func.array_position(place.c.path, fund.c.region_id).desc(), fund.c.created_at, fund.c.id)
        .limit(1)
    )
    fund_id: UUID | None = await connection.scalar(query)
    if fund_id is None:
        raise NotFound(kind="fund")
    return fund_id
