"""The monthly report of a station, on a page and on paper."""

from datetime import timedelta
from typing import Any

from litestar import Response, get
from litestar.params import FromPath, FromQuery

from api.pages import chart
from api.pages.desk import station_at
from api.pages.page import AnyRequest, member, show, speaker
from api.paper import press
from api.paper import report as report_paper
from api.paper.certificate import hours
from api.periods import month_of
from api.state import bank_of
from timebank import periods, reports
from timebank.clock import local_day
from timebank.database import snapshot
from timebank.reports import StationReport


async def asked(request: AnyRequest, number: int, month: str | None) -> StationReport:
    """The report of the month that an address names, of the one before this where it names none."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    place = await station_at(request, number)
    period = month_of(month) or periods.month_before(local_day(now, bank.settings.time_zone))
    async with snapshot(bank.engine) as connection:
        return await reports.of_station(
            connection, bank.book_id, place.id, period=period, actor_id=session.member_id, now=now
        )


@get("/stations/{number:int}/report")
async def report(request: AnyRequest, number: FromPath[int], month: FromQuery[str | None] = None) -> Response[Any]:
    """What was served at a station in a month."""
    found, spoken = await asked(request, number, month), speaker(request)
    days = [found.first_day + timedelta(days=number) for number in range((found.last_day - found.first_day).days + 1)]
    busiest = max(found.days, key=lambda day: found.days[day], default=None)
    first, this = found.first_day, local_day(bank_of(request).clock(), spoken.zone)
    later = periods.month_after(first) if (first.year, first.month) < (this.year, this.month) else None
    return show(
        request,
        "station/report.html",
        way="/stations",
        number=number,
        station=spoken.pick(found.station.name_zh, found.station.name_en),
        month=f"{first:%Y-%m}",
        days=report_paper.month_words(spoken, found),
        earlier=f"{periods.month_before(first).since:%Y-%m}",
        later=f"{later.since:%Y-%m}" if later else None,
        figures=report_paper.figures(spoken, found),
        bars=chart.bars([found.days.get(day, 0) for day in days]),
        width=chart.WIDTH,
        first_day=found.first_day,
        last_day=found.last_day,
        busiest=busiest,
        by_day=[(day, hours(spoken, minutes)) for day, minutes in found.days.items()],
        most=hours(spoken, found.days[busiest]) if busiest else "",
        tables=report_paper.tables(spoken, found),
    )


@get("/stations/{number:int}/report.pdf")
async def paper(request: AnyRequest, number: FromPath[int], month: FromQuery[str | None] = None) -> Response[Any]:
    """The same for the printer."""
    found = await asked(request, number, month)
    data = report_paper.data(speaker(request), found, bank_of(request).clock())
    return await press.printed("report", data, f"report-{number}-{found.first_day:%Y-%m}")


handlers = [report, paper]
