"""Whom a route may be open to."""

from dataclasses import dataclass
from typing import Literal

from timebank import trail
from timebank.counter import COUNTER_ROLES
from timebank.records import QUEUE_ROLES
from timebank.tables import ROLES


@dataclass(frozen=True, slots=True)
class Access:
    """Who a route is open to."""

    to: Literal["anybody", "members", "roles", "machine", "kiosks"]
    roles: tuple[str, ...] = ()
    before_passkey: bool = False
    """Open to whoever has the role and still has to add a passkey, where one is needed."""


ANYBODY = Access("anybody")
MEMBERS = Access("members")
# The operator's own machine, for monitoring.
MACHINE = Access("machine")
# A tablet that signs each request with its own key; nobody's session opens these.
KIOSKS = Access("kiosks")
MANAGERS = Access("roles", QUEUE_ROLES)
CLERKS = Access("roles", COUNTER_ROLES)
ADMINS = Access("roles", ("admin",))
# Who has any office at all, and adds a passkey.
OFFICE = Access("roles", ROLES, before_passkey=True)
# Who reads a branch's figures, funds and trail.
READERS = Access("roles", trail.READERS)
