"""What a month of one station is made of, in plain data: days, holds, scans, stays and redemptions."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

EAST = timedelta(hours=8)
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
MINUTE = timedelta(minutes=1)
STAY = 240 * MINUTE
GRADES = {"live": "A", "digits": "A", "pin": "A", "card": "B", "late": "B", "door": "B", "poster": "C", "manual": "C"}
ORDER = [
    "overlap",
    "already_in",
    "nothing_open",
    "outside_shift",
    "long_day",
    "too_fast",
    "shared_phone",
    "same_slot_again",
    "mass_checkout",
    "over_quota",
    "drawn",
    "clock_doubt",
    "poster_alone",
    "unconfirmed",
]


def day_of(at: datetime) -> date:
    """The day in Nanchang."""
    return (at + EAST).date()


def month_of(at: datetime) -> datetime:
    """When the month began there."""
    local = at + EAST
    return local.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - EAST


def ordered(holds: list[str]) -> list[str]:
    """Each once, in the order of the protocol."""
    return [hold for hold in ORDER if hold in holds]


def weaker(first: str, second: str) -> str:
    """The grade of two ends."""
    if "manual" in (first, second) and "A" in (GRADES[first], GRADES[second]):
        return "B"
    return max(GRADES[first], GRADES[second])


@dataclass
class Scan:
    """One that was kept."""

    id: UUID
    member: UUID
    station: int
    kind: str
    way: str
    at: datetime
    kept_at: datetime
    slot: int | None = None
    holds: list[str] = field(default_factory=list)


@dataclass
class Stay:
    """From one end to the other, and the record that it became."""

    id: UUID
    member: UUID
    station: int
    way: str
    slot: int | None
    start: datetime
    holds: list[str]
    state: str = "open"
    end: datetime | None = None
    minutes: int = 0
    grade: str = ""
    held: list[str] = field(default_factory=list)
    verdict: str = "none"
    credited: int | None = None
    points: int | None = None
    decided_at: datetime | None = None
    # The scan that ended it.
    out: UUID | None = None
    # Who entered an end of it: True is the station's manager, False the other one; and who when outright.
    by_hand: set[bool] = field(default_factory=set)
    entered: tuple[bool, datetime] | None = None
    # What was posted: (whose purse, its last day, points); and what waits for the fund, in which purse.
    paid: list[tuple[UUID, date, int]] = field(default_factory=list)
    waiting: int = 0
    ends_on: date | None = None
    asked: UUID | None = None

    @property
    def points_state(self) -> str:
        return "waiting" if self.waiting else "posted" if self.points else "none"


@dataclass
class Redemption:
    """Points that are held, and where they go back to."""

    id: UUID
    member: UUID
    parts: list[tuple[UUID, date, int]]
    expires_at: datetime
    number: int
    state: str = "held"
    handed: list[tuple[UUID, datetime]] = field(default_factory=list)
    undone: set[UUID] = field(default_factory=set)
