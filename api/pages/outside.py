"""Signing in by an account elsewhere: going there, coming back; and which accounts are linked to oneself."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api.auth import address_of, sign_in_with, visitor_of
from api.language import mark
from api.pages.entry import sign_in_page
from api.pages.forms import Form
from api.pages.leaving import offered
from api.pages.page import AnyRequest, Shown, go, inside, member, show, speaker
from api.pages.trying import try_form
from api.problems import Problem, problem_of
from api.rest import outside as deeds
from api.sentences import sentence
from api.state import bank_of
from timebank import outside, passkeys
from timebank.errors import BankError
from timebank.ids import uuid7
from timebank.outside import Provider
from timebank.sessions import Session

WAY = "/accounts"
DONE = {
    "linked": mark("The account is linked. You can sign in by it from now on."),
    "removed": mark("This account signs nobody in any more."),
}


def provider_of(request: AnyRequest, name: str) -> tuple[Provider, str]:
    """One of those outside, and where people come back to from there; `not_found` for one that is not set."""
    provider = bank_of(request).outside.get(name)
    if provider is None:
        raise Problem("not_found")
    return provider, f"{bank_of(request).settings.address}/sign-in/outside/{name}/back"


async def leave(request: AnyRequest, name: str, following: str, session: Session | None) -> Response[Any]:
    """A page that leads outside. No redirect: what a form leads to has to be ours."""
    bank, (provider, back), visitor = bank_of(request), provider_of(request, name), visitor_of(request)
    address = await outside.send(
        bank.engine,
        bank.book_id,
        bank.keys,
        provider,
        browser=visitor.browser or "",
        address=address_of(request),
        back=back,
        following=following,
        now=bank.clock(),
        member_id=session.member_id if session else None,
        signed_in_at=session.created_at if session else None,
    )
    words = next(offer.words for offer in offered(request) if offer.name == name)
    return show(request, "sign_in/leaving.html", address=address, words=words)


@post("/sign-in/outside/{provider:str}", status_code=200)
async def go_outside(request: AnyRequest, provider: FromPath[str]) -> Response[Any]:
    """Send somebody outside to sign in there."""
    following = inside((await Form.of(request)).text("next"))
    try:
        return await leave(request, provider, following, None)
    except BankError as error:
        return sign_in_page(request, following=following, error=error)


@post("/accounts/link/{provider:str}", status_code=200)
async def link_outside(request: AnyRequest, provider: FromPath[str]) -> Response[Any]:
    """Send a member outside, whose account there shall be linked."""
    try:
        return await leave(request, provider, f"{WAY}?done=linked", member(request))
    except BankError as error:
        return await told(request, problem_of(error))


@get("/sign-in/outside/{provider:str}/back")
async def come_back(request: AnyRequest, provider: FromPath[str]) -> Response[Any]:
    """Let somebody in who comes back."""
    bank, (found, back), visitor = bank_of(request), provider_of(request, provider), visitor_of(request)
    try:
        landed = await outside.land(
            bank.engine,
            bank.book_id,
            bank.keys,
            found,
            state=request.query_params.get("state", ""),
            code=request.query_params.get("code", ""),
            browser=visitor.browser,
            back=back,
            now=bank.clock(),
            member_id=visitor.session.member_id if visitor.session else None,
        )
    except BankError as error:
        if visitor.session is not None:
            return await told(request, problem_of(error))
        unknown = isinstance(error, outside.OutsideUnknown)
        return sign_in_page(request, following=WAY if unknown else "/", by="code" if unknown else "", error=error)
    answer = go(landed.following)
    return answer if landed.token is None else sign_in_with(request, answer, landed.token)


@get(WAY)
async def my_accounts(request: AnyRequest, done: FromQuery[str] = "") -> Response[Any]:
    """The page, with what became of a form."""
    spoken, words = speaker(request), DONE.get(done)
    return await accounts_page(request, Shown(False, spoken.gettext("Done"), spoken.gettext(words)) if words else None)


async def told(request: AnyRequest, problem: Problem) -> Response[Any]:
    """The page, saying why nothing was changed."""
    spoken = speaker(request)
    words = sentence(problem.code, spoken.tag, problem.data)
    answer = Shown(True, spoken.gettext("Nothing was changed"), words)
    return await accounts_page(request, answer, status=problem.status)


async def accounts_page(request: AnyRequest, answer: Shown | None, *, status: int = 200) -> Response[Any]:
    """Which accounts are linked, and which can be."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        rows = await outside.of(connection, bank.book_id, session.member_id)
    offers = offered(request)
    names = {offer.issuer: offer.words for offer in offers}
    return show(
        request,
        "volunteer/accounts.html",
        status=status,
        way=WAY,
        answer=answer,
        accounts=[(row, names.get(row.issuer, row.issuer)) for row in rows],
        offers=[offer for offer in offers if offer.issuer not in {row.issuer for row in rows}],
        is_fresh=now - session.created_at <= passkeys.FRESH,
        new_id=lambda: uuid7(bank.clock()),
    )


@post("/accounts/{account_id:uuid}/removal", status_code=303)
async def unlink(request: AnyRequest, account_id: FromPath[UUID]) -> Response[Any]:
    """Unlink one."""
    tried = await try_form(request, deeds.unlink_account, account_id)
    return go(WAY, done="removed") if tried.problem is None else await told(request, tried.problem)


handlers = [go_outside, link_outside, come_back, my_accounts, unlink]
