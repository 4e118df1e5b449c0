"""Every error as an RFC 9457 problem with a stable `code`: JSON for programs, a page for people."""

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from litestar import Response
from litestar.connection import Request
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Scope
from sqlalchemy.exc import DBAPIError

from api.language import COOKIE, choose
from api.sentences import sentence, status_of
from timebank.commands import Answer
from timebank.database import is_away
from timebank.errors import BankError, Busy

__all__ = ["Problem", "ProblemDocument", "answered", "handlers", "locale_of", "problem_of", "sentence"]

MEDIA_TYPE = "application/problem+json"
# What is answered to programs; everything else is answered with a page.
PROGRAM_PATHS = ("/api/", "/health/", "/metrics")
FROM_STATUS = {
    400: "request_malformed",
    401: "not_signed_in",
    403: "role_not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "content_type_unsupported",
}
# What two senders of one id at the same moment run into; the second finds the first's row when it sends again. Who was
# chosen to fail in a deadlock, or has waited for a lock or an answer as long as anybody may, can send again, too.
FROM_SQLSTATE = {"23505": "conflict", "40001": "busy", "40P01": "busy", "55P03": "busy", "57014": "busy"}

log = structlog.get_logger(__name__)


class Problem(Exception):
    """A refusal of the web layer, or of a command. The status belongs to the code; see `api/sentences.py`."""

    def __init__(self, code: str, data: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None):
        super().__init__(code)
        self.code = code
        self.data = dict(data or {})
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return status_of(self.code)


class ProblemDocument(msgspec.Struct, frozen=True, rename={"kind": "type"}):
    """What a program gets, as application/problem+json (RFC 9457)."""

    kind: str
    """Address of the description of this code."""
    title: str
    """The code in words, the same in every answer."""
    status: int
    """The HTTP status, again."""
    detail: str
    """One sentence in the reader's language."""
    code: str
    """The stable code; programs go by it alone."""
    instance: str
    """The request's id, which also stands in the log and in the X-Request-ID header."""
    data: dict[str, Any]
    """Facts that belong to the code."""


def answered(answer: Answer) -> Answer:
    """The answer of a command that was carried out or held; raises the problem of one that was refused."""
    if answer.refused:
        raise Problem(answer.code, answer.data)
    return answer


def problem_of(error: Exception) -> Problem:
    """The problem that any exception is answered with."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, BankError):
        return Problem(error.code, error.data)
    if isinstance(error, ValidationException):
        return Problem("invalid", {**first_field(error), "reason": "type"})
    if isinstance(error, HTTPException) and error.status_code in FROM_STATUS:
        return Problem(FROM_STATUS[error.status_code], headers=error.headers)
    if is_client_gone(error):
        return Problem("body_incomplete")
    if is_away(error):
        # The database is away or everybody waits for it. Whatever was sent may be sent again.
        return Problem(Busy.code)
    if isinstance(error, DBAPIError) and (code := FROM_SQLSTATE.get((getattr(error.orig, "sqlstate", "") or "")[:5])):
        return Problem(code, {"field": "id"} if code == "conflict" else None)
    return Problem("unexpected")


def first_field(error: ValidationException) -> dict[str, str]:
    """The name of the first field or parameter that the framework complains of."""
    complaints = error.extra if isinstance(error.extra, list) else []
    return {"field": str(complaints[0].get("key", "")) if complaints else ""}


def is_client_gone(error: Exception) -> bool:
    """Whether the sender hung up in the middle of the body, which the framework counts as its own failure."""
    return isinstance(error, HTTPException) and "disconnected" in error.detail


def locale_of(request: Request[Any, Any, Any]) -> str:
    """The reader's language: chosen in this browser, then as a member, then what the browser asks for."""
    visitor = request.scope.get("auth")
    session = visitor.session if visitor else None
    member_locale = session.locale if session else None
    return choose(request.cookies.get(COOKIE), member_locale, request.headers.get("accept-language"))


def for_program(scope: Scope) -> bool:
    """Whether the answer is read by a program."""
    return scope["path"].startswith(PROGRAM_PATHS)


def document(problem: Problem, locale: str, request_id: str) -> ProblemDocument:
    """The problem for a program."""
    return ProblemDocument(
        kind=f"/api/v1/errors/{problem.code}",
        title=problem.code.replace("_", " ").capitalize(),
        status=problem.status,
        detail=sentence(problem.code, locale, problem.data),
        code=problem.code,
        instance=request_id,
        data=problem.data,
    )


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """The one exception handler of the app."""
    problem = problem_of(error)
    request_id = request.scope["state"].get("request_id", "")
    if problem.status >= 500:
        log.error("failed", code=problem.code, request_id=request_id, exc_info=error)
    if problem.code == "try_later":
        problem.headers.setdefault("Retry-After", str(problem.data.get("seconds", 1)))
    if not for_program(request.scope):
        from api.pages.errors import error_page

        page = error_page(request, problem)
        page.headers.update(problem.headers)
        return page
    body = document(problem, locale_of(request), request_id)
    return Response(
        msgspec.json.encode(body), status_code=problem.status, media_type=MEDIA_TYPE, headers=problem.headers
    )


# An HTTPException is matched by its class, anything else by its class or, failing that, by 500.
handlers: Any = {Exception: answer, HTTPException: answer, 500: answer}
