"""Scans that were kept and led to nothing by themselves: looked at one by one, and decided."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from api.pages.desk import local_moment, refused
from api.pages.forms import Form
from api.pages.page import AnyRequest, Shown, go, member, show, speaker
from api.problems import Problem
from api.state import bank_of
from timebank import astray, members
from timebank.astray import Settle
from timebank.errors import BankError
from timebank.ids import uuid7


@get("/queue/scans/{punch_id:uuid}")
async def look(request: AnyRequest, punch_id: FromPath[UUID]) -> Response[Any]:
    """One scan, why it waits, and the two things that can be done."""
    return await astray_page(request, punch_id, None)


async def astray_page(request: AnyRequest, punch_id: UUID, answer: Shown | None, status: int = 200) -> Response[Any]:
    """The page, with what was wrong with a decision."""
    session, bank, now = member(request), bank_of(request), bank_of(request).clock()
    spoken = speaker(request)
    async with bank.engine.connect() as connection:
        row = await astray.one(connection, bank.book_id, punch_id, actor_id=session.member_id, now=now)
        names = await members.names(connection, bank.book_id, bank.keys, [row.member_id])
    return show(
        request,
        "station/astray.html",
        way="/queue",
        status=status,
        scan=row,
        name=names.get(row.member_id, spoken.gettext("(erased)")),
        day=row.occurred_at.astimezone(spoken.zone).date().isoformat(),
        answer=answer,
        id=uuid7(now),
    )


@post("/queue/scans/{punch_id:uuid}", status_code=303)
async def decide(request: AnyRequest, punch_id: FromPath[UUID]) -> Response[Any]:
    """Make a record of the scan, or lay it aside."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    entering = form.text("verdict") == "enter"
    title = speaker(request).gettext("Not decided")
    try:
        command = Settle(
            id=form.uuid("id"),
            actor_id=session.member_id,
            punch_id=punch_id,
            verdict="enter" if entering else "dismiss",
            reason=form.text("reason"),
            other_at=local_moment(request, form, "day", "time") if entering else None,
        )
        answer = await bank.commits.settle.submit(command)
        if answer.refused:
            raise Problem(answer.code, answer.data)
    except (BankError, Problem) as error:
        return await astray_page(request, punch_id, refused(request, error, title), 422)
    return go("/queue")


handlers = [look, decide]
