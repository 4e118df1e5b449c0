"""What a manager does after the decision: correct a record, or answer a question about it."""

from typing import Any
from uuid import UUID

from litestar import Response, post
from litestar.params import FromPath

from api.pages.forms import Form, as_uuid
from api.pages.page import AnyRequest, go, member
from api.pages.station import decision_page, minutes_of
from api.problems import Problem
from api.state import bank_of
from timebank.commands import Answer
from timebank.corrections import Correct
from timebank.inquiries import Decline

CHOICES = ("minutes", "whole")


@post("/queue/{record_id:uuid}/correction", status_code=303)
async def correct(request: AnyRequest, record_id: FromPath[UUID]) -> Response[Any]:
    """Decide a record anew. What is refused keeps what was entered."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    choice = form.text("choice")
    if choice not in CHOICES:
        raise Problem("invalid", {"field": "choice", "reason": "unknown"})
    minutes = minutes_of(form) if choice == "minutes" else None
    if choice == "minutes" and minutes is None:
        return await decision_page(request, record_id, refusal=Answer("minutes_invalid"))
    command = Correct(
        id=form.uuid("id"),
        actor_id=session.member_id,
        record_id=record_id,
        minutes=minutes,
        reason=form.text("reason"),
        inquiry_id=as_uuid(form.text("inquiry_id")),
    )
    refusal = await bank.commits.correct.submit(command)
    if refusal.refused:
        return await decision_page(request, record_id, refusal=refusal)
    return go(f"/queue/{record_id}", answer=command.id)


@post("/queue/{record_id:uuid}/answer", status_code=303)
async def answer(request: AnyRequest, record_id: FromPath[UUID]) -> Response[Any]:
    """Answer a question and leave the record as it is."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    command = Decline(
        id=form.uuid("id"),
        actor_id=session.member_id,
        inquiry_id=form.uuid("inquiry_id"),
        reason=form.text("reason"),
    )
    refusal = await bank.commits.decline.submit(command)
    if refusal.refused:
        return await decision_page(request, record_id, refusal=refusal)
    return go(f"/queue/{record_id}", answer=command.id)


handlers = [correct, answer]
