"""A station's desk: who is in, cards that are scanned there, services that are entered, codes for doors and walls, and
scans that led to nothing."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta

from api.auth import member_of
from api.problems import Problem
from api.rest.checkins import Code, Digits, check_sender
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
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
from api.vouching import card_punch
from timebank import access, astray, cards, catalogue, codes, doors, members, overview, pins, posters, presence
from timebank.astray import Settle
from timebank.manual import Enter
from timebank.punches import CARD_ROLES

Reason = Annotated[str, Meta(max_length=500)]
SCANNED = (
    "code_malformed",
    "code_forged",
    "code_expired",
    "other_member",
    "card_revoked",
    "station_closed",
    "member_suspended",
    "role_not_allowed",
    "pin_wrong",
    "pin_locked",
    "pin_missing",
    "own_record",
    "not_found",
    "id_reused",
)
ENTERED = (
    "role_not_allowed",
    "not_found",
    "member_suspended",
    "own_record",
    "reason_missing",
    "minutes_invalid",
    "card_revoked",
    "code_forged",
    "id_reused",
)
SETTLED = (
    "not_found",
    "own_record",
    "member_suspended",
    "already_decided",
    "reason_missing",
    "minutes_invalid",
    "id_reused",
)


class CardScan(Body, frozen=True):
    """A member's card, shown at the station."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    kind: Literal["in", "out"]
    code: Code
    """The card as scanned."""
    pin: Digits | None = None
    """The member's PIN, typed by the member: with it the scan is of grade A, without it of grade B until the member
    confirms it from their own phone."""
    service_kind_id: UUID | None = None
    scanned_at: Moment | None = None
    """When, by the sender's clock, where there was no network; within 72 hours. What is under two minutes old counts
    as scanned now, and anything else is looked at."""
    member_id: UUID | None = None
    """Who scanned it, where it was kept: sent by anybody else, it is refused and nothing is remembered."""


class Entry(Body, frozen=True):
    """A whole service that was not scanned."""

    id: UUID
    """UUID version 7; the record's id."""
    member: ShortText
    """The member's phone number, or their card as scanned."""
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


class People(Answered, frozen=True):
    """One page of who is at the station, the first first."""

    people: list[Present]
    following: str | None
    """The cursor of the next page; null on the last."""


class DoorRequest(Body, frozen=True):
    """A home visit to come."""

    id: UUID
    """UUID version 7; sent twice, it is one code."""
    resident: ShortText
    """The resident's phone number, or their card as scanned."""


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


class MemberNamed(Body, frozen=True):
    """A member, by phone number or card."""

    id: UUID
    """UUID version 7; sent twice, it is done once."""
    member: ShortText


class IssuedCard(Answered, frozen=True):
    """What is printed on the card. The one before it is out of use."""

    code: str


class Done(Answered, frozen=True):
    """It is done."""

    code: str = "ok"


class Astray(Answered, frozen=True):
    """A scan that was kept and led to nothing by itself."""

    id: UUID
    member_id: UUID
    member_name: str | None
    station_number: int
    station_zh: str
    station_en: str
    kind: str
    source: str
    occurred_at: datetime
    holds: list[str]


class AstrayScans(Answered, frozen=True):
    """One page of what waits for this manager, the oldest first."""

    scans: list[Astray]
    following: str | None
    """The cursor of the next page; null on the last."""


class AstrayDecision(Body, frozen=True):
    """What becomes of a scan."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    verdict: Literal["enter", "dismiss"]
    """`enter`: it is one end of a service, whose other end is `other_at`. `dismiss`: it is laid aside."""
    reason: Reason
    other_at: Moment | None = None


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
    Operation(People, refusals=("not_found", "cursor_invalid", "invalid"), query=("cursor", "limit")),
)
async def people(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Who is checked in at a station of the branch."""
    bank, place = bank_of(request), await station_at(request, number)
    async with bank.engine.connect() as connection:
        page = await presence.who_is_in(
            connection, bank.book_id, place.id, after=cursor_of(request), limit=limit_of(request, 50)
        )
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in page.rows])
    found = [
        shaped(row, Present, attendance_id=row.id, name=catalogue.masked(names.get(row.member_id, "")) or None)
        for row in page.rows
    ]
    return give(People(people=found, following=following(page.following)))


@writing("/stations/{number:int}/card-scans", Operation(CommandAnswer, CardScan, 201, SCANNED))
async def scan_card(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Check a member in or out by the card that they show at the station. `data` as for a check-in or check-out."""
    body = await body_of(request, CardScan)
    check_sender(request, body.member_id)
    place = await station_at(request, number)
    command = await card_punch(
        bank_of(request),
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        station_id=place.id,
        kind=body.kind,
        code=body.code,
        pin=body.pin,
        service_kind_id=body.service_kind_id,
        scanned_at=moment("scanned_at", body.scanned_at),
    )
    commits = bank_of(request).commits
    committer = commits.check_in if body.kind == "in" else commits.check_out
    return settled(command.id, await committer.submit(command))


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


@writing("/stations/{number:int}/door-codes", Operation(DoorCode, DoorRequest, 201, ("not_found", "card_revoked")))
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


@writing("/cards", Operation(IssuedCard, MemberNamed, 201, ("not_found", "card_revoked")))
async def issue_card(request: AnyRequest) -> Response[Any]:
    """Give a member whom one serves a card; a lost one is replaced in the same step."""
    body, bank = await body_of(request, MemberNamed), bank_of(request)
    member_id = await named(request, body.member)
    async with bank.engine.begin() as connection:
        row = await cards.issue(
            connection,
            bank.book_id,
            member_id,
            id=command_id(body.id),
            now=bank.clock(),
            actor_id=member_of(request).member_id,
        )
    return give(IssuedCard(code=f"/C/{codes.card_code(bank.keys.card, row.number)}"), 201)


@writing("/pin-resets", Operation(Done, MemberNamed, 201, ("not_found", "card_revoked", "role_not_allowed")))
async def reset_pin(request: AnyRequest) -> Response[Any]:
    """Forget the PIN of a member whom one serves, so that the member can type a new one."""
    body, bank = await body_of(request, MemberNamed), bank_of(request)
    member_id = await named(request, body.member)
    async with bank.engine.begin() as connection:
        await pins.reset(connection, bank.book_id, member_id, now=bank.clock(), actor_id=member_of(request).member_id)
    return give(Done(), 201)


@reading(
    "/astray-scans",
    Operation(AstrayScans, refusals=("cursor_invalid", "invalid"), query=("station_id", "cursor", "limit")),
)
async def astray_scans(request: AnyRequest) -> Response[Any]:
    """Scans of the branch that were kept and led to nothing by themselves."""
    bank, actor_id = bank_of(request), member_of(request).member_id
    async with bank.engine.connect() as connection:
        page = await astray.queue(
            connection,
            bank.book_id,
            actor_id=actor_id,
            now=bank.clock(),
            station_id=id_query(request, "station_id"),
            after=cursor_of(request),
            limit=limit_of(request, 50),
        )
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id for row in page.rows])
    scans = [shaped(row, Astray, member_name=names.get(row.member_id)) for row in page.rows]
    return give(AstrayScans(scans=scans, following=following(page.following)))


@writing("/astray-scans/{punch_id:uuid}/decision", Operation(CommandAnswer, AstrayDecision, 201, SETTLED))
async def settle_astray(request: AnyRequest, punch_id: FromPath[UUID]) -> Response[Any]:
    """Decide what becomes of such a scan. `data`: `punch_id`; when entered also `attendance_id`, `minutes`, `grade`."""
    body = await body_of(request, AstrayDecision)
    command = Settle(
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        punch_id=punch_id,
        verdict=body.verdict,
        reason=body.reason,
        other_at=moment("other_at", body.other_at),
    )
    return settled(command.id, await bank_of(request).commits.settle.submit(command))


handlers = [
    people,
    scan_card,
    enter,
    issue_door_code,
    print_poster,
    issue_card,
    reset_pin,
    astray_scans,
    settle_astray,
]
