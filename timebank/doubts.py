"""What makes a person look at a scan: the phone, the clock, the way between two stations, everybody leaving at once.

None of it refuses anything. Each is a reason that stands with the punch and on the record, and a person decides.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import policy
from timebank.clock import local_day, month_start
from timebank.codes import AT_ONCE, SLOT_SECONDS, Scan
from timebank.policy import Rules
from timebank.rows import Query

# A phone that was seen online this long before or after is no proof that it was online in between.
JUST_NOW = timedelta(minutes=1)


class Scanned(Protocol):
    """What is asked of a command that carries a scan."""

    @property
    def scan(self) -> Scan | None: ...
    @property
    def kind(self) -> str: ...
    @property
    def phone_id(self) -> UUID | None: ...
    @property
    def phone_time(self) -> datetime | None: ...


class Grounds(Protocol):
    """What is asked of a scan that was found good."""

    @property
    def place(self) -> Row[Any]: ...
    @property
    def member_id(self) -> UUID: ...
    @property
    def source(self) -> str: ...


class Batch(Protocol):
    """What is asked of a batch."""

    now: datetime
    zone: ZoneInfo

    @property
    def doubts(self) -> "Doubts": ...

    def rules(self, at: datetime) -> Rules: ...


@dataclass
class Doubts:
    """What is known beforehand of the members, phones and stations of a batch."""

    # The last punch of each member, when it was made at a station whose position is known.
    last: dict[UUID, Row[Any]] = field(default_factory=dict)
    # Who else has used a phone lately.
    phones: dict[UUID, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    # How many late codes a member has sent in the month of the slot, and since when their phone was online.
    late: dict[UUID, int] = field(default_factory=dict)
    online: dict[UUID, datetime] = field(default_factory=dict)
    # By station: how many are leaving, and how many are in, those who leave included.
    crowds: dict[UUID, tuple[int, int]] = field(default_factory=dict)
    # The stations where everybody was seen to leave at once.
    seen: dict[UUID, Rules] = field(default_factory=dict)

    def is_crowd(self, station_id: UUID, at: datetime, now: datetime, rules: Rules) -> bool:
        """Whether a check-out is one of too many in the same moment."""
        leaving, present = self.crowds.get(station_id, (0, 0))
        if at < now - timedelta(seconds=rules.mass_checkout_seconds):
            return False
        if not policy.mass_checkout(leaving, present, rules):
            return False
        self.seen[station_id] = rules
        return True


# The last punch of each member, where any station of the batch has a position.
LAST = Query(
    text("""
    SELECT c.member_id, last.occurred_at, last.station_id, s.latitude, s.longitude
    FROM unnest(CAST(:member_ids AS uuid[])) AS c (member_id)
    CROSS JOIN LATERAL (
      SELECT p.occurred_at, p.station_id FROM timebank.punch AS p
      WHERE p.book_id = :book_id AND p.member_id = c.member_id ORDER BY p.occurred_at DESC LIMIT 1
    ) AS last
    JOIN timebank.station AS s ON s.book_id = :book_id AND s.id = last.station_id
    WHERE s.latitude IS NOT NULL
""")
)

# Whether a phone is known as somebody else's, where phones say which they are.
SHARED = Query(
    text("""
    SELECT c.phone_id, other.member_id
    FROM unnest(CAST(:member_ids AS uuid[]), CAST(:phone_ids AS uuid[])) AS c (member_id, phone_id)
    CROSS JOIN LATERAL (
      SELECT p.member_id FROM timebank.punch AS p
      WHERE p.book_id = :book_id AND p.phone_id = c.phone_id AND p.recorded_at > :since AND p.member_id <> c.member_id
      LIMIT 1
    ) AS other
""")
)

# How often each member was late in the month, and when, since the slot, the phone or the member was last live.
LATE = Query(
    text("""
    SELECT c.member_id,
      (SELECT count(*) FROM timebank.punch AS p
       WHERE p.book_id = :book_id AND p.member_id = c.member_id AND p.source = 'late'
         AND p.occurred_at >= c.month_starts_at) AS times,
      (SELECT max(p.recorded_at) FROM timebank.punch AS p
       WHERE p.book_id = :book_id AND p.member_id = c.member_id AND p.source IN ('live', 'digits')
         AND p.occurred_at > c.since AND p.recorded_at < :until) AS member_online_at,
      (SELECT max(p.recorded_at) FROM timebank.punch AS p
       WHERE p.book_id = :book_id AND p.phone_id = c.phone_id AND p.source IN ('live', 'digits')
         AND p.recorded_at > c.since AND p.recorded_at < :until) AS phone_online_at
    FROM unnest(CAST(:member_ids AS uuid[]), CAST(:phone_ids AS uuid[]), CAST(:month_starts AS timestamptz[]),
                CAST(:since AS timestamptz[])) AS c (member_id, phone_id, month_starts_at, since)
""")
)


async def read(
    connection: AsyncConnection, book_id: int, scanned: Sequence[tuple[UUID, Scanned]], batch: Any
) -> Doubts:
    """What is known of those who scanned: (member, command) each."""
    found = Doubts()
    if not scanned:
        return found
    if any(place.latitude is not None for place in batch.places.all()):
        member_ids = list({member_id for member_id, _ in scanned})
        rows = await LAST.rows(connection, book_id=book_id, member_ids=member_ids)
        found.last = {row.member_id: row for row in rows}
    pairs = {(member_id, command.phone_id) for member_id, command in scanned if command.phone_id is not None}
    for member_id, phone_id in pairs:
        if phone_id is not None:
            found.phones[phone_id].add(member_id)
    if pairs:
        since = batch.now - timedelta(hours=batch.rules(batch.now).shared_phone_hours)
        member_ids, phone_ids = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        shared = await SHARED.rows(connection, book_id=book_id, member_ids=member_ids, phone_ids=phone_ids, since=since)
        for row in shared:
            found.phones[row.phone_id].add(row.member_id)
    await read_late(connection, book_id, scanned, batch, found)
    return found


async def read_late(
    connection: AsyncConnection, book_id: int, scanned: Sequence[tuple[UUID, Scanned]], batch: Any, found: Doubts
) -> None:
    """What is known of those who send codes late, where anybody does."""
    late: dict[UUID, tuple[UUID | None, datetime]] = {}
    for member_id, command in scanned:
        if command.scan is not None and command.scan.source == "late":
            at = min(command.scan.occurred_at, late.get(member_id, (None, command.scan.occurred_at))[1])
            late[member_id] = (command.phone_id, at)
    if not late:
        return
    rows = await LATE.rows(
        connection,
        book_id=book_id,
        member_ids=list(late),
        phone_ids=[phone_id for phone_id, _ in late.values()],
        month_starts=[month_start(at, batch.zone) for _, at in late.values()],
        since=[at + timedelta(seconds=SLOT_SECONDS) + JUST_NOW for _, at in late.values()],
        until=batch.now - JUST_NOW,
    )
    for row in rows:
        found.late[row.member_id] = row.times
        seen = [at for at in (row.member_online_at, row.phone_online_at) if at is not None]
        if seen:
            found.online[row.member_id] = max(seen)


def of_scan(batch: Batch, command: Scanned, ground: Grounds) -> list[str]:
    """Why a person looks at a scan that is good, whatever it leads to. Counts it for the rest of the batch."""
    assert command.scan is not None  # noqa: S101  only good scans come here
    found, at, rules = [], command.scan.occurred_at, batch.rules(command.scan.occurred_at)
    known, member_id = batch.doubts, ground.member_id
    if ground.source == "poster":
        found.append("poster_alone")
    if command.kind == "in" and is_too_fast(known.last.get(member_id), ground.place, at, rules):
        found.append("too_fast")
    if command.phone_id is not None:
        users = known.phones[command.phone_id]
        users.add(member_id)
        if len(users) > 1:
            found.append("shared_phone")
    late = ground.source == "late"
    if late:
        known.late[member_id] = known.late.get(member_id, 0) + 1
        if known.late[member_id] > rules.late_per_month:
            found.append("over_quota")
    online_at = known.online.get(member_id) if late else None
    # A card that a desk kept for want of a network has its scanner's clock for a witness, and no other.
    kept = ground.source == "card" and command.phone_time is not None and at <= batch.now - AT_ONCE
    if (
        kept
        or (online_at is not None and online_at > at)
        or policy.clock_in_doubt(command.phone_time, at, batch.now, late=late, rules=rules)
    ):
        found.append("clock_doubt")
    return found


def is_too_fast(last: Row[Any] | None, place: Any, at: datetime, rules: Rules) -> bool:
    """Whether nobody comes from the station of the last punch to this one in that time."""
    if last is None or last.station_id == place.id or place.latitude is None:
        return False
    here, there = (place.latitude, place.longitude), (last.latitude, last.longitude)
    return policy.too_fast(there, here, at - last.occurred_at, rules)


def is_planned_day(planned: Sequence[Row[Any]], at: datetime, zone: ZoneInfo) -> bool:
    """Whether a station has a shift on the local day of `at`: on other days it expects nobody in particular."""
    return any(local_day(row.starts_at, zone) <= local_day(at, zone) <= local_day(row.ends_at, zone) for row in planned)


CROWDS = Query(
    text("""
    SELECT c.station_id,
      (SELECT count(*) FROM timebank.attendance AS a
       WHERE a.book_id = :book_id AND a.station_id = c.station_id AND a.state = 'open') AS people_in,
      (SELECT count(*) FROM timebank.punch AS p
       WHERE p.book_id = :book_id AND p.station_id = c.station_id AND p.kind = 'out' AND p.source <> 'door'
         AND p.recorded_at > :since AND p.occurred_at > :since AND NOT p.holds && ARRAY['nothing_open']) AS gone
    FROM unnest(CAST(:station_ids AS uuid[])) AS c (station_id)
""")
)


async def crowds(
    connection: AsyncConnection,
    book_id: int,
    leaving: Mapping[UUID, Sequence[datetime]],
    now: datetime,
    rules: Rules,
) -> dict[UUID, tuple[int, int]]:
    """By station: how many leave in the same moment, this batch included, and of how many who were in."""
    since = now - timedelta(seconds=rules.mass_checkout_seconds)
    if not leaving:
        return {}
    rows = await CROWDS.rows(connection, book_id=book_id, station_ids=list(leaving), since=since)
    return {
        row.station_id: (
            row.gone + sum(at >= since for at in leaving[row.station_id]),
            row.gone + row.people_in,
        )
        for row in rows
    }


# Those who left a moment before it was seen that everybody leaves are part of it.
MARK = text("""
    UPDATE timebank.record AS r SET holds = (
      SELECT array_agg(held.hold ORDER BY array_position(CAST(:hold_order AS text[]), held.hold))
      FROM unnest(r.holds || ARRAY['mass_checkout']) AS held (hold)
    )
    FROM timebank.punch AS p
    JOIN timebank.attendance AS a ON a.book_id = p.book_id AND a.out_punch_id = p.id
    WHERE p.book_id = :book_id AND p.station_id = ANY(CAST(:station_ids AS uuid[])) AND p.kind = 'out'
      AND p.source <> 'door' AND p.recorded_at > :since AND p.occurred_at > :since
      AND r.book_id = :book_id AND r.id = a.id AND r.state = 'waiting' AND NOT r.holds && ARRAY['mass_checkout']
""")


async def mark_crowds(connection: AsyncConnection, book_id: int, seen: Mapping[UUID, Rules], now: datetime) -> None:
    """Hold the records of everybody who left in a moment in which too many did."""
    if seen:
        seconds = max(rules.mass_checkout_seconds for rules in seen.values())
        await connection.execute(
            MARK,
            {
                "book_id": book_id,
                "station_ids": list(seen),
                "since": now - timedelta(seconds=seconds),
                "hold_order": list(policy.HOLD_ORDER),
            },
        )
