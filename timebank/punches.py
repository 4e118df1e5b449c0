"""Scans as they are sent, and what is read once about a batch of them before any is judged."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import access, attendances, cards, codes, doors, doubts, limits, places, shifts
from timebank.codes import CodeRefused, Scan
from timebank.doubts import Doubts
from timebank.hourly import HourlyKeys
from timebank.limits import Limit, Tally
from timebank.places import Places
from timebank.rows import run

# Whose device may scan cards.
CARD_ROLES = ("manager", "admin")
# Of the six digits on a screen, and of a door code's eight.
DIGITS_TRIES = Limit("digits", 5, limits.TEN_MINUTES)
# Where no digits are taken.
NO_DIGITS = HourlyKeys(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Punch:
    """One scan: sent by the member who made it, or, for a card, by who looks after the station where it was shown.

    `code` is what was sent, as it was sent: a repetition must repeat it, and `beside`, what else was chosen. `scan` is
    what it said when it was read, and `refusal` why it said nothing (exactly one of the two is set); a repetition that
    comes after the code's life still gets the first answer.

    `station_id` is where a card is shown, or whose home visit it is. `device_id`: the station's kiosk scanned it, which
    was recognised by its own key, and it is sent in the holder's name. `vouched_by`: the member's PIN was typed and is
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
    device_id: UUID | None = None
    vouched_by: Literal["pin"] | None = None
    vouch_refusal: str | None = None
    beside: tuple[str, ...] = ()

    def content(self) -> tuple[object, ...]:
        """What the sender chose."""
        chosen: tuple[object, ...] = (self.kind, self.code, self.service_kind_id, self.phone_id, self.phone_time)
        return (*chosen, self.station_id, *self.beside) if self.station_id or self.beside else chosen


def read_scan(keys: HourlyKeys, code: str, now: datetime) -> tuple[Scan | None, str | None]:
    """What a live station code says at `now`, or the code of why it is refused: for `Punch`."""
    try:
        return codes.read_station_code(keys, code, now), None
    except CodeRefused as refused:
        return None, refused.code


@dataclass
class Sitting(attendances.Sitting):
    """And what decides about scans."""

    active: set[UUID] = field(kw_only=True)
    # By member: the purposes whose consent was withdrawn.
    refused: dict[UUID, set[str]] = field(kw_only=True)
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
    station_keys: HourlyKeys = field(kw_only=True)
    # By member: stays that ended by themselves and wait, for check-outs that come after that.
    unconfirmed: dict[UUID, list[dict[str, Any]]] = field(default_factory=dict)
    # Door codes that this batch begins to use, and ends, by whom.
    doors_used: dict[UUID, UUID] = field(default_factory=dict)
    doors_ended: set[UUID] = field(default_factory=set)


async def sit(
    connection: AsyncConnection,
    book_id: int,
    commands: Sequence[Punch],
    now: datetime,
    draw: bytes,
    station: HourlyKeys,
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
    people = await run(connection, LOCK, book_id, member_ids)
    active = {row.id for row in people if row.state == "active"}
    visits = await doors.named(connection, book_id, door, scans)
    station_ids = {command.station_id for command in commands if command.station_id is not None}
    station_ids |= {row.station_id for row in visits.values()}
    grounds = await places.named(connection, book_id, list(scans.values()), station_ids)
    vouching = {command.actor_id for command in commands if command.scan and command.scan.source in ("card", "door")}
    typing = [subjects[id].bytes for id, scan in scans.items() if scan.digits is not None]
    sitting = Sitting(
        **await attendances.read(connection, book_id, member_ids, now),
        draw=draw,
        station_keys=station,
        active=active,
        refused={row.id: set(row.refused) for row in people if row.refused},
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
    SELECT id, state, refused FROM timebank.member WHERE book_id = $1 AND id = ANY($2::uuid[])
    ORDER BY id FOR NO KEY UPDATE
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


def ending(sitting: Sitting, commands: Sequence[Punch]) -> list[tuple[UUID, UUID, datetime]]:
    """Whose check-outs a batch makes, where and when."""
    found = []
    for command in commands:
        place = place_of(sitting, command)
        if place is not None and command.scan is not None:
            found.append((subject_id(command, sitting.holders), place.id, command.scan.occurred_at))
    return found


def place_of(sitting: Sitting, command: Punch) -> Row[Any] | None:
    """The station of a scan, whether or not it is good."""
    if command.scan is None:
        return None
    visit = sitting.visits.get(command.id)
    return sitting.places.of(command.scan, visit.station_id if visit else command.station_id)
