"""The audit trail in words: what was done, to what, and how it was before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from api.language import Language, mark
from api.pages import words
from api.pages.forms import as_uuid

ACTIONS = {
    "member.add": mark("Member added"),
    "member.edit": mark("Member changed"),
    "member.move_out": mark("Member moved to another branch"),
    "member.suspended": mark("Member suspended"),
    "member.active": mark("Suspension ended"),
    "member.password": mark("Password changed"),
    "member.password_reset": mark("Password reset"),
    "member.merge": mark("Member merged into another"),
    "member.absorb": mark("Another member taken over"),
    "member.erase": mark("Member erased"),
    "consent.give": mark("Consent given"),
    "consent.withdraw": mark("Consent withdrawn"),
    "member.join": mark("Member joined"),
    "member.activation": mark("Code on paper printed"),
    "member.birth": mark("Date of birth and guardian entered"),
    "guardian.add": mark("Child joined by a guardian"),
    "guardian.act": mark("Guardian acts for a child"),
    "guardian.stop": mark("Guardian stops acting for a child"),
    "guardian.over": mark("Guardian's time over: ways in closed"),
    "passkey.add": mark("Passkey added"),
    "passkey.remove": mark("Passkey removed"),
    "passkey.suspect": mark("Passkey refused: there may be a copy"),
    "outside.link": mark("Account elsewhere linked"),
    "outside.unlink": mark("Account elsewhere unlinked"),
    "identity.check": mark("Document seen"),
    "identity.accept": mark("Document accepted"),
    "identity.refuse": mark("Document refused"),
    "identity.void": mark("Document of another member"),
    "erasure.ask": mark("Erasure asked for"),
    "erasure.withdraw": mark("Erasure taken back"),
    "role.grant": mark("Role given"),
    "role.revoke": mark("Role ended"),
    "station.add": mark("Station opened"),
    "station.edit": mark("Station changed"),
    "station.move_out": mark("Station moved to another branch"),
    "station.state": mark("Station closed or opened again"),
    "device.enrol": mark("Device enrolled"),
    "device.revoke": mark("Device revoked"),
    "region.add": mark("Region added"),
    "region.rename": mark("Region renamed"),
    "region.import": mark("Regions imported"),
    "import.upload": mark("Spreadsheet handed in"),
    "import.discard": mark("Spreadsheet removed"),
    "import.begin": mark("Import begun"),
    "import.end": mark("Import ended"),
    "service_kind.add": mark("Kind of service added"),
    "service_kind.edit": mark("Kind of service changed"),
    "fund.add": mark("Fund set up"),
    "fund.fill": mark("Fund filled"),
    "reward.add": mark("Reward added"),
    "reward.edit": mark("Reward changed"),
    "reward.restock": mark("Stock changed"),
    "reward.picture": mark("Picture changed"),
    "policy.draft": mark("Rules made"),
    "shift.add": mark("Shift planned"),
    "shift.cancel": mark("Shift taken back"),
    "card.issue": mark("Card given"),
    "card.revoke": mark("Card taken out of use"),
    "card.confirm": mark("Scan of a card confirmed"),
    "pin.set": mark("PIN chosen"),
    "pin.lock": mark("PIN locked"),
    "pin.reset": mark("PIN reset"),
    "door_code.issue": mark("Door code given"),
    "poster.replace": mark("Poster replaced"),
    "poster.revoke": mark("Poster taken out of use"),
    "certificate.issue": mark("Certificate issued"),
    "member.explain": mark("Balance looked at"),
    "list.download": mark("List taken away"),
    "member.slip": mark("Balance slip printed"),
    "read_token.make": mark("Token for a program made"),
    "read_token.revoke": mark("Token for a program revoked"),
    "shift_feed.renew": mark("Address of a calendar made"),
    "shift_feed.end": mark("Address of a calendar taken away"),
    "webhook.add": mark("Webhook added"),
    "webhook.remove": mark("Webhook removed"),
    "webhook.again": mark("Message of a webhook sent again"),
    "record.correct": mark("Record corrected"),
    "record.complete": mark("Record completed by a late check-out"),
    "redemption.make": mark("Redeemed for a member"),
    "redemption.cancel": mark("Redemption given up for a member"),
    "inquiry.ask": mark("Asked about a record for a member"),
    "helping.grant": mark("Helper named"),
    "helping.end": mark("Helper ended"),
    "helping.act": mark("Helper begins to act for a member"),
    "helping.stop": mark("Helper stops acting for a member"),
    "fulfilment.undo": mark("Hand-over undone"),
}
KINDS = {
    "member": mark("Member"),
    "station": mark("Station"),
    "device": mark("Device"),
    "region": mark("Region"),
    "service_kind": mark("Kind of service"),
    "fund": mark("Fund"),
    "reward": mark("Reward"),
    "policy_version": mark("Points rules"),
    "shift": mark("Shift"),
    "punch": mark("Scan"),
    "record": mark("Service record"),
    "fulfilment": mark("Hand-over"),
    "webhook": mark("Webhook"),
}
FIELDS = {
    "absorbed_id": mark("Taken over from"),
    "active": mark("In use"),
    "born": mark("Date of birth"),
    "added": mark("How many"),
    "address": mark("Address"),
    "capacity": mark("People wanted"),
    "card_id": mark("Card"),
    "cap_minutes": mark("Longest stay in minutes"),
    "catalogue": mark("Catalogue"),
    "code": mark("Code"),
    "depth": mark("Depth in the tree"),
    "description_en": mark("Description in English"),
    "description_zh": mark("Description in Chinese"),
    "door_code_id": mark("Code for the door"),
    "ends_at": mark("Until"),
    "events": mark("What it is told"),
    "expires_at": mark("Until"),
    "format": mark("Kind of file"),
    "fund_id": mark("Fund"),
    "grant_id": mark("Number of the role"),
    "grace_minutes": mark("Grace in minutes"),
    "guardian_id": mark("Guardian"),
    "helper_id": mark("Helper"),
    "hold_minutes": mark("Minutes until it is put back"),
    "household_id": mark("Household"),
    "kind": mark("Kind"),
    "latitude": mark("Latitude"),
    "level": mark("Level"),
    "limit_period": mark("Period of the limit"),
    "limit_pieces": mark("Limit per member"),
    "list": mark("List"),
    "locale": mark("Language"),
    "longitude": mark("Longitude"),
    "merged_into": mark("Merged into"),
    "minutes": mark("Minutes"),
    "name": mark("Full name"),
    "name_en": mark("Name in English"),
    "name_zh": mark("Name in Chinese"),
    "number": mark("Number"),
    "organising_unit": mark("Organising unit"),
    "password": mark("Password"),
    "person_in_charge": mark("Person in charge"),
    "phone": mark("Phone number"),
    "picture": mark("Picture"),
    "pin": mark("PIN"),
    "places": mark("Where it is handed over"),
    "points": mark("Points"),
    "purpose": mark("What for"),
    "position": mark("Place in the list"),
    "price_points": mark("Price in points"),
    "rate_points_per_hour": mark("Points for an hour, by service"),
    "record_id": mark("Service record"),
    "records": mark("Records"),
    "reward_id": mark("Reward"),
    "redemptions": mark("Redemptions"),
    "region_id": mark("Region"),
    "revoked_at": mark("Out of use since"),
    "role": mark("Role"),
    "rows": mark("Rows"),
    "scope": mark("What it reads"),
    "service_kind_id": mark("Usual service"),
    "starts_at": mark("From"),
    "starts_on": mark("First day"),
    "state": mark("State"),
    "station_id": mark("Station"),
    "stock": mark("Pieces in stock"),
    "token_id": mark("Number of the token"),
    "url": mark("Address"),
    "transfer_id": mark("Ledger number"),
}
STATES = {
    "active": mark("Active"),
    "suspended": mark("Suspended"),
    "erased": mark("Erased"),
    "merged": mark("Merged"),
    "open": mark("Open"),
    "closed": mark("Closed"),
    "held": mark("Ready to collect"),
    "fulfilled": mark("Handed over"),
    "verified": mark("Verified"),
    "reversed": mark("Reversed"),
    "rejected": mark("Not accepted"),
    "planned": mark("Planned"),
    "cancelled": mark("Taken back"),
    "none": mark("none"),
    "set": mark("set"),
    "locked": mark("locked"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One field, as it was and as it is."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Told:
    """One entry in words."""

    at: datetime
    actor: str | None
    actor_id: UUID | None
    action: str
    kind: str
    subject: str
    subject_id: UUID
    changes: list[Change]
    sealed: bool


def told(spoken: Language, entry: Any, personal: Mapping[str, Any] | None, named: Mapping[UUID, str]) -> Told:
    """An entry for this reader; `named` says what the ids in it are called."""
    before = {**(entry.before or {}), **((personal or {}).get("before") or {})}
    after = {**(entry.after or {}), **((personal or {}).get("after") or {})}
    return Told(
        at=entry.at,
        actor=named.get(entry.actor_id) if entry.actor_id else None,
        actor_id=entry.actor_id,
        action=words.of(ACTIONS, spoken, entry.action),
        kind=words.of(KINDS, spoken, entry.subject_kind),
        subject=named.get(entry.subject_id, str(entry.subject_id)[-8:]),
        subject_id=entry.subject_id,
        changes=[
            Change(
                words.of(FIELDS | words.RULES, spoken, name),
                value_words(spoken, name, before.get(name), named),
                value_words(spoken, name, after.get(name), named),
            )
            for name in sorted(before.keys() | after.keys())
        ],
        sealed=entry.personal is not None and personal is None,
    )


def value_words(spoken: Language, field: str, value: Any, named: Mapping[UUID, str]) -> str:
    """One value as a reader understands it."""
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return spoken.gettext(mark("Yes")) if value else spoken.gettext(mark("No"))
    if isinstance(value, int):
        return spoken.number(value)
    if isinstance(value, list):
        return spoken.gettext(mark(", ")).join(value_words(spoken, field, each, named) for each in value) or "—"
    if isinstance(value, dict):
        pairs = [f"{name} {value_words(spoken, field, each, named)}" for name, each in sorted(value.items())]
        return spoken.gettext(mark(", ")).join(pairs) or "—"
    if field in ("starts_at", "ends_at", "revoked_at"):
        return spoken.moment(datetime.fromisoformat(value))
    if field in ("state", "pin", "password"):
        return words.of(STATES, spoken, value)
    if field == "role":
        return words.of(words.ROLES, spoken, value)
    if (id := as_uuid(str(value))) is not None:
        return named.get(id, str(value)[-8:])
    return str(value)
