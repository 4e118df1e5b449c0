"""Every error as an RFC 9457 problem with a stable `code`."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.connection import Request
from litestar.exceptions import HTTPException, ValidationException
from sqlalchemy.exc import DBAPIError

from api.language import COOKIE, choose
from api.sentences import sentence, status_of
from timebank.commands import Answer
from timebank.database import is_away
from timebank.errors import BankError, Busy

__all__ = ["Problem", "ProblemDocument", "answered", "locale_of", "problem_of", "sentence"]

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
