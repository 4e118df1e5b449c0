"""Check-in and check-out: an authentic scan becomes a punch that never changes; what follows from it is derived.

Only what is malformed, forged, expired, revoked or not allowed is refused. A conflict of state is kept and held for a
person: storing a scan grants nothing, so nobody is turned away at the door because of yesterday.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import completing, doors, doubts, limits, policy, shifts
from timebank.attendances import close_at, close_unconfirmed, keep, open_at
from timebank.commands import Answer, settle
from timebank.grounds import Ground, judge
from timebank.hourly import HourlyKeys
from timebank.punches import NO_DIGITS, Punch, Sitting, ending, leaving, sit

# What may have been scanned without a network, some time before it is sent: a member's phone, a kiosk.
SENT_LATER = ("late", "card")


async def check_in(
    connection: AsyncConnection,
    book_id: int,
    commands: Sequence[Punch],
    now: datetime,
    *,
    draw: bytes,
    station: HourlyKeys = NO_DIGITS,
    door: bytes = b"",
) -> list[Answer]:
    """Start services. `ok` carries `attendance_id`, `station_id`, `at`, `unconfirmed_id` where it ended another, and
    `holds` where somebody will ask.

    Held: `already_in`, `poster_alone`, whose attendance begins all the same. Refused: `code_malformed`, `code_forged`,
    `code_expired`, `device_revoked`, `card_revoked`, `poster_revoked`, `station_closed`, `member_suspended`,
    `consent_withdrawn`, `role_not_allowed`, `digits_wrong`, `try_later`, `pin_wrong`, `pin_locked`, `pin_missing`,
    `own_record`, `not_found` (service kind, station), `id_reused`.

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
    station: HourlyKeys = NO_DIGITS,
    door: bytes = b"",
) -> list[Answer]:
    """End services; each becomes a record that waits for a manager, or completes the record of one that has ended by
    itself. `ok` carries `attendance_id` (the record's id), `station_id`, `at`, `minutes`, `grade`.

    Held: `nothing_open`. Refused: as `check_in`, but who is in at a closed station can still check out.
    """

    async def decide(fresh: list[Punch]) -> list[Answer]:
        sitting = await sit(connection, book_id, fresh, now, draw, station, door)
        sitting.doubts.crowds = await doubts.crowds(
            connection, book_id, leaving(sitting, fresh), now, sitting.rules(now)
        )
        sitting.unconfirmed = await completing.read(connection, book_id, sitting, ending(sitting, fresh))
        answers = [leave(sitting, command) for command in fresh]
        await finish(connection, book_id, sitting)
        return answers

    return await settle(connection, book_id, "check_out", commands, now, decide)


def arrive(sitting: Sitting, command: Punch) -> Answer:
    """Walk one check-in."""
    ground = judge(sitting, command)
    if isinstance(ground, Answer):
        return ground
    assert command.scan is not None  # noqa: S101  refused otherwise
    place, at = ground.place, command.scan.occurred_at
    open_one = sitting.present.get(ground.member_id)
    # What is sent late does not end what began after it.
    if open_one is not None and (
        open_one["station_id"] == place.id or (ground.source in SENT_LATER and open_one["started_at"] > at)
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
    late = ground.source in SENT_LATER
    ends = completing.ends(sitting, ground.member_id, place.id, at, late=late)
    stay = None if ends else completing.stay_at(sitting.unconfirmed, ground.member_id, place.id, at)
    if not ends and stay is None:
        add_punch(sitting, command, ground, ["nothing_open"])
        return answer("held", station_id=place.id, at=at, holds=["nothing_open"])
    holds = doubts.of_scan(sitting, command, ground)
    if sitting.doubts.is_crowd(place.id, at, sitting.now, sitting.rules(at)):
        holds.append("mass_checkout")
    row = add_punch(sitting, command, ground, policy.in_order(holds))
    if stay is None:
        stay = sitting.present[ground.member_id]
        made = close_at(sitting, stay, row)
    else:
        made = completing.complete(sitting, stay, row)
    if ground.door_code_id is not None:
        sitting.doors_ended.add(ground.door_code_id)
    return answer(
        "ok",
        attendance_id=stay["id"],
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
        **kept_of_phone(sitting, command, ground.member_id),
        "occurred_at": command.scan.occurred_at,
        "recorded_at": sitting.now,
        "holds": holds,
        "vouched_by": command.vouched_by,
        "resident_id": ground.resident_id,
        "door_code_id": ground.door_code_id,
    }
    sitting.punches.append(row)
    return row


def kept_of_phone(sitting: Sitting, command: Punch, member_id: UUID) -> dict[str, Any]:
    """Which phone it was and what its clock said, unless the member does not want that kept."""
    if "location" in sitting.refused.get(member_id, ()):
        return {"phone_id": None, "phone_time": None}
    return {"phone_id": command.phone_id, "phone_time": command.phone_time}


async def finish(connection: AsyncConnection, book_id: int, sitting: Sitting) -> None:
    """Write what the batch came to, and what it used up."""
    await keep(connection, book_id, sitting)
    await completing.keep(connection, book_id, sitting)
    await limits.keep_tally(connection, book_id, sitting.tries)
    await doors.keep(connection, book_id, sitting.doors_used, sitting.doors_ended, sitting.now)
    await doubts.mark_crowds(connection, book_id, sitting.doubts.seen, sitting.now)
