"""What is a member's own: who they are here, their balance, their records."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response

from api.auth import member_of, visitor_of
from api.rest.operation import (
    Answered,
    AnyRequest,
    ListPage,
    Operation,
    choice_query,
    cursor_of,
    days_query,
    following,
    give,
    limit_of,
    reading,
    shaped,
)
from api.rest.queue import Record
from api.state import bank_of
from timebank import explain, members, records
from timebank.records import Which
from timebank.tables import GRADES, RECORD_STATES


class Role(Answered, frozen=True):
    """A role on a branch of the region tree or on one station; exactly one of the two is set."""

    role: str
    region_id: UUID | None
    station_id: UUID | None


class Stay(Answered, frozen=True):
    """Where a volunteer is checked in now."""

    id: UUID
    station_id: UUID
    station_number: int
    station_zh: str
    station_en: str
    kind_zh: str
    kind_en: str
    started_at: datetime


class Purse(Answered, frozen=True):
    """Points of one fund that end on one day."""

    fund_zh: str
    fund_en: str
    points: int
    expires_on: date
    """The last day on which they can be spent."""


class Balance(Answered, frozen=True):
    """What a volunteer has."""

    minutes: int
    """Of service, verified. They are never spent and never end."""
    points: int
    """To spend."""
    held_points: int
    """Held for redemptions that wait to be picked up."""
    owed_points: int
    """Owed after a correction, because points that went back were spent; paid back out of what is earned next."""
    expiring_points: int
    """Of `points`, those that end within thirty days."""
    purses: list[Purse]
    """The points by fund and last day, the first to end first."""


class Me(Answered, frozen=True):
    """Who is signed in."""

    member_id: UUID
    name: str | None
    locale: str
    state: str
    roles: list[Role]
    balance: Balance
    stay: Stay | None
    """Where they are checked in now."""
    csrf: str
    """Goes into the header `X-CSRF-Token` of every write of this session."""


class MyRecord(Record, frozen=True):
    """A record as its volunteer sees it."""

    reason: str | None
    """What the manager wrote."""


class MyRecords(ListPage, frozen=True):
    """One page of records, the latest first."""

    records: list[MyRecord]


@reading("/me", Operation(Me))
async def me(request: AnyRequest) -> Response[Any]:
    """Who is signed in, what they have, and where they are checked in."""
    bank, session = bank_of(request), member_of(request)
    async with bank.engine.connect() as connection:
        names = await members.names(connection, bank.book_id, bank.keys, [session.member_id])
        balance = await explain.balance(connection, bank.book_id, session.member_id, bank.clock())
        stay = await records.open_stay(connection, bank.book_id, session.member_id)
    return give(
        Me(
            member_id=session.member_id,
            name=names.get(session.member_id),
            locale=session.locale,
            state=session.state,
            roles=[
                Role(role=grant.role, region_id=grant.region_id, station_id=grant.station_id)
                for grant in session.grants
            ],
            balance=msgspec.convert(balance, Balance, from_attributes=True),
            stay=shaped(stay, Stay) if stay else None,
            csrf=visitor_of(request).csrf,
        )
    )


@reading("/balance", Operation(Balance))
async def balance(request: AnyRequest) -> Response[Any]:
    """Hours, points, and until when they can be spent."""
    bank, member_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        found = await explain.balance(connection, bank.book_id, member_id, bank.clock())
    return give(msgspec.convert(found, Balance, from_attributes=True))


@reading(
    "/records",
    Operation(
        MyRecords,
        refusals=("cursor_invalid", "invalid"),
        query=("record_state", "grade", "since:day", "until:day", "cursor", "limit"),
    ),
)
async def my_records(request: AnyRequest) -> Response[Any]:
    """The volunteer's own service records, the latest first; with days, those that began on these."""
    bank, member_id = bank_of(request), member_of(request).member_id
    before, limit, (since, until) = cursor_of(request), limit_of(request), days_query(request)
    which = Which(
        state=choice_query(request, "record_state", RECORD_STATES),
        grade=choice_query(request, "grade", GRADES),
        since=since,
        until=until,
    )
    async with bank.engine.connect() as connection:
        page = await records.mine(connection, bank.book_id, member_id, which=which, before=before, limit=limit)
    found = [shaped(row, MyRecord) for row in page.rows]
    return give(MyRecords(records=found, following=following(page.following)))


handlers = [me, balance, my_records]
