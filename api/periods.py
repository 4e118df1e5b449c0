"""Periods in addresses: the days `since` and `until`, both included, or neither."""

import re
from datetime import date

from api.problems import Problem
from timebank import periods
from timebank.errors import Invalid
from timebank.periods import Period

MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
YEAR = re.compile(r"[0-9]{4}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def period_of(since: str | None, until: str | None) -> Period:
    """The period that an address names; an empty field leaves its side open. Raises `invalid`."""
    return Period(day_of("since", since), day_of("until", until))


def month_of(text: str | None) -> Period | None:
    """The month that an address names, `2026-03`; None where it names none. Raises `invalid`."""
    if not text:
        return None
    if not MONTH.fullmatch(text):
        raise Problem("invalid", {"field": "month", "reason": "type"})
    first = day_of("month", f"{text}-01")
    if first is None or not periods.FIRST_YEAR <= first.year <= periods.LAST_YEAR:
        raise Invalid(field="month", reason="range")
    return periods.month(first)


def year_of(text: str | None) -> Period | None:
    """The year that an address names, `2026`; None where it names none. Raises `invalid`."""
    if not text:
        return None
    if not YEAR.fullmatch(text):
        raise Problem("invalid", {"field": "year", "reason": "type"})
    if not periods.FIRST_YEAR <= int(text) <= periods.LAST_YEAR:
        raise Invalid(field="year", reason="range")
    return periods.year(date(int(text), 1, 1))


def day_of(field: str, text: str | None) -> date | None:
    """A day as browsers and programs write it."""
    if not text:
        return None
    try:
        return date.fromisoformat(text) if DAY.fullmatch(text) else refused(field)
    except ValueError:
        return refused(field)


def refused(field: str) -> date:
    """No day at all."""
    raise Problem("invalid", {"field": field, "reason": "type"})
