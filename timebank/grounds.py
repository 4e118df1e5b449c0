"""Whether a scan is refused, in the order of the protocol; and what one that is good stands on."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from timebank import codes, doors
from timebank.codes import Scan
from timebank.commands import Answer
from timebank.punches import Punch, Sitting, place_of, subject_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where a good scan was made, and whose it is."""

    place: Row[Any]
    member_id: UUID
    service_kind_id: UUID
    source: str
    device_id: UUID | None = None
    slot: int | None = None
    resident_id: UUID | None = None
    door_code_id: UUID | None = None


def judge(sitting: Sitting, command: Punch) -> Answer | Ground:
    """Why a scan is refused, in the order of the protocol; or what it stands on."""
    scan = command.scan
    if scan is None:
        return Answer(command.refusal or codes.CodeMalformed.code)
    place, visit = place_of(sitting, command), sitting.visits.get(command.id)
    if visit is not None and not doors.is_open(visit, command, sitting.doors_used, sitting.doors_ended, sitting.now):
        return Answer("code_expired")
    holder = sitting.holders.get(scan.card_number) if scan.card_number is not None else None
    if code := revoked(sitting, scan, place, holder):
        return Answer(code)
    if place is not None and place.state != "open" and command.kind == "in":
        return Answer("station_closed")
    member_id = subject_id(command, sitting.holders)
    if member_id not in sitting.active:
        return Answer("member_suspended")
    if command.kind == "in" and "service" in sitting.refused.get(member_id, ()):
        return Answer("consent_withdrawn")
    by_hand = scan.source == "card" and command.device_id is None
    if by_hand and (place is None or (command.actor_id, place.id) not in sitting.managers):
        return Answer("role_not_allowed")
    device_id, slot = command.device_id, scan.slot
    if scan.device_number is not None and place is not None:
        device_id = place.device_id
    if scan.digits is not None:
        shown = None
        if place is not None and scan.source == "digits":
            shown = sitting.places.screen_of(sitting.station_keys, place, scan.digits, sitting.now)
        if answer := guessed(sitting, member_id, right=shown is not None or visit is not None):
            return answer
        device_id, slot = shown or (None, None)
    if command.vouch_refusal is not None:
        return Answer(command.vouch_refusal)
    if place is None:
        return Answer("not_found", {"kind": "station"})
    if refused := vouches_for_own(sitting, command, holder, visit, place):
        return refused
    kind = sitting.kinds.get(command.service_kind_id or place.service_kind_id)
    if kind is None or not (kind.active or command.service_kind_id is None):
        return Answer("not_found", {"kind": "service_kind"})
    return Ground(
        place=place,
        member_id=member_id,
        service_kind_id=kind.id,
        source=scan.source,
        device_id=device_id,
        slot=slot,
        resident_id=(visit.resident_id if visit else holder.member_id if holder else None)
        if scan.source == "door"
        else None,
        door_code_id=visit.id if visit else None,
    )


def revoked(sitting: Sitting, scan: Scan, place: Row[Any] | None, holder: Row[Any] | None) -> str | None:
    """Whether what was scanned has been taken out of use since it was made."""
    if scan.device_number is not None and (
        place is None or place.revoked_at is not None or place.number != scan.station_number
    ):
        return "device_revoked"
    if scan.card_number is not None and (holder is None or holder.revoked_at is not None):
        return "card_revoked"
    if scan.poster_number is not None and (
        place is None or (place.id, scan.poster_number) not in sitting.places.posters
    ):
        return "poster_revoked"
    return None


def guessed(sitting: Sitting, member_id: UUID, *, right: bool) -> Answer | None:
    """The refusal of typed digits. After too many wrong ones they are not even compared: nobody learns by guessing."""
    seconds = sitting.tries.seconds_to_wait(member_id.bytes)
    if seconds is not None:
        return Answer("try_later", {"seconds": seconds})
    if not right:
        sitting.tries.fail(member_id.bytes)
        return Answer("digits_wrong")
    return None


def vouches_for_own(
    sitting: Sitting, command: Punch, holder: Row[Any] | None, visit: Row[Any] | None, place: Row[Any]
) -> Answer | None:
    """Nobody vouches for himself or his household: not by scanning their card, not by visiting them."""
    other = visit or holder
    # A kiosk vouches, and it is nobody.
    if other is None or command.device_id is not None:
        return None
    household_id = sitting.households.get(command.actor_id)
    if other.member_id == command.actor_id or (household_id is not None and other.household_id == household_id):
        return Answer("own_record")
    # A resident is visited by the stations of where they live.
    at_the_door = visit is None and command.scan is not None and command.scan.source == "door"
    if at_the_door and place.region_id not in other.path:
        return Answer("not_found", {"kind": "station"})
    return None
