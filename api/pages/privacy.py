"""What is a member's own as a person: what the bank knows, and being forgotten."""

from typing import Any

from litestar import Response, get, post

from api.language import mark
from api.pages.page import AnyRequest, Shown, go, member, show, speaker
from api.pages.trying import Tried, try_form
from api.problems import Problem
from api.rest import erasures as deeds
from api.sentences import sentence
from api.state import bank_of
from timebank import erasing, members
from timebank.ids import uuid7

WAY = "/privacy"
DONE = {
    "erasure": mark("Your wish is on record. An administrator carries it out; until then you can take it back."),
    "kept": mark("You stay. Nothing was erased."),
}
NOT_DONE = mark("Nothing was changed")


@get(WAY)
async def privacy(request: AnyRequest) -> Response[Any]:
    """The page, with what became of a form."""
    spoken, words = speaker(request), DONE.get(request.query_params.get("done", ""))
    return await privacy_page(request, Shown(False, spoken.gettext("Done"), spoken.gettext(words)) if words else None)


async def privacy_page(request: AnyRequest, answer: Shown | None, status: int = 200) -> Response[Any]:
    """What the bank knows of who is signed in, and what they can do about it."""
    session, bank = member(request), bank_of(request)
    async with bank.engine.connect() as connection:
        person = await members.personal(connection, bank.book_id, bank.keys, session.member_id)
        wish = await erasing.waiting(connection, bank.book_id, session.member_id)
    return show(
        request,
        "volunteer/privacy.html",
        status=status,
        way=WAY,
        answer=answer,
        person=person or {},
        member_id=session.member_id,
        wish=wish,
        new_id=lambda: uuid7(bank.clock()),
    )


async def settled(request: AnyRequest, tried: Tried, done: str) -> Response[Any]:
    """Back to the page after a form: what was done, or why not."""
    if tried.problem is None:
        return go(WAY, done=done)
    return await told(request, tried.problem)


async def told(request: AnyRequest, problem: Problem) -> Response[Any]:
    """The page, saying why nothing was changed."""
    spoken = speaker(request)
    words = sentence(problem.code, spoken.tag, problem.data)
    return await privacy_page(request, Shown(True, spoken.gettext(NOT_DONE), words), problem.status)


@post("/privacy/erasure", status_code=303)
async def ask_to_be_erased(request: AnyRequest) -> Response[Any]:
    """Ask to be erased."""
    return await settled(request, await try_form(request, deeds.ask_my_erasure), "erasure")


@post("/privacy/erasure/withdrawal", status_code=303)
async def stay(request: AnyRequest) -> Response[Any]:
    """Take the wish back."""
    return await settled(request, await try_form(request, deeds.withdraw_my_erasure), "kept")


handlers = [privacy, ask_to_be_erased, stay]
