"""Rewards as people look at them: what is on offer to a member, and their redemptions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ARRAY,
    Case,
    ColumnElement,
    Row,
    Select,
    Uuid,
    and_,
    any_,
    case,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, codes, rewards
from timebank.cursors import Cursor, Page, Ranked, falling, rising
from timebank.errors import NotFound
from timebank.keys import Keys
from timebank.tables import member, redemption, region, reward, reward_picture, reward_place, station


@dataclass(frozen=True, slots=True)
class Offer:
    """A reward as one member sees it.

    `refusal` is the code that redeeming would be refused with now, None when it would not. `missing_points` is what
    the member has yet to earn, `redeemed` how many they hold or collected in the limit's period (ever, where there is
    no limit). `places` have `id`, `name_zh`, `name_en`, `address`.
    """

    reward: Row[Any]
    places: Sequence[Row[Any]]
    redeemed: int
    missing_points: int
    refusal: str | None


async def offers(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    points: int,
    zone: ZoneInfo,
    now: datetime,
    kind: str | None = None,
    after: Ranked | None = None,
    limit: int = 50,
) -> tuple[list[Offer], Cursor | Ranked | None]:
    """The rewards on offer where the member is at home, the cheapest first, of one kind or of all; and where the rest
    begins. `points` are what they can spend."""
    query = on_offer(book_id, member_id, zone, now)
    if kind is not None:
        query = query.where(reward.c.kind == kind)
    found = await rising(connection, query, reward.c.price_points, reward.c.id, after, limit, Ranked)
    return await seen(connection, book_id, found.rows, points), found.following


async def offer(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    reward_id: UUID,
    *,
    points: int,
    zone: ZoneInfo,
    now: datetime,
) -> Offer:
    """One of the rewards that `offers` lists; `NotFound` otherwise."""
    query = on_offer(book_id, member_id, zone, now).where(reward.c.id == reward_id)
    rows = (await connection.execute(query)).all()
    if not rows:
        raise NotFound(kind="reward")
    return (await seen(connection, book_id, rows, points))[0]


def on_offer(book_id: int, member_id: UUID, zone: ZoneInfo, now: datetime) -> Select[Any]:
    """The rewards of the regions that a member's home lies in, open and in their time, with how many they redeemed."""
    home = region.alias()
    redeemed = (
        select(func.count())
        .where(
            redemption.c.book_id == reward.c.book_id,
            redemption.c.reward_id == reward.c.id,
            redemption.c.member_id == member_id,
            redemption.c.state.in_(("held", "fulfilled")),
            redemption.c.held_at >= rewards.counted_since(now, zone),
        )
        .scalar_subquery()
    )
    return (
        select(
            reward,
            redeemed.label("redeemed"),
            member.c.state.label("member_state"),
            reward_picture.c.digest.label("picture"),
        )
        .join_from(member, home, and_(home.c.book_id == member.c.book_id, home.c.id == member.c.region_id))
        .join(reward, and_(reward.c.book_id == member.c.book_id, reward.c.region_id == any_(home.c.path)))
        .outerjoin(
            reward_picture,
            and_(reward_picture.c.book_id == reward.c.book_id, reward_picture.c.reward_id == reward.c.id),
        )
        .where(
            member.c.book_id == book_id,
            member.c.id == member_id,
            reward.c.state == "open",
            reward.c.starts_at <= now,
            or_(reward.c.ends_at.is_(None), reward.c.ends_at > now),
        )
    )


async def seen(connection: AsyncConnection, book_id: int, rows: Sequence[Row[Any]], points: int) -> list[Offer]:
    """The rewards as a member with so many points sees them."""
    handed_over = await places(connection, book_id, [row.id for row in rows])
    return [
        Offer(
            reward=row,
            places=handed_over.get(row.id, []),
            redeemed=row.redeemed,
            missing_points=max(0, row.price_points - points),
            refusal=refusal(row, points),
        )
        for row in rows
    ]


def refusal(row: Row[Any], points: int) -> str | None:
    """Why this member could not redeem this reward now; None when nothing stands against it.

    Of several reasons the one that redeeming would be refused with, in the order of `redemptions.choose`.
    """
    if row.member_state != "active":
        return "member_suspended"
    if row.limit_pieces is not None and row.redeemed >= row.limit_pieces:
        return "limit_reached"
    if row.stock == 0:
        return "out_of_stock"
    return "points_short" if row.price_points > points else None


async def places(connection: AsyncConnection, book_id: int, reward_ids: Iterable[UUID]) -> dict[UUID, list[Row[Any]]]:
    """Where each of these rewards is handed over, by reward: `id`, `number`, `name_zh`, `name_en`, `address`."""
    query: Select[Any] = (
        select(
            reward_place.c.reward_id,
            station.c.id,
            station.c.number,
            station.c.name_zh,
            station.c.name_en,
            station.c.address,
        )
        .join_from(
            reward_place,
            station,
            and_(station.c.book_id == reward_place.c.book_id, station.c.id == reward_place.c.station_id),
        )
        .where(
            reward_place.c.book_id == book_id,
            reward_place.c.reward_id == any_(literal(list(reward_ids), ARRAY(Uuid))),
        )
        .order_by(station.c.number)
    )
    found: dict[UUID, list[Row[Any]]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.reward_id, []).append(row)
    return found


def redemptions(book_id: int, now: datetime) -> Select[Any]:
    """Redemptions with what they are for. One that nobody collected in time says so before a job has seen to it."""
    late = is_late(now)
    return (
        select(
            redemption.c.id,
            redemption.c.number,
            redemption.c.digits,
            redemption.c.member_id,
            redemption.c.reward_id,
            redemption.c.points,
            stands(now).label("state"),
            redemption.c.held_at,
            redemption.c.expires_at,
            case((late, redemption.c.expires_at), else_=redemption.c.ended_at).label("ended_at"),
            redemption.c.station_id,
            reward_picture.c.digest.label("picture"),
            reward.c.kind,
            reward.c.name_zh.label("reward_zh"),
            reward.c.name_en.label("reward_en"),
        )
        .join_from(
            redemption, reward, and_(reward.c.book_id == redemption.c.book_id, reward.c.id == redemption.c.reward_id)
        )
        .outerjoin(
            reward_picture,
            and_(reward_picture.c.book_id == reward.c.book_id, reward_picture.c.reward_id == reward.c.id),
        )
        .where(redemption.c.book_id == book_id)
    )


def is_late(now: datetime) -> ColumnElement[bool]:
    """Whether nobody collected it in time, and no job has seen to that yet."""
    return and_(redemption.c.state == "held", redemption.c.expires_at <= now)


def stands(now: datetime) -> Case[Any]:
    """The state of a redemption at this moment."""
    return case((is_late(now), "timed_out"), else_=redemption.c.state)


async def my_redemptions(
    connection: AsyncConnection,
    book_id: int,
    member_id: UUID,
    *,
    now: datetime,
    state: str | None = None,
    before: Cursor | None = None,
    limit: int = 20,
) -> Page:
    """A member's redemptions, the latest first, those in one `state` or all. Rows as `redemptions` has them."""
    query = redemptions(book_id, now).where(redemption.c.member_id == member_id)
    if state is not None:
        query = query.where(stands(now) == state)
    return await falling(connection, query, redemption.c.held_at, redemption.c.id, before, limit)


async def my_redemption(
    connection: AsyncConnection, book_id: int, member_id: UUID, redemption_id: UUID, *, now: datetime
) -> Row[Any]:
    """One redemption of the member's own; `NotFound` for anybody else's."""
    query = redemptions(book_id, now).where(redemption.c.member_id == member_id, redemption.c.id == redemption_id)
    return await access.one(connection, query, "redemption")


async def to_collect(
    connection: AsyncConnection, book_id: int, member_id: UUID, *, now: datetime, limit: int = 20
) -> Sequence[Row[Any]]:
    """What a member can collect now, the most urgent first."""
    query = redemptions(book_id, now).where(
        redemption.c.member_id == member_id, redemption.c.state == "held", redemption.c.expires_at > now
    )
    query = query.order_by(redemption.c.expires_at, redemption.c.id).limit(limit)
    rows: Sequence[Row[Any]] = (await connection.execute(query)).all()
    return rows


def code_text(keys: Keys, number: int) -> str:
    """What the QR of a redemption says after the host: short, upper case, the same at every look."""
    return f"/R/{codes.redemption_code(keys.redemption, number)}"


def masked(name: str) -> str:
    """A name as a stranger may read it: the first character, or the first letter of each part. 甘小荷 is 甘**."""
    parts = name.split()
    if len(parts) > 1:
        return " ".join(f"{part[0]}." for part in parts)
    return name[:1] + "*" * (len(name) - 1)
