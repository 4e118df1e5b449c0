"""Real names: the page on which a manager says which document was seen, and the administrator's part."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from api.language import mark
from api.pages import words
from api.pages.admin_members import settled
from api.pages.desk import station_at
from api.pages.forms import Form
from api.pages.office import ADMINS, all_regions, as_id, cursor_of, office, query_of, reader
from api.pages.page import AnyRequest, Shown, member, show, speaker
from api.pages.trying import try_form
from api.problems import problem_of
from api.rest import identities as deeds
from api.rest.operation import limit_of
from api.sentences import sentence
from api.state import bank_of
from timebank import cards, identities, members
from timebank.errors import BankError, Invalid

WAY = "/admin/identities"
DONE = {
    "checked": mark(
        "The document was seen. Kept of its number are the last four characters and a mark that knows it again."
    ),
    "held": mark("Another member has shown this document. An administrator looks at it; the member serves as before."),
}


@get("/stations/{number:int}/identity")
async def identity_form(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """The form for a document."""
    return await identity_page(request, number, None, {})


async def identity_page(
    request: AnyRequest, number: int, answer: Shown | None, typed: dict[str, str], *, status: int = 200
) -> Response[Any]:
    """The form, with what became of the one before. The number that was typed is never shown again."""
    place, spoken = await station_at(request, number), speaker(request)
    return show(
        request,
        "station/identity.html",
        status=status,
        way="/stations",
        number=number,
        station=spoken.pick(place.name_zh, place.name_en),
        answer=answer,
        typed={"member": "", "kind": "id_card", **typed},
    )


@post("/stations/{number:int}/identity", status_code=200)
async def see_identity(request: AnyRequest, number: FromPath[int]) -> Response[Any]:
    """A document was seen. The answer is a page: what was typed must not come back by a step back."""
    session, bank, form = member(request), bank_of(request), await Form.of(request)
    await station_at(request, number)
    spoken, typed = speaker(request), {"member": form.text("member"), "kind": form.text("kind")}
    try:
        if form.text("seen") != "yes":
            raise Invalid(field="seen", reason="missing")
        async with bank.engine.connect() as connection:
            person = await cards.find(connection, bank.book_id, bank.keys, typed["member"], bank.clock())
            names = await members.names(connection, bank.book_id, bank.keys, [person.id])
        state = await identities.see(
            bank.engine,
            bank.book_id,
            bank.keys,
            bank.register,
            person.id,
            kind=typed["kind"],
            number=form.text("number"),
            actor_id=session.member_id,
            now=bank.clock(),
        )
    except BankError as error:
        problem = problem_of(error)
        words = sentence(problem.code, spoken.tag, problem.data)
        answer = Shown(True, spoken.gettext("Not done"), words)
        return await identity_page(request, number, answer, typed, status=problem.status)
    answer = Shown(False, names.get(person.id, ""), spoken.gettext(DONE[state]), waits=state == "held")
    return await identity_page(request, number, answer, {})


@get(WAY)
async def held_identities(request: AnyRequest) -> Response[Any]:
    """The documents of the branch that two members have shown."""
    session, bank, spoken = reader(request, *ADMINS), bank_of(request), speaker(request)
    chosen = query_of(request, "region_id")
    async with bank.engine.connect() as connection:
        page = await identities.held(
            connection,
            bank.book_id,
            actor_id=session.member_id,
            now=bank.clock(),
            region_id=as_id(chosen.get("region_id")),
            before=cursor_of(request),
            limit=limit_of(request, 30),
        )
        regions = await all_regions(connection, bank, request)
        names = await members.names(connection, bank.book_id, bank.keys, {row.checked_by for row in page.rows})
    documents = [deeds.opened(bank, row) for row in page.rows]
    return office(
        request,
        "admin/identities.html",
        WAY,
        documents=[(each, words.of(words.DOCUMENTS, spoken, each.kind)) for each in documents],
        names=names,
        following=page.following,
        regions=regions,
        chosen=chosen,
    )


@post("/admin/members/{member_id:uuid}/identity", status_code=303)
async def settle_identity(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Decide of one."""
    return await settled(request, member_id, await try_form(request, deeds.settle_identity, member_id))


handlers = [identity_form, see_identity, held_identities, settle_identity]
