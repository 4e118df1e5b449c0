"""A refusal as a page: what happened and what to do next, in the reader's language."""

from typing import Any

from litestar import Response

from api.language import mark
from api.pages.page import AnyRequest, go, here, show, speaker
from api.problems import Problem
from api.sentences import sentence

TITLES = {
    "not_found": mark("Not found"),
    "role_not_allowed": mark("Not open to you"),
    "code_expired": mark("Scan once more"),
    "code_forged": mark("Not a real code"),
    "code_malformed": mark("Not one of our codes"),
    "csrf_failed": mark("This page has grown old"),
    "try_later": mark("A little later, please"),
    "busy": mark("Very busy just now"),
    "unexpected": mark("Something went wrong"),
}
OTHERWISE = mark("That did not work")

# What to do next, where the sentence of the code does not say it.
SCAN_THE_SCREEN = mark("Scan the code on the station's own screen. If it happens again, tell the station's manager.")
ASK_THE_STATION = mark("Ask the station's manager.")
FOLLOWING = {
    "not_found": mark("Compare the address, or start again from the first page."),
    "role_not_allowed": mark("If this is part of your work, ask an administrator for the role."),
    "code_expired": SCAN_THE_SCREEN,
    "code_forged": SCAN_THE_SCREEN,
    "code_malformed": SCAN_THE_SCREEN,
    "device_revoked": ASK_THE_STATION,
    "station_closed": ASK_THE_STATION,
    "member_suspended": ASK_THE_STATION,
}


def error_page(request: AnyRequest, problem: Problem) -> Response[Any]:
    """The page for a problem. Who is not signed in yet is asked to, and comes back to where they wanted to go."""
    if problem.code == "not_signed_in":
        return go("/sign-in", next=here(request))
    if problem.code == "passkey_needed" and request.method == "GET":
        return go("/passkeys")
    spoken = speaker(request)
    following = FOLLOWING.get(problem.code)
    return show(
        request,
        "errors/error.html",
        status=problem.status,
        title=spoken.gettext(TITLES.get(problem.code, OTHERWISE)),
        words=sentence(problem.code, spoken.tag, problem.data),
        following=spoken.gettext(following) if following else "",
        code=problem.code,
        request_id=request.scope["state"].get("request_id", "") if problem.status >= 500 else "",
    )
