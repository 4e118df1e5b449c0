"""Helpers: who acts for a member and for whom they act, what was done for them, and going on for somebody."""

from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from api.auth import sign_in_with
from api.bodies import complaint
from api.language import mark
from api.pages.forms import Form
from api.pages.office import as_id, query_of
from api.pages.page import AnyRequest, Shown, go, member, show, speaker
from api.pages.trail_words import ACTIONS
from api.problems import Problem
from api.rest import helpers as deeds
from api.rest.deeds import carry_out
from api.rest.operation import days_query, limit_of, text_query
from api.sentences import sentence
from api.state import bank_of
from timebank import helpers, members, policy
from timebank.cursors import Cursor
from timebank.ids import uuid7

WAY = "/helpers"
USUAL_DAYS = 90
DONE = {
    "granted": mark("They may act for you from now on, within the limits below."),
    "ended": mark("It is over. Nobody acts by it any more."),
}


@get(WAY)
async def my_helpers(request: AnyRequest) -> Response[Any]:
    """The page, with what became of a form."""
    spoken, words = speaker(request), DONE.get(request.query_params.get("done", ""))
    return await helpers_page(request, Shown(False, spoken.gettext("Done"), spoken.gettext(words)) if words else None)


async def helpers_page(request: AnyRequest, answer: Shown | None, *, status: int = 200) -> Response[Any]:
    """Who helps, whom one helps, and what was done."""
    session, bank, spoken = member(request), bank_of(request), speaker(request)
    now, begun, chosen = bank.clock(), text_query(request, "before"), query_of(request, "by", "since", "until")
    since, until = days_query(request)
    async with bank.engine.connect() as connection:
        rows = await helpers.of(connection, bank.book_id, session.member_id, now)
        at_home = await helpers.household(connection, bank.book_id, session.member_id)
        done = await helpers.deeds(
            connection,
            bank.book_id,
            session.member_id,
            actor_id=as_id(chosen.get("by")),
            since=since,
            until=until,
            before=Cursor.read(begun),
            limit=limit_of(request),
        )
        doers = await helpers.who_did(connection, bank.book_id, session.member_id)
        ids = {row.member_id for row in rows} | {row.helper_id for row in rows}
        names = await members.names(connection, bank.book_id, bank.keys, {*ids, *at_home, *doers})
    return show(
        request,
        "volunteer/helpers.html",
        status=status,
        camera=True,
        way=WAY,
        answer=answer,
        names=names,
        mine=[row for row in rows if row.member_id == session.member_id],
        others=[row for row in rows if row.helper_id == session.member_id],
        at_home=at_home,
        now=now,
        done=[(each, spoken.gettext(ACTIONS[each.action])) for each in done.rows],
        doers=doers,
        chosen=chosen,
        older=f"{WAY}?{urlencode({**chosen, 'before': done.following})}#done" if done.following else None,
        newest=begun is None,
        limits={"points": policy.HELPER_DAY_POINTS, "days": policy.HELPING_DAYS},
        first=spoken.to_day(now).isoformat(),
        usual=(spoken.to_day(now) + timedelta(days=USUAL_DAYS)).isoformat(),
        last=(spoken.to_day(now) + timedelta(days=policy.HELPING_DAYS - 1)).isoformat(),
        new_id=lambda: uuid7(bank.clock()),
    )


def end_of_day(request: AnyRequest, form: Form, field: str) -> datetime:
    """The end of a day of the community's, as a form has it; raises `invalid`."""
    return start_of_day(request, form, field, days=1)


def start_of_day(request: AnyRequest, form: Form, field: str, *, days: int = 0) -> datetime:
    """The start of a day of the community's, as a form has it, or of the one so many days later; raises `invalid`."""
    try:
        day = datetime.fromisoformat(form.text(field)).date()
    except ValueError:
        raise Problem("invalid", {"field": field, "reason": "type"}) from None
    if not 2000 <= day.year <= 2199:
        raise Problem("invalid", {"field": field, "reason": "range"})
    return datetime.combine(day + timedelta(days=days), time(), speaker(request).zone)


async def refused(request: AnyRequest, problem: Problem) -> Response[Any]:
    """The page, saying why nothing was changed."""
    spoken = speaker(request)
    words = sentence(problem.code, spoken.tag, problem.data)
    return await helpers_page(request, Shown(True, spoken.gettext("Nothing was changed"), words), status=problem.status)


@post(WAY, status_code=303)
async def grant(request: AnyRequest) -> Response[Any]:
    """Let somebody act for oneself."""
    form = await Form.of(request)
    body = {
        "id": form.text("id"),
        "helper_id": form.text("helper") or None,
        "card": form.text("code") or None,
    }
    try:
        if form.text("starts_on"):
            body["starts_at"] = start_of_day(request, form, "starts_on").isoformat()
        body["ends_at"] = end_of_day(request, form, "ends_on").isoformat()
        taken = msgspec.convert(body, deeds.NewHelper)
    except msgspec.ValidationError as error:
        return await refused(request, Problem("invalid", complaint(str(error))))
    except Problem as problem:
        return await refused(request, problem)
    answer = await carry_out(bank_of(request), deeds.grant_helper, member(request).member_id, taken, None)
    if answer.refused:
        return await refused(request, Problem(answer.code, answer.data))
    return go(WAY, done="granted")


@post("/helpers/{helping_id:uuid}/end", status_code=303)
async def end(request: AnyRequest, helping_id: FromPath[UUID]) -> Response[Any]:
    """End it at once."""
    bank = bank_of(request)
    async with bank.engine.begin() as connection:
        await helpers.end(connection, bank.book_id, helping_id, actor_id=member(request).member_id, now=bank.clock())
    return go(WAY, done="ended")


@post("/helpers/{helping_id:uuid}/act", status_code=303)
async def act(request: AnyRequest, helping_id: FromPath[UUID]) -> Response[Any]:
    """Go on for somebody: a bar on every page says so, and ends it."""
    token, _ = await deeds.begun(request, helping_id)
    return sign_in_with(request, go("/"), token)


@post("/helpers/stop", status_code=303)
async def stop(request: AnyRequest) -> Response[Any]:
    """Go on for oneself again, as a helper or a guardian. Pressed twice, it is done once."""
    session = member(request)
    if session.acting_id is None:
        return go(WAY)
    token, _ = await deeds.stopped(request)
    return sign_in_with(request, go("/privacy" if session.guardian_id else WAY), token)


handlers = [my_helpers, grant, end, act, stop]
