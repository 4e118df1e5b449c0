"""Everywhere that somebody can go, where the bar is too narrow for it."""

from typing import Any

from litestar import Response, get

from api.pages.office import OFFICE
from api.pages.page import AnyRequest, all_ways, holds_role, member, show, speaker


@get("/more")
async def more(request: AnyRequest) -> Response[Any]:
    """All ways of this person, and the pages of the office where they have one."""
    session, spoken = member(request), speaker(request)
    return show(
        request,
        "more.html",
        way="/more",
        ways=all_ways(session, spoken),
        offices=[(href, spoken.gettext(words)) for href, words, roles in OFFICE if holds_role(session, *roles)],
    )


handlers = [more]
