"""Service that a manager enters because nothing was scanned: grade C, with a reason, and never for himself.

The reason may name people: it is kept under the member's own data key, and goes with it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, attendances, cards, texts, vault
from timebank.attendances import close_at, keep, open_at
from timebank.clock import local_day, month_start
from timebank.commands import Answer, settle
from timebank.errors import Invalid
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.rows import binary
from timebank.tables import member, station

ENTERING_ROLES = ("manager", "admin")
LONGEST = timedelta(hours=24)
# How long ago a service may be that is entered now; Order 67 asks for ten working days.
OLDEST = timedelta(days=31)
REASON_LIMIT = 500
SEALED_AS = "punch reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """One whole service of a member at a station, as a manager knows of it."""

    id: UUID
    actor_id: UUID
    station_id: UUID
    member_id: UUID
    started_at: datetime
    ended_at: datetime
    reason: str
    service_kind_id: UUID | None = None

    def content(self) -> tuple[object, ...]:
        """What the manager chose."""
        times = (self.started_at, self.ended_at)
        return (self.station_id, self.member_id, *times, self.reason, self.service_kind_id)


async def enter(
    connection: AsyncConnection, book_id: int, commands: Sequence[Enter], now: datetime, *, keys: Keys
) -> list[Answer]:
    """Enter services; each becomes a record of grade C that waits. `ok` carries `attendance_id` (the record's id),
    `minutes`, `grade`, and `holds` where somebody else has to approve.

    Refused: `role_not_allowed`, `not_found` (member, service kind), `own_record`, `member_suspended`,
    `consent_withdrawn`, `reason_missing`, `minutes_invalid`, `id_reused`.
    """

    async def decide(fresh: list[Enter]) -> list[Answer]:
        stays = [(command.member_id, command.started_at, command.ended_at) for command in fresh]
        sitting = await sit(
            connection,
            book_id,
            keys,
            now,
            actors={command.actor_id for command in fresh},
            station_ids={command.station_id for command in fresh},
            member_ids={command.member_id for command in fresh},
        )
        sitting.others = await others(connection, book_id, sitting, stays)
        answers = [write(sitting, command) for command in fresh]
        await keep(connection, book_id, sitting)
        return answers

    return await settle(connection, book_id, "enter", commands, now, decide)


@dataclass
class Sitting(attendances.Sitting):
    """And what decides about entries."""

    keys: Keys = field(kw_only=True)
    stations: dict[UUID, Row[Any]] = field(kw_only=True)
    members: dict[UUID, Row[Any]] = field(kw_only=True)
    allowed: set[tuple[UUID, UUID]] = field(kw_only=True)
    households: dict[UUID, UUID | None] = field(kw_only=True)
    # Minutes that each actor has entered in this local month; grows while the batch is walked.
    entered: dict[UUID, int] = field(kw_only=True)
    # By stay: when the first other record begins that ends after it began, and the minutes of that day's others.
    others: dict[tuple[UUID, datetime], tuple[datetime | None, int]] = field(default_factory=dict)


async def sit(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    now: datetime,
    *,
    actors: Collection[UUID],
    station_ids: Collection[UUID],
    member_ids: Collection[UUID],
) -> Sitting:
    """Lock the members whose time it is, in order of their ids; read the rest afterwards."""
    locked = await connection.execute(
        select(member)
        .where(member.c.book_id == book_id, member.c.id.in_(member_ids))
        .order_by(member.c.id)
        .with_for_update(key_share=True)
    )
    people = {row.id: row for row in locked}
    shared = await attendances.read(connection, book_id, list(people), now)
    places = await connection.execute(
        select(station).where(station.c.book_id == book_id, station.c.id.in_(station_ids))
    )
    entered = await connection.execute(
        ENTERED, {"book_id": book_id, "actor_ids": list(actors), "since": month_start(now, shared["zone"])}
    )
    return Sitting(
        **shared,
        draw=keys.draw,
        keys=keys,
        stations={row.id: row for row in places},
        members=people,
        allowed=await access.covered_stations(connection, book_id, actors, station_ids, ENTERING_ROLES, now),
        households=await cards.households(connection, book_id, actors),
        entered={row.actor_id: row.minutes for row in entered},
    )


ENTERED = text("""
    SELECT x.actor_id, (
      SELECT coalesce(sum(r.measured_minutes), 0) FROM timebank.record AS r
      WHERE r.book_id = :book_id AND r.state <> 'rejected' AND r.id IN (
        SELECT p.id FROM timebank.punch AS p
        WHERE p.book_id = :book_id AND p.entered_by = x.actor_id AND p.source = 'manual' AND p.recorded_at >= :since
        UNION
        SELECT d.record_id FROM timebank.punch_decision AS d
        WHERE d.book_id = :book_id AND d.actor_id = x.actor_id AND d.decided_at >= :since
      )
    ) AS minutes
    FROM unnest(CAST(:actor_ids AS uuid[])) AS x (actor_id)
""")

OTHERS = text("""
    SELECT x.member_id, x.started_at, others.next_started_at, coalesce(others.minutes, 0) AS minutes
    FROM unnest(CAST(:member_ids AS uuid[]), CAST(:started_at AS timestamptz[]), CAST(:days AS date[]))
      AS x (member_id, started_at, day)
    CROSS JOIN LATERAL (
      SELECT min(r.started_at) FILTER (WHERE r.ended_at > x.started_at) AS next_started_at,
        sum(r.measured_minutes) FILTER (WHERE r.local_day = x.day) AS minutes
      FROM timebank.record AS r
      WHERE r.book_id = :book_id AND r.member_id = x.member_id AND r.local_day >= x.day - 2 AND r.state <> 'rejected'
    ) AS others
""")


async def others(
    connection: AsyncConnection, book_id: int, sitting: Sitting, stays: Sequence[tuple[UUID, datetime, datetime]]
) -> dict[tuple[UUID, datetime], tuple[datetime | None, int]]:
    """What else is recorded around these stays of members: (member, start, end) each."""
    rows = await connection.execute(
        OTHERS,
        {
            "book_id": book_id,
            "member_ids": [member_id for member_id, _, _ in stays],
            "started_at": [started_at for _, started_at, _ in stays],
            "days": [local_day(started_at, sitting.zone) for _, started_at, _ in stays],
        },
    )
    return {(row.member_id, row.started_at): (row.next_started_at, row.minutes) for row in rows}


def refusal(sitting: Sitting, command: Enter) -> Answer | None:
    """Why an entry is refused."""
    place, person = sitting.stations.get(command.station_id), sitting.members.get(command.member_id)
    if code := may_enter(sitting, command.actor_id, command.station_id, person):
        return code
    if not is_reason(command.reason):
        return Answer("reason_missing")
    if not fits(command.started_at, command.ended_at, sitting.now):
        return Answer("minutes_invalid")
    kind = sitting.kinds.get(command.service_kind_id or (place.service_kind_id if place else None))  # type: ignore[arg-type]  # None is no kind
    if kind is None or not (kind.active or command.service_kind_id is None):
        return Answer("not_found", {"kind": "service_kind"})
    return None


def may_enter(sitting: Sitting, actor_id: UUID, station_id: UUID, person: Row[Any] | None) -> Answer | None:
    """Why an actor may not say when a person served at a station."""
    if (actor_id, station_id) not in sitting.allowed:
        return Answer("role_not_allowed")
    if person is None or person.state in ("erased", "merged"):
        return Answer("not_found", {"kind": "member"})
    household_id = sitting.households.get(actor_id)
    if person.id == actor_id or (household_id is not None and person.household_id == household_id):
        return Answer("own_record")
    if person.state == "suspended":
        return Answer("member_suspended")
    return Answer("consent_withdrawn") if "service" in person.refused else None


def is_reason(reason: str) -> bool:
    """Whether it says anything that can be kept."""
    try:
        return bool(texts.lines("reason", reason, REASON_LIMIT))
    except Invalid:
        return False


def fits(started_at: datetime, ended_at: datetime, now: datetime) -> bool:
    """Whether a service can have been then."""
    return started_at < ended_at <= now and ended_at - started_at <= LONGEST and now - started_at <= OLDEST


def write(sitting: Sitting, command: Enter) -> Answer:
    """Walk one entry."""
    if refused := refusal(sitting, command):
        return refused
    place, person = sitting.stations[command.station_id], sitting.members[command.member_id]
    minutes = (command.ended_at - command.started_at) // timedelta(minutes=1)
    holds = over_quota(sitting, command.actor_id, minutes)
    sealed = seal(sitting.keys, person, command.reason)
    ends = [
        add_end(sitting, place, person, kind, id, at, command.actor_id, sealed, holds)
        for kind, id, at in (("in", command.id, command.started_at), ("out", uuid7(sitting.now), command.ended_at))
    ]
    record = make(sitting, place, ends[0], ends[1], command.service_kind_id or place.service_kind_id)
    return Answer(
        "ok",
        {
            "attendance_id": str(record["id"]),
            "station_id": str(place.id),
            "minutes": record["measured_minutes"],
            "grade": record["grade"],
            **({"holds": record["holds"]} if record["holds"] else {}),
        },
    )


def over_quota(sitting: Sitting, actor_id: UUID, minutes: int) -> list[str]:
    """Whether a manager has entered more than the month allows, with these; counts them."""
    sitting.entered[actor_id] = sitting.entered.get(actor_id, 0) + minutes
    limit = sitting.rules(sitting.now).manual_minutes_per_month
    return ["over_quota"] if sitting.entered[actor_id] > limit else []


def seal(keys: Keys, person: Row[Any], reason: str) -> bytes:
    """The reason under the person's own key."""
    return vault.seal_beside(keys, person, SEALED_AS, {"reason": texts.lines("reason", reason, REASON_LIMIT)})


def unseal(keys: Keys, person: Row[Any], sealed: bytes | None) -> str | None:
    """The reason again; None where there is none, or its person was erased."""
    if sealed is None or person.data_key is None:
        return None
    return str(vault.unseal_beside(keys, person, SEALED_AS, sealed)["reason"])


def add_end(
    sitting: Sitting,
    place: Row[Any],
    person: Row[Any],
    kind: str,
    id: UUID,
    at: datetime,
    actor_id: UUID,
    sealed: bytes,
    holds: list[str],
) -> dict[str, Any]:
    """One end of a service as a manager sets it."""
    row = {
        "book_id": sitting.book_id,
        "id": id,
        "member_id": person.id,
        "station_id": place.id,
        "device_id": None,
        "kind": kind,
        "source": "manual",
        "code": None,
        "slot": None,
        "entered_by": actor_id,
        "phone_id": None,
        "phone_time": None,
        "occurred_at": at,
        "recorded_at": sitting.now,
        "holds": holds,
        "vouched_by": None,
        "sealed_reason": binary(sealed),
    }
    sitting.punches.append(row)
    return row


def make(
    sitting: Sitting, place: Row[Any], start: dict[str, Any], end: dict[str, Any], service_kind_id: UUID
) -> dict[str, Any]:
    """The attendance and the record of two ends. A stay that is open now is left as it is, and overlaps."""
    member_id, started_at = start["member_id"], start["occurred_at"]
    open_now = sitting.present.pop(member_id, None)
    next_started_at, minutes = sitting.others.get((member_id, started_at), (None, 0))
    if open_now is not None and open_now["started_at"] < end["occurred_at"]:
        next_started_at = min(filter(None, (next_started_at, open_now["started_at"])))
    open_at(sitting, place, start, service_kind_id=service_kind_id, shift_id=None)
    stay = sitting.present[member_id]
    stay |= {"next_started_at": next_started_at, "earlier_minutes": minutes}
    record = close_at(sitting, stay, end)
    # What else of this batch is on that day comes after it.
    sitting.others[(member_id, started_at)] = (started_at, minutes + record["measured_minutes"])
    if open_now is not None:
        sitting.present[member_id] = open_now
    return record
