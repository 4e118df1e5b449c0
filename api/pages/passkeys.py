"""A member's own passkeys: which there are, adding one, and taking one away."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api.language import mark
from api.pages.page import AnyRequest, Shown, go, member, show, speaker
from api.pages.trying import try_form
from api.rest import passkeys as deeds
from api.sentences import sentence
from api.state import bank_of
from timebank import passkeys
from timebank.ids import uuid7

WAY = "/passkeys"
DONE = {
    "added": mark("Your passkey is added. Next time, sign in with it."),
    "removed": mark("This passkey signs nobody in any more."),
}


@get(WAY)
async def my_passkeys(request: AnyRequest, done: FromQuery[str] = "") -> Response[Any]:
    """The page, with what became of a form."""
    spoken, words = speaker(request), DONE.get(done)
    return await passkeys_page(request, Shown(False, spoken.gettext("Done"), spoken.gettext(words)) if words else None)


async def passkeys_page(request: AnyRequest, answer: Shown | None, *, status: int = 200) -> Response[Any]:
    """What there is, and whether another one can be added now."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    async with bank.engine.connect() as connection:
        found = await passkeys.of(connection, bank.book_id, bank.keys, session.member_id)
    if not session.grants:
        state = "none"
    elif not deeds.has_place(request):
        state = "elsewhere"
    elif len(found) >= passkeys.MOST:
        state = "full"
    else:
        state = "old" if now - session.created_at > passkeys.FRESH else "open"
    required = bank.settings.require_passkey and bool(session.grants)
    return show(
        request,
        "volunteer/passkeys.html",
        status=status,
        way=WAY,
        answer=answer,
        passkeys=found,
        state="old" if required and found and not session.by_passkey else state,
        required=required,
        by_passkey=session.by_passkey,
        new_id=lambda: uuid7(bank.clock()),
    )


@post("/passkeys/{passkey_id:uuid}/removal", status_code=303)
async def remove_passkey(request: AnyRequest, passkey_id: FromPath[UUID]) -> Response[Any]:
    """Take one away."""
    tried, spoken = await try_form(request, deeds.remove_passkey, passkey_id), speaker(request)
    if tried.problem is None:
        return go(WAY, done="removed")
    words = sentence(tried.problem.code, spoken.tag, tried.problem.data)
    answer = Shown(True, spoken.gettext("Nothing was changed"), words)
    return await passkeys_page(request, answer, status=tried.problem.status)


handlers = [my_passkeys, remove_passkey]
