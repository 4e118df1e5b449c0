"""An administrator's first page: the branch at a glance, and a new station."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromQuery
from sqlalchemy.ext.asyncio import AsyncConnection

from api.language import Language, mark
from api.pages import words
from api.pages.forms import Form, as_uuid
from api.pages.page import AnyRequest, go, holds_role, member, show, speaker
from api.problems import Problem, problem_of
from api.sentences import sentence
from api.state import Bank, bank_of
from timebank import kinds, overview, purses, stations
from timebank.errors import BankError
from timebank.ids import uuid7
from timebank.sessions import Session

ROLES = ("admin",)
FIELDS = ("name_zh", "name_en", "address", "organising_unit", "person_in_charge")
CHOICES = ("region_id", "fund_id", "service_kind_id")
# Stations stand in communities, or in what lies below them.
DEPTH_OF_STATIONS = ("community", "grid", "building", "unit")
FUND_ELSEWHERE = mark("This fund does not pay in that community. Choose one of the community, or of a region above it.")


def administrator(request: AnyRequest) -> Session:
    """Who is signed in, when they administer anything."""
    session = member(request)
    if not holds_role(session, *ROLES):
        raise Problem("role_not_allowed")
    return session


@get("/admin")
async def admin(request: AnyRequest, added: FromQuery[str | None] = None) -> Response[Any]:
    """Stations, funds and people of the administrator's branch."""
    session, bank, now = administrator(request), bank_of(request), bank_of(request).clock()
    who: dict[str, Any] = {"actor_id": session.member_id, "roles": ROLES, "now": now}
    async with bank.engine.connect() as connection:
        branches = await overview.branches(connection, bank.book_id, **who)
        sums = await overview.sums(connection, bank.book_id, **who)
        parts = await overview.parts(connection, bank.book_id, **who)
        places = await overview.stations(connection, bank.book_id, **who)
        purse = await overview.funds(connection, bank.book_id, **who)
        points = await purses.fund_balances(connection, bank.book_id, [row.id for row in purse])
    return show(
        request,
        "admin/overview.html",
        way="/admin",
        now=now,
        branches=branches,
        sums=sums,
        parts=parts,
        stations=places,
        funds=purse,
        points=points,
        added=next((place for place in places if place.id == as_uuid(added)), None),
    )


@get("/admin/stations/new")
async def new_station(request: AnyRequest) -> Response[Any]:
    """The form for a new station."""
    session = administrator(request)
    return await station_form(request, session, uuid7(bank_of(request).clock()), {}, None)


async def station_form(
    request: AnyRequest, session: Session, id: UUID, values: dict[str, str], error: BankError | None
) -> Response[Any]:
    """The form, with what was typed before and what was wrong with it."""
    bank, spoken = bank_of(request), speaker(request)
    who: dict[str, Any] = {"actor_id": session.member_id, "roles": ROLES, "now": bank.clock()}
    async with bank.engine.connect() as connection:
        regions = await overview.regions(connection, bank.book_id, **who)
        paying = await overview.funds(connection, bank.book_id, **who)
        services = await kinds.catalogue(connection, bank.book_id)
    problem = problem_of(error) if error else None
    refusal, fault = refused(spoken, problem) if problem else (None, None)
    return show(
        request,
        "admin/new_station.html",
        way="/admin",
        status=problem.status if problem else 200,
        id=id,
        values=values,
        refusal=refusal,
        fault=fault,
        regions=by_region_above(spoken, regions),
        funds=paying,
        kinds=services,
    )


def refused(spoken: Language, problem: Problem) -> tuple[str, str | None]:
    """What was wrong with the form, and in which field."""
    if problem.code == "not_found" and problem.data.get("kind") == "fund":
        return spoken.gettext(FUND_ELSEWHERE), "fund_id"
    field = problem.data.get("field")
    data = {**problem.data, "field": words.of(words.FIELDS, spoken, str(field))} if field else problem.data
    return sentence(problem.code, spoken.tag, data), field


def by_region_above(spoken: Language, regions: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """The regions in which a station may stand, under the names of those above them, in the order of the tree."""
    names = {row.id: spoken.pick(row.name_zh, row.name_en) for row in regions}
    found: dict[UUID | None, list[Any]] = {}
    for row in regions:
        if row.level in DEPTH_OF_STATIONS:
            found.setdefault(row.parent_id, []).append(row)
    return [(names.get(parent_id, "") if parent_id else "", rows) for parent_id, rows in found.items()]


@post("/admin/stations/new", status_code=303)
async def add_station(request: AnyRequest) -> Response[Any]:
    """Open a station. Sent twice, it is opened once."""
    session, bank, form = administrator(request), bank_of(request), await Form.of(request)
    id = form.uuid("id")
    values = {name: form.text(name) for name in (*FIELDS, *CHOICES, "cap_minutes")}
    try:
        async with bank.engine.begin() as connection:
            await open_once(connection, bank, session, id, form)
    except BankError as error:
        return await station_form(request, session, id, values, error)
    return go("/admin", added=id)


async def open_once(connection: AsyncConnection, bank: Bank, session: Session, id: UUID, form: Form) -> None:
    """Open the station of this form unless an earlier sending of it did."""
    who: dict[str, Any] = {"actor_id": session.member_id, "roles": ROLES, "now": bank.clock()}
    if any(row.id == id for row in await overview.stations(connection, bank.book_id, **who)):
        return
    texts: dict[str, Any] = {name: form.text(name) for name in FIELDS}
    await stations.add(
        connection,
        bank.book_id,
        id=id,
        now=who["now"],
        actor_id=session.member_id,
        cap_minutes=form.integer("cap_minutes", -(2**31), 2**31) or 240,
        region_id=form.uuid("region_id"),
        fund_id=form.uuid("fund_id"),
        service_kind_id=form.uuid("service_kind_id"),
        **texts,
    )


handlers = [admin, new_station, add_station]
