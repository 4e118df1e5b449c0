"""The roll of honour for programs: a public screen, a community's own site."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from litestar import Response

from api.auth import address_of
from api.periods import month_of, year_of
from api.problems import Problem
from api.rest.operation import Answered, AnyRequest, Operation, give, id_query, limit_of, reading, text_query
from api.state import bank_of
from timebank import honours, periods
from timebank.clock import local_day
from timebank.honours import Honoured, Place, Scope


class HonouredVolunteer(Answered, frozen=True):
    """Somebody who agreed to be named in public."""

    rank: int
    """Who gave as many hours shares it."""
    name: str
    hours: int
    """Whole ones; the begun one is left out."""


class HonourRoll(Answered, frozen=True):
    """Who gave the most verified hours of a period. Ask again whenever it is shown: a name may be taken back."""

    since: date
    until: date
    region_id: UUID | None
    station_id: UUID | None
    place_zh: str
    place_en: str | None
    volunteers: list[HonouredVolunteer]


@dataclass(frozen=True, slots=True)
class Roll:
    """A roll that was asked for, as pages and programs show it."""

    first_day: date
    by_year: bool
    scope: Scope
    place: Place
    lines: list[Honoured]
    began: date | None
    """The day of the first record that counts anywhere."""

    @property
    def last_day(self) -> date:
        """The last day that counts."""
        return beside(self.first_day, 1, by_year=self.by_year) - timedelta(days=1)


def beside(first: date, steps: int, *, by_year: bool) -> date:
    """The first day of the month or year that lies so many after this one's, or before it."""
    if by_year:
        return date(first.year + steps, 1, 1)
    months = 12 * first.year + first.month - 1 + steps
    return date(months // 12, months % 12 + 1, 1)


async def asked(request: AnyRequest) -> Roll:
    """The roll that an address names: of a `month` or a `year`, this year where it names neither; of a `region_id` or
    a `station_id`, of everywhere where it names neither. A station has one by year alone."""
    bank, now = bank_of(request), bank_of(request).clock()
    today = local_day(now, bank.settings.time_zone)
    month, year = month_of(text_query(request, "month")), year_of(text_query(request, "year"))
    scope = Scope(id_query(request, "region_id"), id_query(request, "station_id"))
    if month and year:
        raise Problem("invalid", {"field": "year", "reason": "one_of"})
    if scope.region_id and scope.station_id:
        raise Problem("invalid", {"field": "station_id", "reason": "one_of"})
    # Of so few people as serve at one station in a month, it would say who is there when.
    if month and scope.station_id:
        raise Problem("invalid", {"field": "month", "reason": "one_of"})
    period, limit = month or year or periods.year(today), limit_of(request)
    first, last = period.since or today, period.until or today
    async with bank.engine.connect() as connection:
        place = await honours.place(connection, bank.book_id, scope)
    began = await bank.rolls.began(now)
    # Nobody has served before the first record, nor in days that have not come: no reason to add them up.
    if began is None or last < began or first > today:
        return Roll(first, month is None, scope, place, [], began)

    async def count() -> None:
        await honours.count_miss(bank.engine, bank.book_id, bank.keys, address_of(request), now)

    ranked = await bank.rolls.ranking(scope, period, now, on_miss=count)
    of_place, several = honours.names_place(scope), honours.needs_several(scope, period)
    async with bank.engine.connect() as connection:
        lines = await honours.named(
            connection,
            bank.book_id,
            bank.keys,
            ranked,
            today=today,
            now=now,
            of_place=of_place,
            several=several,
            limit=limit,
        )
    return Roll(first, month is None, scope, place, lines, began)


@reading(
    "/honour-roll",
    Operation(
        HonourRoll,
        refusals=("not_found", "invalid", "try_later"),
        query=("month:of", "year", "region_id", "station_id", "limit"),
    ),
)
async def honour_roll(request: AnyRequest) -> Response[Any]:
    """Who gave the most verified hours, of those who agreed to be named in public."""
    roll = await asked(request)
    return give(
        HonourRoll(
            since=roll.first_day,
            until=roll.last_day,
            region_id=roll.scope.region_id,
            station_id=roll.scope.station_id,
            place_zh=roll.place.name_zh,
            place_en=roll.place.name_en,
            volunteers=[HonouredVolunteer(rank=each.rank, name=each.name, hours=each.hours) for each in roll.lines],
        )
    )


handlers = [honour_roll]
