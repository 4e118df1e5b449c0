"""Tokens for other programs: which there are, a new one, whose secret is shown once, and the end of one."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api.bodies import complaint
from api.language import mark
from api.pages.forms import Form
from api.pages.page import AnyRequest, Shown, go, member, show, speaker
from api.pages.trying import try_form
from api.problems import Problem, problem_of
from api.rest import read_tokens as deeds
from api.sentences import sentence
from api.state import bank_of
from timebank import read_tokens
from timebank.ids import uuid7
from timebank.tables import READ_SCOPES

WAY = "/tokens"
SCOPES = {
    "things": mark("Stations, regions, funds, rewards, shifts, rules"),
    "people": mark("Members, roles, records that wait, hand-overs, the trail"),
    "statements": mark("Statements of funds and of volunteers"),
    "figures": mark("Figures and monthly reports"),
}
LIVES = (30, 90, 180, 366)


@get(WAY)
async def my_tokens(request: AnyRequest, done: FromQuery[str] = "") -> Response[Any]:
    """The page, with what became of a form."""
    spoken = speaker(request)
    ended = Shown(False, spoken.gettext("Done"), spoken.gettext("This token reads nothing any more."))
    return await tokens_page(request, ended if done == "revoked" else None)


async def tokens_page(
    request: AnyRequest, answer: Shown | None, *, secret: str | None = None, status: int = 200
) -> Response[Any]:
    """What there is, and the form for another."""
    session, bank = member(request), bank_of(request)
    async with bank.engine.connect() as connection:
        found = await read_tokens.of(connection, bank.book_id, bank.keys, session.member_id, bank.clock())
    spoken = speaker(request)
    return show(
        request,
        "volunteer/tokens.html",
        status=status,
        way=WAY,
        answer=answer,
        secret=secret,
        tokens=found,
        scopes=[(scope, spoken.gettext(SCOPES[scope])) for scope in READ_SCOPES],
        scope_words={scope: spoken.gettext(words) for scope, words in SCOPES.items()},
        lives=[(days, spoken.days(days)) for days in LIVES],
        new_id=lambda: uuid7(bank.clock()),
    )


@post(WAY, status_code=200)
async def make_token(request: AnyRequest) -> Response[Any]:
    """Make one, and show its secret: reloading the page makes no other, and does not show it again."""
    form, bank = await Form.of(request), bank_of(request)
    typed = {name: form.text(name) for name in ("id", "name", "scope", "life_days")}
    try:
        try:
            body = msgspec.convert(typed, deeds.NewReadToken, strict=False)
        except msgspec.ValidationError as error:
            raise Problem("invalid", complaint(str(error))) from None
        secret = await deeds.made(bank, member(request).member_id, body)
    except Exception as error:
        return await refused(request, problem_of(error), error)
    return await tokens_page(request, None, secret=secret)


async def refused(request: AnyRequest, problem: Problem, error: Exception) -> Response[Any]:
    """The page, saying why nothing was changed."""
    if problem.status >= 500:
        raise error
    spoken = speaker(request)
    words = sentence(problem.code, spoken.tag, problem.data)
    answer = Shown(True, spoken.gettext("Nothing was changed"), words)
    return await tokens_page(request, answer, status=problem.status)


@post("/tokens/{token_id:uuid}/revocation", status_code=303)
async def revoke_token(request: AnyRequest, token_id: FromPath[UUID]) -> Response[Any]:
    """End one now."""
    tried = await try_form(request, deeds.revoke_read_token, token_id)
    if tried.problem is None:
        return go(WAY, done="revoked")
    return await refused(request, tried.problem, tried.problem)


handlers = [my_tokens, make_token, revoke_token]
