"""An administrator's stations with their devices, the region tree, and the catalogue of service kinds."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath

from api.language import Language
from api.pages.forms import Form
from api.pages.office import ADMINS, all_regions, as_id, asker, cursor_of, office, query_of, reader
from api.pages.office import LEVELS as LEVEL_WORDS
from api.pages.page import AnyRequest, go, speaker
from api.pages.trying import Tried, try_form
from api.rest import regions as region_deeds
from api.rest import stations as deeds
from api.rest.operation import choice_query, limit_of, ranked_cursor
from api.state import bank_of
from timebank import access, devices, kinds, overview, regions, stations
from timebank.tables import LEVELS

NOTHING = Tried(None, None, {})
# Stations stand in communities, or in what lies below them.
DEPTH_OF_STATIONS = ("community", "grid", "building", "unit")


@get("/admin/stations")
async def station_list(request: AnyRequest) -> Response[Any]:
    """The stations of the branch, page by page."""
    reader(request, *ADMINS)
    bank = bank_of(request)
    chosen = query_of(request, "region_id", "state", "name")
    if chosen.get("state") not in (None, "open", "closed"):
        del chosen["state"]
    async with bank.engine.connect() as connection:
        page = await stations.listed(
            connection,
            bank.book_id,
            **asker(request, ADMINS),
            region_id=as_id(chosen.get("region_id")),
            state=chosen.get("state"),
            name=chosen.get("name"),
            after=cursor_of(request),
            limit=limit_of(request, 30),
        )
        choices = await all_regions(connection, bank, request)
    return office(
        request,
        "admin/stations.html",
        "/admin/stations",
        stations=page.rows,
        following=page.following,
        chosen=chosen,
        regions=choices,
    )


@get("/admin/stations/new")
async def new_station(request: AnyRequest) -> Response[Any]:
    """The form for a new station."""
    return await station_form(request, NOTHING)


async def choices_for_station(request: AnyRequest) -> dict[str, Any]:
    """What a station's form offers."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        return {
            "regions": by_region_above(speaker(request), await all_regions(connection, bank, request)),
            "funds": await overview.funds(connection, bank.book_id, **asker(request, ADMINS)),
            "kinds": await kinds.catalogue(connection, bank.book_id),
        }


def by_region_above(spoken: Language, regions: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """The regions in which a station may stand, under the names of those above them, in the order of the tree."""
    names = {row.id: spoken.pick(row.name_zh, row.name_en) for row in regions}
    found: dict[UUID | None, list[Any]] = {}
    for row in regions:
        if row.level in DEPTH_OF_STATIONS:
            found.setdefault(row.parent_id, []).append(row)
    return [(names.get(parent_id, "") if parent_id else "", rows) for parent_id, rows in found.items()]


async def station_form(request: AnyRequest, tried: Tried) -> Response[Any]:
    """The form, with what was typed before and what was wrong with it."""
    reader(request, *ADMINS)
    return office(request, "admin/new_station.html", "/admin/stations", tried, **await choices_for_station(request))


@post("/admin/stations/new", status_code=303)
async def add_station(request: AnyRequest) -> Response[Any]:
    """Open a station. Sent twice, it is opened once."""
    tried = await try_form(request, deeds.add_station)
    return await station_form(request, tried) if tried.problem else go(f"/admin/stations/{tried.id}", saved="1")


@get("/admin/stations/{station_id:uuid}")
async def one_station(request: AnyRequest, station_id: FromPath[UUID]) -> Response[Any]:
    """Everything about one station, and what can be changed."""
    return await station_page(request, station_id, NOTHING)


async def station_page(request: AnyRequest, station_id: UUID, tried: Tried) -> Response[Any]:
    """The page of a station."""
    reader(request, *ADMINS)
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        row = await access.visible_station(connection, bank.book_id, station_id, **asker(request, ADMINS))
        found = await devices.of_station(connection, bank.book_id, station_id, revoked=True)
    return office(
        request,
        "admin/station.html",
        "/admin/stations",
        tried,
        station=row,
        devices=found,
        **await choices_for_station(request),
    )


async def settled(request: AnyRequest, station_id: UUID, tried: Tried) -> Response[Any]:
    """Back to the station after a form: saved, or what was wrong with it."""
    if tried.problem:
        return await station_page(request, station_id, tried)
    return go(f"/admin/stations/{station_id}", saved="1")


@post("/admin/stations/{station_id:uuid}", status_code=303)
async def change_station(request: AnyRequest, station_id: FromPath[UUID]) -> Response[Any]:
    """Change a station."""
    return await settled(request, station_id, await try_form(request, deeds.change_station, station_id))


@post("/admin/stations/{station_id:uuid}/state", status_code=303)
async def set_station_state(request: AnyRequest, station_id: FromPath[UUID]) -> Response[Any]:
    """Close a station or open it again."""
    return await settled(request, station_id, await try_form(request, deeds.set_station_state, station_id))


@post("/admin/stations/{station_id:uuid}/devices", status_code=303)
async def enrol_device(request: AnyRequest, station_id: FromPath[UUID]) -> Response[Any]:
    """Enrol a device."""
    return await settled(request, station_id, await try_form(request, deeds.enrol_device, station_id))


@post("/admin/stations/{station_id:uuid}/screen", status_code=303)
async def replace_screen(request: AnyRequest, station_id: FromPath[UUID]) -> Response[Any]:
    """Put a new screen in place of the old."""
    return await settled(request, station_id, await try_form(request, deeds.replace_screen, station_id))


@post("/admin/devices/{device_id:uuid}/revoke", status_code=303)
async def revoke_device(request: AnyRequest, device_id: FromPath[UUID]) -> Response[Any]:
    """Revoke a device."""
    station_id = (await Form.of(request)).uuid("station_id")
    return await settled(request, station_id, await try_form(request, deeds.revoke_device, device_id))


@get("/admin/regions")
async def region_tree(request: AnyRequest) -> Response[Any]:
    """One branch of the tree, opened: the way down to it, and what stands right below."""
    return await region_page(request, as_id(request.query_params.get("at")), NOTHING)


async def region_page(request: AnyRequest, region_id: UUID | None, tried: Tried) -> Response[Any]:
    """The tree at one region; without one, the tops of the branch. Or what is found by its name, code or level, there
    and however far below."""
    reader(request, *ADMINS)
    bank = bank_of(request)
    who = asker(request, ADMINS)
    spoken, chosen = speaker(request), query_of(request, "name", "level")
    if chosen.get("level") not in LEVELS:
        chosen.pop("level", None)
    part: dict[str, Any] = {"after": cursor_of(request), "limit": limit_of(request, 50)}
    async with bank.engine.connect() as connection:
        at = await access.visible_region(connection, bank.book_id, region_id, **who) if region_id else None
        page = (
            await regions.found(
                connection,
                bank.book_id,
                below_id=region_id,
                name=chosen.get("name"),
                level=chosen.get("level"),
                **who,
                **part,
            )
            if chosen
            else await regions.below(connection, bank.book_id, region_id, **who, **part)
        )
        paths = await regions.paths_to(
            connection, bank.book_id, [*([at] if at else ()), *(page.rows if chosen else ())]
        )
    return office(
        request,
        "admin/regions.html",
        "/admin/regions",
        tried,
        at=at,
        paths=paths,
        chosen=chosen,
        below=page.rows,
        following=page.following,
        level_options=[
            (level, spoken.gettext(LEVEL_WORDS[level]))
            for level in (LEVELS[LEVELS.index(at.level) + 1 :] if at else LEVELS)
        ],
    )


@post("/admin/regions", status_code=303)
async def add_region(request: AnyRequest) -> Response[Any]:
    """Add a region below another."""
    parent_id = (await Form.of(request)).uuid("parent_id")
    tried = await try_form(request, region_deeds.add_region)
    return (
        await region_page(request, parent_id, tried) if tried.problem else go("/admin/regions", at=parent_id, saved="1")
    )


@post("/admin/regions/{region_id:uuid}", status_code=303)
async def rename_region(request: AnyRequest, region_id: FromPath[UUID]) -> Response[Any]:
    """Call a region otherwise."""
    tried = await try_form(request, region_deeds.rename_region, region_id)
    return (
        await region_page(request, region_id, tried) if tried.problem else go("/admin/regions", at=region_id, saved="1")
    )


@get("/admin/kinds")
async def kind_list(request: AnyRequest) -> Response[Any]:
    """The catalogue of service kinds."""
    return await kinds_page(request, NOTHING)


async def kinds_page(request: AnyRequest, tried: Tried) -> Response[Any]:
    """The catalogue, with what can be changed by whoever administers the whole book."""
    session, bank = reader(request, *ADMINS), bank_of(request)
    chosen = {
        "catalogue": choice_query(request, "catalogue", ("", *kinds.CATALOGUES)),
        "state": choice_query(request, "state", ("", *kinds.STATES)),
    }
    async with bank.engine.connect() as connection:
        page = await kinds.listed(
            connection,
            bank.book_id,
            catalogue=chosen["catalogue"] or None,
            state=chosen["state"] or None,
            after=ranked_cursor(request),
            limit=limit_of(request, 30),
        )
        keeper = await kinds.is_keeper(connection, bank.book_id, session.member_id, bank.clock())
    return office(
        request,
        "admin/kinds.html",
        "/admin/kinds",
        tried,
        kinds=page.rows,
        following=page.following,
        chosen=chosen,
        keeper=keeper,
    )


@post("/admin/kinds", status_code=303)
async def add_kind(request: AnyRequest) -> Response[Any]:
    """Add a kind."""
    tried = await try_form(request, region_deeds.add_kind)
    return await kinds_page(request, tried) if tried.problem else go("/admin/kinds", saved="1")


@post("/admin/kinds/{kind_id:uuid}", status_code=303)
async def change_kind(request: AnyRequest, kind_id: FromPath[UUID]) -> Response[Any]:
    """Rename, move, retire or bring back a kind."""
    tried = await try_form(request, region_deeds.change_kind, kind_id)
    return await kinds_page(request, tried) if tried.problem else go("/admin/kinds", saved="1")


handlers = [
    station_list,
    new_station,
    add_station,
    one_station,
    change_station,
    set_station_state,
    enrol_device,
    replace_screen,
    revoke_device,
    region_tree,
    add_region,
    rename_region,
    kind_list,
    add_kind,
    change_kind,
]
