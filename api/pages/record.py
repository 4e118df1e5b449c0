"""One service record as its volunteer sees it: what was recorded, what was decided, and a question about it."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api.pages.forms import Form, as_uuid
from api.pages.page import AnyRequest, answer_to, go, member, show, shown, speaker
from api.state import bank_of
from timebank import corrections, inquiries, members, records
from timebank.ids import uuid7
from timebank.inquiries import Ask


@get("/records/{record_id:uuid}")
async def my_record(
    request: AnyRequest, record_id: FromPath[UUID], answer: FromQuery[str | None] = None
) -> Response[Any]:
    """A record of one's own with its past, and the form to ask about it."""
    session, bank, spoken = member(request), bank_of(request), speaker(request)
    async with bank.engine.connect() as connection:
        row = await records.own(connection, bank.book_id, record_id, member_id=session.member_id)
        punches = await records.punches(connection, bank.book_id, record_id, bank.keys)
        history = await corrections.history(connection, bank.book_id, record_id, bank.keys)
        asked = await inquiries.about(connection, bank.book_id, record_id, bank.keys)
        people = {step.actor_id for step in history} | {each.answered_by for each in asked if each.answered_by}
        people |= {each.entered_by for each in punches if each.entered_by}
        names = await members.names(connection, bank.book_id, bank.keys, people)
        answered = await answer_to(connection, bank, session.member_id, as_uuid(answer))
    return show(
        request,
        "volunteer/record.html",
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
    """Ask about a record of one's own."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    command = Ask(
        id=form.uuid("id"),
        actor_id=session.member_id,
        record_id=record_id,
        question=form.text("question"),
        by_id=session.helper_id,
    )
    await bank.commits.ask.submit(command)
    return go(f"/records/{record_id}", answer=command.id)


handlers = [my_record, ask]
