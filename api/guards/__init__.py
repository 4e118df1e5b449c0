"""Who may open what: every route of the bank stands in one table. What is not in it is refused, and does not start.

A role in the table opens a route to whoever holds it anywhere; which stations, records and people they then reach is
decided row by row in `timebank/access.py`.
"""

from api.guards.access import Access
from api.guards.pages import PAGES
from api.guards.programs import PROGRAMS

ACCESS: dict[str, Access] = PAGES | PROGRAMS

# The only forms that bring files, and how each says that one is too large.
UPLOADS = {
    "POST /admin/rewards/{reward_id}/picture": "picture_too_large",
    "POST /admin/imports": "sheet_too_large",
}
# What of all that is a member's is open to a helper who acts for them; whatever is new is closed to helpers.
HELPED = frozenset(
    {
        "GET /",
        "POST /helpers/stop",
        "GET /records",
        "GET /records/{record_id}",
        "POST /records/{record_id}",
        "GET /statement",
        "GET /statement/print",
        "GET /statement.csv",
        "GET /statement/slip.pdf",
        "GET /rewards",
        "GET /rewards/{reward_id}",
        "POST /rewards/{reward_id}",
        "GET /rewards/{reward_id}/picture/{digest}",
        "GET /codes",
        "GET /codes/{redemption_id}",
        "POST /codes/{redemption_id}/cancel",
        "DELETE /api/v1/session",
        "POST /api/v1/me/helping/stop",
        "GET /api/v1/balance",
        "GET /api/v1/statement",
        "GET /api/v1/records",
        "GET /api/v1/records/{record_id}",
        "POST /api/v1/inquiries",
        "GET /api/v1/rewards",
        "GET /api/v1/rewards/{reward_id}",
        "GET /api/v1/redemptions",
        "POST /api/v1/redemptions",
        "GET /api/v1/redemptions/{redemption_id}",
        "POST /api/v1/redemptions/{redemption_id}/cancellation",
    }
)
