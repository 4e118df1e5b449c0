"""The schema of the bank, schema `timebank`, one file a noun. The ledger's own is `ledger/tables.py`."""

from timebank.tables.base import metadata
from timebank.tables.corrections import correction, inquiry
from timebank.tables.people import ROLES, attempt, erasure, member, phone_code, pin, role_grant, session
from timebank.tables.places import LEVELS, card, device, door_code, fund, poster, region, service_kind, shift, station
from timebank.tables.rewards import (
    PERIODS,
    fulfilment,
    fulfilment_undo,
    purse,
    redemption,
    redemption_part,
    reward,
    reward_picture,
    reward_place,
)
from timebank.tables.service import (
    GRADES,
    SOURCES,
    attendance,
    confirmation,
    decision,
    policy_version,
    punch,
    punch_decision,
    record,
)
from timebank.tables.trail import audit_entry, command

__all__ = [
    "GRADES",
    "LEVELS",
    "PERIODS",
    "ROLES",
    "SOURCES",
    "attempt",
    "attendance",
    "audit_entry",
    "card",
    "command",
    "confirmation",
    "correction",
    "decision",
    "device",
    "door_code",
    "erasure",
    "fulfilment",
    "fulfilment_undo",
    "fund",
    "inquiry",
    "member",
    "metadata",
    "phone_code",
    "pin",
    "policy_version",
    "poster",
    "punch",
    "punch_decision",
    "purse",
    "record",
    "redemption",
    "redemption_part",
    "region",
    "reward",
    "reward_picture",
    "reward_place",
    "role_grant",
    "service_kind",
    "session",
    "shift",
    "station",
]
