"""Webhooks of a branch: the addresses, their secrets, and the messages that nobody took."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from api.auth import member_of
from api.bodies import complaint
from api.language import mark
from api.pages.forms import Form
from api.pages.office import ADMINS, all_regions, cursor_of, office, reader
from api.pages.page import AnyRequest, go, speaker
from api.pages.trying import Tried, try_form
from api.problems import Problem, answered, problem_of
from api.rest import webhooks as deeds
from api.rest.deeds import carry_out
from api.rest.operation import choice_query, limit_of
from api.state import bank_of
from timebank import webhooks
from timebank.tables import EVENTS, MESSAGE_STATES

WAY = "/admin/webhooks"
EVENT_WORDS = {
    "record.verified": mark("A service record was verified"),
    "record.corrected": mark("A service record was corrected"),
    "redemption.fulfilled": mark("A reward was handed over"),
    "certificate.issued": mark("A certificate was issued"),
    "shift.planned": mark("A shift was planned"),
    "shift.cancelled": mark("A shift was taken back"),
}
STATE_WORDS = {"waiting": mark("Waiting"), "sent": mark("Taken"), "dead": mark("Given up")}
FAILURE_WORDS = {"too_slow": mark("no answer in time"), "no_such_place": mark("no such address")}
UNREACHED = mark("no connection")
NOTHING = Tried(None, None, {})


@get(WAY)
async def webhook_list(request: AnyRequest) -> Response[Any]:
    """The addresses, and what became of their messages."""
    return await webhooks_page(request, NOTHING)


async def webhooks_page(request: AnyRequest, tried: Tried) -> Response[Any]:
    """The page, with what was wrong with a form."""
    session, bank, spoken = reader(request, *ADMINS), bank_of(request), speaker(request)
    state = choice_query(request, "state", ("", *MESSAGE_STATES)) or None
    who: dict[str, Any] = {"actor_id": session.member_id, "now": bank.clock()}
    async with bank.engine.connect() as connection:
        rows = await webhooks.listed(connection, bank.book_id, **who)
        page = await webhooks.messages(
            connection,
            bank.book_id,
            state=state,
            before=cursor_of(request),
            limit=limit_of(request, 20),
            **who,
        )
        regions = await all_regions(connection, bank, request)
    return office(
        request,
        "admin/webhooks.html",
        WAY,
        tried,
        webhooks=rows,
        urls={row.id: row.url for row in rows},
        secret_of=lambda id: webhooks.secret_of(bank.keys, bank.book_id, id),
        messages=page.rows,
        following=page.following,
        chosen={"state": state},
        regions=regions,
        events=[(event, spoken.gettext(EVENT_WORDS[event])) for event in EVENTS],
        event_words={event: spoken.gettext(words) for event, words in EVENT_WORDS.items()},
        states=[(each, spoken.gettext(STATE_WORDS[each])) for each in MESSAGE_STATES],
        failure_words=lambda failure: spoken.gettext(FAILURE_WORDS.get(failure, UNREACHED)),
        state_words={each: spoken.gettext(words) for each, words in STATE_WORDS.items()},
    )


@post(WAY, status_code=303)
async def add_webhook(request: AnyRequest) -> Response[Any]:
    """Add an address. Several events have one name, so the form is read here."""
    form, bank = await Form.of(request), bank_of(request)
    values = {name: form.text(name) for name in ("id", "url", "region_id")}
    try:
        try:
            body = msgspec.convert({**values, "events": form.texts("events")}, deeds.NewWebhook, strict=False)
        except msgspec.ValidationError as error:
            raise Problem("invalid", complaint(str(error))) from None
        answered(await carry_out(bank, deeds.add_webhook, member_of(request).member_id, body, None))
    except Exception as error:
        problem = problem_of(error)
        if problem.status >= 500:
            raise
        return await webhooks_page(request, Tried(None, problem, values))
    return go(WAY, saved="1")


@post("/admin/webhooks/{webhook_id:uuid}/removal", status_code=303)
async def remove_webhook(request: AnyRequest, webhook_id: FromPath[UUID]) -> Response[Any]:
    """Take an address away."""
    tried = await try_form(request, deeds.remove_webhook, webhook_id)
    return await webhooks_page(request, tried) if tried.problem else go(WAY, saved="1")


@post("/admin/webhooks/messages/{message_id:uuid}", status_code=303)
async def send_again(request: AnyRequest, message_id: FromPath[UUID]) -> Response[Any]:
    """Try a message anew."""
    tried = await try_form(request, deeds.send_again, message_id)
    return await webhooks_page(request, tried) if tried.problem else go(WAY, saved="1")


handlers = [webhook_list, add_webhook, remove_webhook, send_again]
