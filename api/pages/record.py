"""One service record as its volunteer sees it: what was recorded, what was decided, and a question about it."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api.pages.forms import Form, as_uuid
from api.pages.page import AnyRequest, answer_to, go, member, show, shown, speaker
from api.sentences import status_of
from api.state import bank_of
from timebank import corrections, inquiries, members, records
from timebank.commands import Answer
from timebank.ids import uuid7
from timebank.inquiries import Ask


@get("/records/{record_id:uuid}")
async def my_record(
    request: AnyRequest, record_id: FromPath[UUID], answer: FromQuery[str | None] = None
) -> Response[Any]:
    """A record of one's own with its past, and the form to ask about it."""
    return await record_page(request, record_id, earlier_id=as_uuid(answer))


async def record_page(
    request: AnyRequest, record_id: UUID, *, refusal: Answer | None = None, earlier_id: UUID | None = None
) -> Response[Any]:
    """The page, with why a question was refused, or what became of the one of `earlier_id`."""
    session, bank, spoken = member(request), bank_of(request), speaker(request)
    async with bank.engine.connect() as connection:
        row = await records.own(connection, bank.book_id, record_id, member_id=session.member_id)
        punches = await records.punches(connection, bank.book_id, record_id, bank.keys)
        history = await corrections.history(connection, bank.book_id, record_id, bank.keys)
        asked = await inquiries.about(connection, bank.book_id, record_id, bank.keys)
        people = {step.actor_id for step in history} | {each.answered_by for each in asked if each.answered_by}
        people |= {each.entered_by for each in punches if each.entered_by}
        names = await members.names(connection, bank.book_id, bank.keys, people)
        answered = refusal or await answer_to(connection, bank, session.member_id, earlier_id)
    return show(
        request,
        "volunteer/record.html",
        status=status_of(refusal.code) if refusal else 200,
        record=row,
        punches=punches,
        history=history,
        inquiries=asked,
        names=names,
        may_ask=all(each.state != "open" for each in asked),
        answer=shown(
            request,
            answered,
            spoken.gettext("Not asked"),
            spoken.gettext("Asked"),
            spoken.gettext("The answer will stand here."),
        ),
        id=uuid7(bank.clock()),
    )


@post("/records/{record_id:uuid}", status_code=303)
async def ask(request: AnyRequest, record_id: FromPath[UUID]) -> Response[Any]:
    """Ask about a record of one's own. A refused question stands in the form again."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    command = Ask(
        id=form.uuid("id"),
        actor_id=session.member_id,
        record_id=record_id,
        question=form.text("question"),
        by_id=session.helper_id,
    )
    refusal = await bank.commits.ask.submit(command)
    if refusal.refused:
        return await record_page(request, record_id, refusal=refusal)
    return go(f"/records/{record_id}", answer=command.id)


handlers = [my_record, ask]
