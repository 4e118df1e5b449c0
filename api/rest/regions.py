"""The region tree and the catalogue of service kinds."""

from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Response
from msgspec import Meta

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    ListPage,
    Operation,
    ShortText,
    choice_query,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    ranked_cursor,
    reading,
    shaped,
    text_query,
)
from api.state import bank_of
from timebank import kinds, regions
from timebank.tables import LEVELS
from timebank.trail import READERS

Level = Literal["city", "district", "street", "community", "grid", "building", "unit"]


class Region(Answered, frozen=True):
    """One region of the branch."""

    id: UUID
    parent_id: UUID | None
    code: str | None
    """The 12-digit national division code; grids and what lies below them have none."""
    level: str
    name_zh: str
    name_en: str | None
    children: int
    """How many regions stand right below it."""


class Regions(ListPage, frozen=True):
    """One page of regions, the oldest first."""

    regions: list[Region]


class NewRegion(Body, frozen=True):
    """A region to be added below another."""

    id: UUID
    """UUID version 7, made by the sender; the region's id."""
    parent_id: UUID
    level: Level
    name_zh: ShortText
    name_en: ShortText | None = None
    code: Annotated[str, Meta(max_length=12)] | None = None
    """Down to the community: the 12-digit national division code."""


class RegionNames(Body, frozen=True):
    """What a region is called."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    name_zh: ShortText
    name_en: ShortText | None = None


class ServiceKind(Answered, frozen=True):
    """One kind of service."""

    id: UUID
    code: str
    catalogue: str
    """seven_helps and four_aids are national; community is the book's own."""
    name_zh: str
    name_en: str
    position: int
    active: bool


class ServiceKinds(ListPage, frozen=True):
    """One page of the catalogue, in its order."""

    kinds: list[ServiceKind]


class NewKind(Body, frozen=True):
    """A kind of service of the community's own."""

    id: UUID
    """UUID version 7, made by the sender; the kind's id."""
    code: Annotated[str, Meta(max_length=40)]
    """Lower-case letters, digits and underscores; never changes."""
    name_zh: ShortText
    name_en: ShortText
    position: int | None = None
    """At the end, when left out."""


class KindChanges(Body, frozen=True):
    """What shall be different; what is left out stays."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""
    name_zh: ShortText | None = None
    name_en: ShortText | None = None
    position: int | None = None
    active: bool | None = None


@reading(
    "/regions",
    Operation(
        Regions,
        refusals=("cursor_invalid", "invalid"),
        query=("parent_id", "region_name", "region_level", "cursor", "limit"),
    ),
)
async def list_regions(request: AnyRequest) -> Response[Any]:
    """The regions right below one of the branch; with no parent, the tops of the branch.

    With a name or a level, those of the whole branch that are so, however deep; with a parent too, those under it.
    """
    bank, parent_id = bank_of(request), id_query(request, "parent_id")
    name, level = text_query(request, "region_name"), choice_query(request, "region_level", LEVELS)
    asked: dict[str, Any] = {"actor_id": member_of(request).member_id, "roles": READERS, "now": bank.clock()}
    asked |= {"after": cursor_of(request), "limit": limit_of(request, 100)}
    async with bank.engine.connect() as connection:
        page = (
            await regions.found(connection, bank.book_id, name=name, level=level, below_id=parent_id, **asked)
            if name or level
            else await regions.below(connection, bank.book_id, parent_id, **asked)
        )
    return give(Regions(regions=[shaped(row, Region) for row in page.rows], following=following(page.following)))


@doing("/regions", NewRegion)
async def add_region(deed: Doing[NewRegion]) -> dict[str, Any]:
    """Add a region below another of the branch."""
    body = deed.body
    region_id = await regions.add(
        deed.connection,
        deed.bank.book_id,
        level=body.level,
        name_zh=body.name_zh,
        name_en=body.name_en or None,
        code=body.code or None,
        parent_id=body.parent_id,
        id=deed.id,
        now=deed.now,
        actor_id=deed.actor_id,
    )
    return {"region_id": str(region_id)}


@doing("/regions/{region_id:uuid}/names", RegionNames)
async def rename_region(deed: Doing[RegionNames]) -> None:
    """Call a region otherwise. Its code and its place in the tree stay."""
    body = deed.body
    await regions.rename(
        deed.connection,
        deed.bank.book_id,
        deed.subject,
        name_zh=body.name_zh,
        name_en=body.name_en,
        now=deed.now,
        actor_id=deed.actor_id,
    )


@reading(
    "/service-kinds",
    Operation(
        ServiceKinds,
        refusals=("cursor_invalid", "invalid"),
        query=("catalogue", "kind_state", "cursor", "limit"),
    ),
)
async def list_kinds(request: AnyRequest) -> Response[Any]:
    """The kinds of service, retired ones too. There is one catalogue for the whole book."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        page = await kinds.listed(
            connection,
            bank.book_id,
            catalogue=choice_query(request, "catalogue", kinds.CATALOGUES),
            state=choice_query(request, "kind_state", kinds.STATES),
            after=ranked_cursor(request),
            limit=limit_of(request, 50),
        )
    return give(
        ServiceKinds(kinds=[shaped(row, ServiceKind) for row in page.rows], following=following(page.following))
    )


@doing("/service-kinds", NewKind, refusals=("role_not_allowed",))
async def add_kind(deed: Doing[NewKind]) -> dict[str, Any]:
    """Add a kind of service. Only who administers the whole book may."""
    body = deed.body
    kind_id = await kinds.add(
        deed.connection,
        deed.bank.book_id,
        code=body.code,
        name_zh=body.name_zh,
        name_en=body.name_en,
        position=body.position,
        id=deed.id,
        now=deed.now,
        actor_id=deed.actor_id,
    )
    return {"service_kind_id": str(kind_id)}


@doing("/service-kinds/{service_kind_id:uuid}/changes", KindChanges, refusals=("kind_fixed",))
async def change_kind(deed: Doing[KindChanges]) -> None:
    """Rename, move, retire or bring back a kind of service. National kinds can only be moved."""
    body = deed.body
    await kinds.edit(
        deed.connection,
        deed.bank.book_id,
        deed.subject,
        name_zh=body.name_zh,
        name_en=body.name_en,
        position=body.position,
        active=body.active,
        now=deed.now,
        actor_id=deed.actor_id,
    )


DEEDS = (add_region, rename_region, add_kind, change_kind)
handlers = [list_regions, list_kinds, *(deed.route for deed in DEEDS)]
