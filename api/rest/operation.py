"""What every JSON route shares: how it is described, how its body is read and how its answer is written."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import Empty, EmptyType
from msgspec import Meta

from api import downloads
from api.bodies import check_text, read_json
from api.periods import period_of
from api.problems import Problem, answered
from api.state import bank_of
from timebank.commands import Answer
from timebank.cursors import Cursor, Ranked, numbered

AnyRequest = Request[Any, Any, Any]
T = TypeVar("T", bound="Body")
A = TypeVar("A", bound="Answered")
Handler = Callable[..., Awaitable[Response[Any]]]

JSON_TYPE = "application/json"
PAGE_LIMIT = 100
# Codes that any route may be refused with, beside those that it names itself.
ALWAYS = ("unexpected", "busy", "host_unknown", "address_too_long", "text_has_nul")
OF_WRITES = (
    "https_required",
    "cross_site",
    "content_type_unsupported",
    "body_too_large",
    "body_incomplete",
    "text_not_utf8",
    "json_malformed",
    "json_too_deep",
    "json_duplicate_key",
    "invalid",
)

Moment = Annotated[datetime, Meta(tz=True)]
ShortText = Annotated[str, Meta(max_length=200)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a program sends. Fields that nobody reads are refused: a misspelt one must not be lost in silence."""


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What a program gets."""


class ListPage(Answered, frozen=True):
    """One page of a list, which stands in the one field that each kind of page adds."""

    following: str | None
    """The cursor of the next page; null on the last."""


class CommandAnswer(Answered, frozen=True):
    """What became of a command; the same for ever, however often it is sent."""

    id: UUID
    """The id under which the command was sent."""
    code: str
    """"ok", or "held": it is kept, and a person decides."""
    data: dict[str, Any]
    """Facts that belong to the answer; see each operation."""


class Done(Answered, frozen=True):
    """It is done."""

    code: str = "ok"


@dataclass(frozen=True, slots=True)
class Operation:
    """How a route is described to programs; `api/openapi.py` makes the document of it."""

    gives: Any
    takes: type[Body] | None = None
    status: int = 200
    refusals: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    takes_media: tuple[str, ...] = ()
    """What a file may be called that is the whole body."""
    gives_media: str | None = None
    """What the answer is where it is no JSON."""

    @property
    def is_list(self) -> bool:
        """Whether the answer is one page of several."""
        return {"cursor", "limit"} <= set(self.query)


def reading(path: str, operation: Operation) -> Callable[[Handler], HTTPRouteHandler]:
    """A GET route. A list is taken away whole as a spreadsheet by the same route, with `format`."""
    if not operation.is_list:
        return get(f"/api/v1{path}", opt={"operation": operation})
    listing = replace(
        operation, query=(*operation.query, "format"), refusals=(*operation.refusals, *downloads.REFUSALS)
    )

    def route(page: Handler) -> HTTPRouteHandler:
        @wraps(page)
        async def either(request: AnyRequest, **named: Any) -> Response[Any]:
            wanted = choice_query(request, "format", ("json", *downloads.FORMATS))
            if wanted in (None, "json"):
                return await page(request, **named)
            limit_of(request)
            return await downloads.whole_list(
                request,
                path,
                operation.gives,
                downloads.FORMATS[wanted],
                lambda asked: page(asked, **named),
            )

        return get(f"/api/v1{path}", opt={"operation": listing})(either)

    return route


def writing(
    path: str, operation: Operation, *, body_limit: int | EmptyType = Empty
) -> Callable[[Handler], HTTPRouteHandler]:
    """A POST route. `body_limit`, in bytes, in place of the app's."""
    return post(
        f"/api/v1{path}",
        status_code=operation.status,
        opt={"operation": operation},
        request_max_body_size=body_limit,
    )


def ending(path: str, operation: Operation) -> Callable[[Handler], HTTPRouteHandler]:
    """A DELETE route."""
    return delete(f"/api/v1{path}", status_code=operation.status, opt={"operation": operation})


async def body_of(request: AnyRequest, shape: type[T]) -> T:
    """The body of a request as a `shape`; raises the problem that says what is wrong with it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON_TYPE:
        raise Problem("content_type_unsupported")
    return read_json(await request.body(), shape)


def give(value: Any, status: int = 200) -> Response[bytes]:
    """An answer in JSON."""
    return Response(msgspec.json.encode(value), status_code=status, media_type=JSON_TYPE)


def shaped(row: Any, shape: type[A], **more: Any) -> A:
    """A row as a `shape`, with what the row itself does not have; columns that the shape does not name stay out."""
    return msgspec.convert({**{str(name): value for name, value in row._mapping.items()}, **more}, shape)


def settled(id: UUID, answer: Answer) -> Response[bytes]:
    """What became of a command: 201 when it was carried out, 202 when a person decides; raises its refusal."""
    answered(answer)
    return give(CommandAnswer(id=id, code=answer.code, data=answer.data), 202 if answer.code == "held" else 201)


def command_id(id: UUID) -> UUID:
    """The id of a command, when it is a UUID version 7: made now, by whoever sends it, and never before."""
    if id.version != 7:
        raise Problem("invalid", {"field": "id", "reason": "uuid7"})
    return id


def moment(field: str, value: datetime | None) -> datetime | None:
    """A moment in UTC, within what people live to see; further off there are moments that have no UTC."""
    if value is not None and not 2000 <= value.year <= 2199:
        raise Problem("invalid", {"field": field, "reason": "range"})
    return value.astimezone(UTC) if value else None


def text_query(request: AnyRequest, name: str) -> str | None:
    """A parameter of the address; sent twice, it could be understood in two ways."""
    values = request.query_params.getall(name, [])
    if len(values) > 1:
        raise Problem("invalid", {"field": name, "reason": "one_of"})
    for value in values:
        check_text(value)
    return values[0] if values else None


def id_query(request: AnyRequest, name: str) -> UUID | None:
    """A parameter that holds an id."""
    value = text_query(request, name)
    if value is None:
        return None
    try:
        return UUID(value)
    except ValueError:
        raise Problem("invalid", {"field": name, "reason": "type"}) from None


def choice_query(request: AnyRequest, name: str, choices: Collection[str]) -> str | None:
    """A parameter that is one of a few words."""
    value = text_query(request, name)
    if value is not None and value not in choices:
        raise Problem("invalid", {"field": name, "reason": "unknown"})
    return value


def moment_query(request: AnyRequest, name: str) -> datetime | None:
    """A parameter that is a moment with its offset."""
    value = text_query(request, name)
    if value is None:
        return None
    try:
        return moment(name, msgspec.convert(value, Moment))
    except msgspec.ValidationError:
        raise Problem("invalid", {"field": name, "reason": "type"}) from None


def days_query(request: AnyRequest) -> tuple[datetime | None, datetime | None]:
    """The parameters `since` and `until`, days of the community's: when they begin, and the first moment after them."""
    period = period_of(text_query(request, "since"), text_query(request, "until"))
    return period.moments(bank_of(request).settings.time_zone)


def limit_of(request: AnyRequest, usual: int = 20) -> int:
    """How many items a page shall have."""
    value = text_query(request, "limit")
    if value is None:
        return downloads.page_size(request) or usual
    if not value.isascii() or not value.isdigit() or len(value) > 3 or not 1 <= int(value) <= PAGE_LIMIT:
        raise Problem("invalid", {"field": "limit", "reason": "range"})
    return int(value)


def cursor_of(request: AnyRequest) -> Cursor | None:
    """Where the page begins; raises `cursor_invalid`."""
    return Cursor.read(text_query(request, "cursor"))


def ranked_cursor(request: AnyRequest) -> Ranked | None:
    """Where the page of a list begins that is ordered by a number; raises `cursor_invalid`."""
    return Ranked.read(text_query(request, "cursor"))


def numbered_cursor(request: AnyRequest) -> int | None:
    """Where the page of a list begins whose items have numbers; raises `cursor_invalid`."""
    return numbered(text_query(request, "cursor"))


def following(cursor: Cursor | Ranked | int | None) -> str | None:
    """The cursor of the next page as text."""
    return str(cursor) if cursor is not None else None
