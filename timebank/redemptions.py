"""Redemptions: points are held for a reward, until it is handed over or the redemption ends otherwise.

A hold is a transfer out of the purses, the earliest expiry first. An honour without places needs no counter: it is
fulfilled as it is redeemed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, any_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import codes, helpers, policy, purses, rewards, spending, trail
from timebank.clock import local_day
from timebank.commands import Answer, settle
from timebank.rows import insert_rows
from timebank.spending import Handed, Part
from timebank.tables import member, redemption, redemption_part, region, reward, reward_place

# Draws of a number and digits that nobody has; with 40 bits and eight digits the second is already rare.
DRAWS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Redeem:
    """Exchange points for one reward; the redemption gets the command's id.

    `actor_id` is whose points they are. `by_id` redeems for that member: at the desk of `station_id`, or as a helper.
    """

    id: UUID
    actor_id: UUID
    reward_id: UUID
    by_id: UUID | None = None
    station_id: UUID | None = None

    def content(self) -> tuple[object, ...]:
        """What was chosen."""
        return (self.reward_id,) if self.by_id is None else (self.reward_id, self.by_id, self.station_id)

    @property
    def is_helpers(self) -> bool:
        """Whether a helper redeems, and nobody at a desk."""
        return self.by_id is not None and self.station_id is None


async def redeem(
    connection: AsyncConnection, book_id: int, commands: Sequence[Redeem], now: datetime, *, secret: bytes
) -> list[Answer]:
    """Hold points for rewards; spend them for an honour that is handed over nowhere.

    `ok` carries `redemption_id`, `number`, `digits`, `points`, `expires_at`.

    Refused: `helper_not_allowed`, `member_suspended`, `not_found`, `helper_points`, `reward_closed`, `limit_reached`,
    `out_of_stock`, `points_short`, `id_reused`. `secret` is the key that numbers and digits are drawn by.
    """

    async def decide(fresh: list[Redeem]) -> list[Answer]:
        sitting = await sit(connection, book_id, fresh, now)
        refused = {command.id: code for command in fresh if (code := choose(sitting, command))}
        numbers = await draw_numbers(connection, book_id, secret, [row["id"] for row in sitting.redemptions], now)
        for row in sitting.redemptions:
            row["number"], row["digits"] = numbers[row["id"]]
        await keep(connection, book_id, sitting)
        await write(connection, book_id, [command for command in fresh if command.id not in refused], now)
        made = {row["id"]: row for row in sitting.redemptions}
        return [Answer(refused[command.id]) if command.id in refused else held(made[command.id]) for command in fresh]

    return await settle(connection, book_id, "redeem", commands, now, decide)


def held(row: dict[str, Any]) -> Answer:
    """The answer to a redemption that was made."""
    return Answer(
        "ok",
        {
            "redemption_id": str(row["id"]),
            "number": row["number"],
            "digits": row["digits"],
            "points": row["points"],
            "expires_at": row["expires_at"].isoformat(),
        },
    )


@dataclass
class Sitting:
    """What one batch of redemptions reads once, and what it writes once."""

    book_id: int
    now: datetime
    states: dict[UUID, str]
    # (member, reward): the rewards of the regions that each member's home lies in.
    offered: set[tuple[UUID, UUID]]
    rewards: dict[UUID, Row[Any]]
    # Those that are handed over somewhere.
    placed: set[UUID]
    stock: dict[UUID, int]
    # Of the limit's period.
    redeemed: Counter[tuple[UUID, UUID]]
    purses: dict[UUID, dict[UUID, purses.Purse]]
    # (member, helper) who may act now, and what helpers redeemed for each member today.
    helping: set[tuple[UUID, UUID]]
    helped_points: Counter[UUID]
    redemptions: list[dict[str, Any]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)


async def sit(connection: AsyncConnection, book_id: int, commands: Sequence[Redeem], now: datetime) -> Sitting:
    """Lock the members who spend, then the rewards, each in order of ids; read the rest in later statements."""
    member_ids = sorted({command.actor_id for command in commands})
    reward_ids = sorted({command.reward_id for command in commands})
    locked = await connection.execute(
        select(member.c.id, member.c.state)
        .where(member.c.book_id == book_id, member.c.id.in_(member_ids))
        .order_by(member.c.id)
        .with_for_update(key_share=True)
    )
    states = {row.id: row.state for row in locked}
    found = await connection.execute(
        select(reward)
        .where(reward.c.book_id == book_id, reward.c.id.in_(reward_ids))
        .order_by(reward.c.id)
        .with_for_update(key_share=True)
    )
    chosen = {row.id: row for row in found}
    placed = await connection.execute(
        select(reward_place.c.reward_id)
        .distinct()
        .where(reward_place.c.book_id == book_id, reward_place.c.reward_id.in_(reward_ids))
    )
    offered = await connection.execute(
        select(member.c.id, reward.c.id)
        .join(region, and_(region.c.book_id == member.c.book_id, region.c.id == member.c.region_id))
        .join(reward, and_(reward.c.book_id == member.c.book_id, reward.c.region_id == any_(region.c.path)))
        .where(member.c.book_id == book_id, member.c.id.in_(member_ids), reward.c.id.in_(reward_ids))
    )
    zone = await purses.time_zone(connection, book_id)
    by_helpers = helpers.pairs([command for command in commands if command.is_helpers])
    counted = await connection.execute(
        select(redemption.c.member_id, redemption.c.reward_id, func.count())
        .join_from(
            redemption, reward, and_(reward.c.book_id == redemption.c.book_id, reward.c.id == redemption.c.reward_id)
        )
        .where(
            redemption.c.book_id == book_id,
            redemption.c.member_id.in_(member_ids),
            redemption.c.reward_id.in_(reward_ids),
            redemption.c.state.in_(("held", "fulfilled")),
            redemption.c.held_at >= rewards.counted_since(now, zone),
        )
        .group_by(redemption.c.member_id, redemption.c.reward_id)
    )
    valid: dict[UUID, dict[UUID, purses.Purse]] = defaultdict(dict)
    for purse in await purses.purses_of(connection, book_id, member_ids, today=local_day(now, zone)):
        valid[purse.member_id][purse.id] = purse
    return Sitting(
        book_id=book_id,
        now=now,
        states=states,
        offered={(member_id, reward_id) for member_id, reward_id in offered},
        rewards=chosen,
        placed=set(placed.scalars()),
        stock={row.id: row.stock for row in chosen.values()},
        redeemed=Counter({(member_id, reward_id): times for member_id, reward_id, times in counted}),
        purses=valid,
        helping=await helpers.pairs_in_force(connection, book_id, by_helpers, now),
        helped_points=await helpers.redeemed_today(connection, book_id, by_helpers, now, zone),
    )


def choose(sitting: Sitting, command: Redeem) -> str | None:
    """Walk one redemption; the code of its refusal, or None and it is made."""
    row = sitting.rewards.get(command.reward_id)
    asked = (command.actor_id, command.reward_id)
    if command.is_helpers and (command.actor_id, command.by_id) not in sitting.helping:
        return "helper_not_allowed"
    if sitting.states.get(command.actor_id) != "active":
        return "member_suspended"
    if row is None or asked not in sitting.offered:
        return "not_found"
    helped = sitting.helped_points[command.actor_id] + row.price_points
    if command.is_helpers and helped > policy.HELPER_DAY_POINTS:
        return "helper_points"
    if row.state != "open" or row.starts_at > sitting.now or (row.ends_at is not None and row.ends_at <= sitting.now):
        return "reward_closed"
    if row.limit_pieces is not None and sitting.redeemed[asked] >= row.limit_pieces:
        return "limit_reached"
    if sitting.stock[row.id] == 0:
        return "out_of_stock"
    own = sitting.purses.get(command.actor_id, {})
    parts = policy.spend([(purse.id, purse.expires_on, purse.points) for purse in own.values()], row.price_points)
    if parts is None:
        return "points_short"
    for purse_id, points in parts:
        own[purse_id] = own[purse_id]._replace(points=own[purse_id].points - points)
        sitting.parts.append(spending.part(command.id, purse_id, points))
    sitting.stock[row.id] -= 1
    sitting.redeemed[asked] += 1
    if command.is_helpers:
        sitting.helped_points[command.actor_id] = helped
    at_once = row.kind == "honour" and row.id not in sitting.placed
    hold = timedelta(minutes=row.hold_minutes)
    if command.station_id is not None:
        hold = max(hold, policy.PAPER_HOLD)
    sitting.redemptions.append(
        {
            "book_id": sitting.book_id,
            "id": command.id,
            "number": 0,
            "digits": "",
            "member_id": command.actor_id,
            "reward_id": row.id,
            "points": row.price_points,
            "state": "fulfilled" if at_once else "held",
            "held_at": sitting.now,
            "expires_at": sitting.now + hold,
            "ended_at": sitting.now if at_once else None,
            "ended_by": command.actor_id if at_once else None,
            "made_by": command.by_id,
            "by_helper": command.is_helpers,
        }
    )
    return None


async def draw_numbers(
    connection: AsyncConnection, book_id: int, secret: bytes, ids: Sequence[UUID], now: datetime
) -> dict[UUID, tuple[int, str]]:
    """A number nobody ever had for each new redemption, and digits that no other has that is held, or may be once more
    because its hand-over can be undone. Should another process take the same at this moment, the insert fails and the
    batch is sent again. RuntimeError after `DRAWS`."""
    lives = or_(
        redemption.c.state == "held",
        and_(redemption.c.state == "fulfilled", redemption.c.ended_at >= now - policy.UNDO_WINDOW),
    )
    drawn: dict[UUID, tuple[int, str]] = {}
    for draw in range(DRAWS):
        missing = {id_: codes.redemption_numbers(secret, id_, draw) for id_ in ids if id_ not in drawn}
        if not missing:
            break
        taken = await connection.execute(
            select(redemption.c.number, redemption.c.digits, lives.label("lives")).where(
                redemption.c.book_id == book_id,
                or_(
                    redemption.c.number.in_([number for number, _ in missing.values()]),
                    and_(lives, redemption.c.digits.in_([d for _, d in missing.values()])),
                ),
            )
        )
        rows = taken.all()
        numbers = {row.number for row in rows} | {number for number, _ in drawn.values()}
        digits = {row.digits for row in rows if row.lives} | {d for _, d in drawn.values()}
        for id_, (number, read_out) in missing.items():
            if number not in numbers and read_out not in digits:
                drawn[id_] = (number, read_out)
                numbers.add(number)
                digits.add(read_out)
    if len(drawn) < len(ids):
        raise RuntimeError(f"no free number after {DRAWS} draws")
    return drawn


async def keep(connection: AsyncConnection, book_id: int, sitting: Sitting) -> None:
    """Write the redemptions and hold their points; spend those that are fulfilled at once."""
    if not sitting.redemptions:
        return
    await rewards.change_stock(connection, book_id, Counter({id_: -n for id_, n in taken(sitting.redemptions).items()}))
    await insert_rows(connection, redemption, sitting.redemptions)
    rows = [{"book_id": book_id, **each._asdict()} for each in sitting.parts]
    await insert_rows(connection, redemption_part, rows)
    at_once = [
        Handed(row["id"], row["id"], None, row["points"]) for row in sitting.redemptions if row["state"] == "fulfilled"
    ]
    await spending.hold(connection, book_id, sitting.parts, sitting.now, at_once=at_once)


async def write(connection: AsyncConnection, book_id: int, made: Sequence[Redeem], now: datetime) -> None:
    """Keep in the trail who redeemed for somebody else."""
    for command in made:
        if command.by_id is not None:
            await trail.write(
                connection,
                book_id,
                actor_id=command.by_id,
                action="redemption.make",
                subject_kind="member",
                subject_id=command.actor_id,
                after={
                    "reward_id": str(command.reward_id),
                    "station_id": str(command.station_id) if command.station_id else None,
                },
                now=now,
            )


def taken(redemptions: Iterable[dict[str, Any]]) -> Counter[UUID]:
    """How many of each reward."""
    return Counter(row["reward_id"] for row in redemptions)
