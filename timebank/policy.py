"""Decisions without I/O: what may be credited, how many points, what a person has to look at.

Every rule here has its source in a policy version, which has a number and a first day.
"""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import asin, cos, radians, sin, sqrt
from uuid import UUID

# How long a hand-over at a counter can be undone, and how long its code is good for at least when it was.
UNDO_WINDOW = timedelta(minutes=10)
# How long what was redeemed at a desk waits at least: its code is on paper, and whoever holds it has to come again.
PAPER_HOLD = timedelta(days=7)
# How many may act for a member at once, for how many somebody may, for how many days one grant is good at most, and how
# many points helpers may redeem for a member in one local day, all of them together.
HELPERS_LIMIT = 3
HELPED_LIMIT = 12
HELPING_DAYS = 366
HELPER_DAY_POINTS = 200
# Of the queue: checkin.md's list, and behind it what the protocol itself leaves to a person.
HOLD_ORDER = (
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
)
# How a card scan is called once the member vouched for it: by PIN at the station, or from their own phone.
VOUCHED_CARD = "card, vouched for"
EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One policy version's rules, as stored in `policy_version.rules`.

    rate_points_per_hour: points for an hour, by the code of the service kind; `default_rate` for the others.
    rounding_minutes: credited time is rounded down to a multiple of this.
    daily_cap_minutes: the most that one person is credited for one local day.
    point_grades: the evidence grades that earn points (hours are credited for all).
    fast_track_grades: the grades that may be verified together with others, when nothing about them is held.
    life_years: points end on 31 December of the year of the check-in plus this.
    draw_percent: the share of grade A records that a person looks at all the same.

    What is looked at by a person, and from where on:
    long_day_minutes: served in one local day, this record included.
    top_speed_kmh: between two stations whose positions are known.
    shared_phone_hours: how long a phone is remembered as somebody else's.
    clock_doubt_minutes: how far a phone's clock may be off.
    late_per_month: codes of one member that are sent late, in a local month.
    manual_minutes_per_month: entered by one manager, in a local month.
    mass_checkout_people, mass_checkout_percent, mass_checkout_seconds: so many at one station, at least this share of
    those who were in, within so short a time.
    """

    default_rate: int = 60
    rate_points_per_hour: dict[str, int]
    rounding_minutes: int = 1
    daily_cap_minutes: int = 480
    point_grades: str = "ABC"
    fast_track_grades: str = "A"
    life_years: int = 1
    draw_percent: int = 5
    long_day_minutes: int = 600
    top_speed_kmh: int = 120
    shared_phone_hours: int = 12
    clock_doubt_minutes: int = 15
    late_per_month: int = 6
    manual_minutes_per_month: int = 1200
    mass_checkout_people: int = 10
    mass_checkout_percent: int = 80
    mass_checkout_seconds: int = 20


# What each number of a policy version may be, both ends included.
RANGES = {
    "default_rate": (0, 600),
    "rounding_minutes": (1, 60),
    "daily_cap_minutes": (1, 1440),
    "life_years": (0, 10),
    "draw_percent": (0, 100),
    "long_day_minutes": (1, 1440),
    "top_speed_kmh": (1, 1000),
    "shared_phone_hours": (0, 720),
    "clock_doubt_minutes": (0, 1440),
    "late_per_month": (0, 1000),
    "manual_minutes_per_month": (0, 60_000),
    "mass_checkout_people": (2, 1000),
    "mass_checkout_percent": (1, 100),
    "mass_checkout_seconds": (1, 3600),
}
RATE_HIGHEST = 600
# C is entered or confirmed by a manager and D comes from elsewhere: those are looked at one by one, whatever the rules.
FAST_TRACK_ALLOWED = "AB"


def out_of_range(rules: Rules) -> str | None:
    """The first field of the rules that cannot be what it is; None when all can."""
    for field, (lowest, highest) in RANGES.items():
        if not lowest <= getattr(rules, field) <= highest:
            return field
    if not all(0 <= rate <= RATE_HIGHEST for rate in rules.rate_points_per_hour.values()):
        return "rate_points_per_hour"
    for field, allowed in (("point_grades", "ABCD"), ("fast_track_grades", FAST_TRACK_ALLOWED)):
        grades = getattr(rules, field)
        if len(set(grades)) != len(grades) or not set(grades) <= set(allowed):
            return field
    return None


@dataclass(frozen=True, slots=True)
class Credit:
    """What a verified record earns."""

    minutes: int
    points: int
    expires_on: date


SOURCE_GRADES = {
    "live": "A",
    "digits": "A",
    VOUCHED_CARD: "A",
    "late": "B",
    "card": "B",
    "door": "B",
    "poster": "C",
    "manual": "C",
}


def source_grade(source: str) -> str:
    """The grade of one end of a service, by how the punch came (checkin.md, table of grades)."""
    return SOURCE_GRADES.get(source, "D")


def evidence(source: str, vouched: bool) -> str:
    """What `record_grade` goes by: the source, and for a card whether the member vouched for its scan."""
    return VOUCHED_CARD if source == "card" and vouched else source


def record_grade(first: str, second: str) -> str:
    """The weaker end of two; one end of A that a manager set makes B, not C."""
    grades = {source_grade(first), source_grade(second)}
    if "A" in grades and "manual" in (first, second):
        return "B"
    return max(grades)


def measured_minutes(started_at: datetime, ended_at: datetime) -> int:
    """Whole minutes between check-in and check-out, rounded down."""
    return (ended_at - started_at) // timedelta(minutes=1)


def record_holds(
    *,
    record_id: UUID,
    grade: str,
    started_at: datetime,
    ended_at: datetime,
    overlaps: bool,
    same_slot: bool,
    runs_back: bool,
    secret: bytes,
    rules: Rules,
    earlier_minutes: int = 0,
    of_punches: Collection[str] = (),
) -> list[str]:
    """Why a person has to look at this record before it is verified, in the order of checkin.md.

    `overlaps`: part of it is in another record of the member's too. `same_slot`: both ends show one code.
    `runs_back`: the check-out was scanned before the check-in was. `earlier_minutes`: of other records of that day.
    `of_punches`: what was held about its two ends.
    """
    holds = [*of_punches]
    if overlaps:
        holds.append("overlap")
    if ended_at - started_at + timedelta(minutes=earlier_minutes) > timedelta(minutes=rules.long_day_minutes):
        holds.append("long_day")
    if same_slot:
        holds.append("same_slot_again")
    if grade == "A" and drawn(secret, record_id, rules.draw_percent):
        holds.append("drawn")
    if runs_back:
        holds.append("clock_doubt")
    return in_order(holds)


def in_order(holds: Collection[str]) -> list[str]:
    """Each hold once, in the order of checkin.md."""
    return sorted(set(holds), key=HOLD_ORDER.index)


def clock_in_doubt(
    phone_time: datetime | None, occurred_at: datetime, now: datetime, *, late: bool, rules: Rules
) -> bool:
    """Whether a phone's clock does not fit what it scanned: live at some moment until `now`, late in its slot."""
    if phone_time is None:
        return False
    leeway = timedelta(minutes=rules.clock_doubt_minutes)
    return not occurred_at - leeway <= phone_time <= (occurred_at if late else now) + leeway


def distance_km(first: tuple[float, float], second: tuple[float, float]) -> float:
    """Between two places, each latitude and longitude in degrees, along the surface (haversine formula)."""
    (south, west), (north, east) = [(radians(latitude), radians(longitude)) for latitude, longitude in (first, second)]
    chord = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin((east - west) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(chord)))


def too_fast(first: tuple[float, float], second: tuple[float, float], between: timedelta, rules: Rules) -> bool:
    """Whether nobody gets from one place to the other in that time. Next door is never too far."""
    distance = distance_km(first, second)
    return distance > 1 and distance > rules.top_speed_kmh * abs(between / timedelta(hours=1))


def mass_checkout(leaving: int, present: int, rules: Rules) -> bool:
    """Whether so many of those who were in leave within a moment that a person asks; `present` includes them."""
    return leaving >= rules.mass_checkout_people and leaving * 100 >= present * rules.mass_checkout_percent


def drawn(secret: bytes, record_id: UUID, percent: int) -> bool:
    """Whether the draw takes this record. By HMAC of its id, so that nobody outside can foresee it."""
    digest = hmac.new(secret, record_id.bytes, hashlib.sha256).digest()
    return int.from_bytes(digest[:4]) % 100 < percent


def credit(
    rules: Rules, *, kind_code: str, grade: str, minutes: int, credited_that_day: int, local_day: date
) -> Credit:
    """What `minutes` of service earn: rounded once, capped by day, times the rate of the kind, rounded down."""
    room = max(0, rules.daily_cap_minutes - credited_that_day)
    credited = min(minutes - minutes % rules.rounding_minutes, room)
    rate = rules.rate_points_per_hour.get(kind_code, rules.default_rate) if grade in rules.point_grades else 0
    return Credit(credited, credited * rate // 60, expires_on(rules, local_day))


def expires_on(rules: Rules, local_day: date) -> date:
    """The last day on which points for service on `local_day` may be spent."""
    return date(local_day.year + rules.life_years, 12, 31)


def spend(purses: Sequence[tuple[UUID, date, int]], price_points: int) -> list[tuple[UUID, int]] | None:
    """How much to take from which purse, the earliest expiry first; None when all together hold too little.

    `purses` are (id, expires_on, points).
    """
    parts: list[tuple[UUID, int]] = []
    missing = price_points
    for purse_id, _, points in sorted(purses, key=lambda purse: (purse[1], purse[0])):
        taken = min(points, missing)
        if taken > 0:
            parts.append((purse_id, taken))
            missing -= taken
        if missing == 0:
            return parts
    return None
