"""What a token reads: `Authorization: Bearer timebank-read-…` in place of a session, for one scope's routes."""

from api.arrival import Arrival
from api.auth import Visitor
from api.problems import Problem
from api.state import Bank
from timebank import read_tokens

SCHEME = b"bearer "
# One of ours is 57 characters.
LENGTH_LIMIT = 100
# By scope: what it reads. Every list of a branch stands in exactly one; a test fails for one that does not.
ROUTES: dict[str, frozenset[str]] = {
    "things": frozenset(
        {
            "GET /api/v1/admin/rewards",
            "GET /api/v1/funds",
            "GET /api/v1/policy-versions",
            "GET /api/v1/regions",
            "GET /api/v1/service-kinds",
            "GET /api/v1/stations",
            "GET /api/v1/stations/{number}/shifts",
            "GET /api/v1/webhook-messages",
        }
    ),
    # Lists that hold what is known of people.
    "people": frozenset(
        {
            "GET /api/v1/astray-scans",
            "GET /api/v1/erasures",
            "GET /api/v1/held-documents",
            "GET /api/v1/fulfilments",
            "GET /api/v1/inquiries",
            "GET /api/v1/members",
            "GET /api/v1/queue",
            "GET /api/v1/roles",
            "GET /api/v1/stations/{number}/people",
            "GET /api/v1/trail",
        }
    ),
    "statements": frozenset({"GET /api/v1/funds/{fund_id}/statement", "GET /api/v1/queue/{record_id}/statement"}),
    "figures": frozenset({"GET /api/v1/figures", "GET /api/v1/stations/{number}/report"}),
}


def token_in(headers: dict[bytes, bytes]) -> str | None:
    """The token that a request brings; None for none of ours, a kiosk's credential for one."""
    header = headers.get(b"authorization", b"")
    text = header[len(SCHEME) :].decode("latin-1").strip() if header[: len(SCHEME)].lower() == SCHEME else ""
    return text[:LENGTH_LIMIT] if text.startswith(read_tokens.PREFIX) else None


async def recognise(bank: Bank, arrival: Arrival, token: str) -> Visitor:
    """Who reads with this token. Raises `https_required` over an open line, `read_token_unknown` for what is none."""
    if not arrival.private:
        raise Problem("https_required")
    async with bank.engine.begin() as connection:
        found = await read_tokens.recognised(connection, bank.book_id, token, bank.clock())
    if found is None:
        raise Problem("read_token_unknown")
    session, scope = found
    return Visitor(arrival, session, reads=scope)


def check(route: str, scope: str) -> None:
    """Raise `read_token_writes` for what changes something, `read_token_scope` for what the scope does not hold."""
    if not route.startswith("GET "):
        raise Problem("read_token_writes")
    if route not in ROUTES[scope]:
        raise Problem("read_token_scope")


def is_read(route: str) -> bool:
    """Whether a token of any scope reads this."""
    return any(route in routes for routes in ROUTES.values())
