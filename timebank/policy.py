"""Decisions without I/O: what may be credited, how many points, what a person has to look at.

Every rule here has its source in a policy version, which has a number and a first day.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

LONG_DAY = timedelta(hours=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One policy version's rules, as stored in `policy_version.rules`.

    rate_points_per_hour: points for an hour, by the code of the service kind; `default_rate` for the others.
    rounding_minutes: credited time is rounded down to a multiple of this.
    daily_cap_minutes: the most that one person is credited for one local day.
    point_grades: the evidence grades that earn points (hours are credited for all).
    life_years: points end on 31 December of the year of the check-in plus this.
    draw_percent: the share of grade A records that a person looks at all the same.
    """

    default_rate: int = 60
    rate_points_per_hour: dict[str, int]
    rounding_minutes: int = 1
    daily_cap_minutes: int = 480
    point_grades: str = "ABC"
    life_years: int = 1
    draw_percent: int = 5


@dataclass(frozen=True, slots=True)
class Credit:
    """What a verified record earns."""

    minutes: int
    points: int
    expires_on: date


def source_grade(source: str) -> str:
    """The grade of one end of a service, by how the punch came (checkin.md, table of grades)."""
    return {"live": "A", "digits": "A", "late": "B", "card": "B", "door": "B", "poster": "C", "manual": "C"}.get(
        source, "D"
    )


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
) -> list[str]:
    """Why a person has to look at this record before it is verified, in the order of checkin.md.

    `overlaps`: part of it is in another record of the member's too. `same_slot`: both ends show one code.
    `runs_back`: the check-out was scanned before the check-in was.
    """
    holds = []
    if overlaps:
        holds.append("overlap")
    if ended_at - started_at > LONG_DAY:
        holds.append("long_day")
    if same_slot:
        holds.append("same_slot_again")
    if grade == "A" and drawn(secret, record_id, rules.draw_percent):
        holds.append("drawn")
    if runs_back:
        holds.append("clock_doubt")
    return holds


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
