"""A station's desk: who is in, services that are entered, and codes for doors and walls."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import member_of
from api.problems import Problem
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    ListPage,
    Moment,
    Operation,
    ShortText,
    body_of,
    command_id,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    moment,
    reading,
    settled,
    shaped,
    writing,
)
from api.state import bank_of
from timebank import access, cards, catalogue, codes, doors, members, overview, posters, presence
from timebank.manual import Enter
from timebank.punches import CARD_ROLES

Reason = Annotated[str, Meta(max_length=500)]
# What a member may not be found by.
NAMING = ("not_found", "code_malformed", "code_forged", "card_revoked")
ENTERED = (
    *NAMING,
    "role_not_allowed",
    "member_suspended",
    "own_record",
    "reason_missing",
    "minutes_invalid",
    "id_reused",
)


class Entry(Body, frozen=True):
    """A whole service that was not scanned."""

    id: UUID
    """UUID version 7; the record's id."""
    member: ShortText
    """The member's phone number, their card as scanned, or their member number."""
    started_at: Moment
    ended_at: Moment
    reason: Reason
    """Why nothing was scanned. Kept under the member's own key."""
    service_kind_id: UUID | None = None


class Present(Answered, frozen=True):
    """Somebody who is checked in."""

    attendance_id: UUID
    name: str | None
    """The first character."""
    started_at: datetime
    source: str
    """How they came in."""
    holds: list[str]


class People(ListPage, frozen=True):
    """One page of who is at the station, the first first."""

    people: list[Present]


class DoorRequest(Body, frozen=True):
    """A home visit to come."""

    id: UUID
    """UUID version 7; sent twice, it is one code."""
    resident: ShortText
    """The resident's phone number, their card as scanned, or their member number."""


class DoorCode(Answered, frozen=True):
    """What the resident reads out at the door."""

    digits: str
    expires_at: datetime


class Print(Body, frozen=True):
    """A new poster."""

    id: UUID
    """UUID version 7; sent twice, it is one poster."""


class Poster(Answered, frozen=True):
    """What is printed for the wall. The posters before it are out of use."""

    number: int
    code: str


async def station_at(request: AnyRequest, number: int) -> Any:
    """The station of the branch with this number; raises `not_found`."""
    bank, actor_id, now = bank_of(request), member_of(request).member_id, bank_of(request).clock()
    async with bank.engine.connect() as connection:
        place = await overview.place(connection, bank.book_id, number=number)
        return await access.visible_station(
            connection, bank.book_id, place.id, actor_id=actor_id, roles=CARD_ROLES, now=now
        )


async def named(request: AnyRequest, text: str) -> UUID:
    """The member who is named by phone number or card; raises what is wrong with the name."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        row = await cards.find(connection, bank.book_id, bank.keys, text, bank.clock())
    found: UUID = row.id
    return found


@reading(
    "/stations/{number:int}/people",
    Operation(People, refusals=("not_found", "cursor_invalid", "invalid"), query=("shift_id", "cursor", "limit")),
)
async def people(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Who is checked in at a station of the branch."""
    bank, place = bank_of(request), await station_at(request, number)
    async with bank.engine.connect() as connection:
        page = await presence.who_is_in(
            connection,
            bank.book_id,
            place.id,
            shift_id=id_query(request, "shift_id"),
            after=cursor_of(request),
            limit=limit_of(request, 50),
        )
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in page.rows])
    found = [
        shaped(row, Present, attendance_id=row.id, name=catalogue.masked(names.get(row.member_id, "")) or None)
        for row in page.rows
    ]
    return give(People(people=found, following=following(page.following)))


@writing("/stations/{number:int}/entries", Operation(CommandAnswer, Entry, 201, ENTERED))
async def enter(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Enter a service that was not scanned. `data`: `attendance_id` (the record's id), `minutes`, `grade`, `holds`."""
    body, place = await body_of(request, Entry), await station_at(request, number)
    started_at, ended_at = moment("started_at", body.started_at), moment("ended_at", body.ended_at)
    if started_at is None or ended_at is None:
        raise Problem("minutes_invalid")
    command = Enter(
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        station_id=place.id,
        member_id=await named(request, body.member),
        started_at=started_at,
        ended_at=ended_at,
        reason=body.reason,
        service_kind_id=body.service_kind_id,
    )
    return settled(command.id, await bank_of(request).commits.enter.submit(command))


@writing("/stations/{number:int}/door-codes", Operation(DoorCode, DoorRequest, 201, NAMING))
async def issue_door_code(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A one-time code for a visit to a resident, good for a day."""
    body, place, bank = await body_of(request, DoorRequest), await station_at(request, number), bank_of(request)
    resident_id = await named(request, body.resident)
    async with bank.engine.begin() as connection:
        digits, expires_at = await doors.issue(
            connection,
            bank.book_id,
            bank.keys,
            station_id=place.id,
            resident_id=resident_id,
            id=command_id(body.id),
            now=bank.clock(),
            actor_id=member_of(request).member_id,
        )
    return give(DoorCode(digits=digits, expires_at=expires_at), 201)


@writing("/stations/{number:int}/posters", Operation(Poster, Print, 201, ("not_found",)))
async def print_poster(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A new poster for the station's wall."""
    body, place, bank = await body_of(request, Print), await station_at(request, number), bank_of(request)
    async with bank.engine.begin() as connection:
        row = await posters.replace(
            connection,
            bank.book_id,
            place.id,
            id=command_id(body.id),
            now=bank.clock(),
            actor_id=member_of(request).member_id,
        )
    return give(Poster(number=row.number, code=f"/S/{codes.poster_code(bank.keys.poster, number, row.number)}"), 201)


handlers = [people, enter, issue_door_code, print_poster]
