"""The OpenAPI description, made from what the routes declare: each one's `Operation` and its line in `guards.ACCESS`.

Written here and not by the framework, because bodies are read by `api/bodies.py`, more strictly than the framework
does, and because every refusal a route can give belongs into its description.
"""

import inspect
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Litestar
from litestar.routes import HTTPRoute

from api import admission, credentials, downloads, guards, reading
from api.auth import BROWSER, SESSION
from api.guards.access import Access
from api.problems import MEDIA_TYPE, ProblemDocument
from api.sentences import SENTENCES
from timebank.policies import STATES as VERSION_STATES
from timebank.policy import HOLD_ORDER
from timebank.readings import KINDS as LOOKS
from timebank.service_certificates import STATES as CERTIFICATE_STATES
from timebank.tables import GRADES, LEVELS, RECORD_STATES, REDEMPTION_STATES

if TYPE_CHECKING:
    from api.rest.operation import Operation

REFERENCE = "#/components/schemas/{name}"
PREFIX = "/api/v1/"
DESCRIPTION = """\
JSON, UTF-8, times in ISO 8601 with their offset. Every write may be sent again under the same id, and gets the same \
answer. Lists come in pages: `following` of one is `cursor` of the next.

Every refusal is a problem (RFC 9457) with a stable `code`; `/api/v1/errors` lists them all. Every write names its \
`Origin`, which is the bank's own address; with a session, also the `X-CSRF-Token` that signing in answered."""
PARAMETERS = {
    "cursor": ("Where the page begins: `following` of the page before.", {"type": "string", "maxLength": 60}),
    "limit": ("How many items a page has at most.", {"type": "integer", "minimum": 1, "maximum": 100}),
    "format": (
        "The whole list from here on as a spreadsheet, whatever `limit` says.",
        {"type": "string", "enum": ["json", *downloads.FORMATS], "default": "json"},
    ),
    "unit": ("What is counted.", {"type": "string", "enum": ["point", "minute"], "default": "point"}),
    "station_id": ("Only this station's.", {"type": "string", "format": "uuid"}),
    "region_id": ("Only this region's, and those below it.", {"type": "string", "format": "uuid"}),
    "reward_kind": (
        "Only rewards of this kind.",
        {"type": "string", "enum": ["goods", "service", "voucher", "honour"]},
    ),
    "reward_state": ("Only rewards in this state.", {"type": "string", "enum": ["open", "closed"]}),
    "member_id": ("Only this member's.", {"type": "string", "format": "uuid"}),
    "parent_id": ("Those right below this region.", {"type": "string", "format": "uuid"}),
    "service_kind_id": ("Only of this kind of service.", {"type": "string", "format": "uuid"}),
    "shift_id": ("Only who came for this shift.", {"type": "string", "format": "uuid"}),
    "look": ("Only looks of this kind.", {"type": "string", "enum": list(LOOKS)}),
    "region_name": (
        "A part of the name, or the first digits of the division code.",
        {"type": "string", "maxLength": 80},
    ),
    "region_level": ("Only regions of this level.", {"type": "string", "enum": list(LEVELS)}),
    "certificate_state": ("Only certificates that are so.", {"type": "string", "enum": list(CERTIFICATE_STATES)}),
    "version_state": ("Only versions that are so.", {"type": "string", "enum": list(VERSION_STATES)}),
    "member_state": (
        "Only members in this state.",
        {"type": "string", "enum": ["active", "suspended", "erased", "merged"]},
    ),
    "station_state": ("Only stations in this state.", {"type": "string", "enum": ["open", "closed"]}),
    "station_name": ("A part of the name, or the whole number.", {"type": "string", "maxLength": 80}),
    "role": ("Only this role.", {"type": "string", "enum": ["manager", "clerk", "admin", "auditor"]}),
    "role_state": ("Only roles that are so.", {"type": "string", "enum": ["current", "coming", "ended"]}),
    "actor_id": ("Only what this member did.", {"type": "string", "format": "uuid"}),
    "action": ("Only this action, `member.edit`, or all of a kind, `member`.", {"type": "string", "maxLength": 60}),
    "subject_id": ("Only what was done to this thing.", {"type": "string", "format": "uuid"}),
    "grade": ("Only records of this evidence grade.", {"type": "string", "enum": list(GRADES)}),
    "hold": ("Only what is held for this reason.", {"type": "string", "enum": list(HOLD_ORDER)}),
    "record_state": ("Only records in this state.", {"type": "string", "enum": list(RECORD_STATES)}),
    "redemption_state": ("Only redemptions in this state.", {"type": "string", "enum": list(REDEMPTION_STATES)}),
    "since": ("From this moment on.", {"type": "string", "format": "date-time"}),
    "until": ("Before this moment.", {"type": "string", "format": "date-time"}),
    "since:day": ("From the beginning of this day, where the community lives.", {"type": "string", "format": "date"}),
    "until:day": ("To the end of this day.", {"type": "string", "format": "date"}),
    "month": (
        "A month of the community's, `2026-03`; left out, the one before this.",
        {"type": "string", "pattern": "^2[01][0-9]{2}-(0[1-9]|1[0-2])$"},
    ),
    "month:of": (
        "A month of the community's, `2026-03`.",
        {"type": "string", "pattern": "^2[01][0-9]{2}-(0[1-9]|1[0-2])$"},
    ),
    "year": (
        "A year of the community's, `2026`; left out, with `month` too, this one.",
        {"type": "string", "pattern": "^2[01][0-9]{2}$"},
    ),
    "catalogue": (
        "Only kinds of this catalogue.",
        {"type": "string", "enum": ["seven_helps", "four_aids", "community"]},
    ),
    "webhook_id": ("Only this webhook's.", {"type": "string", "format": "uuid"}),
    "message_state": ("Only messages that are so.", {"type": "string", "enum": ["waiting", "sent", "dead"]}),
    "kind_state": ("Only kinds that are so.", {"type": "string", "enum": ["offered", "retired"]}),
}
PATH_TYPES = {
    "uuid": {"type": "string", "format": "uuid"},
    "int": {"type": "integer", "minimum": 0},
    "str": {"type": "string"},
}


@cache
def document(app: Litestar) -> dict[str, Any]:
    """The whole description."""
    found = sorted(admission.routes(app).items(), key=lambda item: item[0].split()[::-1])
    described = {name: operation_of(name, route) for name, route in found if f" {PREFIX}" in name}
    shapes: dict[Any, None] = {ProblemDocument: None}
    for operation, _ in described.values():
        shapes |= dict.fromkeys(shape for shape in (operation.takes, operation.gives) if is_shape(shape))
    _, components = msgspec.json.schema_components(list(shapes), ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for name, (operation, handler) in described.items():
        method, path = name.split()
        paths.setdefault(path, {})[method.lower()] = describe(name, operation, handler)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Time Bank",
            "version": version("timebank"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": security_schemes()},
    }


def operation_of(name: str, route: HTTPRoute) -> tuple["Operation", Any]:
    """What a route declares, and its handler."""
    handler = route.route_handler_map[name.split()[0]][0]  # type: ignore[index]
    operation: Operation = handler.opt["operation"]
    return operation, handler


def is_shape(shape: Any) -> bool:
    """Whether a type has a schema of its own."""
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def describe(name: str, operation: "Operation", handler: Any) -> dict[str, Any]:
    """One operation."""
    words = inspect.cleandoc(handler.fn.__doc__ or "")
    access = guards.ACCESS[name]
    method, path = name.split()
    found: dict[str, Any] = {
        "operationId": handler.fn.__name__,
        "summary": words.partition("\n")[0].partition(". ")[0].rstrip("."),
        "description": words + (f"\n\nNeeds the role {' or '.join(access.roles)}." if access.roles else ""),
        "tags": [path.removeprefix(PREFIX).partition("/")[0]],
        "security": security_of(name, access, method),
        "parameters": [*path_parameters(handler), *map(query_parameter, operation.query)],
        "responses": responses(name, operation, access, method),
    }
    if operation.takes:
        found["requestBody"] = {"required": True, "content": json_of(operation.takes)}
    if operation.takes_media:
        found["requestBody"] = {"required": True, "content": {kind: {} for kind in operation.takes_media}}
    return found


def path_parameters(handler: Any) -> list[dict[str, Any]]:
    """The parameters in a route's path."""
    (path,) = handler.paths
    parts = [part[1:-1].split(":") for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": PATH_TYPES[kind]} for name, kind in parts]


def query_parameter(name: str) -> dict[str, Any]:
    """A parameter after the question mark; none is ever required."""
    words, schema = PARAMETERS[name]
    # The same name stands for something else in another route.
    return {"name": name.partition(":")[0], "in": "query", "description": words, "schema": schema}


def json_of(shape: Any) -> dict[str, Any]:
    """A body of one shape."""
    schema = {"$ref": REFERENCE.format(name=shape.__name__)} if is_shape(shape) else {"type": "object"}
    return {"application/json": {"schema": schema}}


def responses(name: str, operation: "Operation", access: Access, method: str) -> dict[str, Any]:
    """The answer that is hoped for, and every problem, by status with its codes."""
    from api.rest.operation import ALWAYS, OF_WRITES, CommandAnswer

    hoped: dict[str, Any] = {"description": "Done."}
    if operation.gives is not None:
        hoped["content"] = json_of(operation.gives)
    if operation.gives_media is not None:
        hoped["content"] = {operation.gives_media: {"schema": {"type": "string"}}}
    if operation.is_list:
        hoped["content"] |= {form.media_type: {"schema": {"type": "string"}} for form in downloads.FORMATS.values()}
    found: dict[str, Any] = {str(operation.status): hoped}
    if operation.gives is CommandAnswer:
        found["202"] = {"description": "Kept; a person decides.", "content": json_of(CommandAnswer)}
    codes = {*ALWAYS, *operation.refusals}
    if operation.query:
        codes.add("invalid")
    if method != "GET":
        # Whoever has a session sends its token along, wherever to.
        codes |= {*OF_WRITES, "csrf_failed"}
    if access.to in ("members", "roles"):
        codes.add("not_signed_in")
    if access.to == "roles":
        codes |= {"role_not_allowed"} if access.before_passkey else {"role_not_allowed", "passkey_needed"}
    # A token is looked at wherever it is brought to.
    codes |= {"https_required", "read_token_unknown", "read_token_scope" if method == "GET" else "read_token_writes"}
    if access.to in ("members", "roles") and name not in guards.HELPED:
        codes.add("helper_not_allowed")
    if access.to == "kiosks":
        codes |= set(credentials.REFUSALS)
    by_status: dict[int, list[str]] = {}
    for code in sorted(codes):
        by_status.setdefault(SENTENCES[code].status, []).append(code)
    for status, refusals in sorted(by_status.items()):
        schema = {
            "allOf": [{"$ref": REFERENCE.format(name=ProblemDocument.__name__)}],
            "properties": {"code": {"enum": refusals}},
        }
        listed = ", ".join(f"`{code}`" for code in refusals)
        found[str(status)] = {"description": f"Refused: {listed}.", "content": {MEDIA_TYPE: {"schema": schema}}}
    return found


def security_of(name: str, access: Access, method: str) -> list[dict[str, list[str]]]:
    """What a request has to bring along."""
    if access.to == "anybody":
        return []
    if access.to == "kiosks":
        return [{"kiosk": []}]
    if method != "GET":
        return [{"session": [], "csrf": []}]
    ways: list[dict[str, list[str]]] = [{"session": []}]
    return [*ways, {"readToken": []}] if reading.is_read(name) else ways


def security_schemes() -> dict[str, Any]:
    """How a request shows who sends it."""
    return {
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": f"__Host-{SESSION}",
            "description": f"From signing in. On plain http, which works on one machine only, `{SESSION}`. "
            f"`__Host-{BROWSER}` beside it says which browser a ticket belongs to.",
        },
        "csrf": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "What signing in, and `/api/v1/me`, answered.",
        },
        "readToken": {
            "type": "http",
            "scheme": "bearer",
            "description": "Made by a manager or an administrator; see docs/reference/api.md.",
        },
        "kiosk": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Signed by the kiosk for this request alone, ES256; see docs/reference/kiosk.md.",
        },
    }
