"""What is asked of every request before its handler sees it: whom the route is open to, where a write comes from, and
the token that it brings along. And, before there are any, whether every route stands in the table."""

from typing import Any, cast

from litestar import Litestar
from litestar.connection import ASGIConnection, Request
from litestar.datastructures import FormMultiDict
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import HTTPScope

from api import credentials, reading
from api.auth import visitor_of
from api.guards import ACCESS, HELPED, UPLOADS
from api.guards.access import Access
from api.problems import Problem
from api.state import bank_of
from timebank.passkeys import PasskeyNeeded

SAFE_METHODS = frozenset({"GET", "OPTIONS"})
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
FORM_TYPE = "application/x-www-form-urlencoded"
UPLOAD_TYPE = "multipart/form-data"
# What a number in an address may be: no column holds more.
HIGHEST_NUMBER = 2**31 - 1


class Unguarded(Exception):
    """A route does not stand in the table, or the table names a route that is not there."""


async def admit(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """The one guard of the app: lets a request through to its handler, or raises the problem."""
    scope = cast(HTTPScope, connection.scope)
    method = scope["method"]
    # What the framework answers to OPTIONS is which methods there are.
    if method != "OPTIONS":
        access = ACCESS.get(f"{method} {scope['path_template']}")
        if access is None:
            raise Problem("role_not_allowed")
        check_numbers(scope["path_params"])
        if (scope_read := visitor_of(connection).reads) is not None:
            reading.check(f"{method} {scope['path_template']}", scope_read)
        if method not in SAFE_METHODS:
            check_origin(connection)
        if access.to == "kiosks":
            # What it signed is of nobody's session, and for this request alone: there is no token to ask for.
            await credentials.admit(connection)
            return
        check_access(connection, access)
        check_helper(connection, access, f"{method} {scope['path_template']}")
        if method not in SAFE_METHODS:
            await check_token(connection)


def check_numbers(parameters: dict[str, Any]) -> None:
    """A number that no thing of ours can have is the number of nothing."""
    if any(isinstance(value, int) and not 0 <= value <= HIGHEST_NUMBER for value in parameters.values()):
        raise Problem("not_found")


def check_access(connection: ASGIConnection[Any, Any, Any, Any], access: Access) -> None:
    """Raise `not_signed_in`, `role_not_allowed` or `passkey_needed` unless the route is open to the visitor."""
    visitor = visitor_of(connection)
    if access.to == "anybody":
        return
    if access.to == "machine":
        # To everybody else it is not there.
        if not visitor.arrival.loopback:
            raise Problem("not_found")
        return
    if visitor.session is None:
        raise Problem("not_signed_in")
    if access.to == "roles":
        if not any(grant.role in access.roles for grant in visitor.session.grants):
            raise Problem("role_not_allowed")
        needed = bank_of(connection).settings.require_passkey and not access.before_passkey
        if needed and not visitor.session.by_passkey:
            raise PasskeyNeeded()


def check_helper(connection: ASGIConnection[Any, Any, Any, Any], access: Access, route: str) -> None:
    """Raise `helper_not_allowed` where somebody acts for a member and the route is not one of those for that."""
    session = visitor_of(connection).session
    if session is not None and session.helper_id is not None and access.to != "anybody" and route not in HELPED:
        raise Problem("helper_not_allowed")


def check_origin(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """A write says where it comes from, and that is here; over an open line nothing is written.

    Browsers send `Origin`, new ones `Sec-Fetch-Site` too, and no page can forge either. Programs set `Origin`.
    """
    visitor = visitor_of(connection)
    if not visitor.arrival.private:
        raise Problem("https_required")
    site, origin = connection.headers.get("sec-fetch-site"), connection.headers.get("origin")
    if site is None and origin is None:
        raise Problem("cross_site")
    if (site is not None and site != "same-origin") or (origin is not None and origin != visitor.arrival.origin):
        raise Problem("cross_site")


async def check_token(connection: ASGIConnection[Any, Any, Any, Any]) -> None:
    """A form carries the token of this visitor; a program that is signed in sends it as a header."""
    visitor = visitor_of(connection)
    if connection.scope["path"].startswith("/api/"):
        if visitor.session is not None and not visitor.is_ours(connection.headers.get(CSRF_HEADER, "")):
            raise Problem("csrf_failed")
        return
    kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    scope = cast(HTTPScope, connection.scope)
    takes_files = route_of(scope) in UPLOADS
    if kind != FORM_TYPE and not (kind == UPLOAD_TYPE and takes_files):
        raise Problem("content_type_unsupported")
    form: Any = {}
    if isinstance(connection, Request):
        form = await (read_upload(connection) if kind == UPLOAD_TYPE else connection.form())
    token = form.get(CSRF_FIELD)
    if not isinstance(token, str) or not visitor.is_ours(token):
        raise Problem("csrf_failed")


def route_of(scope: HTTPScope) -> str:
    """The route as the table names it."""
    return f"{scope['method']} {scope['path_template']}"


async def read_upload(request: Request[Any, Any, Any]) -> FormMultiDict:
    """A form that brings a file. What the framework stumbles over is malformed; the file alone can be too large."""
    try:
        return await request.form()
    except HTTPException as error:
        if error.status_code == 413:
            raise Problem(UPLOADS[route_of(request.scope)]) from None
        if error.status_code < 500:
            raise Problem("request_malformed") from None
        raise
    except (ValueError, LookupError):
        # A part that says it is in a character set which it is not in, or which is none.
        raise Problem("request_malformed") from None


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
    if unknown := sorted(HELPED - set(ACCESS)):
        raise Unguarded(f"open to helpers, but not in the table of guards: {', '.join(unknown)}")
