"""Members' cards, shown at a station: scanned by who looks after it, or by its kiosk."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from litestar import Response
from litestar.params import FromPath

from api.auth import member_of
from api.credentials import kiosk_of
from api.rest.checkins import Code, Digits, check_sender
from api.rest.desk import station_at
from api.rest.operation import (
    AnyRequest,
    Body,
    CommandAnswer,
    Moment,
    Operation,
    body_of,
    command_id,
    moment,
    settled,
    writing,
)
from api.state import bank_of
from api.vouching import card_punch, kiosk_punch
from timebank.punches import Punch

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


class CardShown(Body, frozen=True):
    """A member's card, shown to whatever scans it."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    kind: Literal["in", "out"]
    code: Code
    """The card as scanned."""
    pin: Digits | None = None
    """The member's PIN, typed by the member: with it the scan is of grade A, without it of grade B until the member
    confirms it from their own phone."""


class CardScan(CardShown, frozen=True):
    """A member's card, shown at the station."""

    service_kind_id: UUID | None = None
    scanned_at: Moment | None = None
    """When, by the sender's clock, where there was no network; within 72 hours. What is under two minutes old counts
    as scanned now, and anything else is looked at."""
    member_id: UUID | None = None
    """Who scanned it, where it was kept: sent by anybody else, it is refused and nothing is remembered."""


class KioskCardScan(CardShown, frozen=True):
    """A member's card, shown at the kiosk."""

    scanned_at: Moment | None = None
    """When it was scanned, where that was without a network; at most 72 hours ago."""


@writing("/stations/{number:int}/card-scans", Operation(CommandAnswer, CardScan, 201, SCANNED))
async def scan_card(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """Check a member in or out by the card that they show at the station. `data` as for a check-in or check-out."""
    body = await body_of(request, CardScan)
    check_sender(request, body.member_id)
    place = await station_at(request, number)
    command = await card_punch(
        bank_of(request),
        actor_id=member_of(request).member_id,
        station_id=place.id,
        service_kind_id=body.service_kind_id,
        **shown(body, body.scanned_at),
    )
    return await scanned(request, command)


@writing("/kiosk/card-scans", Operation(CommandAnswer, KioskCardScan, 201, SCANNED))
async def kiosk_card_scan(request: AnyRequest) -> Response[Any]:
    """Check a member in or out by the card that they show at the kiosk. `data` as for a check-in or check-out."""
    body = await body_of(request, KioskCardScan)
    command = await kiosk_punch(bank_of(request), kiosk_of(request), **shown(body, body.scanned_at))
    return await scanned(request, command)


def shown(body: CardShown, scanned_at: datetime | None) -> dict[str, Any]:
    """What a card's scan is made of, whoever scans it."""
    return {
        "id": command_id(body.id),
        "kind": body.kind,
        "code": body.code,
        "pin": body.pin,
        "scanned_at": moment("scanned_at", scanned_at),
    }


async def scanned(request: AnyRequest, command: Punch) -> Response[Any]:
    """What became of the scan."""
    commits = bank_of(request).commits
    committer = commits.check_in if command.kind == "in" else commits.check_out
    return settled(command.id, await committer.submit(command))


handlers = [scan_card, kiosk_card_scan]
