"""Spans of the community's days."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from timebank.errors import Invalid

# What people live to see; further off there are days that have no moment in UTC.
FIRST_YEAR, LAST_YEAR = 2000, 2199


@dataclass(frozen=True, slots=True)
class Period:
    """From the beginning of the day `since` to the end of the day `until`; None leaves a side open.

    Errors: `invalid` (since, until: years 2000 to 2199, and `until` not before `since`).
    """

    since: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        """Refuse what is no period."""
        for field, day in (("since", self.since), ("until", self.until)):
            if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
                raise Invalid(field=field, reason="range")
        if self.since and self.until and self.until < self.since:
            raise Invalid(field="until", reason="before_start")

    def moments(self, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
        """When it begins, and the first moment after it."""
        after = self.until + timedelta(days=1) if self.until else None
        return midnight(self.since, zone), midnight(after, zone)


EVER = Period()


def midnight(day: date | None, zone: ZoneInfo) -> datetime | None:
    """When a day begins there."""
    return datetime.combine(day, time(), zone).astimezone(UTC) if day else None


def month(today: date) -> Period:
    """The calendar month of a day."""
    return Period(today.replace(day=1), today.replace(day=monthrange(today.year, today.month)[1]))


def month_before(today: date) -> Period:
    """The calendar month before that of a day."""
    return month(today.replace(day=1) - timedelta(days=1))


def month_after(today: date) -> Period:
    """The calendar month after that of a day."""
    return month(today.replace(day=monthrange(today.year, today.month)[1]) + timedelta(days=1))


def year(today: date) -> Period:
    """The calendar year of a day."""
    return Period(date(today.year, 1, 1), date(today.year, 12, 31))
