"""A refusal as a page: what happened and what to do next, in the reader's language."""

from typing import Any

from litestar import Response

from api.language import mark
from api.pages.page import AnyRequest, go, here, show, speaker
from api.problems import Problem
from api.sentences import sentence

TITLES = {
    "not_found": mark("Not here"),
    "role_not_allowed": mark("Not for you"),
    "code_expired": mark("Scan once more"),
    "code_forged": mark("Not a real code"),
    "code_malformed": mark("Not one of our codes"),
    "csrf_failed": mark("This page has grown old"),
    "try_later": mark("A little later, please"),
    "busy": mark("Very busy just now"),
    "unexpected": mark("Something went wrong"),
}
OTHERWISE = mark("That did not work")


def error_page(request: AnyRequest, problem: Problem) -> Response[Any]:
    """The page for a problem. Who is not signed in yet is asked to, and comes back to where they wanted to go."""
    if problem.code == "not_signed_in":
        return go("/sign-in", next=here(request))
    spoken = speaker(request)
    return show(
        request,
        "errors/error.html",
        status=problem.status,
        title=spoken.gettext(TITLES.get(problem.code, OTHERWISE)),
        words=sentence(problem.code, spoken.tag, problem.data),
        code=problem.code,
        request_id=request.scope["state"].get("request_id", "") if problem.status >= 500 else "",
    )
