"""Shifts of a station: planned, shown with who came, taken back."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import member_of
from api.problems import Problem
from api.rest.desk import station_at
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    Done,
    ListPage,
    Moment,
    Operation,
    body_of,
    command_id,
    cursor_of,
    days_query,
    following,
    give,
    id_query,
    limit_of,
    moment,
    reading,
    shaped,
    writing,
)
from api.state import bank_of
from timebank import shifts


class NewShift(Body, frozen=True):
    """A shift to come."""

    id: UUID
    """UUID version 7; the shift's id."""
    starts_at: Moment
    ends_at: Moment
    grace_minutes: Annotated[int, Meta(ge=0, le=240)] = 15
    """How much earlier or later is still in time, and how long a forgotten check-out is waited for."""
    capacity: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """How many are wanted. One that is full turns nobody away."""
    service_kind_id: UUID | None = None


class Shift(Answered, frozen=True):
    """A shift, and who came for it."""

    id: UUID
    starts_at: datetime
    ends_at: datetime
    grace_minutes: int
    capacity: int | None
    service_kind_id: UUID | None
    people: int
    """How many have checked in for it."""


class Shifts(ListPage, frozen=True):
    """One page of what is planned at a station from now on, the first to end first."""

    shifts: list[Shift]


class PlannedShift(Answered, frozen=True):
    """The shift that was planned."""

    id: UUID


@reading(
    "/stations/{number:int}/shifts",
    Operation(
        Shifts,
        refusals=("not_found", "cursor_invalid", "invalid"),
        query=("service_kind_id", "since:day", "until:day", "cursor", "limit"),
    ),
)
async def planned(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """The shifts of a station of the branch that have not ended; with days, those of them that touch these."""
    bank, place = bank_of(request), await station_at(request, number)
    now, (begins, until) = bank.clock(), days_query(request)
    async with bank.engine.connect() as connection:
        page = await shifts.planned(
            connection,
            bank.book_id,
            place.id,
            since=max(now, begins or now),
            until=until,
            kind_id=id_query(request, "service_kind_id"),
            after=cursor_of(request),
            limit=limit_of(request, 50),
        )
    return give(Shifts(shifts=[shaped(row, Shift) for row in page.rows], following=following(page.following)))


@writing("/stations/{number:int}/shifts", Operation(PlannedShift, NewShift, 201, ("not_found",)))
async def plan(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Plan a shift. Sent twice, it is planned once."""
    body, place, bank = await body_of(request, NewShift), await station_at(request, number), bank_of(request)
    starts_at, ends_at = moment("starts_at", body.starts_at), moment("ends_at", body.ends_at)
    if starts_at is None or ends_at is None:
        raise Problem("invalid", {"field": "ends_at", "reason": "missing"})
    async with bank.engine.begin() as connection:
        id = await shifts.add(
            connection,
            bank.book_id,
            station_id=place.id,
            starts_at=starts_at,
            ends_at=ends_at,
            id=command_id(body.id),
            now=bank.clock(),
            actor_id=member_of(request).member_id,
            grace_minutes=body.grace_minutes,
            capacity=body.capacity,
            service_kind_id=body.service_kind_id,
        )
    return give(PlannedShift(id=id), 201)


class ShiftCancellation(Body, frozen=True):
    """Nothing has to be said."""


@writing("/shifts/{shift_id:uuid}/cancellation", Operation(Done, ShiftCancellation, 201, ("not_found",)))
async def cancel_shift(request: AnyRequest, shift_id: FromPath[UUID]) -> Response[Any]:
    """Take a shift back. Who came for it stays checked in."""
    await body_of(request, ShiftCancellation)
    bank = bank_of(request)
    async with bank.engine.begin() as connection:
        await shifts.cancel(connection, bank.book_id, shift_id, now=bank.clock(), actor_id=member_of(request).member_id)
    return give(Done(), 201)


handlers = [planned, plan, cancel_shift]
