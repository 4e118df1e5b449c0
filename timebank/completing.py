"""Check-outs that arrive when their stay has ended by itself: scanned in time, and sent when there was a network.

Such a check-out completes the record, which still waits for its manager, instead of leaving it without minutes. What
was scanned after the end of the stay completes nothing: it would not have ended that stay either had it come at once.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import attendances, trail
from timebank.attendances import STAYS, Sitting
from timebank.rows import Query, run

# Nobody has decided about these records, and nobody can meanwhile: their members are locked.
WAITING = Query(
    text("""
    SELECT r.id FROM timebank.record AS r
    JOIN timebank.attendance AS a ON a.book_id = r.book_id AND a.id = r.id
    WHERE r.book_id = :book_id AND r.member_id = ANY(CAST(:member_ids AS uuid[])) AND r.state = 'waiting'
      AND r.local_day >= CAST(CAST(:since AS timestamptz) AS date) - 2 AND r.ended_at >= :since
      AND a.state = 'unconfirmed'
""")
)
UNCONFIRMED = Query(text(f"{STAYS} AND a.id = ANY(CAST(:ids AS uuid[])) ORDER BY a.started_at, a.id"))


async def read(
    connection: AsyncConnection, book_id: int, sitting: Sitting, scans: Iterable[tuple[UUID, UUID, datetime]]
) -> dict[UUID, list[dict[str, Any]]]:
    """By member: the stays that ended unconfirmed and wait. `scans`: member, station and time of check-outs.

    Only read where a check-out does not end the stay that is open.
    """
    lost = [(member_id, at) for member_id, station_id, at in scans if not ends(sitting, member_id, station_id, at)]
    if not lost:
        return {}
    member_ids, since = list({member_id for member_id, _ in lost}), min(at for _, at in lost)
    waiting = await WAITING.rows(connection, book_id=book_id, member_ids=member_ids, since=since)
    if not waiting:
        return {}
    ids = [row.id for row in waiting]
    rows = await UNCONFIRMED.rows(connection, book_id=book_id, member_ids=member_ids, zone=sitting.zone.key, ids=ids)
    found: dict[UUID, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row.member_id, []).append(dict(row))
    return found


def ends(sitting: Sitting, member_id: UUID, station_id: UUID, at: datetime, *, late: bool = True) -> bool:
    """Whether a check-out ends the stay that is open. A code that is sent `late` does not end what began after it."""
    open_one = sitting.present.get(member_id)
    return open_one is not None and open_one["station_id"] == station_id and not (late and open_one["started_at"] > at)


def stay_at(
    stays: dict[UUID, list[dict[str, Any]]], member_id: UUID, station_id: UUID, at: datetime
) -> dict[str, Any] | None:
    """The stay of those that were read which a check-out would have ended; each once."""
    for stay in stays.get(member_id, ()):
        if stay["station_id"] == station_id and stay["started_at"] <= at <= stay["ended_at"]:
            stays[member_id].remove(stay)
            return stay
    return None


def complete(sitting: Sitting, stay: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """End a stay again, with the check-out `row`, a punch; answers what its record comes to."""
    open_now = sitting.present.get(stay["member_id"])
    if open_now is not None and open_now["started_at"] < row["occurred_at"]:
        stay["next_started_at"] = min(filter(None, (stay["next_started_at"], open_now["started_at"])))
    made = attendances.measured(sitting, stay, row)
    sitting.closed[stay["id"]] = {
        "id": stay["id"],
        "ended_at": made["ended_at"],
        "state": "closed",
        "out_punch_id": row["id"],
    }
    sitting.completed.append({**made, "id": stay["id"], "before": stay, "by": row["entered_by"] or row["member_id"]})
    return made


COMPLETE = """
    UPDATE timebank.record SET ended_at = $3, measured_minutes = $4, grade = $5, holds = $6
    WHERE book_id = $1 AND id = $2
"""


async def keep(connection: AsyncConnection, book_id: int, sitting: Sitting) -> None:
    """Write what was completed, and the trail, because a record has changed."""
    for each in sitting.completed:
        end = (each["ended_at"], each["measured_minutes"])
        await run(connection, COMPLETE, book_id, each["id"], *end, each["grade"], each["holds"])
        await trail.write(
            connection,
            book_id,
            actor_id=each["by"],
            action="record.complete",
            subject_kind="record",
            subject_id=each["id"],
            before=told(each["before"]["ended_at"], 0),
            after=told(*end),
            now=sitting.now,
        )


def told(ended_at: datetime, minutes: int) -> dict[str, Any]:
    """A record's end, for the trail."""
    return {"ends_at": ended_at.isoformat(), "minutes": minutes}
