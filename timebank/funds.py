"""Funds: the money-like budgets behind every point. Each has one ledger account that never goes below zero."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import any_, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import postings, purses, regions, texts, trail
from timebank.errors import NotFound
from timebank.tables import fund, region

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
