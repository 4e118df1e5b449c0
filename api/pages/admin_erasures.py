"""An administrator's part in erasing people: who wants it, and carrying it out as the second person."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from api.pages.admin_members import WAY as MEMBERS
from api.pages.admin_members import settled
from api.pages.office import ADMINS, all_regions, as_id, cursor_of, office, query_of, reader
from api.pages.page import AnyRequest, go
from api.pages.trying import try_form
from api.rest import erasures as deeds
from api.rest.operation import limit_of
from api.state import bank_of
from timebank import erasing, members

WAY = "/admin/erasures"


@get(WAY)
async def erasure_list(request: AnyRequest) -> Response[Any]:
    """Who in the branch shall be erased and is not yet."""
    session, bank, chosen = reader(request, *ADMINS), bank_of(request), query_of(request, "region_id")
    async with bank.engine.connect() as connection:
        page = await erasing.listed(
            connection,
            bank.book_id,
            actor_id=session.member_id,
            now=bank.clock(),
            region_id=as_id(chosen.get("region_id")),
            before=cursor_of(request),
            limit=limit_of(request),
        )
        regions = await all_regions(connection, bank, request)
        askers = {row.asked_by for row in page.rows}
        names = await members.names(connection, bank.book_id, bank.keys, askers)
    return office(
        request,
        "admin/erasures.html",
        WAY,
        wishes=[deeds.opened(bank, row) for row in page.rows],
        names=names,
        following=page.following,
        regions=regions,
        chosen=chosen,
    )


@post("/admin/members/{member_id:uuid}/erasure-request", status_code=303)
async def ask_erasure(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Ask that a member be erased."""
    return await settled(request, member_id, await try_form(request, deeds.ask_erasure, member_id))


@post("/admin/members/{member_id:uuid}/erasure-withdrawal", status_code=303)
async def withdraw_erasure(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Take that back."""
    return await settled(request, member_id, await try_form(request, deeds.withdraw_erasure, member_id))


@post("/admin/members/{member_id:uuid}/erasure", status_code=303)
async def erase_member(request: AnyRequest, member_id: FromPath[UUID]) -> Response[Any]:
    """Erase a member for whom somebody else asked."""
    tried = await try_form(request, deeds.erase_member, member_id)
    return await settled(request, member_id, tried) if tried.problem else go(f"{MEMBERS}/{member_id}", saved="1")


handlers = [erasure_list, ask_erasure, withdraw_erasure, erase_member]
