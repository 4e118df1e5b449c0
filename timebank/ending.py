"""How redemptions end without being handed over: the member gives one back, or its time runs out.

A release is the reversal of the hold, so that a refund goes back to exactly the purses it came from. Whatever ends a
redemption, handing over too, waits for its row first.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import helpers, rewards, spending
from timebank.commands import Answer, settle
from timebank.spending import Part
from timebank.tables import redemption, redemption_part, reward

ENDED = {"fulfilled": "already_fulfilled", "cancelled": "already_cancelled", "timed_out": "redemption_timed_out"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Give a held redemption back; only the member whose it is, or a helper, `by_id`."""

    id: UUID
    actor_id: UUID
    redemption_id: UUID
    by_id: UUID | None = None

    def content(self) -> tuple[object, ...]:
        """What was chosen."""
        return (self.redemption_id,) if self.by_id is None else (self.redemption_id, self.by_id)


async def cancel(connection: AsyncConnection, book_id: int, commands: Sequence[Cancel], now: datetime) -> list[Answer]:
    """Give held points back to their purses, and the piece to the stock. `ok` carries `redemption_id`, `points`.

    Refused: `helper_not_allowed`, `not_found` (also somebody else's), `already_fulfilled`, `already_cancelled`,
    `redemption_timed_out`, `id_reused`.
    """

    async def decide(fresh: list[Cancel]) -> list[Answer]:
        ids = {command.redemption_id for command in fresh}
        rows = await lock(
            connection, select(redemption).where(redemption.c.book_id == book_id, redemption.c.id.in_(ids))
        )
        allowed = await helpers.pairs_in_force(connection, book_id, helpers.pairs(fresh), now)
        ended: dict[UUID, dict[str, Any]] = {}
        answers = []
        for command in fresh:
            row = rows.get(command.redemption_id)
            if command.by_id is not None and (command.actor_id, command.by_id) not in allowed:
                answers.append(Answer("helper_not_allowed"))
            elif row is None or row.member_id != command.actor_id:
                answers.append(Answer("not_found"))
            elif (state := ended.get(row.id, {}).get("state", row.state)) != "held":
                answers.append(Answer(ENDED[state]))
            else:
                ended[row.id] = {
                    "state": "cancelled",
                    "ended_by": command.by_id or command.actor_id,
                    "station_id": None,
                }
                if command.by_id is not None:
                    facts = {"reward_id": str(row.reward_id), "points": row.points}
                    who = (command.actor_id, command.by_id)
                    await helpers.write(connection, book_id, "redemption.cancel", *who, now, facts)
                answers.append(Answer("ok", {"redemption_id": str(row.id), "points": row.points}))
        await release(connection, book_id, [rows[id_] for id_ in ended], ended, now)
        return answers

    return await settle(connection, book_id, "cancel", commands, now, decide)


async def lock(connection: AsyncConnection, query: Select[Any]) -> dict[UUID, Row[Any]]:
    """The redemptions of a query, locked in order of ids, as they are after the wait."""
    ordered = query.order_by(redemption.c.id).with_for_update(key_share=True)
    return {row.id: row for row in await connection.execute(ordered)}


END = text("""
    UPDATE timebank.redemption AS r
    SET state = e.state, ended_at = :now, ended_by = e.ended_by, station_id = e.station_id
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:ended_by AS uuid[]), CAST(:station_ids AS uuid[]))
      AS e (id, state, ended_by, station_id)
    WHERE r.book_id = :book_id AND r.id = e.id
""")


async def end(connection: AsyncConnection, book_id: int, ended: dict[UUID, dict[str, Any]], now: datetime) -> None:
    """Write how redemptions ended."""
    parameters = {
        "book_id": book_id,
        "now": now,
        "ids": list(ended),
        "states": [each["state"] for each in ended.values()],
        "ended_by": [each["ended_by"] for each in ended.values()],
        "station_ids": [each["station_id"] for each in ended.values()],
    }
    await connection.execute(END, parameters)


async def release(
    connection: AsyncConnection,
    book_id: int,
    rows: Sequence[Row[Any]],
    ended: dict[UUID, dict[str, Any]],
    now: datetime,
) -> None:
    """End redemptions without handing over: stock back, points back by reversals."""
    if not rows:
        return
    counted = Counter(row.reward_id for row in rows)
    await connection.execute(
        select(reward.c.id)
        .where(reward.c.book_id == book_id, reward.c.id.in_(counted))
        .order_by(reward.c.id)
        .with_for_update(key_share=True)
    )
    await rewards.change_stock(connection, book_id, counted)
    await end(connection, book_id, ended, now)
    parts = await connection.execute(
        select(
            redemption_part.c.transfer_id,
            redemption_part.c.redemption_id,
            redemption_part.c.purse_id,
            redemption_part.c.points,
        )
        .where(redemption_part.c.book_id == book_id, redemption_part.c.redemption_id.in_(ended))
        .order_by(redemption_part.c.redemption_id, redemption_part.c.transfer_id)
    )
    await spending.release(connection, book_id, [Part(*row) for row in parts], now)


async def time_out(connection: AsyncConnection, book_id: int, now: datetime, limit: int = 500) -> int:
    """Release what nobody collected in time; answers how many. Leaves alone what another process has in hand."""
    query = (
        select(redemption)
        .where(redemption.c.book_id == book_id, redemption.c.state == "held", redemption.c.expires_at <= now)
        .order_by(redemption.c.id)
        .limit(limit)
        .with_for_update(key_share=True, skip_locked=True)
    )
    rows = (await connection.execute(query)).all()
    ended = {row.id: {"state": "timed_out", "ended_by": None, "station_id": None} for row in rows}
    await release(connection, book_id, rows, ended, now)
    return len(rows)
