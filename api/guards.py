"""Who may open what: every route of the bank stands in one table. What is not in it is refused, and does not start.

A role in the table opens a route to whoever holds it anywhere; which stations, records and people they then reach is
decided row by row in `timebank/access.py`.
"""

from dataclasses import dataclass
from typing import Literal

from litestar import Litestar
from litestar.routes import HTTPRoute

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

ACCESS: dict[str, Access] = {
    # Pages: the door.
    "GET /": ANYBODY,
    "GET /static/{digest}/{name}": ANYBODY,
    "GET /offline": ANYBODY,
    "GET /outbox.json": ANYBODY,
    "GET /service-worker.js": ANYBODY,
    "GET /sign-in": ANYBODY,
    "POST /sign-in": ANYBODY,
    "POST /sign-in/code": ANYBODY,
    "POST /sign-in/code/check": ANYBODY,
    "GET /join": ANYBODY,
    "POST /join": ANYBODY,
    "POST /join/check": ANYBODY,
    "GET /activate": ANYBODY,
    "POST /activate": ANYBODY,
    "POST /sign-in/outside/{provider}": ANYBODY,
    "GET /sign-in/outside/{provider}/back": ANYBODY,
    "POST /sign-out": ANYBODY,
    "POST /language": ANYBODY,
    "POST /text-size": ANYBODY,
    "GET /trust": ANYBODY,
    "GET /trust/authority.crt": ANYBODY,
    "POST /demo/clock": ANYBODY,
    # In a demo alone.
    "GET /design": ANYBODY,
    "GET /K/{code}": ANYBODY,
    "GET /S/{code}": ANYBODY,
    "GET /C/{code}": ANYBODY,
    "GET /R/{code_text}": ANYBODY,
    "GET /V/{code}": ANYBODY,
    # The same for everybody, and nothing without the tablet's own keys.
    "GET /kiosk": ANYBODY,
    "GET /scanned": ANYBODY,
    # Pages: a volunteer's.
    "GET /scan": MEMBERS,
    "GET /check-in": MEMBERS,
    "POST /check-in": MEMBERS,
    "GET /check-in/{id}": MEMBERS,
    "GET /check-in/late": MEMBERS,
    "GET /check-in/digits": MEMBERS,
    "GET /check-in/door": MEMBERS,
    "GET /card": MEMBERS,
    "GET /card.pdf": MEMBERS,
    "POST /card": MEMBERS,
    "POST /card/pin": MEMBERS,
    "POST /card/confirm": MEMBERS,
    "GET /privacy": MEMBERS,
    "GET /privacy/data.json": MEMBERS,
    "POST /privacy/consents": MEMBERS,
    "POST /privacy/children": MEMBERS,
    "POST /privacy/children/{child_id}": MEMBERS,
    "POST /privacy/name": MEMBERS,
    "POST /privacy/address": MEMBERS,
    "POST /privacy/address/proof": MEMBERS,
    "POST /privacy/mail/removal": MEMBERS,
    "POST /privacy/password": MEMBERS,
    "POST /privacy/erasure": MEMBERS,
    "POST /privacy/erasure/withdrawal": MEMBERS,
    "GET /accounts": MEMBERS,
    "POST /accounts/link/{provider}": MEMBERS,
    "POST /accounts/{account_id}/removal": MEMBERS,
    "GET /passkeys": MEMBERS,
    "POST /passkeys/{passkey_id}/removal": MEMBERS,
    "GET /records": MEMBERS,
    "GET /records/{record_id}": MEMBERS,
    "POST /records/{record_id}": MEMBERS,
    "GET /statement": MEMBERS,
    "GET /statement/print": MEMBERS,
    "GET /statement.csv": MEMBERS,
    "GET /statement/slip.pdf": MEMBERS,
    "GET /certificates": MEMBERS,
    "POST /certificates": MEMBERS,
    "GET /certificates/{certificate_id}/paper.pdf": MEMBERS,
    "GET /rewards": MEMBERS,
    "GET /rewards/{reward_id}": MEMBERS,
    "POST /rewards/{reward_id}": MEMBERS,
    "GET /rewards/{reward_id}/picture/{digest}": MEMBERS,
    "GET /codes": MEMBERS,
    "GET /codes/{redemption_id}": MEMBERS,
    "POST /codes/{redemption_id}/cancel": MEMBERS,
    # Pages: a manager's, a clerk's, an administrator's.
    "GET /stations": MANAGERS,
    "GET /stations/{number}/screen": MANAGERS,
    "GET /stations/{number}/screen.json": MANAGERS,
    "GET /stations/{number}": MANAGERS,
    "POST /stations/{number}/cards": MANAGERS,
    "POST /stations/{number}/entries": MANAGERS,
    "POST /stations/{number}/doors": MANAGERS,
    "POST /stations/{number}/shifts": MANAGERS,
    "POST /stations/{number}/shifts/{shift_id}": MANAGERS,
    "POST /stations/{number}/members": MANAGERS,
    "POST /stations/{number}/activations": MANAGERS,
    "GET /stations/{number}/person": MANAGERS,
    "POST /stations/{number}/person": MANAGERS,
    "POST /stations/{number}/person/scans": MANAGERS,
    "POST /stations/{number}/person/pin": MANAGERS,
    "POST /stations/{number}/person/redemptions": MANAGERS,
    "GET /stations/{number}/redemptions/{redemption_id}/slip.pdf": MANAGERS,
    "GET /stations/{number}/paper": MANAGERS,
    "GET /stations/{number}/kiosk": MANAGERS,
    "POST /stations/{number}/kiosks/{device_id}": MANAGERS,
    "POST /stations/{number}/poster": MANAGERS,
    "GET /stations/{number}/poster.pdf": MANAGERS,
    "POST /stations/{number}/card-sheets": MANAGERS,
    "GET /stations/{number}/report": MANAGERS,
    "GET /stations/{number}/report.pdf": MANAGERS,
    "GET /stations/{number}/cards.pdf": MANAGERS,
    "GET /stations/{number}/members/{member_id}/slip.pdf": MANAGERS,
    "POST /stations/{number}/certificates": MANAGERS,
    "GET /stations/{number}/certificates/{certificate_id}/paper.pdf": MANAGERS,
    "GET /queue/scans/{punch_id}": MANAGERS,
    "POST /queue/scans/{punch_id}": MANAGERS,
    "GET /queue": MANAGERS,
    "POST /queue": MANAGERS,
    "GET /queue/{record_id}": MANAGERS,
    "POST /queue/{record_id}": MANAGERS,
    "GET /queue/{record_id}/statement": MANAGERS,
    "POST /queue/{record_id}/correction": MANAGERS,
    "POST /queue/{record_id}/answer": MANAGERS,
    "GET /counter": CLERKS,
    "POST /counter": CLERKS,
    "POST /counter/undo": CLERKS,
    "GET /admin/policy": ADMINS,
    "GET /admin/policy/new": ADMINS,
    "POST /admin/policy/new": ADMINS,
    "GET /admin/rewards": ADMINS,
    "GET /admin/rewards/new": ADMINS,
    "POST /admin/rewards/new": ADMINS,
    "GET /admin/rewards/{reward_id}": ADMINS,
    "POST /admin/rewards/{reward_id}": ADMINS,
    "POST /admin/rewards/{reward_id}/state": ADMINS,
    "POST /admin/rewards/{reward_id}/stock": ADMINS,
    "POST /admin/rewards/{reward_id}/picture": ADMINS,
    "POST /admin/rewards/{reward_id}/picture/removal": ADMINS,
    "GET /admin": READERS,
    "GET /admin/stations": ADMINS,
    "GET /admin/stations/new": ADMINS,
    "POST /admin/stations/new": ADMINS,
    "GET /admin/stations/{station_id}": ADMINS,
    "POST /admin/stations/{station_id}": ADMINS,
    "POST /admin/stations/{station_id}/state": ADMINS,
    "POST /admin/stations/{station_id}/devices": ADMINS,
    "POST /admin/stations/{station_id}/screen": ADMINS,
    "POST /admin/devices/{device_id}/revoke": ADMINS,
    "GET /admin/members": ADMINS,
    "POST /admin/members": ADMINS,
    "GET /admin/members/new": ADMINS,
    "POST /admin/members/new": ADMINS,
    "GET /admin/members/{member_id}": ADMINS,
    "POST /admin/members/{member_id}": ADMINS,
    "POST /admin/members/{member_id}/suspend": ADMINS,
    "POST /admin/members/{member_id}/reinstate": ADMINS,
    "POST /admin/members/{member_id}/password": ADMINS,
    "GET /admin/members/{member_id}/merge": ADMINS,
    "POST /admin/members/{member_id}/merge/find": ADMINS,
    "POST /admin/members/{member_id}/merge": ADMINS,
    "POST /admin/members/{member_id}/roles": ADMINS,
    "POST /admin/members/{member_id}/consents": ADMINS,
    "POST /admin/members/{member_id}/erasure-request": ADMINS,
    "POST /admin/members/{member_id}/erasure-withdrawal": ADMINS,
    "POST /admin/members/{member_id}/erasure": ADMINS,
    "GET /admin/erasures": ADMINS,
    "GET /admin/imports": ADMINS,
    "POST /admin/imports": ADMINS,
    "GET /admin/imports/{import_id}": ADMINS,
    "POST /admin/imports/{import_id}": ADMINS,
    "POST /admin/imports/{import_id}/start": ADMINS,
    "POST /admin/imports/{import_id}/removal": ADMINS,
    "GET /admin/imports/{import_id}/report.csv": ADMINS,
    "GET /admin/roles": READERS,
    "POST /admin/roles/{grant_id}/end": ADMINS,
    "GET /admin/regions": ADMINS,
    "POST /admin/regions": ADMINS,
    "POST /admin/regions/{region_id}": ADMINS,
    "GET /admin/kinds": ADMINS,
    "POST /admin/kinds": ADMINS,
    "POST /admin/kinds/{kind_id}": ADMINS,
    "GET /admin/funds": READERS,
    "POST /admin/funds": ADMINS,
    "GET /admin/funds/{fund_id}": READERS,
    "POST /admin/funds/{fund_id}": ADMINS,
    "GET /admin/trail": READERS,
    "GET /more": MEMBERS,
    # Programs: whether the service lives.
    "GET /health/live": ANYBODY,
    "GET /health/ready": ANYBODY,
    "GET /metrics": MACHINE,
    # Programs: the door.
    "GET /api/v1/openapi.json": ANYBODY,
    "GET /api/v1/errors": ANYBODY,
    "GET /api/v1/errors/{code}": ANYBODY,
    "POST /api/v1/sessions": ANYBODY,
    "POST /api/v1/phone-codes": ANYBODY,
    "POST /api/v1/phone-codes/sessions": ANYBODY,
    "POST /api/v1/joins/codes": ANYBODY,
    "POST /api/v1/joins": ANYBODY,
    "POST /api/v1/activations": ANYBODY,
    "POST /api/v1/passkey-challenges": ANYBODY,
    "POST /api/v1/passkey-sessions": ANYBODY,
    "DELETE /api/v1/session": MEMBERS,
    # Programs: a volunteer's.
    "GET /api/v1/me": MEMBERS,
    "GET /api/v1/me/data": MEMBERS,
    "GET /api/v1/me/looks": MEMBERS,
    "GET /api/v1/me/children": MEMBERS,
    "POST /api/v1/me/children": MEMBERS,
    "POST /api/v1/me/children/{child_id}/sessions": MEMBERS,
    "GET /api/v1/me/consents": MEMBERS,
    "POST /api/v1/me/consents": MEMBERS,
    "POST /api/v1/me/name": MEMBERS,
    "POST /api/v1/me/address-proofs": MEMBERS,
    "POST /api/v1/me/address": MEMBERS,
    "POST /api/v1/me/mail-removal": MEMBERS,
    "POST /api/v1/me/password": MEMBERS,
    "GET /api/v1/me/outside-accounts": MEMBERS,
    "POST /api/v1/me/outside-accounts/{account_id}/removal": MEMBERS,
    "GET /api/v1/me/passkeys": MEMBERS,
    "POST /api/v1/me/passkeys": OFFICE,
    "POST /api/v1/me/passkey-challenges": OFFICE,
    "POST /api/v1/me/passkeys/{passkey_id}/removal": MEMBERS,
    "POST /api/v1/me/erasure-request": MEMBERS,
    "POST /api/v1/me/erasure-withdrawal": MEMBERS,
    "GET /api/v1/balance": MEMBERS,
    "GET /api/v1/statement": MEMBERS,
    "GET /api/v1/records": MEMBERS,
    "GET /api/v1/records/{record_id}": MEMBERS,
    "POST /api/v1/inquiries": MEMBERS,
    "GET /api/v1/policy-versions": MEMBERS,
    "POST /api/v1/tickets": ANYBODY,
    "POST /api/v1/check-ins": MEMBERS,
    "POST /api/v1/check-outs": MEMBERS,
    "GET /api/v1/card": MEMBERS,
    "POST /api/v1/card": MEMBERS,
    "POST /api/v1/card/pin": MEMBERS,
    "GET /api/v1/confirmations": MEMBERS,
    "POST /api/v1/confirmations": MEMBERS,
    "GET /api/v1/certificates": MEMBERS,
    "POST /api/v1/certificates": MEMBERS,
    "GET /api/v1/certificates/{certificate_id}": MEMBERS,
    "GET /api/v1/certificate-checks/{code}": ANYBODY,
    "GET /api/v1/rewards": MEMBERS,
    "GET /api/v1/rewards/{reward_id}": MEMBERS,
    "GET /api/v1/redemptions": MEMBERS,
    "POST /api/v1/redemptions": MEMBERS,
    "GET /api/v1/redemptions/{redemption_id}": MEMBERS,
    "POST /api/v1/redemptions/{redemption_id}/cancellation": MEMBERS,
    # Programs: a manager's, a clerk's, an administrator's.
    "GET /api/v1/stations": MANAGERS,
    "GET /api/v1/stations/{number}/codes": MANAGERS,
    "GET /api/v1/stations/{number}/people": MANAGERS,
    "POST /api/v1/stations/{number}/card-scans": MANAGERS,
    "POST /api/v1/stations/{number}/pins": MANAGERS,
    "POST /api/v1/stations/{number}/redemptions": MANAGERS,
    "POST /api/v1/stations/{number}/entries": MANAGERS,
    "POST /api/v1/stations/{number}/door-codes": MANAGERS,
    "POST /api/v1/stations/{number}/kiosks": MANAGERS,
    "POST /api/v1/kiosks/{device_id}/revocation": MANAGERS,
    "POST /api/v1/stations/{number}/posters": MANAGERS,
    "GET /api/v1/stations/{number}/report": MANAGERS,
    "GET /api/v1/stations/{number}/shifts": MANAGERS,
    "POST /api/v1/stations/{number}/shifts": MANAGERS,
    "POST /api/v1/shifts/{shift_id}/cancellation": MANAGERS,
    "POST /api/v1/cards": MANAGERS,
    "POST /api/v1/members/{member_id}/activation-codes": MANAGERS,
    "POST /api/v1/pin-resets": MANAGERS,
    "GET /api/v1/astray-scans": MANAGERS,
    "POST /api/v1/astray-scans/{punch_id}/decision": MANAGERS,
    "GET /api/v1/queue": MANAGERS,
    "GET /api/v1/queue/{record_id}": MANAGERS,
    "GET /api/v1/queue/{record_id}/statement": MANAGERS,
    "POST /api/v1/decisions": MANAGERS,
    "POST /api/v1/decisions/bulk": MANAGERS,
    "POST /api/v1/corrections": MANAGERS,
    "GET /api/v1/inquiries": MANAGERS,
    "POST /api/v1/inquiries/{inquiry_id}/answer": MANAGERS,
    "POST /api/v1/counter": CLERKS,
    "GET /api/v1/fulfilments": CLERKS,
    "POST /api/v1/fulfilments": CLERKS,
    "POST /api/v1/fulfilments/{fulfilment_id}/undo": CLERKS,
    "POST /api/v1/stations": ADMINS,
    "POST /api/v1/policy-versions": ADMINS,
    "POST /api/v1/policy-versions/preview": ADMINS,
    "GET /api/v1/admin/rewards": ADMINS,
    "POST /api/v1/admin/rewards": ADMINS,
    "GET /api/v1/admin/rewards/{reward_id}": ADMINS,
    "POST /api/v1/admin/rewards/{reward_id}": ADMINS,
    "POST /api/v1/admin/rewards/{reward_id}/stock": ADMINS,
    "POST /api/v1/admin/rewards/{reward_id}/picture": ADMINS,
    "DELETE /api/v1/admin/rewards/{reward_id}/picture": ADMINS,
    # Programs: an administrator's and an auditor's.
    "GET /api/v1/stations/{station_id}": ADMINS,
    "POST /api/v1/stations/{station_id}/changes": ADMINS,
    "POST /api/v1/stations/{station_id}/state": ADMINS,
    "POST /api/v1/stations/{station_id}/devices": ADMINS,
    "POST /api/v1/stations/{station_id}/screens": ADMINS,
    "POST /api/v1/devices/{device_id}/revocation": ADMINS,
    "GET /api/v1/members": ADMINS,
    "POST /api/v1/members": ADMINS,
    "POST /api/v1/members/search": ADMINS,
    "GET /api/v1/members/{member_id}": ADMINS,
    "POST /api/v1/members/{member_id}/changes": ADMINS,
    "POST /api/v1/members/{member_id}/suspension": ADMINS,
    "POST /api/v1/members/{member_id}/reinstatement": ADMINS,
    "POST /api/v1/members/{member_id}/password-reset": ADMINS,
    "POST /api/v1/members/{member_id}/merger": ADMINS,
    "POST /api/v1/members/{member_id}/consents": ADMINS,
    "POST /api/v1/members/{member_id}/erasure-request": ADMINS,
    "POST /api/v1/members/{member_id}/erasure-withdrawal": ADMINS,
    "POST /api/v1/members/{member_id}/erasure": ADMINS,
    "GET /api/v1/erasures": ADMINS,
    "GET /api/v1/roles": READERS,
    "POST /api/v1/roles": ADMINS,
    "POST /api/v1/roles/{grant_id}/end": ADMINS,
    "GET /api/v1/regions": READERS,
    "POST /api/v1/regions": ADMINS,
    "POST /api/v1/regions/{region_id}/names": ADMINS,
    "GET /api/v1/service-kinds": READERS,
    "POST /api/v1/service-kinds": ADMINS,
    "POST /api/v1/service-kinds/{service_kind_id}/changes": ADMINS,
    "GET /api/v1/funds": READERS,
    "POST /api/v1/funds": ADMINS,
    "GET /api/v1/funds/{fund_id}/statement": READERS,
    "POST /api/v1/funds/{fund_id}/fillings": ADMINS,
    "GET /api/v1/figures": READERS,
    "GET /api/v1/trail": READERS,
    # A kiosk's.
    "GET /api/v1/kiosk": KIOSKS,
    "GET /api/v1/kiosk/keys": KIOSKS,
    "GET /api/v1/kiosk/events": KIOSKS,
    "POST /api/v1/kiosk/card-scans": KIOSKS,
}

# The only forms that bring files, and how each says that one is too large.
UPLOADS = {
    "POST /admin/rewards/{reward_id}/picture": "picture_too_large",
    "POST /admin/imports": "sheet_too_large",
}


class Unguarded(Exception):
    """A route does not stand in the table, or the table names a route that is not there."""


def routes(app: Litestar) -> dict[str, HTTPRoute]:
    """Every route by method and path, as the table names them: without the types of its parameters."""
    return {
        f"{method} {route.path_format}": route
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS"
    }


def refuse_unguarded(app: Litestar) -> None:
    """Raise Unguarded unless the table and the routes are the same."""
    there = set(routes(app))
    if missing := sorted(there - set(ACCESS)):
        raise Unguarded(f"not in the table of guards: {', '.join(missing)}")
    if gone := sorted(set(ACCESS) - there):
        raise Unguarded(f"in the table of guards, but no route: {', '.join(gone)}")
    if strange := [route.path for route in app.routes if not isinstance(route, HTTPRoute)]:
        raise Unguarded(f"only plain routes can be guarded: {', '.join(strange)}")
