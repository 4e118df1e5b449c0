"""The roll of honour, for anybody: a month's or a year's, everywhere or at one place."""

from datetime import date
from typing import Any
from urllib.parse import urlencode

from litestar import Response, get

from api.pages.page import AnyRequest, show, speaker
from api.rest.honours import Roll, asked, beside
from api.state import bank_of
from timebank.clock import local_day
from timebank.honours import FEWEST_AT_A_PLACE


@get("/honour")
async def honour(request: AnyRequest) -> Response[Any]:
    """Who gave the most verified hours, of those who agreed to be named."""
    roll, spoken = await asked(request), speaker(request)
    first, by_year = roll.first_day, roll.by_year
    today = local_day(bank_of(request).clock(), spoken.zone)
    before, after = beside(first, -1, by_year=by_year), beside(first, 1, by_year=by_year)
    return show(
        request,
        "honour.html",
        way="/honour",
        roll=roll,
        days=spoken.year(first) if by_year else spoken.month(first),
        # From a year back to its last month that has begun.
        months=address(roll, min(today.replace(day=1), first.replace(month=12)) if by_year else first, by_year=False),
        years=address(roll, first, by_year=True),
        earlier=address(roll, before, by_year=by_year) if roll.began and roll.began < first else None,
        later=address(roll, after, by_year=by_year) if after <= today else None,
        period=span(first, by_year=by_year),
        year=span(first, by_year=True),
        fewest=FEWEST_AT_A_PLACE,
    )


def span(first: date, *, by_year: bool) -> str:
    """The month or year of a day, as an address has it."""
    return f"year={first.year}" if by_year else f"month={first:%Y-%m}"


def address(roll: Roll, first: date, *, by_year: bool) -> str:
    """The page of another month or year, at the same place."""
    where = {"region_id": roll.scope.region_id, "station_id": roll.scope.station_id}
    place = urlencode({name: id for name, id in where.items() if id})
    return f"/honour?{span(first, by_year=by_year)}" + (f"&{place}" if place else "")


handlers = [honour]
