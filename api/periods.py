"""Periods in addresses: the days `since` and `until`, both included, or neither."""

import re
from datetime import date

from api.problems import Problem
from timebank.periods import Period

DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def period_of(since: str | None, until: str | None) -> Period:
    """The period that an address names; an empty field leaves its side open. Raises `invalid`."""
    return Period(day_of("since", since), day_of("until", until))


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
