"""Check-in and check-out: an authentic scan becomes a punch that never changes; what follows from it is derived.

Only what is malformed, forged, expired, revoked or not allowed is refused. A conflict of state is kept and held for a
person: storing a scan grants nothing, so nobody is turned away at the door because of yesterday.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import codes, policies, policy, purses
from timebank.codes import CodeRefused, StationScan
from timebank.commands import Answer, settle
from timebank.policies import Version
from timebank.rows import insert_all, insert_rows, run
from timebank.tables import attendance, punch, record

# What a station stands for when its code is on a screen, and what ends a service that nobody checked out of.
BY_MANAGER = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Punch:
    """One scan, sent by the member who made it.

    `code` is what was sent, as it was sent: a repetition must repeat it. `scan` is what it said when it was read,
    and `refusal` why it said nothing (exactly one of the two is set); a repetition that comes after the code's life
    still gets the first answer.
    """

    id: UUID
    actor_id: UUID
    kind: Literal["in", "out"]
    code: str
    scan: StationScan | None
    refusal: str | None
    service_kind_id: UUID | None = None
    phone_id: UUID | None = None
    phone_time: datetime | None = None

    def content(self) -> tuple[object, ...]:
        """What the phone chose."""
        return (self.kind, self.code, self.service_kind_id, self.phone_id, self.phone_time)


def read_scan(secret: bytes, code: str, now: datetime) -> tuple[StationScan | None, str | None]:
    """What a live station code says at `now`, or the code of why it is refused: for `Punch`."""
    try:
        return codes.read_station_code(secret, code, now), None
    except CodeRefused as refused:
        return None, refused.code


async def check_in(
    connection: AsyncConnection, book_id: int, commands: Sequence[Punch], now: datetime, *, draw: bytes
) -> list[Answer]:
    """Start services. `ok` carries `attendance_id`, `station_id`, `at`, and `unconfirmed_id` where it ended another.

    Held: `already_in`. Refused: `code_malformed`, `code_forged`, `code_expired`, `device_revoked`, `station_closed`,
    `member_suspended`, `not_found` (service kind), `id_reused`. `draw` is the key of the random draw.
    """

    async def decide(fresh: list[Punch]) -> list[Answer]:
        sitting = await sit(connection, book_id, fresh, now, draw)
        answers = [arrive(sitting, command) for command in fresh]
        await keep(connection, book_id, sitting)
        return answers

    return await settle(connection, book_id, "check_in", commands, now, decide)


async def check_out(
    connection: AsyncConnection, book_id: int, commands: Sequence[Punch], now: datetime, *, draw: bytes
) -> list[Answer]:
    """End services; each becomes a record that waits for a manager. `ok` carries `attendance_id` (the record's id),
    `station_id`, `at`, `minutes`, `grade`.

    Held: `nothing_open`. Refused: as `check_in`, but who is in at a closed station can still check out.
    """

    async def decide(fresh: list[Punch]) -> list[Answer]:
        sitting = await sit(connection, book_id, fresh, now, draw)
        answers = [leave(sitting, command) for command in fresh]
        await keep(connection, book_id, sitting)
        return answers

    return await settle(connection, book_id, "check_out", commands, now, decide)


@dataclass(frozen=True)
class Terms:
    """What a stay is judged by when it ends, and a kind of service where somebody names one."""

    zone: ZoneInfo
    versions: Sequence[Version]
    kinds: dict[UUID, SimpleNamespace]


@dataclass
class Sitting:
    """What one batch reads once, and the rows that it writes once."""

    book_id: int
    now: datetime
    draw: bytes
    # None where they are not needed, as in most batches of check-ins.
    terms: Terms | None
    active: set[UUID]
    # By device number; each with its station.
    places: dict[int, SimpleNamespace]
    # The open attendance of each member who has one, as it stands while the batch is walked.
    present: dict[UUID, dict[str, Any]]
    punches: list[dict[str, Any]] = field(default_factory=list)
    opened: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    closed: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        """The community's time zone."""
        assert self.terms is not None  # noqa: S101  a stay ends
        return self.terms.zone

    @property
    def versions(self) -> Sequence[Version]:
        """The policy's versions."""
        assert self.terms is not None  # noqa: S101  a stay ends
        return self.terms.versions

    @property
    def kinds(self) -> dict[UUID, SimpleNamespace]:
        """The kinds of service."""
        assert self.terms is not None  # noqa: S101  a stay ends, or somebody names one
        return self.terms.kinds


async def sit(
    connection: AsyncConnection, book_id: int, commands: Sequence[Punch], now: datetime, draw: bytes
) -> Sitting:
    """Lock the members of a batch, in order of their ids, and read what decides; in later statements, because a
    snapshot taken before the wait for a lock is old."""
    member_ids = list({command.actor_id for command in commands})
    locked = await run(connection, LOCK, book_id, member_ids)
    devices = list({command.scan.device_number for command in commands if command.scan})
    places = await run(connection, PLACES, book_id, devices)
    present = await run(connection, PRESENT, book_id, member_ids)
    # A stay ends where somebody is there already, or comes twice in this batch.
    may_end = bool(present) or len(member_ids) < len(commands)
    needs_terms = may_end or any(command.service_kind_id for command in commands)
    return Sitting(
        book_id=book_id,
        now=now,
        draw=draw,
        terms=await read_terms(connection, book_id) if needs_terms else None,
        active={row["id"] for row in locked if row["state"] == "active"},
        places={row["device_number"]: SimpleNamespace(**row) for row in places},
        present={row["member_id"]: dict(row) for row in present},
    )


async def read_terms(connection: AsyncConnection, book_id: int) -> Terms:
    """The terms of this moment."""
    kinds = await run(connection, KINDS, book_id)
    return Terms(
        zone=await purses.time_zone(connection, book_id),
        versions=await policies.versions(connection, book_id),
        kinds={row["id"]: SimpleNamespace(**row) for row in kinds},
    )


# Arrays, and no lists of parameters: each statement is the same whatever the size of the batch, and is prepared once.
LOCK = """
    SELECT id, state FROM timebank.member WHERE book_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""
PLACES = """
    SELECT d.number AS device_number, d.id AS device_id, d.revoked_at, s.id, s.number, s.state, s.service_kind_id,
      s.name_zh, s.name_en, s.address, s.organising_unit, s.person_in_charge
    FROM timebank.device AS d
    JOIN timebank.station AS s ON s.book_id = d.book_id AND s.id = d.station_id
    WHERE d.book_id = $1 AND d.number = ANY($2::integer[])
"""
KINDS = "SELECT id, name_zh, active FROM timebank.service_kind WHERE book_id = $1"
# With everything that a record copies, so that an attendance at any station can be closed.
PRESENT = """
    SELECT a.id, a.member_id, a.station_id, a.service_kind_id, a.in_punch_id, a.started_at, p.source, p.slot,
      s.name_zh, s.name_en, s.address, s.organising_unit, s.person_in_charge
    FROM timebank.attendance AS a
    JOIN timebank.punch AS p ON p.book_id = a.book_id AND p.id = a.in_punch_id
    JOIN timebank.station AS s ON s.book_id = a.book_id AND s.id = a.station_id
    WHERE a.book_id = $1 AND a.member_id = ANY($2::uuid[]) AND a.state = 'open'
"""


def refusal(sitting: Sitting, command: Punch) -> Answer | None:
    """Why a scan is refused, in the order of the protocol."""
    if command.scan is None:
        return Answer(command.refusal or codes.CodeMalformed.code)
    place = sitting.places.get(command.scan.device_number)
    if place is None or place.revoked_at is not None or place.number != command.scan.station_number:
        return Answer("device_revoked")
    if place.state != "open" and command.kind == "in":
        return Answer("station_closed")
    if command.actor_id not in sitting.active:
        return Answer("member_suspended")
    if command.service_kind_id is not None:
        kind = sitting.kinds.get(command.service_kind_id)
        if kind is None or not kind.active:
            return Answer("not_found", {"kind": "service_kind"})
    return None


def arrive(sitting: Sitting, command: Punch) -> Answer:
    """Walk one check-in."""
    if refused := refusal(sitting, command):
        return refused
    assert command.scan is not None  # noqa: S101  refused otherwise
    place, at = sitting.places[command.scan.device_number], command.scan.occurred_at
    open_one = sitting.present.get(command.actor_id)
    if open_one is not None and open_one["station_id"] == place.id:
        add_punch(sitting, command, place, ["already_in"])
        facts = {"attendance_id": open_one["id"], "at": open_one["started_at"]}
        return answer("held", station_id=place.id, holds=["already_in"], **facts)
    facts = {}
    if open_one is not None:
        close_unconfirmed(sitting, open_one, at)
        facts["unconfirmed_id"] = open_one["id"]
    add_punch(sitting, command, place, [])
    kind_id = command.service_kind_id or place.service_kind_id
    sitting.opened[command.id] = {
        "book_id": sitting.book_id,
        "id": command.id,
        "member_id": command.actor_id,
        "station_id": place.id,
        "service_kind_id": kind_id,
        "in_punch_id": command.id,
        "out_punch_id": None,
        "started_at": at,
        "ended_at": None,
        "state": "open",
    }
    sitting.present[command.actor_id] = {
        **sitting.opened[command.id],
        "source": command.scan.source,
        "slot": command.scan.slot,
        **{name: getattr(place, name) for name in COPIED},
    }
    return answer("ok", attendance_id=command.id, station_id=place.id, at=at, **facts)


def leave(sitting: Sitting, command: Punch) -> Answer:
    """Walk one check-out."""
    if refused := refusal(sitting, command):
        return refused
    assert command.scan is not None  # noqa: S101  refused otherwise
    place, at = sitting.places[command.scan.device_number], command.scan.occurred_at
    open_one = sitting.present.get(command.actor_id)
    if open_one is None or open_one["station_id"] != place.id:
        add_punch(sitting, command, place, ["nothing_open"])
        return answer("held", station_id=place.id, at=at, holds=["nothing_open"])
    add_punch(sitting, command, place, [])
    grade = policy.record_grade(open_one["source"], command.scan.source)
    holds = []
    if at < open_one["started_at"]:
        # A page opened before the check-in and confirmed after it.
        holds.append("clock_doubt")
    ended_at = max(at, open_one["started_at"])
    rules = policies.on_day(sitting.versions, local_day(sitting, open_one)).rules
    holds += policy.record_holds(
        record_id=open_one["id"],
        grade=grade,
        started_at=open_one["started_at"],
        ended_at=ended_at,
        same_slot=open_one["slot"] == command.scan.slot,
        secret=sitting.draw,
        rules=rules,
    )
    minutes = policy.measured_minutes(open_one["started_at"], ended_at)
    close(sitting, open_one, ended_at, "closed", command.id)
    add_record(sitting, open_one, ended_at, minutes, grade, holds)
    return answer("ok", attendance_id=open_one["id"], station_id=place.id, at=at, minutes=minutes, grade=grade)


def answer(code: str, **data: Any) -> Answer:
    """An answer with ids and times as JSON has them."""
    plain = {
        name: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for name, value in data.items()
    }
    return Answer(code, plain)


def add_punch(sitting: Sitting, command: Punch, place: SimpleNamespace, holds: list[str]) -> None:
    """Keep the scan, whatever follows from it."""
    assert command.scan is not None  # noqa: S101  refused otherwise
    sitting.punches.append(
        {
            "book_id": sitting.book_id,
            "id": command.id,
            "member_id": command.actor_id,
            "station_id": place.id,
            "device_id": place.device_id,
            "kind": command.kind,
            "source": command.scan.source,
            "code": command.scan.text,
            "slot": command.scan.slot,
            "phone_id": command.phone_id,
            "phone_time": command.phone_time,
            "occurred_at": command.scan.occurred_at,
            "recorded_at": sitting.now,
            "holds": holds,
        }
    )


def close_unconfirmed(sitting: Sitting, open_one: dict[str, Any], at: datetime) -> None:
    """End a service that nobody checked out of: zero minutes, and a manager sets the end, which is why it is no
    better than B."""
    ended_at = max(at, open_one["started_at"])
    close(sitting, open_one, ended_at, "unconfirmed", None)
    grade = policy.record_grade(open_one["source"], BY_MANAGER)
    add_record(sitting, open_one, ended_at, 0, grade, [])


def close(sitting: Sitting, open_one: dict[str, Any], ended_at: datetime, state: str, punch_id: UUID | None) -> None:
    """End an attendance, one of this batch or one from before."""
    end = {"ended_at": ended_at, "state": state, "out_punch_id": punch_id}
    if open_one["id"] in sitting.opened:
        sitting.opened[open_one["id"]] |= end
    else:
        sitting.closed[open_one["id"]] = {"id": open_one["id"], **end}
    del sitting.present[open_one["member_id"]]


# The fields of a station that its records keep as they were.
COPIED = ("name_zh", "name_en", "address", "organising_unit", "person_in_charge")


def add_record(
    sitting: Sitting, open_one: dict[str, Any], ended_at: datetime, minutes: int, grade: str, holds: list[str]
) -> None:
    """Make the record of an ended attendance, under its id."""
    sitting.records.append(
        {
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
            "local_day": local_day(sitting, open_one),
            "measured_minutes": minutes,
            "grade": grade,
            "holds": holds,
            "state": "waiting",
            "points_state": "none",
            "recorded_at": sitting.now,
        }
    )


def local_day(sitting: Sitting, open_one: dict[str, Any]) -> Any:
    """The community's day of a check-in."""
    return open_one["started_at"].astimezone(sitting.zone).date()


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
