"""The clerk's counter: what a code stands for, handing a reward over, once, and what was handed over today.

Each hand-over is a row that stays, and so is what undid it; the redemption says what it is now.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, catalogue, codes, outbox, spending
from timebank.commands import Answer, settle
from timebank.cursors import Cursor, Page, falling
from timebank.ending import ENDED, end, lock
from timebank.policy import UNDO_WINDOW
from timebank.rows import insert_rows
from timebank.tables import fulfilment, fulfilment_undo, member, redemption, reward, reward_place, station

COUNTER_ROLES = ("clerk",)
DIGITS = 8


def read(secret: bytes, text: str) -> tuple[int | None, str | None]:
    """What was scanned or typed at a counter: the number in an authentic code of ours, or eight digits.

    Raises CodeMalformed or CodeForged.
    """
    digits = text.replace(" ", "").replace("-", "")
    if len(digits) == DIGITS and digits.isascii() and digits.isdigit():
        return None, digits
    return codes.read_redemption_code(secret, text), None


async def at_counter(
    connection: AsyncConnection,
    book_id: int,
    station_id: UUID,
    *,
    actor_id: UUID,
    now: datetime,
    number: int | None = None,
    digits: str | None = None,
) -> Row[Any]:
    """What a code means at a clerk's station, whoever it belongs to and whatever became of it.

    By the `number` of an authentic code, or by `digits`, which mean only what can be collected at this station, the
    latest first where old ones had the same. Rows as `redemptions` has them, and `here`: whether it may be handed
    over at this station. `NotFound` for a station where the actor is no clerk, and for a code of nothing.
    """
    await access.visible_station(connection, book_id, station_id, actor_id=actor_id, roles=COUNTER_ROLES, now=now)
    here = (
        select(reward_place.c.reward_id)
        .where(
            reward_place.c.book_id == redemption.c.book_id,
            reward_place.c.reward_id == redemption.c.reward_id,
            reward_place.c.station_id == station_id,
        )
        .exists()
    )
    query = catalogue.redemptions(book_id, now).add_columns(here.label("here"))
    if number is not None:
        query = query.where(redemption.c.number == number)
    else:
        query = query.where(redemption.c.digits == digits, here)
    query = query.order_by((redemption.c.state == "held").desc(), redemption.c.held_at.desc()).limit(1)
    return await access.one(connection, query, "redemption")


def counter_refusal(row: Row[Any]) -> str | None:
    """The code with which handing over what `at_counter` found would be refused; None when it may be."""
    if not row.here:
        return "wrong_place"
    return {
        "held": None,
        "fulfilled": "already_fulfilled",
        "cancelled": "already_cancelled",
        "timed_out": "redemption_timed_out",
    }[row.state]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fulfil:
    """Hand a reward over at a station: by the `number` of an authentic code, or by the `digits` that were read out."""

    id: UUID
    actor_id: UUID
    station_id: UUID
    number: int | None = None
    digits: str | None = None

    def content(self) -> tuple[object, ...]:
        """What the clerk sent."""
        return (self.station_id, self.number, self.digits)


async def fulfil(connection: AsyncConnection, book_id: int, commands: Sequence[Fulfil], now: datetime) -> list[Answer]:
    """Hand rewards over, each once. `ok` carries `redemption_id`, `reward_id`, `member_id`, `points`, `at`.

    Refused: `role_not_allowed` (no clerk there), `not_found`, `wrong_place` (not a pick-up place; digits mean nothing
    elsewhere and are `not_found`), `own_redemption`, `already_fulfilled`, `already_cancelled`, `redemption_timed_out`,
    `id_reused`.
    """

    async def decide(fresh: list[Fulfil]) -> list[Answer]:
        asked = {(command.actor_id, command.station_id) for command in fresh}
        allowed = await desks(connection, book_id, asked, now)
        rows = list((await lock(connection, asked_for(book_id, fresh))).values())
        places = await pick_up_places(connection, book_id, {row.reward_id for row in rows})
        ended: dict[UUID, dict[str, Any]] = {}
        handed: list[dict[str, Any]] = []
        answers = []
        for command in fresh:
            if (command.actor_id, command.station_id) not in allowed:
                answers.append(Answer("role_not_allowed"))
                continue
            row = pick(rows, places, command)
            if row is None:
                answers.append(Answer("not_found"))
            elif (row.reward_id, command.station_id) not in places:
                answers.append(Answer("wrong_place"))
            elif row.member_id == command.actor_id:
                answers.append(Answer("own_redemption"))
            elif (state := ended.get(row.id, {}).get("state", row.state)) != "held":
                answers.append(Answer(ENDED[state]))
            elif row.expires_at <= now:
                answers.append(Answer("redemption_timed_out"))
            else:
                end = {"state": "fulfilled", "ended_by": command.actor_id, "station_id": command.station_id}
                ended[row.id] = end
                handed.append(hand_over(book_id, command, row, now))
                answers.append(handed_over(row, now))
        await keep(connection, book_id, ended, handed, {row.id: row.points for row in rows}, now)
        return answers

    return await settle(connection, book_id, "fulfil", commands, now, decide)


def handed_over(row: Row[Any], now: datetime) -> Answer:
    """The answer to a redemption that is handed over now."""
    ids = {"redemption_id": row.id, "reward_id": row.reward_id, "member_id": row.member_id}
    plain = {name: str(value) for name, value in ids.items()}
    return Answer("ok", {**plain, "points": row.points, "at": now.isoformat()})


def asked_for(book_id: int, commands: Sequence[Fulfil]) -> Select[Any]:
    """The redemptions that may be meant."""
    return select(redemption).where(
        redemption.c.book_id == book_id,
        or_(
            redemption.c.number.in_([command.number for command in commands if command.number is not None]),
            redemption.c.digits.in_([command.digits for command in commands if command.digits is not None]),
        ),
    )


def pick(rows: Sequence[Row[Any]], places: set[tuple[UUID, UUID]], command: Fulfil) -> Row[Any] | None:
    """The redemption that a command means; by digits, what can still be collected here, else the latest that was."""
    if command.number is not None:
        return next((row for row in rows if row.number == command.number), None)
    here = [row for row in rows if row.digits == command.digits and (row.reward_id, command.station_id) in places]
    return max(here, key=lambda row: (row.state == "held", row.held_at), default=None)


async def desks(
    connection: AsyncConnection, book_id: int, asked: Collection[tuple[UUID, UUID]], now: datetime
) -> set[tuple[UUID, UUID]]:
    """Those of the (actor, station) that were asked for where the actor may hand over; others may be among them."""
    rows = await connection.execute(
        select(member.c.id, station.c.id)
        .join_from(member, station, station.c.book_id == member.c.book_id)
        .where(
            member.c.book_id == book_id,
            member.c.id.in_({actor_id for actor_id, _ in asked}),
            member.c.state == "active",
            station.c.id.in_({station_id for _, station_id in asked}),
            access.in_branch(member.c.id, COUNTER_ROLES, now),
        )
    )
    return {(actor_id, station_id) for actor_id, station_id in rows}


async def pick_up_places(
    connection: AsyncConnection, book_id: int, reward_ids: Iterable[UUID]
) -> set[tuple[UUID, UUID]]:
    """(reward, station) where each may be handed over."""
    rows = await connection.execute(
        select(reward_place.c.reward_id, reward_place.c.station_id).where(
            reward_place.c.book_id == book_id, reward_place.c.reward_id.in_(list(reward_ids))
        )
    )
    return {(reward_id, station_id) for reward_id, station_id in rows}


def hand_over(book_id: int, command: Fulfil, row: Row[Any], now: datetime) -> dict[str, Any]:
    """The row of a hand-over."""
    return {
        "book_id": book_id,
        "id": command.id,
        "redemption_id": row.id,
        "station_id": command.station_id,
        "clerk_id": command.actor_id,
        "at": now,
    }


async def keep(
    connection: AsyncConnection,
    book_id: int,
    ended: dict[UUID, dict[str, Any]],
    handed: Sequence[dict[str, Any]],
    points: dict[UUID, int],
    now: datetime,
) -> None:
    """Write hand-overs, and end their redemptions: what was held is spent."""
    if not handed:
        return
    await end(connection, book_id, ended, now)
    await insert_rows(connection, fulfilment, handed)
    await outbox.tell(connection, book_id, "redemption.fulfilled", list(ended), now)
    spent = [
        spending.Handed(row["id"], row["redemption_id"], row["clerk_id"], points[row["redemption_id"]])
        for row in handed
    ]
    await spending.fulfil(connection, book_id, spent, now)


async def handed_here(
    connection: AsyncConnection,
    book_id: int,
    station_id: UUID,
    *,
    actor_id: UUID,
    since: datetime,
    now: datetime,
    before: Cursor | None = None,
    limit: int = 10,
) -> Page:
    """The latest hand-overs at a clerk's station since a moment, the last first.

    Rows: `id`, `redemption_id`, `member_id`, `at`, `clerk_id`, `undone_at`, `digits`, `points`, `kind`, `reward_zh`,
    `reward_en`, and `can_undo`. `NotFound` for a station where the actor is no clerk.
    """
    await access.visible_station(connection, book_id, station_id, actor_id=actor_id, roles=COUNTER_ROLES, now=now)
    query: Select[Any] = (
        select(
            fulfilment.c.id,
            fulfilment.c.redemption_id,
            fulfilment.c.clerk_id,
            fulfilment.c.at,
            fulfilment_undo.c.at.label("undone_at"),
            and_(fulfilment_undo.c.at.is_(None), fulfilment.c.at >= now - UNDO_WINDOW).label("can_undo"),
            redemption.c.member_id,
            redemption.c.digits,
            redemption.c.points,
            reward.c.kind,
            reward.c.name_zh.label("reward_zh"),
            reward.c.name_en.label("reward_en"),
        )
        .join_from(
            fulfilment,
            redemption,
            and_(redemption.c.book_id == fulfilment.c.book_id, redemption.c.id == fulfilment.c.redemption_id),
        )
        .join(reward, and_(reward.c.book_id == redemption.c.book_id, reward.c.id == redemption.c.reward_id))
        .outerjoin(
            fulfilment_undo,
            and_(fulfilment_undo.c.book_id == fulfilment.c.book_id, fulfilment_undo.c.fulfilment_id == fulfilment.c.id),
        )
        .where(fulfilment.c.book_id == book_id, fulfilment.c.station_id == station_id, fulfilment.c.at >= since)
    )
    return await falling(connection, query, fulfilment.c.at, fulfilment.c.id, before, limit)
