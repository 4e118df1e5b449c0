"""What pages of administrators and auditors share: who may look, what lists offer, how refusals are told."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import Response
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from api.language import Language, mark
from api.pages import words
from api.pages.page import AnyRequest, holds_role, member, show, speaker
from api.pages.trying import Tried
from api.problems import Problem
from api.rest.operation import text_query
from api.sentences import sentence
from api.state import Bank, bank_of
from timebank import overview, trail
from timebank.cursors import Cursor
from timebank.ids import uuid7
from timebank.sessions import Session

ADMINS = ("admin",)
READERS = trail.READERS
# Pages of an office, for whoever administers or audits.
OFFICE = (
    ("/admin", mark("Overview"), READERS),
    ("/admin/stations", mark("Stations"), ADMINS),
    ("/admin/members", mark("Members"), ADMINS),
    ("/admin/roles", mark("Roles"), READERS),
    ("/admin/erasures", mark("Erasures"), ADMINS),
    ("/admin/identities", mark("Documents"), ADMINS),
    ("/admin/regions", mark("Regions"), ADMINS),
    ("/admin/kinds", mark("Kinds of service"), ADMINS),
    ("/admin/funds", mark("Funds"), READERS),
    ("/admin/rewards", mark("Rewards"), ADMINS),
    ("/admin/policy", mark("Points rules"), ADMINS),
    ("/admin/imports", mark("Imports"), ADMINS),
    ("/admin/webhooks", mark("Webhooks"), ADMINS),
    ("/admin/trail", mark("Audit trail"), READERS),
)
LEVELS = {
    "city": mark("City"),
    "district": mark("District"),
    "street": mark("Street"),
    "community": mark("Residential community"),
    "grid": mark("Grid"),
    "building": mark("Building"),
    "unit": mark("Stairway"),
}
FUND_ELSEWHERE = mark("This fund does not pay in that community. Choose one of the community, or of a region above it.")


def reader(request: AnyRequest, *roles: str) -> Session:
    """Who is signed in, when they hold one of these roles anywhere."""
    session = member(request)
    if not holds_role(session, *roles):
        raise Problem("role_not_allowed")
    return session


def administrator(request: AnyRequest) -> Session:
    """Who is signed in, when they administer anything."""
    return reader(request, *ADMINS)


def office(request: AnyRequest, template: str, way: str, tried: Tried | None = None, **values: Any) -> Response[Any]:
    """A page of the office; with what was tried, it says what was wrong and shows what was typed."""
    spoken, bank = speaker(request), bank_of(request)
    problem = tried.problem if tried else None
    refusal, fault = refused(spoken, tried) if tried else (None, None)
    return show(
        request,
        template,
        **surroundings(request, way),
        status=problem.status if problem else 200,
        may_change=holds_role(member(request), *ADMINS),
        refusal=refusal,
        fault=fault,
        values=tried.values if tried and problem else {},
        saved=request.query_params.get("saved"),
        new_id=lambda: uuid7(bank.clock()),
        level_name=lambda level: spoken.gettext(LEVELS[level]),
        **values,
    )


def surroundings(request: AnyRequest, way: str) -> dict[str, Any]:
    """Where a page of the office stands, and the pages beside it that its reader may open."""
    spoken, session = speaker(request), member(request)
    desks = [(href, spoken.gettext(name)) for href, name, roles in OFFICE if holds_role(session, *roles)]
    return {"way": way, "desks": desks, "desk": way}


def refused(spoken: Language, tried: Tried) -> tuple[str | None, str | None]:
    """What was wrong with a form, and in which of its fields."""
    if tried.problem is None:
        return None, None
    code, data = tried.problem.code, tried.problem.data
    # A station's form offers every fund of the branch, whatever its region.
    if code == "not_found" and data.get("kind") == "fund" and "service_kind_id" in tried.values:
        return spoken.gettext(FUND_ELSEWHERE), "fund_id"
    field = data.get("field")
    named = {**data, "field": words.of(words.FIELDS, spoken, str(field))} if field else data
    return sentence(code, spoken.tag, named), field


def asker(request: AnyRequest, roles: Sequence[str]) -> dict[str, Any]:
    """Who asks, in what capacity, and when: as the verbs that read want it."""
    return {"actor_id": member(request).member_id, "roles": roles, "now": bank_of(request).clock()}


async def all_regions(connection: AsyncConnection, bank: Bank, request: AnyRequest) -> Sequence[Row[Any]]:
    """The regions of the administrator's branch, to choose from."""
    return await overview.regions(connection, bank.book_id, **asker(request, ADMINS))


def query_of(request: AnyRequest, *names: str) -> dict[str, str]:
    """The filters that the address holds, those that are set."""
    return {name: value for name in names if (value := (request.query_params.get(name) or "").strip()[:200])}


def cursor_of(request: AnyRequest) -> Cursor | None:
    """Where the page of a list begins."""
    return Cursor.read(text_query(request, "cursor"))


def as_id(text: str | None) -> UUID | None:
    """An id out of an address; a text that is none is the id of nothing."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return UUID(int=0)
