"""What the API says of itself: its description, and every code with its words."""

from typing import Any

import msgspec
from litestar import Response
from litestar.params import FromPath

from api.openapi import document
from api.problems import Problem
from api.rest.operation import JSON_TYPE, Answered, AnyRequest, Operation, give, reading
from api.sentences import REASONS, SENTENCES

CACHED = {"Cache-Control": "public, max-age=3600"}


class ErrorCode(Answered, frozen=True):
    """One code that a problem can carry."""

    code: str
    status: int
    zh: str
    en: str
    """`{name}` stands for a fact in the problem's `data`."""


class ErrorCodes(Answered, frozen=True):
    """Every code, and every `reason` of the code `invalid`."""

    errors: list[ErrorCode]
    reasons: dict[str, tuple[str, str]]
    """In Chinese and English."""


ERRORS = {code: ErrorCode(code=code, **sentence._asdict()) for code, sentence in SENTENCES.items()}


@reading("/errors", Operation(ErrorCodes))
async def errors() -> Response[Any]:
    """Every code that a problem can carry."""
    return give(ErrorCodes(errors=list(ERRORS.values()), reasons=REASONS))


@reading("/errors/{code:str}", Operation(ErrorCode, refusals=("not_found",)))
async def error(code: FromPath[str]) -> Response[Any]:
    """One of them: the address that a problem's `type` leads to."""
    if code not in ERRORS:
        raise Problem("not_found")
    return give(ERRORS[code])


@reading("/openapi.json", Operation(dict[str, Any]))
async def openapi(request: AnyRequest) -> Response[Any]:
    """This description, in OpenAPI 3.1."""
    return Response(msgspec.json.encode(document(request.app)), media_type=JSON_TYPE, headers=CACHED)


handlers = [errors, error, openapi]
