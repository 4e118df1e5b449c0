"""The monthly report of a station for programs."""

from datetime import date
from typing import Any

from litestar import Response
from litestar.params import FromPath

from api.auth import member_of
from api.periods import month_of
from api.rest.operation import Answered, AnyRequest, Operation, give, reading, shaped, text_query
from api.state import bank_of
from timebank import overview, periods, reports
from timebank.clock import local_day
from timebank.database import snapshot


class KindReport(Answered, frozen=True):
    """What was served of one kind."""

    name_zh: str
    name_en: str
    records: int
    people: int
    minutes: int
    points: int


class GradeReport(Answered, frozen=True):
    """What was verified on evidence of one grade."""

    grade: str
    records: int
    minutes: int


class RewardReport(Answered, frozen=True):
    """What of one reward was handed over at the station."""

    name_zh: str
    name_en: str
    pieces: int
    points: int


class Report(Answered, frozen=True):
    """A month of a station. Minutes and points are those of verified records, as they are now."""

    since: date
    until: date
    people: int
    minutes: int
    points: int
    records: int
    decided: int
    held: int
    days: dict[date, int]
    """The minutes of every day that has any."""
    kinds: list[KindReport]
    grades: list[GradeReport]
    states: dict[str, int]
    """How many records are in which state."""
    holds: dict[str, int]
    """How many records were held for which reason."""
    rewards: list[RewardReport]


@reading("/stations/{number:int}/report", Operation(Report, refusals=("not_found", "invalid"), query=("month",)))
async def report(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """What was served at a station in a month, `2026-03`; without one, in the month before this."""
    bank, actor_id, now = bank_of(request), member_of(request).member_id, bank_of(request).clock()
    period = month_of(text_query(request, "month")) or periods.month_before(local_day(now, bank.settings.time_zone))
    async with snapshot(bank.engine) as connection:
        place = await overview.place(connection, bank.book_id, number=number)
        found = await reports.of_station(connection, bank.book_id, place.id, period=period, actor_id=actor_id, now=now)
    return give(
        Report(
            since=found.first_day,
            until=found.last_day,
            people=found.people,
            minutes=found.minutes,
            points=found.points,
            records=found.records,
            decided=found.decided,
            held=found.held,
            days=found.days,
            kinds=[shaped(row, KindReport) for row in found.kinds],
            grades=[shaped(row, GradeReport) for row in found.grades],
            states=found.states,
            holds=found.holds,
            rewards=[shaped(row, RewardReport) for row in found.rewards],
        )
    )


handlers = [report]
