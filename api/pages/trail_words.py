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
    "service_kind.add": mark("Kind of service added"),
    "service_kind.edit": mark("Kind of service changed"),
    "fund.add": mark("Fund set up"),
    "fund.fill": mark("Fund filled"),
    "reward.add": mark("Reward added"),
    "record.correct": mark("Record corrected"),
    "record.complete": mark("Record completed by a late check-out"),
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
    "record": mark("Service record"),
    "fulfilment": mark("Hand-over"),
}
FIELDS = {
    "absorbed_id": mark("Taken over from"),
    "active": mark("In use"),
    "added": mark("How many"),
    "address": mark("Address"),
    "cap_minutes": mark("Longest stay in minutes"),
    "catalogue": mark("Catalogue"),
    "code": mark("Code"),
    "depth": mark("Depth in the tree"),
    "ends_at": mark("Until"),
    "fund_id": mark("Fund"),
    "grant_id": mark("Number of the role"),
    "household_id": mark("Household"),
    "kind": mark("Kind"),
    "level": mark("Level"),
    "locale": mark("Language"),
    "merged_into": mark("Merged into"),
    "minutes": mark("Minutes"),
    "name": mark("Full name"),
    "name_en": mark("Name in English"),
    "name_zh": mark("Name in Chinese"),
    "number": mark("Number"),
    "organising_unit": mark("Organising unit"),
    "person_in_charge": mark("Person in charge"),
    "phone": mark("Phone number"),
    "points": mark("Points"),
    "purpose": mark("What for"),
    "position": mark("Place in the list"),
    "records": mark("Records"),
    "reward_id": mark("Reward"),
    "redemptions": mark("Redemptions"),
    "region_id": mark("Region"),
    "role": mark("Role"),
    "service_kind_id": mark("Usual service"),
    "starts_at": mark("From"),
    "state": mark("State"),
    "station_id": mark("Station"),
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
                words.of(FIELDS, spoken, name),
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
    if field in ("starts_at", "ends_at"):
        return spoken.moment(datetime.fromisoformat(value))
    if field == "state":
        return words.of(STATES, spoken, value)
    if field == "role":
        return words.of(words.ROLES, spoken, value)
    if (id := as_uuid(str(value))) is not None:
        return named.get(id, str(value)[-8:])
    return str(value)
