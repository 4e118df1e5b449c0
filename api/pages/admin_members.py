"""An administrator's members: looked up, added, changed, suspended, merged; and the roles they hold."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from api.language import mark
from api.pages import words
from api.pages.forms import Form, as_uuid
from api.pages.office import ADMINS, READERS, all_regions, as_id, cursor_of, office, query_of, reader
from api.pages.page import AnyRequest, go, speaker
from api.pages.trying import Tried, try_form
from api.problems import Problem, problem_of
from api.rest import members as deeds
from api.rest import minors as minor_deeds
from api.rest import privacy as privacy_deeds
from api.rest import roles as role_deeds
from api.rest.operation import limit_of
from api.state import bank_of
from timebank import consents, erasing, honours, identities, members, membership, minors, overview, readings, roles
from timebank.clock import local_day
from timebank.errors import BankError
from timebank.tables import ROLES

WAY = "/admin/members"
# Why a member who agreed to be named is not.
UNNAMED = {
    "born_unknown": mark("Not named on the roll of honour: the date of birth is not known. Enter it from the papers."),
    "under_age": mark("Not named on the roll of honour: under 18."),
    "agreed_under_age": mark(
        "Not named on the roll of honour: this yes is from before the 18th birthday. The member answers anew."
    ),
    "suspended": mark("Not named on the roll of honour while suspended."),
    "leaving": mark("Not named on the roll of honour: the member is to be erased."),
}
NOTHING = Tried(None, None, {})


@get("/admin/members")
async def member_list(request: AnyRequest) -> Response[Any]:
    """The members of the branch, page by page."""
    session, bank = reader(request, *ADMINS), bank_of(request)
    chosen = query_of(request, "region_id", "state")
    if chosen.get("state") not in (None, *membership.STATES):
        del chosen["state"]
    async with bank.engine.connect() as connection:
        regions = await all_regions(connection, bank, request)
        page = await membership.listed(
            connection,
            bank.book_id,
            actor_id=session.member_id,
            now=bank.clock(),
            region_id=as_id(chosen.get("region_id")),
            state=chosen.get("state"),
            before=cursor_of(request),
            limit=limit_of(request, 30),
        )
    return office(
        request,
        "admin/members.html",
        WAY,
        people=[deeds.opened(bank, row) for row in page.rows],
        following=page.following,
        chosen=chosen,
        regions=regions,
        searched=False,
    )


@post("/admin/members", status_code=200)
async def member_search(request: AnyRequest) -> Response[Any]:
    """Look somebody up by phone, whole name or id. By post, so that no address names anybody."""
    session, bank, form = reader(request, *ADMINS), bank_of(request), await Form.of(request)
    text = form.text("text")
    tried, rows = NOTHING, []
    async with bank.engine.begin() as connection:
        regions = await all_regions(connection, bank, request)
        try:
            found = await membership.found(
                connection,
                bank.book_id,
                bank.keys,
                actor_id=session.member_id,
                now=bank.clock(),
                **looked_for(text),
            )
            rows = [deeds.opened(bank, row) for row in found]
            found_ids = [row.id for row in found]
            await readings.note(connection, bank.book_id, session.member_id, found_ids, "search", bank.clock())
        except BankError as error:
            tried = Tried(None, problem_of(error), {"text": text})
    return office(
        request,
        "admin/members.html",
        WAY,
        tried,
        people=rows,
        following=None,
        chosen={},
        regions=regions,
        searched=True,
    )


def looked_for(text: str) -> dict[str, Any]:
    """What somebody typed to look a member up: an id, a phone number, or else a name."""
    if (id := as_uuid(text)) is not None:
        return {"id": id}
    if sum(character.isdigit() for character in text) >= 5:
        return {"phone": text}
    return {"name": text}


@get("/admin/members/new")
async def new_member(request: AnyRequest) -> Response[Any]:
    """The form for a new member."""
    return await new_member_page(request, NOTHING)


async def new_member_page(request: AnyRequest, tried: Tried) -> Response[Any]:
    """The form, with what was typed and what was wrong with it."""
    reader(request, *ADMINS)
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        regions = await all_regions(connection, bank, request)
    return office(request, "admin/new_member.html", WAY, tried, regions=regions)


@post("/admin/members/new", status_code=303)
async def add_member(request: AnyRequest) -> Response[Any]:
    """Add a member."""
    tried = await try_form(request, deeds.add_member)
    return await new_member_page(request, tried) if tried.problem else go(f"{WAY}/{tried.id}", saved="1")


@get("/admin/members/{member_id:uuid}")
async def one_member(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Everything about one member, and what can be changed."""
    return await member_page(request, member_id, NOTHING)


async def member_page(request: AnyRequest, member_id: UUID, tried: Tried) -> Response[Any]:
    """The page of a member."""
    session, bank = reader(request, *ADMINS), bank_of(request)
    who: dict[str, Any] = {"actor_id": session.member_id, "now": bank.clock()}
    async with bank.engine.begin() as connection:
        row = await membership.one(connection, bank.book_id, member_id, **who)
        family = await membership.household(connection, bank.book_id, row, **who)
        held = await roles.listed(connection, bank.book_id, member_id=member_id, limit=100, **who)
        wish = await erasing.waiting(connection, bank.book_id, member_id)
        askers = await members.names(connection, bank.book_id, bank.keys, [wish.asked_by] if wish else [])
        regions = await all_regions(connection, bank, request)
        stations = await overview.stations(connection, bank.book_id, roles=ADMINS, **who)
        standing = await consents.standing(connection, bank.book_id, member_id)
        document = await identities.of(connection, bank.book_id, bank.keys, member_id)
        same = await identities.same(connection, bank.book_id, member_id) if document else []
        born, acting = await minors.of(connection, bank.book_id, bank.keys, row, bank.clock())
        guardians = await members.names(connection, bank.book_id, bank.keys, [each.guardian_id for each in acting])
        await readings.note(connection, bank.book_id, session.member_id, [member_id], "file", bank.clock())
    spoken, why = speaker(request), None
    for each in standing:
        if each.text.purpose == consents.HONOUR and each.agreed and each.at:
            why = honours.hindrance(
                born.isoformat() if born else None,
                each.at,
                local_day(bank.clock(), spoken.zone),
                spoken.zone,
                state=row.state,
                leaving=wish is not None,
            )
    return office(
        request,
        "admin/member.html",
        WAY,
        tried,
        person=deeds.opened(bank, row),
        own=member_id == session.member_id,
        gone=row.state in members.GONE,
        me=session.member_id,
        standing=standing,
        unnamed=spoken.gettext(UNNAMED[why]) if why else None,
        document=document,
        document_name=words.of(words.DOCUMENTS, spoken, document.kind) if document else "",
        same=same,
        born=born,
        acting=[(each, guardians.get(each.guardian_id)) for each in acting],
        wish=wish,
        asker=askers.get(wish.asked_by) if wish else None,
        family=[deeds.opened(bank, each) for each in family],
        held=held.rows,
        regions=regions,
        stations=stations,
        roles=ROLES,
    )


async def settled(request: AnyRequest, member_id: UUID, tried: Tried) -> Response[Any]:
    """Back to the member after a form: saved, or what was wrong with it."""
    return await member_page(request, member_id, tried) if tried.problem else go(f"{WAY}/{member_id}", saved="1")


@post("/admin/members/{member_id:uuid}", status_code=303)
async def change_member(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Change what the bank knows of a member."""
    return await settled(request, member_id, await try_form(request, deeds.change_member, member_id))


@post("/admin/members/{member_id:uuid}/suspend", status_code=303)
async def suspend_member(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Suspend a member."""
    return await settled(request, member_id, await try_form(request, deeds.suspend_member, member_id))


@post("/admin/members/{member_id:uuid}/reinstate", status_code=303)
async def reinstate_member(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """End a suspension."""
    return await settled(request, member_id, await try_form(request, deeds.reinstate_member, member_id))


@post("/admin/members/{member_id:uuid}/password", status_code=303)
async def reset_password(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Reset a password: a code goes to the member's phone."""
    return await settled(request, member_id, await try_form(request, deeds.reset_password, member_id))


@post("/admin/members/{member_id:uuid}/birth", status_code=303)
async def enter_birth(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Enter when the member was born, and who the guardian is."""
    return await settled(request, member_id, await try_form(request, minor_deeds.enter_birth, member_id))


@post("/admin/members/{member_id:uuid}/consents", status_code=303)
async def enter_consent(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Enter what the member signed on paper."""
    return await settled(request, member_id, await try_form(request, privacy_deeds.enter_consent, member_id))


@get("/admin/members/{member_id:uuid}/merge")
async def merge_choice(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Two members side by side, before one of them is absorbed."""
    return await merge_page(request, member_id, as_id(request.query_params.get("absorbed")), NOTHING)


async def merge_page(request: AnyRequest, member_id: UUID, other_id: UUID | None, tried: Tried) -> Response[Any]:
    """The page on which a merge is decided."""
    session, bank = reader(request, *ADMINS), bank_of(request)
    who: dict[str, Any] = {"actor_id": session.member_id, "now": bank.clock()}
    async with bank.engine.connect() as connection:
        row = await membership.one(connection, bank.book_id, member_id, **who)
        other = await membership.one(connection, bank.book_id, other_id, **who) if other_id else None
    return office(
        request,
        "admin/merge.html",
        WAY,
        tried,
        person=deeds.opened(bank, row),
        other=deeds.opened(bank, other) if other else None,
    )


@post("/admin/members/{member_id:uuid}/merge/find", status_code=303)
async def merge_find(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Look up the member who shall be absorbed."""
    session, bank, form = reader(request, *ADMINS), bank_of(request), await Form.of(request)
    text = form.text("text")
    try:
        async with bank.engine.connect() as connection:
            rows = await membership.found(
                connection,
                bank.book_id,
                bank.keys,
                actor_id=session.member_id,
                now=bank.clock(),
                **looked_for(text),
            )
        others = [row for row in rows if row.id != member_id and row.state not in members.GONE]
        if not others:
            raise Problem("not_found")
    except (BankError, Problem) as error:
        return await merge_page(request, member_id, None, Tried(None, problem_of(error), {"text": text}))
    return go(f"{WAY}/{member_id}/merge", absorbed=others[0].id)


@post("/admin/members/{member_id:uuid}/merge", status_code=303)
async def merge_members(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Make one member of two."""
    tried = await try_form(request, deeds.merge_members, member_id)
    if tried.problem:
        return await merge_page(request, member_id, as_uuid(tried.values.get("absorbed_id")), tried)
    return go(f"{WAY}/{member_id}", saved="1")


@post("/admin/members/{member_id:uuid}/roles", status_code=303)
async def give_role(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Give the member a role."""
    return await settled(request, member_id, await try_form(request, role_deeds.grant_role))


@get("/admin/roles")
async def role_list(request: AnyRequest) -> Response[Any]:
    """Who holds which role in the branch."""
    return await roles_page(request, NOTHING)


async def roles_page(request: AnyRequest, tried: Tried) -> Response[Any]:
    """The list of roles."""
    session, bank = reader(request, *READERS), bank_of(request)
    chosen = query_of(request, "role", "state")
    if chosen.get("role") not in (None, *ROLES):
        del chosen["role"]
    if chosen.get("state") not in (None, *role_deeds.STATES):
        del chosen["state"]
    async with bank.engine.connect() as connection:
        page = await roles.listed(
            connection,
            bank.book_id,
            actor_id=session.member_id,
            now=bank.clock(),
            role=chosen.get("role"),
            state=chosen.get("state"),
            before=cursor_of(request),
            limit=limit_of(request, 30),
        )
        known = {row.member_id for row in page.rows} | {row.granted_by for row in page.rows if row.granted_by}
        names = await members.names(connection, bank.book_id, bank.keys, known)
    return office(
        request,
        "admin/roles.html",
        "/admin/roles",
        tried,
        held=page.rows,
        following=page.following,
        names=names,
        chosen=chosen,
        roles=ROLES,
    )


@post("/admin/roles/{grant_id:uuid}/end", status_code=303)
async def end_role(request: AnyRequest, grant_id: FromPath[UUID]) -> Response[Any]:
    """End a role now."""
    tried = await try_form(request, role_deeds.end_role, grant_id)
    if tried.problem:
        return await roles_page(request, tried)
    member_id = as_uuid((await Form.of(request)).text("member_id"))
    return go(f"{WAY}/{member_id}" if member_id else "/admin/roles", saved="1")


handlers = [
    member_list,
    member_search,
    new_member,
    add_member,
    one_member,
    change_member,
    suspend_member,
    reinstate_member,
    reset_password,
    enter_birth,
    enter_consent,
    merge_choice,
    merge_find,
    merge_members,
    give_role,
    role_list,
    end_role,
]
