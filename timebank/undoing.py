"""Undoing: a hand-over at the counter that a clerk takes back within ten minutes.

The redemption is held again, its code valid again, and the posting reversed. Fulfilling, cancelling, timing out and
undoing all wait for the redemption's row, so whatever runs at once, one of them is first and the others see it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import spending, trail
from timebank.commands import Answer, settle
from timebank.counter import desks
from timebank.ending import lock
from timebank.policy import UNDO_WINDOW
from timebank.rows import insert_rows
from timebank.tables import fulfilment, fulfilment_undo, redemption


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Take one hand-over back. It is named by its own id and not by the redemption's, so that a late press never undoes
    the hand-over that followed."""

    id: UUID
    actor_id: UUID
    fulfilment_id: UUID

    def content(self) -> tuple[object, ...]:
        """What the clerk chose."""
        return (self.fulfilment_id,)


async def undo(connection: AsyncConnection, book_id: int, commands: Sequence[Undo], now: datetime) -> list[Answer]:
    """Take hand-overs back, within ten minutes: held again, the same code valid again, for ten minutes at least.

    By any clerk of the station, or of a branch above it. `ok` carries `fulfilment_id`, `redemption_id`, `reward_id`,
    `member_id`, `points`, `expires_at`. Refused: `not_found` (also at a station where the actor is no clerk),
    `already_undone`, `undo_too_late`, `id_reused`.
    """

    async def decide(fresh: list[Undo]) -> list[Answer]:
        wanted = {command.fulfilment_id for command in fresh}
        found = await connection.execute(
            select(fulfilment).where(fulfilment.c.book_id == book_id, fulfilment.c.id.in_(wanted))
        )
        handed = {row.id: row for row in found}
        asked = {
            (command.actor_id, handed[command.fulfilment_id].station_id)
            for command in fresh
            if command.fulfilment_id in handed
        }
        allowed = await desks(connection, book_id, asked, now)
        # What was undone is read in a later statement, after the wait.
        ids = [row.redemption_id for row in handed.values()]
        rows = await lock(
            connection, select(redemption).where(redemption.c.book_id == book_id, redemption.c.id.in_(ids))
        )
        undone = await undone_of(connection, book_id, wanted)
        taken_back: list[dict[str, Any]] = []
        answers = []
        for command in fresh:
            each = handed.get(command.fulfilment_id)
            if each is None or (command.actor_id, each.station_id) not in allowed:
                answers.append(Answer("not_found"))
            elif each.id in undone:
                answers.append(Answer("already_undone"))
            elif now - each.at > UNDO_WINDOW:
                answers.append(Answer("undo_too_late"))
            else:
                undone.add(each.id)
                row = {"book_id": book_id, "fulfilment_id": each.id, "clerk_id": command.actor_id, "at": now}
                taken_back.append(row)
                answers.append(held_again(each.id, rows[each.redemption_id], now))
        await take_back(connection, book_id, taken_back, handed, rows, now)
        return answers

    return await settle(connection, book_id, "undo", commands, now, decide)


def valid_until(row: Row[Any], now: datetime) -> datetime:
    """When the code of a redemption ends whose hand-over is undone now."""
    expires_at: datetime = row.expires_at
    return max(expires_at, now + UNDO_WINDOW)


def held_again(fulfilment_id: UUID, row: Row[Any], now: datetime) -> Answer:
    """The answer to a hand-over that is undone now."""
    ids = {
        "fulfilment_id": fulfilment_id,
        "redemption_id": row.id,
        "reward_id": row.reward_id,
        "member_id": row.member_id,
    }
    plain = {name: str(value) for name, value in ids.items()}
    return Answer("ok", {**plain, "points": row.points, "expires_at": valid_until(row, now).isoformat()})


async def undone_of(connection: AsyncConnection, book_id: int, fulfilment_ids: Collection[UUID]) -> set[UUID]:
    """Those of these hand-overs that were undone."""
    query = select(fulfilment_undo.c.fulfilment_id).where(
        fulfilment_undo.c.book_id == book_id, fulfilment_undo.c.fulfilment_id.in_(fulfilment_ids)
    )
    return set((await connection.execute(query)).scalars())


HOLD_AGAIN = text("""
    UPDATE timebank.redemption AS r
    SET state = 'held', ended_at = NULL, ended_by = NULL, station_id = NULL, expires_at = u.expires_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:expires_at AS timestamptz[])) AS u (id, expires_at)
    WHERE r.book_id = :book_id AND r.id = u.id
""")


async def take_back(
    connection: AsyncConnection,
    book_id: int,
    taken_back: Sequence[dict[str, Any]],
    handed: dict[UUID, Row[Any]],
    rows: dict[UUID, Row[Any]],
    now: datetime,
) -> None:
    """Write what was undone: the redemptions are held again, and so are their points."""
    if not taken_back:
        return
    again = [rows[handed[each["fulfilment_id"]].redemption_id] for each in taken_back]
    parameters = {
        "book_id": book_id,
        "ids": [row.id for row in again],
        "expires_at": [valid_until(row, now) for row in again],
    }
    await connection.execute(HOLD_AGAIN, parameters)
    await insert_rows(connection, fulfilment_undo, taken_back)
    for each, row in zip(taken_back, again, strict=True):
        await trail.write(
            connection,
            book_id,
            actor_id=each["clerk_id"],
            action="fulfilment.undo",
            subject_kind="fulfilment",
            subject_id=each["fulfilment_id"],
            before={"state": "fulfilled"},
            after={"state": "held", "reward_id": str(row.reward_id), "points": row.points},
            now=now,
        )
    undone = [
        spending.Handed(each["fulfilment_id"], row.id, each["clerk_id"], row.points)
        for each, row in zip(taken_back, again, strict=True)
    ]
    await spending.undo_fulfil(connection, book_id, undone, now)
