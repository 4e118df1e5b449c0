"""Where the time comes from, and where the community's days and months begin.

Verbs never ask for the time; the web layer and the jobs ask a `Clock` once and hand it down.
"""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]
"""Answers the present moment, aware and in UTC."""


def system_clock() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """The day of `moment` where the community lives."""
    return moment.astimezone(zone).date()


def month_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the calendar month of `moment` began, where the community lives."""
    return moment.astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def day_start(moment: datetime, zone: ZoneInfo) -> datetime:
    """When the day of `moment` began, where the community lives."""
    return moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def period_start(period: str, moment: datetime, zone: ZoneInfo) -> datetime | None:
    """When the day, week (from Monday on), month or year of `moment` began there; None for "ever", which never did."""
    midnight = day_start(moment, zone)
    match period:
        case "day":
            return midnight
        case "week":
            return midnight - timedelta(days=midnight.weekday())
        case "month":
            return month_start(moment, zone)
        case "year":
            return midnight.replace(month=1, day=1)
    return None


class DemoClock:
    """The machine's clock moved ahead by an offset that a file keeps. For demo mode and for tests only.

    Every process that is given the same file sees the same time. The clock only moves forward: postings carry
    increasing times, and a bank whose clock went back would refuse them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> datetime:
        return system_clock() + self.offset()

    def offset(self) -> timedelta:
        """How far this clock is ahead of the machine's."""
        try:
            return timedelta(microseconds=int(self.path.read_text(encoding="ascii")))
        except FileNotFoundError:
            return timedelta()

    def advance(self, by: timedelta) -> datetime:
        """Move the clock ahead by `by` (not negative) and answer the new present moment."""
        if by < timedelta():
            raise ValueError("the clock only moves forward")
        moved = self.offset() + by
        # Written beside and renamed, so that a reader sees the old offset or the new one, never half a number.
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        beside.write_text(str(moved // timedelta(microseconds=1)), encoding="ascii")
        beside.replace(self.path)
        return self()
