"""Attendances and what they become: one check-in, one check-out, one record; and the ones that nobody checked out of.

What a batch of punches comes to is gathered in a `Sitting` and written once, by `keep`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import policies, policy, purses
from timebank.clock import local_day
from timebank.policies import Version
from timebank.policy import Rules
from timebank.rows import Query, insert_all, insert_rows, run
from timebank.tables import attendance, member, punch, record, service_kind

# What sets the end of a service that nobody checked out of.
BY_MANAGER = "manual"


@dataclass
class Sitting:
    """What one batch reads once, and the rows that it writes once."""

    book_id: int
    now: datetime
    draw: bytes
    zone: ZoneInfo
    versions: Sequence[Version]
    kinds: dict[UUID, Row[Any]]
    # The open attendance of each member who has one, as it stands while the batch is walked.
    present: dict[UUID, dict[str, Any]]
    punches: list[dict[str, Any]] = field(default_factory=list)
    opened: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    closed: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    # Records of before that a check-out completes: see `completing`.
    completed: list[dict[str, Any]] = field(default_factory=list)

    def rules(self, at: datetime) -> Rules:
        """The rules of the local day of a moment."""
        return policies.on_day(self.versions, local_day(at, self.zone)).rules


async def read(connection: AsyncConnection, book_id: int, member_ids: Sequence[UUID], now: datetime) -> dict[str, Any]:
    """What every sitting reads about members that its transaction has locked: the fields of `Sitting` but the draw."""
    zone = await purses.time_zone(connection, book_id)
    kinds = await KINDS.rows(connection, book_id=book_id)
    present = await PRESENT.rows(connection, book_id=book_id, member_ids=list(member_ids), zone=zone.key)
    return {
        "book_id": book_id,
        "now": now,
        "zone": zone,
        "versions": await policies.versions(connection, book_id),
        "kinds": {row.id: row for row in kinds},
        "present": {row.member_id: dict(row) for row in present},
    }


KINDS = Query(select(service_kind).where(service_kind.c.book_id == bindparam("book_id")))
# Stays with everything that a record copies, so that one at any station can be closed, and what else is known of its
# day. `next_started_at`: when the first other record begins that ends after this one began; two days cover any time
# zone.
STAYS = """
    SELECT a.id, a.member_id, a.station_id, a.service_kind_id, a.in_punch_id, a.started_at, a.ended_at, p.source,
      p.slot, p.holds, p.vouched_by IS NOT NULL OR c.punch_id IS NOT NULL AS vouched,
      s.name_zh, s.name_en, s.address, s.organising_unit, s.person_in_charge,
      others.next_started_at, coalesce(others.minutes, 0) AS earlier_minutes
    FROM timebank.attendance AS a
    JOIN timebank.punch AS p ON p.book_id = a.book_id AND p.id = a.in_punch_id
    JOIN timebank.station AS s ON s.book_id = a.book_id AND s.id = a.station_id
    LEFT JOIN timebank.confirmation AS c ON c.book_id = a.book_id AND c.punch_id = a.in_punch_id
    CROSS JOIN LATERAL (
      SELECT min(r.started_at) FILTER (WHERE r.ended_at > a.started_at) AS next_started_at,
        sum(r.measured_minutes) FILTER (
          WHERE r.local_day = CAST(a.started_at AT TIME ZONE CAST(:zone AS text) AS date)
        ) AS minutes
      FROM timebank.record AS r
      WHERE r.book_id = a.book_id AND r.member_id = a.member_id
        AND r.local_day >= CAST(a.started_at AS date) - 2 AND r.state <> 'rejected' AND r.id <> a.id
    ) AS others
    WHERE a.book_id = :book_id AND a.member_id = ANY(CAST(:member_ids AS uuid[]))
"""
PRESENT = Query(text(f"{STAYS} AND a.state = 'open'"))
# The fields of a station that its records keep as they were.
COPIED = ("name_zh", "name_en", "address", "organising_unit", "person_in_charge")


def open_at(sitting: Sitting, place: Any, row: dict[str, Any], *, service_kind_id: UUID, shift_id: UUID | None) -> None:
    """Begin the attendance of the check-in `row`, a punch, at the station `place`, under the punch's id."""
    begun = {
        "book_id": sitting.book_id,
        "id": row["id"],
        "member_id": row["member_id"],
        "station_id": place.id,
        "service_kind_id": service_kind_id,
        "in_punch_id": row["id"],
        "out_punch_id": None,
        "started_at": row["occurred_at"],
        "ended_at": None,
        "state": "open",
        "shift_id": shift_id,
    }
    sitting.opened[row["id"]] = begun
    sitting.present[row["member_id"]] = {
        **begun,
        "source": row["source"],
        "slot": row["slot"],
        "holds": row["holds"],
        "vouched": row["vouched_by"] is not None,
        "next_started_at": None,
        "earlier_minutes": 0,
        **{name: getattr(place, name) for name in COPIED},
    }


def close_at(sitting: Sitting, open_one: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """End an attendance with the check-out `row`, a punch; answers the record that it becomes."""
    made = measured(sitting, open_one, row)
    close(sitting, open_one, made["ended_at"], "closed", row["id"])
    return add_record(sitting, open_one, **made)


def measured(sitting: Sitting, open_one: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """What a stay that the check-out `row` ends comes to: `ended_at`, `measured_minutes`, `grade`, `holds`."""
    started_at, at = open_one["started_at"], row["occurred_at"]
    ended_at = max(at, started_at)
    grade = policy.record_grade(
        policy.evidence(open_one["source"], open_one["vouched"]),
        policy.evidence(row["source"], row["vouched_by"] is not None),
    )
    next_started_at = open_one["next_started_at"]
    holds = policy.record_holds(
        record_id=open_one["id"],
        grade=grade,
        started_at=started_at,
        ended_at=ended_at,
        overlaps=next_started_at is not None and next_started_at < ended_at,
        same_slot=row["slot"] is not None and open_one["slot"] == row["slot"],
        # A page opened before the check-in and confirmed after it.
        runs_back=at < started_at,
        secret=sitting.draw,
        rules=sitting.rules(started_at),
        earlier_minutes=open_one["earlier_minutes"],
        of_punches=[*open_one["holds"], *row["holds"]],
    )
    minutes = policy.measured_minutes(started_at, ended_at)
    return {"ended_at": ended_at, "measured_minutes": minutes, "grade": grade, "holds": holds}


def close_unconfirmed(sitting: Sitting, open_one: dict[str, Any], at: datetime) -> None:
    """End a service that nobody checked out of: zero minutes, and a manager sets the end, which is why it is no
    better than B."""
    ended_at = max(at, open_one["started_at"])
    close(sitting, open_one, ended_at, "unconfirmed", None)
    grade = policy.record_grade(policy.evidence(open_one["source"], open_one["vouched"]), BY_MANAGER)
    holds = policy.in_order([*open_one["holds"], "unconfirmed"])
    add_record(sitting, open_one, ended_at=ended_at, measured_minutes=0, grade=grade, holds=holds)


def close(sitting: Sitting, open_one: dict[str, Any], ended_at: datetime, state: str, punch_id: UUID | None) -> None:
    """End an attendance, one of this batch or one from before."""
    end = {"ended_at": ended_at, "state": state, "out_punch_id": punch_id}
    if open_one["id"] in sitting.opened:
        sitting.opened[open_one["id"]] |= end
    else:
        sitting.closed[open_one["id"]] = {"id": open_one["id"], **end}
    del sitting.present[open_one["member_id"]]


def add_record(
    sitting: Sitting,
    open_one: dict[str, Any],
    *,
    ended_at: datetime,
    measured_minutes: int,
    grade: str,
    holds: list[str],
) -> dict[str, Any]:
    """Make the record of an ended attendance, under its id."""
    made = {
        "book_id": sitting.book_id,
        "id": open_one["id"],
        "member_id": open_one["member_id"],
        "station_id": open_one["station_id"],
        "service_kind_id": open_one["service_kind_id"],
        "activity_zh": open_one["name_zh"],
        "activity_en": open_one["name_en"],
        "place": open_one["address"],
        "content": sitting.kinds[open_one["service_kind_id"]].name_zh,
        "organising_unit": open_one["organising_unit"],
        "person_in_charge": open_one["person_in_charge"],
        "started_at": open_one["started_at"],
        "ended_at": ended_at,
        "local_day": local_day(open_one["started_at"], sitting.zone),
        "measured_minutes": measured_minutes,
        "grade": grade,
        "holds": holds,
        "state": "waiting",
        "points_state": "none",
        "recorded_at": sitting.now,
    }
    sitting.records.append(made)
    return made


CLOSE = """
    UPDATE timebank.attendance AS a SET ended_at = c.ended_at, state = c.state, out_punch_id = c.out_punch_id
    FROM unnest($2::uuid[], $3::timestamptz[], $4::text[], $5::uuid[]) AS c (id, ended_at, state, out_punch_id)
    WHERE a.book_id = $1 AND a.id = c.id
"""


async def keep(connection: AsyncConnection, book_id: int, sitting: Sitting) -> None:
    """Write what the batch came to, at once where no stay of before ends. Otherwise punches first, which the ends name,
    and ends before beginnings, because a member is in one place."""
    rows = {punch: sitting.punches, attendance: list(sitting.opened.values()), record: sitting.records}
    if sitting.closed:
        await insert_rows(connection, punch, rows.pop(punch))
        ends = list(sitting.closed.values())
        columns = [[end[name] for end in ends] for name in ("id", "ended_at", "state", "out_punch_id")]
        await run(connection, CLOSE, book_id, *columns)
    await insert_all(connection, rows)


# Who is in longer than anybody waits for their check-out, and since when: until the end of the shift they came for and
# its grace, else for as long as the station lets somebody stay.
DUE = text("""
    SELECT a.member_id,
      coalesce(f.ends_at + make_interval(mins => f.grace_minutes), a.started_at + make_interval(mins => s.cap_minutes))
        AS due_at
    FROM timebank.attendance AS a
    JOIN timebank.station AS s ON s.book_id = a.book_id AND s.id = a.station_id
    LEFT JOIN timebank.shift AS f ON f.book_id = a.book_id AND f.id = a.shift_id AND f.state = 'planned'
    WHERE a.book_id = :book_id AND a.state = 'open'
      AND coalesce(f.ends_at + make_interval(mins => f.grace_minutes),
                   a.started_at + make_interval(mins => s.cap_minutes)) <= :now
      AND (CAST(:member_ids AS uuid[]) IS NULL OR a.member_id = ANY(CAST(:member_ids AS uuid[])))
    ORDER BY 2, 1
    LIMIT :limit
""")


async def close_forgotten(connection: AsyncConnection, book_id: int, now: datetime, limit: int = 500) -> int:
    """End the services that nobody checked out of, as unconfirmed and with zero minutes; answers how many.

    Leaves alone whoever checks in or out at this moment.
    """
    due = await due_at(connection, book_id, now, limit, None)
    locked = await connection.execute(
        select(member.c.id)
        .where(member.c.book_id == book_id, member.c.id.in_(due))
        .order_by(member.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    ids = locked.scalars().all()
    if not ids:
        return 0
    # Once more: somebody may have checked out before their row was locked.
    due = await due_at(connection, book_id, now, limit, ids)
    sitting = Sitting(**await read(connection, book_id, ids, now), draw=b"")
    for member_id, at in due.items():
        close_unconfirmed(sitting, sitting.present[member_id], at)
    await keep(connection, book_id, sitting)
    return len(due)


async def due_at(
    connection: AsyncConnection, book_id: int, now: datetime, limit: int, member_ids: Iterable[UUID] | None
) -> dict[UUID, datetime]:
    """By member, of these or of all: when their forgotten check-out was due."""
    values = {
        "book_id": book_id,
        "now": now,
        "limit": limit,
        "member_ids": None if member_ids is None else list(member_ids),
    }
    return {row.member_id: row.due_at for row in await connection.execute(DUE, values)}
