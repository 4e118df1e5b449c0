"""How a refusal is told: as JSON to programs, as a page to people."""

from typing import Any

import msgspec
import structlog
from litestar import Response
from litestar.connection import Request
from litestar.exceptions import HTTPException
from litestar.types import Scope

from api.pages.errors import error_page
from api.problems import MEDIA_TYPE, PROGRAM_PATHS, document, locale_of, problem_of

log = structlog.get_logger(__name__)


def for_program(scope: Scope) -> bool:
    """Whether the answer is read by a program."""
    return scope["path"].startswith(PROGRAM_PATHS)


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The one exception handler of the app."""
    problem = problem_of(error)
    request_id = request.scope["state"].get("request_id", "")
    if problem.status >= 500:
        log.error("failed", code=problem.code, request_id=request_id, exc_info=error)
    if problem.code == "try_later":
        problem.headers.setdefault("Retry-After", str(problem.data.get("seconds", 1)))
    if not for_program(request.scope):
        page = error_page(request, problem)
        page.headers.update(problem.headers)
        return page
    body = document(problem, locale_of(request), request_id)
    return Response(
        msgspec.json.encode(body), status_code=problem.status, media_type=MEDIA_TYPE, headers=problem.headers
    )


# An HTTPException is matched by its class, anything else by its class or, failing that, by 500.
handlers: Any = {Exception: answer, HTTPException: answer, 500: answer}
