"""Certificates: ordered by the volunteer or at the desk, printed, and checked by anybody who holds one."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery

from api.auth import address_of
from api.language import mark
from api.pages import words
from api.pages.desk import refused, station_at
from api.pages.forms import Form
from api.pages.page import AnyRequest, Shown, go, member, show, speaker
from api.pages.papers import paper_page
from api.paper import certificate as certificate_paper
from api.paper import press
from api.periods import period_of
from api.problems import Problem
from api.rest.operation import choice_query, limit_of, text_query
from api.sentences import status_of
from api.state import Bank, bank_of
from timebank import cards, periods, service_certificates
from timebank.clock import local_day
from timebank.cursors import Cursor
from timebank.errors import BankError
from timebank.ids import uuid7
from timebank.service_certificates import Certificate

ISSUED = mark("The certificate is ready to be printed.")


@get("/certificates")
async def mine(request: AnyRequest, issued: FromQuery[str] = "") -> Response[Any]:
    """A volunteer's certificates, and the form for another one."""
    spoken = speaker(request)
    return await own_page(request, Shown(False, spoken.gettext("Done"), spoken.gettext(ISSUED)) if issued else None)


async def own_page(
    request: AnyRequest, answer: Shown | None, *, since: str = "", until: str = "", status: int = 200
) -> Response[Any]:
    """The page, with what became of the form."""
    member_id, bank, spoken = member(request).member_id, bank_of(request), speaker(request)
    now = bank.clock()
    today = local_day(now, spoken.zone)
    year, before = periods.year(today), periods.year(today.replace(year=today.year - 1, month=1, day=1))
    state = choice_query(request, "state", ("", *service_certificates.STATES))
    async with bank.engine.connect() as connection:
        page = await service_certificates.mine(
            connection,
            bank.book_id,
            member_id,
            state=state or None,
            before=Cursor.read(text_query(request, "cursor")),
            limit=limit_of(request),
        )
    return show(
        request,
        "certificates/mine.html",
        way="/statement",
        status=status,
        rows=[(row, certificate_paper.number_words(row.number)) for row in page.rows],
        following=page.following,
        states=service_certificates.STATES,
        chosen={"state": state} if state else {},
        choices=[
            (spoken.gettext("This year"), year.since, today, uuid7(now)),
            (spoken.gettext("Last year"), before.since, before.until, uuid7(now)),
            (spoken.gettext("Everything"), "", "", uuid7(now)),
        ],
        answer=answer,
        since=since,
        until=until,
        id=uuid7(now),
    )


@post("/certificates", status_code=303)
async def order(request: AnyRequest) -> Response[Any]:
    """A volunteer orders a certificate: free, at once, for any period."""
    member_id, bank, form = member(request).member_id, bank_of(request), await Form.of(request)
    since, until = form.text("since"), form.text("until")
    try:
        async with bank.engine.begin() as connection:
            await service_certificates.issue(
                connection,
                bank.book_id,
                bank.keys,
                member_id=member_id,
                period=period_of(since, until),
                id=form.uuid("id"),
                now=bank.clock(),
                actor_id=member_id,
            )
    except (BankError, Problem) as error:
        title = speaker(request).gettext("No certificate was issued")
        return await own_page(
            request, refused(request, error, title), since=since, until=until, status=status_of(error.code)
        )
    return go("/certificates", issued="1")


@get("/certificates/{certificate_id:uuid}/paper.pdf")
async def my_paper(request: AnyRequest, certificate_id: FromPath[UUID]) -> Response[Any]:
    """One of a volunteer's own, for the printer."""
    member_id, bank = member(request).member_id, bank_of(request)
    async with bank.engine.connect() as connection:
        found = await service_certificates.own(connection, bank.book_id, bank.keys, certificate_id, member_id=member_id)
    return await printed(request, bank, found)


async def printed(request: AnyRequest, bank: Bank, found: Certificate) -> Response[Any]:
    """A certificate as PDF, in the reader's language."""
    if found.name is None:
        raise Problem("not_found")
    data = certificate_paper.data(bank, speaker(request), found, found.name)
    return await press.printed("certificate", data, f"certificate-{certificate_paper.number_words(found.number)}")


@post("/stations/{number:int}/certificates", status_code=303)
async def order_at_desk(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A certificate for a member who stands at the desk."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    await station_at(request, number)
    id = form.uuid("id")
    try:
        async with bank.engine.begin() as connection:
            person = await cards.find(connection, bank.book_id, bank.keys, form.text("member"), bank.clock())
            await service_certificates.issue(
                connection,
                bank.book_id,
                bank.keys,
                member_id=person.id,
                period=period_of(form.text("since"), form.text("until")),
                id=id,
                now=bank.clock(),
                actor_id=session.member_id,
            )
    except (BankError, Problem) as error:
        title = speaker(request).gettext("No certificate was issued")
        return await paper_page(request, number, refused(request, error, title), status=status_of(error.code))
    return go(f"/stations/{number}/certificates/{id}/paper.pdf")


@get("/stations/{number:int}/certificates/{certificate_id:uuid}/paper.pdf")
async def paper_at_desk(request: AnyRequest, number: FromPath[int], certificate_id: FromPath[UUID]) -> Response[Any]:
    """A certificate that was ordered at the desk, for the printer."""
    session, bank = member(request), bank_of(request)
    await station_at(request, number)
    async with bank.engine.connect() as connection:
        found = await service_certificates.of_served(
            connection, bank.book_id, bank.keys, certificate_id, actor_id=session.member_id, now=bank.clock()
        )
    return await printed(request, bank, found)


@get("/V/{code:str}")
async def check(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """Whether a certificate is genuine and still stands: to anybody, and no more than stands on the paper."""
    bank, spoken = bank_of(request), speaker(request)
    await service_certificates.count_check(bank.engine, bank.book_id, bank.keys, address_of(request), bank.clock())
    async with bank.engine.connect() as connection:
        found = await service_certificates.check(connection, bank.book_id, bank.keys, code)
    page = show(
        request,
        "certificates/check.html",
        certificate=found,
        number=certificate_paper.number_words(found.number),
        declared=certificate_paper.declared(spoken, found, found.name) if found.name else "",
        total=certificate_paper.hours(spoken, found.minutes),
        grades=[
            (words.of(words.GRADES, spoken, grade), certificate_paper.hours(spoken, minutes))
            for grade, minutes in found.grades.items()
        ],
        lines=[(line, certificate_paper.hours(spoken, line.minutes)) for line in found.lines],
        changed=sum(not line.stands for line in found.lines),
    )
    page.headers["X-Robots-Tag"] = "noindex"
    page.headers["Cache-Control"] = "no-store"
    return page


handlers = [mine, order, my_paper, order_at_desk, paper_at_desk, check]
