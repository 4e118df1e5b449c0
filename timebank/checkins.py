"""Check-in and check-out: an authentic scan becomes a punch that never changes; what follows from it is derived.

Only what is malformed, forged, expired, revoked or not allowed is refused. A conflict of state is kept and held for a
person: storing a scan grants nothing, so nobody is turned away at the door because of yesterday.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, attendances, cards, codes, doors, doubts, limits, places, policy, shifts
from timebank.attendances import close_at, close_unconfirmed, keep, open_at
from timebank.codes import CodeRefused, Scan
from timebank.commands import Answer, settle
from timebank.doubts import Doubts
from timebank.limits import Limit, Tally
from timebank.places import Places
from timebank.rows import run

# Whose device may scan cards.
CARD_ROLES = ("manager", "admin")
# Of the six digits on a screen, and of a door code's eight.
DIGITS_TRIES = Limit("digits", 5, limits.TEN_MINUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Punch:
    """One scan: sent by the member who made it, or, for a card, by who looks after the station where it was shown.

    `code` is what was sent, as it was sent: a repetition must repeat it, and `beside`, what else was chosen. `scan` is
    what it said when it was read, and `refusal` why it said nothing (exactly one of the two is set); a repetition that
    comes after the code's life still gets the first answer.

    `station_id` is where a card is shown, or whose home visit it is. `vouched_by`: the member's PIN was typed and is
    right; `vouch_refusal`: why it does not vouch.
    """

    id: UUID
    actor_id: UUID
    kind: Literal["in", "out"]
    code: str
    scan: Scan | None
    refusal: str | None
    service_kind_id: UUID | None = None
    phone_id: UUID | None = None
    phone_time: datetime | None = None
    station_id: UUID | None = None
    vouched_by: Literal["pin"] | None = None
    vouch_refusal: str | None = None
    beside: tuple[str, ...] = ()

    def content(self) -> tuple[object, ...]:
        """What the sender chose."""
        chosen: tuple[object, ...] = (self.kind, self.code, self.service_kind_id, self.phone_id, self.phone_time)
        return (*chosen, self.station_id, *self.beside) if self.station_id or self.beside else chosen


def read_scan(secret: bytes, code: str, now: datetime) -> tuple[Scan | None, str | None]:
    """What a live station code says at `now`, or the code of why it is refused: for `Punch`."""
    try:
        return codes.read_station_code(secret, code, now), None
    except CodeRefused as refused:
        return None, refused.code


async def check_in(
    connection: AsyncConnection,
    book_id: int,
    commands: Sequence[Punch],
    now: datetime,
    *,
    draw: bytes,
    station: bytes = b"",
    door: bytes = b"",
) -> list[Answer]:
    """Start services. `ok` carries `attendance_id`, `station_id`, `at`, `unconfirmed_id` where it ended another, and
    `holds` where somebody will ask.

    Held: `already_in`, `poster_alone`, whose attendance begins all the same. Refused: `code_malformed`, `code_forged`,
    `code_expired`, `device_revoked`, `card_revoked`, `poster_revoked`, `station_closed`, `member_suspended`,
    `role_not_allowed`, `digits_wrong`, `try_later`, `pin_wrong`, `pin_locked`, `pin_missing`, `own_record`,
    `not_found` (service kind, station), `id_reused`.

    `draw` is the key of the random draw; `station` and `door` are the keys of digits, where digits are taken.
    """

    async def decide(fresh: list[Punch]) -> list[Answer]:
        sitting = await sit(connection, book_id, fresh, now, draw, station, door)
        answers = [arrive(sitting, command) for command in fresh]
        await finish(connection, book_id, sitting)
        return answers

    return await settle(connection, book_id, "check_in", commands, now, decide)


async def check_out(
    connection: AsyncConnection,
    book_id: int,
    commands: Sequence[Punch],
    now: datetime,
    *,
    draw: bytes,
    station: bytes = b"",
    door: bytes = b"",
) -> list[Answer]:
    """End services; each becomes a record that waits for a manager. `ok` carries `attendance_id` (the record's id),
    `station_id`, `at`, `minutes`, `grade`.

    Held: `nothing_open`. Refused: as `check_in`, but who is in at a closed station can still check out.
    """

    async def decide(fresh: list[Punch]) -> list[Answer]:
        sitting = await sit(connection, book_id, fresh, now, draw, station, door)
        sitting.doubts.crowds = await doubts.crowds(
            connection, book_id, leaving(sitting, fresh), now, sitting.rules(now)
        )
        answers = [leave(sitting, command) for command in fresh]
        await finish(connection, book_id, sitting)
        return answers

    return await settle(connection, book_id, "check_out", commands, now, decide)


@dataclass
class Sitting(attendances.Sitting):
    """And what decides about scans."""

    active: set[UUID] = field(kw_only=True)
    places: Places = field(kw_only=True)
    # By card number, and by the id of the command that brought a door code.
    holders: dict[int, Row[Any]] = field(kw_only=True)
    visits: dict[UUID, Row[Any]] = field(kw_only=True)
    # (actor, station) where the actor may scan cards, and the households of those who vouch for others.
    managers: set[tuple[UUID, UUID]] = field(kw_only=True)
    households: dict[UUID, UUID | None] = field(kw_only=True)
    tries: Tally = field(kw_only=True)
    shifts: dict[UUID, list[Row[Any]]] = field(kw_only=True)
    doubts: Doubts = field(kw_only=True)
    station_key: bytes = field(kw_only=True)
    # Door codes that this batch begins to use, and ends, by whom.
    doors_used: dict[UUID, UUID] = field(default_factory=dict)
    doors_ended: set[UUID] = field(default_factory=set)


async def sit(
    connection: AsyncConnection,
    book_id: int,
    commands: Sequence[Punch],
    now: datetime,
    draw: bytes,
    station: bytes,
    door: bytes,
) -> Sitting:
    """Lock the members of a batch, in order of their ids, and read what decides; in later statements, because a
    snapshot taken before the wait for a lock is old.

    What only cards, digits and home visits need is read only where there are any.
    """
    scans = {command.id: command.scan for command in commands if command.scan}
    holders = await cards.holders(connection, book_id, {scan.card_number for scan in scans.values()} - {None})
    subjects = {command.id: subject_id(command, holders) for command in commands}
    member_ids = sorted({*subjects.values()})
    active = {row.id for row in await run(connection, LOCK, book_id, member_ids) if row.state == "active"}
    visits = await doors.named(connection, book_id, door, scans)
    station_ids = {command.station_id for command in commands if command.station_id is not None}
    station_ids |= {row.station_id for row in visits.values()}
    grounds = await places.named(connection, book_id, list(scans.values()), station_ids)
    vouching = {command.actor_id for command in commands if command.scan and command.scan.source in ("card", "door")}
    typing = [subjects[id].bytes for id, scan in scans.items() if scan.digits is not None]
    sitting = Sitting(
        **await attendances.read(connection, book_id, member_ids, now),
        draw=draw,
        station_key=station,
        active=active,
        places=grounds,
        holders=holders,
        visits=visits,
        managers=await access.covered_stations(connection, book_id, vouching, set(grounds.by_id), CARD_ROLES, now),
        households=await cards.households(connection, book_id, vouching),
        tries=await limits.tally(connection, book_id, DIGITS_TRIES, typing, now)
        if typing
        else Tally(DIGITS_TRIES, now),
        shifts={},
        doubts=Doubts(),
    )
    sitting.shifts = await shifts.near(connection, book_id, arriving(sitting, commands))
    sitting.doubts = await doubts.read(
        connection, book_id, [(subjects[command.id], command) for command in commands if command.scan], sitting
    )
    return sitting


LOCK = """
    SELECT id, state FROM timebank.member WHERE book_id = $1 AND id = ANY($2::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""


def subject_id(command: Punch, holders: dict[int, Row[Any]]) -> UUID:
    """Whose time it is: for a card shown at a station, its holder's; else the sender's."""
    scan = command.scan
    if scan is not None and scan.source == "card" and scan.card_number in holders:
        found: UUID = holders[scan.card_number].member_id
        return found
    return command.actor_id


def arriving(sitting: Sitting, commands: Sequence[Punch]) -> dict[UUID, set[datetime]]:
    """By station, when the check-ins of a batch are made there."""
    found: dict[UUID, set[datetime]] = {}
    for command in commands:
        place = place_of(sitting, command) if command.kind == "in" else None
        if place is not None and command.scan is not None and command.scan.source != "door":
            found.setdefault(place.id, set()).add(command.scan.occurred_at)
    return found


def leaving(sitting: Sitting, commands: Sequence[Punch]) -> dict[UUID, list[datetime]]:
    """By station, when the check-outs of a batch are made there, where a crowd could be seen."""
    found: dict[UUID, list[datetime]] = {}
    for command in commands:
        place = place_of(sitting, command)
        if place is not None and command.scan is not None and command.scan.source != "door":
            found.setdefault(place.id, []).append(command.scan.occurred_at)
    return found


def place_of(sitting: Sitting, command: Punch) -> Row[Any] | None:
    """The station of a scan, whether or not it is good."""
    if command.scan is None:
        return None
    visit = sitting.visits.get(command.id)
    return sitting.places.of(command.scan, visit.station_id if visit else command.station_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a good scan was made, and whose it is."""

    place: Row[Any]
    member_id: UUID
    service_kind_id: UUID
    source: str
    device_id: UUID | None = None
    slot: int | None = None
    resident_id: UUID | None = None
    door_code_id: UUID | None = None


def judge(sitting: Sitting, command: Punch) -> Answer | Ground:
    """Why a scan is refused, in the order of the protocol; or what it stands on."""
    scan = command.scan
    if scan is None:
        return Answer(command.refusal or codes.CodeMalformed.code)
    place, visit = place_of(sitting, command), sitting.visits.get(command.id)
    if visit is not None and not doors.is_open(visit, command, sitting.doors_used, sitting.doors_ended, sitting.now):
        return Answer("code_expired")
    holder = sitting.holders.get(scan.card_number) if scan.card_number is not None else None
    if code := revoked(sitting, scan, place, holder):
        return Answer(code)
    if place is not None and place.state != "open" and command.kind == "in":
        return Answer("station_closed")
    member_id = subject_id(command, sitting.holders)
    if member_id not in sitting.active:
        return Answer("member_suspended")
    if scan.source == "card" and (place is None or (command.actor_id, place.id) not in sitting.managers):
        return Answer("role_not_allowed")
    device_id, slot = place.device_id if scan.device_number is not None and place is not None else None, scan.slot
    if scan.digits is not None:
        shown = None
        if place is not None and scan.source == "digits":
            shown = sitting.places.screen_of(sitting.station_key, place, scan.digits, sitting.now)
        if answer := guessed(sitting, member_id, right=shown is not None or visit is not None):
            return answer
        device_id, slot = shown or (None, None)
    if command.vouch_refusal is not None:
        return Answer(command.vouch_refusal)
    if place is None:
        return Answer("not_found", {"kind": "station"})
    if refused := vouches_for_own(sitting, command, holder, visit, place):
        return refused
    kind = sitting.kinds.get(command.service_kind_id or place.service_kind_id)
    if kind is None or not (kind.active or command.service_kind_id is None):
        return Answer("not_found", {"kind": "service_kind"})
    return Ground(
        place=place,
        member_id=member_id,
        service_kind_id=kind.id,
        source=scan.source,
        device_id=device_id,
        slot=slot,
        resident_id=(visit.resident_id if visit else holder.member_id if holder else None)
        if scan.source == "door"
        else None,
        door_code_id=visit.id if visit else None,
    )


def revoked(sitting: Sitting, scan: Scan, place: Row[Any] | None, holder: Row[Any] | None) -> str | None:
    """Whether what was scanned has been taken out of use since it was made."""
    if scan.device_number is not None and (
        place is None or place.revoked_at is not None or place.number != scan.station_number
    ):
        return "device_revoked"
    if scan.card_number is not None and (holder is None or holder.revoked_at is not None):
        return "card_revoked"
    if scan.poster_number is not None and (
        place is None or (place.id, scan.poster_number) not in sitting.places.posters
    ):
        return "poster_revoked"
    return None


def guessed(sitting: Sitting, member_id: UUID, *, right: bool) -> Answer | None:
    """The refusal of typed digits. After too many wrong ones they are not even compared: nobody learns by guessing."""
    seconds = sitting.tries.seconds_to_wait(member_id.bytes)
    if seconds is not None:
        return Answer("try_later", {"seconds": seconds})
    if not right:
        sitting.tries.fail(member_id.bytes)
        return Answer("digits_wrong")
    return None


def vouches_for_own(
    sitting: Sitting, command: Punch, holder: Row[Any] | None, visit: Row[Any] | None, place: Row[Any]
) -> Answer | None:
    """Nobody vouches for himself or his household: not by scanning their card, not by visiting them."""
    other = visit or holder
    if other is None:
        return None
    household_id = sitting.households.get(command.actor_id)
    if other.member_id == command.actor_id or (household_id is not None and other.household_id == household_id):
        return Answer("own_record")
    # A resident is visited by the stations of where they live.
    at_the_door = visit is None and command.scan is not None and command.scan.source == "door"
    if at_the_door and place.region_id not in other.path:
        return Answer("not_found", {"kind": "station"})
    return None


def arrive(sitting: Sitting, command: Punch) -> Answer:
    """Walk one check-in."""
    ground = judge(sitting, command)
    if isinstance(ground, Answer):
        return ground
    assert command.scan is not None  # noqa: S101  refused otherwise
    place, at = ground.place, command.scan.occurred_at
    open_one = sitting.present.get(ground.member_id)
    # A code that is sent late does not end what began after it.
    if open_one is not None and (
        open_one["station_id"] == place.id or (ground.source == "late" and open_one["started_at"] > at)
    ):
        add_punch(sitting, command, ground, ["already_in"])
        facts = {"attendance_id": open_one["id"], "at": open_one["started_at"]}
        return answer("held", station_id=place.id, holds=["already_in"], **facts)
    facts = {}
    if open_one is not None:
        close_unconfirmed(sitting, open_one, at)
        facts["unconfirmed_id"] = open_one["id"]
    holds = doubts.of_scan(sitting, command, ground)
    planned = sitting.shifts.get(place.id, []) if ground.source != "door" else []
    shift = shifts.at(planned, at)
    if shift is None and doubts.is_planned_day(planned, at, sitting.zone):
        holds.append("outside_shift")
    row = add_punch(sitting, command, ground, policy.in_order(holds))
    open_at(sitting, place, row, service_kind_id=ground.service_kind_id, shift_id=shift.id if shift else None)
    if ground.door_code_id is not None:
        sitting.doors_used[ground.door_code_id] = ground.member_id
    if row["holds"]:
        facts["holds"] = row["holds"]
    if shift is not None:
        facts["arrival"] = shifts.arrival(shift, at)
    code = "held" if "poster_alone" in holds else "ok"
    return answer(code, attendance_id=command.id, station_id=place.id, at=at, **facts)


def leave(sitting: Sitting, command: Punch) -> Answer:
    """Walk one check-out."""
    ground = judge(sitting, command)
    if isinstance(ground, Answer):
        return ground
    assert command.scan is not None  # noqa: S101  refused otherwise
    place, at = ground.place, command.scan.occurred_at
    open_one = sitting.present.get(ground.member_id)
    if (
        open_one is None
        or open_one["station_id"] != place.id
        or (ground.source == "late" and open_one["started_at"] > at)
    ):
        add_punch(sitting, command, ground, ["nothing_open"])
        return answer("held", station_id=place.id, at=at, holds=["nothing_open"])
    holds = doubts.of_scan(sitting, command, ground)
    if sitting.doubts.is_crowd(place.id, at, sitting.now, sitting.rules(at)):
        holds.append("mass_checkout")
    row = add_punch(sitting, command, ground, policy.in_order(holds))
    made = close_at(sitting, open_one, row)
    if ground.door_code_id is not None:
        sitting.doors_ended.add(ground.door_code_id)
    return answer(
        "ok",
        attendance_id=open_one["id"],
        station_id=place.id,
        at=at,
        minutes=made["measured_minutes"],
        grade=made["grade"],
        # Not those of the record: who is drawn does not learn of it beforehand.
        **({"holds": row["holds"]} if row["holds"] else {}),
    )


def answer(code: str, **data: Any) -> Answer:
    """An answer with ids and times as JSON has them."""
    plain = {
        name: value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, UUID) else value
        for name, value in data.items()
    }
    return Answer(code, plain)


def add_punch(sitting: Sitting, command: Punch, ground: Ground, holds: list[str]) -> dict[str, Any]:
    """Keep the scan, whatever follows from it."""
    assert command.scan is not None  # noqa: S101  refused otherwise
    row = {
        "book_id": sitting.book_id,
        "id": command.id,
        "member_id": ground.member_id,
        "station_id": ground.place.id,
        "device_id": ground.device_id,
        "kind": command.kind,
        "source": ground.source,
        "code": command.scan.text,
        "slot": ground.slot,
        "entered_by": command.actor_id if command.actor_id != ground.member_id else None,
        "phone_id": command.phone_id,
        "phone_time": command.phone_time,
        "occurred_at": command.scan.occurred_at,
        "recorded_at": sitting.now,
        "holds": holds,
        "vouched_by": command.vouched_by,
        "resident_id": ground.resident_id,
        "door_code_id": ground.door_code_id,
    }
    sitting.punches.append(row)
    return row


async def finish(connection: AsyncConnection, book_id: int, sitting: Sitting) -> None:
    """Write what the batch came to, and what it used up."""
    await keep(connection, book_id, sitting)
    await limits.keep_tally(connection, book_id, sitting.tries)
    await doors.keep(connection, book_id, sitting.doors_used, sitting.doors_ended, sitting.now)
    await doubts.mark_crowds(connection, book_id, sitting.doubts.seen, sitting.now)
