"""The roll of honour: who gave the most verified hours of a period, of those who agreed to be named in public.

It is made in two steps. `ranking` sums hours and names nobody, so it may be kept for a while; `named` asks anew, each
time that somebody reads, who may be named, so that a consent that is withdrawn takes effect at once. Who is suspended,
under age or erased, or has asked to be erased, is never named, nor is anybody whose date of birth is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, Row, Select, Text, and_, cast, exists, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from timebank import access, consents, joining, limits, periods, purses, vault
from timebank.clock import local_day
from timebank.errors import NotFound
from timebank.keys import Keys
from timebank.limits import TEN_MINUTES, Limit
from timebank.periods import Period
from timebank.tables import consent, erasure, guardian, member, record, region, station

# How many are summed up, to have enough where many may not be named: whose age is not known, which is sealed.
RANKED_LIMIT = 1000
LOOKED_UP_AT_ONCE = 100
PLACES_LIMIT = 200
# Fewer do not stand on the roll of a place: it would say where and when each of them is to be found.
FEWEST_AT_A_PLACE = 5
# The words that choose the partial indexes stand in the statements themselves, so that every plan may use them.
HONOUR, VERIFIED = (literal(word, literal_execute=True) for word in (consents.HONOUR, "verified"))
SUMMED_FOR_ADDRESS = Limit("honour.address", 60, TEN_MINUTES)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose hours count: those given at a station, or at every station of a branch; without either, all of them."""

    region_id: UUID | None = None
    station_id: UUID | None = None


class Ranked(NamedTuple):
    """A member and their verified hours in a period. The begun one is left out: minutes would say too much."""

    member_id: UUID
    hours: int
    stations: tuple[str, ...] = ()
    """One or two of the stations where they served, of a roll that needs several."""


class Honoured(NamedTuple):
    """One line of the roll. Who gave as many hours shares a rank."""

    rank: int
    name: str
    hours: int


@dataclass(frozen=True, slots=True)
class Place:
    """What a scope is called, and the scopes around it: rows with `id`, `name_zh`, `name_en`, the widest first."""

    name_zh: str
    name_en: str | None
    above: Sequence[Row[Any]]
    below: Sequence[Row[Any]]
    stations: Sequence[Row[Any]]
    more: bool = False
    """Whether there are more places below than these."""


async def first_day(connection: AsyncConnection, book_id: int) -> date | None:
    """The day of the first verified record: asked station by station, so that an index answers."""
    first = (
        select(record.c.local_day)
        .where(record.c.book_id == book_id, record.c.station_id == station.c.id, record.c.state == VERIFIED)
        .order_by(record.c.local_day)
        .limit(1)
        .scalar_subquery()
    )
    day: date | None = await connection.scalar(
        select(func.min(first)).select_from(station).where(station.c.book_id == book_id)
    )
    return day


async def count_miss(engine: AsyncEngine, book_id: int, keys: Keys, address: str, now: datetime) -> None:
    """Count a roll that is summed up for a network address, in a transaction of its own; `try_later` after enough."""
    await limits.count_from(engine, book_id, keys, address, now, SUMMED_FOR_ADDRESS)


async def ranking(connection: AsyncConnection, book_id: int, scope: Scope, period: Period) -> list[Ranked]:
    """The most verified hours first, of members whose latest answer says that they may be named.

    Who may not be named for another reason that stands in clear is left out too, to leave room for the rest.
    """
    query = ranking_query(book_id, scope, period)
    return [Ranked(row.member_id, row.hours, tuple(row[2:])) for row in await connection.execute(query)]


def names_place(scope: Scope) -> bool:
    """Whether to stand on a roll says where somebody serves."""
    return scope.station_id is not None or scope.region_id is not None


def needs_several(scope: Scope, period: Period) -> bool:
    """Whether a roll stands only where those who are named served at several stations: a branch's of a month,
    which would say of the only station what its own roll does not. The bank's own roll stands anyhow: whoever agreed to
    it knows whether the bank has one station."""
    return scope.region_id is not None and period.since is not None and period == periods.month(period.since)


def ranking_query(book_id: int, scope: Scope, period: Period) -> Select[Any]:
    """What `ranking` asks."""
    answers: Any = (
        select(consent.c.member_id, consent.c.agreed, consent.c.number)
        .ext(distinct_on(consent.c.member_id))
        .where(consent.c.book_id == book_id, consent.c.purpose == HONOUR)
        .order_by(consent.c.member_id, consent.c.answered_at.desc(), consent.c.id.desc())
        .subquery()
    )
    given = (
        select(record.c.member_id, (cast(func.sum(record.c.credited_minutes), BigInteger) // 60).label("hours"))
        .where(record.c.book_id == book_id, record.c.state == VERIFIED, *served_in(book_id, scope))
        .group_by(record.c.member_id)
    )
    if period.since is not None:
        given = given.where(record.c.local_day >= period.since)
    if period.until is not None:
        given = given.where(record.c.local_day <= period.until)
    if needs_several(scope, period):
        # There is no least UUID; and by their bytes is how texts are compared fastest.
        at = cast(record.c.station_id, Text).collate("C")
        given = given.add_columns(func.min(at).label("one"), func.max(at).label("other"))
    sums = given.subquery()
    return (
        select(*sums.c)
        .join_from(sums, answers, and_(answers.c.member_id == sums.c.member_id, answers.c.agreed))
        .where(answers.c.number >= (consents.WITH_PLACES if names_place(scope) else 1))
        .join(member, and_(member.c.book_id == book_id, member.c.id == sums.c.member_id))
        .where(sums.c.hours > 0, member.c.state == "active", ~leaving())
        .order_by(sums.c.hours.desc(), sums.c.member_id)
        .limit(RANKED_LIMIT)
    )


def leaving() -> ColumnElement[bool]:
    """Whether a member has asked to be erased."""
    return exists().where(
        erasure.c.book_id == member.c.book_id, erasure.c.member_id == member.c.id, erasure.c.state == "asked"
    )


def served_in(book_id: int, scope: Scope) -> list[ColumnElement[bool]]:
    """The conditions that a record is of the scope."""
    if scope.station_id is not None:
        return [record.c.station_id == scope.station_id]
    if scope.region_id is None:
        return []
    here = (
        select(station.c.id)
        .join_from(station, region, and_(region.c.book_id == station.c.book_id, region.c.id == station.c.region_id))
        .where(station.c.book_id == book_id, access.below(scope.region_id))
    )
    return [record.c.station_id.in_(here)]


async def named(
    connection: AsyncConnection,
    book_id: int,
    keys: Keys,
    ranked: Sequence[Ranked],
    *,
    today: date,
    now: datetime,
    of_place: bool = False,
    several: bool = False,
    limit: int = 20,
) -> list[Honoured]:
    """The lines of the roll: the names of those who may be named at this moment, with their ranks among themselves.

    `of_place`: of those who agreed to be named with the places where they serve, and none at all where they are fewer
    than five. `several`: none at all where all of them served at one and the same station.
    """
    fewest, number = (FEWEST_AT_A_PLACE, consents.WITH_PLACES) if of_place else (0, 1)
    if several and not at_several(ranked):
        return []
    zone = await purses.time_zone(connection, book_id)
    under_age = exists().where(
        guardian.c.book_id == member.c.book_id, guardian.c.child_id == member.c.id, guardian.c.until > now
    )
    lines: list[Honoured] = []
    counted: list[Ranked] = []
    for first in range(0, len(ranked), LOOKED_UP_AT_ONCE):
        some = ranked[first : first + LOOKED_UP_AT_ONCE]
        agreed = await consents.may_be_named(connection, book_id, [each.member_id for each in some])
        query = select(member).where(
            member.c.book_id == book_id, member.c.id.in_(agreed), member.c.state == "active", ~under_age, ~leaving()
        )
        people = {row.id: row for row in await connection.execute(query)}
        for each in some:
            if len(lines) >= max(fewest, limit) and (at_several(counted) or not several):
                return lines[:limit]
            row, yes = people.get(each.member_id), agreed.get(each.member_id)
            if row is None or yes is None or yes.number < number:
                continue
            name = adult_name(keys, row, yes.answered_at, today, zone)
            if name is not None:
                counted.append(each)
                shared = bool(lines) and lines[-1].hours == each.hours
                lines.append(Honoured(lines[-1].rank if shared else len(lines) + 1, name, each.hours))
    return lines[:limit] if len(lines) >= fewest and (at_several(counted) or not several) else []


def at_several(ranked: Sequence[Ranked]) -> bool:
    """Whether these served at more than one station between them."""
    return len({station for each in ranked for station in each.stations}) > 1


def adult_name(keys: Keys, row: Row[Any], agreed_at: datetime, today: date, zone: ZoneInfo) -> str | None:
    """A member's name, unless something stands against naming whoever agreed at that moment."""
    fields = vault.unseal(keys, row)
    if fields is None or hindrance(fields.get("born"), agreed_at, today, zone):
        return None
    return str(fields["name"])


def hindrance(
    born: str | None,
    agreed_at: datetime,
    today: date,
    zone: ZoneInfo,
    *,
    state: str = "active",
    leaving: bool = False,
) -> str | None:
    """Why somebody who agreed is not named all the same; None where nothing stands against it.

    `suspended`; `leaving`: they are to be erased. `born_unknown`: nobody is taken for an adult unseen. `under_age`:
    today. `agreed_under_age`: whoever gave the yes, the guardian or the child, it does not outlast the childhood; they
    answer for themselves once they are 18.
    """
    if state != "active":
        return "suspended"
    if leaving:
        return "leaving"
    if not born:
        return "born_unknown"
    birthday = date.fromisoformat(born)
    if joining.is_minor(birthday, today):
        return "under_age"
    return "agreed_under_age" if joining.is_minor(birthday, local_day(agreed_at, zone)) else None


async def place(connection: AsyncConnection, book_id: int, scope: Scope) -> Place:
    """What a scope is called, and where a reader goes from it. A station's number, which its codes carry, is not said.

    Without a region or a station it is the top of the tree. `not_found` for a place that is not there.
    """
    here = None
    if scope.station_id is not None:
        query: Select[Any] = select(station.c.region_id, station.c.name_zh, station.c.name_en)
        here = (
            await connection.execute(query.where(station.c.book_id == book_id, station.c.id == scope.station_id))
        ).one_or_none()
        if here is None:
            raise NotFound(kind="station")
    region_id = here.region_id if here else scope.region_id
    top = region.c.parent_id.is_(None) if region_id is None else region.c.id == region_id
    found = (await connection.execute(select(region).where(region.c.book_id == book_id, top))).one_or_none()
    if found is None:
        if region_id is None:
            return Place("", None, [], [], [])
        raise NotFound(kind="region")
    regions: Select[Any] = select(region.c.id, region.c.name_zh, region.c.name_en).where(region.c.book_id == book_id)
    above = regions.where(region.c.id.in_(found.path)).order_by(func.array_length(region.c.path, 1))
    chain: Sequence[Row[Any]] = (await connection.execute(above)).all()
    if here is not None:
        return Place(here.name_zh, here.name_en, chain, [], [])
    below = regions.where(region.c.parent_id == found.id).order_by(region.c.code, region.c.created_at, region.c.id)
    stations: Select[Any] = (
        select(station.c.id, station.c.name_zh, station.c.name_en)
        .where(station.c.book_id == book_id, station.c.region_id == found.id)
        .order_by(station.c.number)
    )
    branches = (await connection.execute(below.limit(PLACES_LIMIT + 1))).all()
    found_here = (await connection.execute(stations.limit(PLACES_LIMIT + 1))).all()
    return Place(
        found.name_zh,
        found.name_en,
        chain[:-1],
        branches[:PLACES_LIMIT],
        found_here[:PLACES_LIMIT],
        more=max(len(branches), len(found_here)) > PLACES_LIMIT,
    )
