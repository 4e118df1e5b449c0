"""Check-in and check-out by scanned code."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from msgspec import Meta

from api import tickets
from api.auth import member_of, visitor_of
from api.problems import Problem
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    CommandAnswer,
    Moment,
    Operation,
    body_of,
    command_id,
    give,
    moment,
    settled,
    writing,
)
from api.state import bank_of
from timebank import codes
from timebank.punches import Punch
from timebank.scans import Sent

READING = ("code_malformed", "code_forged", "code_expired")
REFUSALS = (
    *READING,
    "device_revoked",
    "card_revoked",
    "poster_revoked",
    "station_closed",
    "member_suspended",
    "other_member",
    "consent_withdrawn",
    "digits_wrong",
    "try_later",
    "own_record",
    "not_found",
    "id_reused",
)
Code = Annotated[str, Meta(max_length=600)]
Digits = Annotated[str, Meta(max_length=20)]
StationNumber = Annotated[int, Meta(ge=1, le=1048575)]


class TicketRequest(Body, frozen=True):
    """A station's code that somebody has just scanned and not yet confirmed."""

    code: Code


class Ticket(Answered, frozen=True):
    """Proof of when the code was scanned in this browser."""

    ticket: str
    """Goes where a code goes, within ten minutes, from the same browser."""
    seconds: int
    """For how long it is good."""


class Scan(Body, frozen=True):
    """One scan, to check in or out with."""

    id: UUID
    """UUID version 7, made by the phone and kept until there is an answer."""
    code: Code
    """What was scanned, its address or the bare code: the station's screen, a ticket of it, the station's poster, or,
    on a home visit, the resident's card. Empty where only digits were typed."""
    late: bool = False
    """The screen was scanned when it showed this code, and there was no network: the slot is the time. With a ticket:
    what arrives after its ten minutes counts like its code."""
    digits: Digits | None = None
    """The six that the screen shows now, with the poster's code or with `station_number`."""
    station_number: StationNumber | None = None
    door_code: Digits | None = None
    """The eight that a resident reads out."""
    station_id: UUID | None = None
    """Whose home visit it is, with the resident's card."""
    service_kind_id: UUID | None = None
    """What is done, where it is not what the station is there for."""
    phone_id: UUID | None = None
    """The phone's own random number, the same for everybody who uses it."""
    phone_time: Moment | None = None
    """The phone's clock."""
    member_id: UUID | None = None
    """Whose scan it is, where it was kept on a phone: sent by anybody else, it is refused and nothing is remembered."""


@writing("/tickets", Operation(Ticket, TicketRequest, 201, READING))
async def issue(request: AnyRequest) -> Response[Any]:
    """Keep the moment of a scan while its owner signs in or reads. Changes nothing, and says nothing of the station."""
    body, bank = await body_of(request, TicketRequest), bank_of(request)
    now = bank.clock()
    codes.read_station_code(bank.keys.station, body.code, now)
    ticket = tickets.issue(request, codes.normalise(body.code), now)
    return give(Ticket(ticket=ticket, seconds=int(tickets.LIFE.total_seconds())), 201)


@writing("/check-ins", Operation(CommandAnswer, Scan, 201, REFUSALS))
async def check_in(request: AnyRequest) -> Response[Any]:
    """Check in at the station whose code was scanned.

    `data`: `attendance_id`, `station_id`, `at`; `unconfirmed_id` where it ended a stay elsewhere; `arrival` at a shift;
    `holds` when held, or when somebody will ask.
    """
    command = await punch(request, leaving=False)
    return settled(command.id, await bank_of(request).commits.check_in.submit(command))


@writing("/check-outs", Operation(CommandAnswer, Scan, 201, REFUSALS))
async def check_out(request: AnyRequest) -> Response[Any]:
    """Check out. `data`: `attendance_id` (the record's id), `station_id`, `at`, `minutes`, `grade`, or `holds`."""
    command = await punch(request, leaving=True)
    return settled(command.id, await bank_of(request).commits.check_out.submit(command))


async def punch(request: AnyRequest, *, leaving: bool) -> Punch:
    """What the body says, with the code read as of now, or of its ticket's moment."""
    body, bank = await body_of(request, Scan), bank_of(request)
    check_sender(request, body.member_id)
    sent = Sent(
        code=body.code,
        late=body.late,
        digits=body.digits,
        station_number=body.station_number,
        door_code=body.door_code,
    )
    scan, refusal = tickets.try_read(request, sent, bank.clock())
    return Punch(
        id=command_id(body.id),
        actor_id=member_of(request).member_id,
        kind="out" if leaving else "in",
        code=body.code,
        scan=scan,
        refusal=refusal,
        service_kind_id=body.service_kind_id,
        # What was kept in a browser comes from that browser, as its forms do.
        phone_id=visitor_of(request).phone_id if body.member_id else body.phone_id,
        phone_time=moment("phone_time", body.phone_time),
        station_id=body.station_id,
        beside=sent.beside(),
    )


def check_sender(request: AnyRequest, member_id: UUID | None) -> None:
    """Raise `other_member` when what was kept on a phone for one member is sent by another: their time is theirs."""
    if member_id is not None and member_id != member_of(request).member_id:
        raise Problem("other_member")


handlers = [issue, check_in, check_out]
