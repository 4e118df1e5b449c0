"""Roles: who holds which, given and ended."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from litestar import Response

from api.auth import member_of
from api.rest.deeds import Doing, doing
from api.rest.operation import (
    Answered,
    AnyRequest,
    Body,
    ListPage,
    Moment,
    Operation,
    choice_query,
    cursor_of,
    following,
    give,
    id_query,
    limit_of,
    moment,
    reading,
    shaped,
)
from api.state import bank_of
from timebank import roles
from timebank.tables import ROLES

STATES = ("current", "coming", "ended")


class RoleGrant(Answered, frozen=True):
    """One role of one member, on a region with everything below it or on one station."""

    id: UUID
    member_id: UUID
    role: str
    region_id: UUID | None
    station_id: UUID | None
    region_zh: str
    region_en: str | None
    station_zh: str | None
    station_en: str | None
    state: str
    """current, coming or ended."""
    starts_at: datetime
    ends_at: datetime | None
    granted_by: UUID | None
    """null: the operator, at the machine."""
    granted_at: datetime


class RoleGrants(ListPage, frozen=True):
    """One page of roles, the latest given first."""

    roles: list[RoleGrant]


class NewRole(Body, frozen=True):
    """A role to be given, on exactly one region or one station."""

    id: UUID
    """UUID version 7, made by the sender; the grant's id."""
    member_id: UUID
    role: Literal["manager", "clerk", "admin", "auditor"]
    region_id: UUID | None = None
    station_id: UUID | None = None
    starts_at: Moment | None = None
    """Now, when left out."""
    ends_at: Moment | None = None
    """Until it is ended, when left out."""


class RoleEnd(Body, frozen=True):
    """Nothing but an id."""

    id: UUID
    """UUID version 7, made by the sender and kept until there is an answer."""


@reading(
    "/roles",
    Operation(
        RoleGrants,
        refusals=("cursor_invalid", "invalid"),
        query=("member_id", "role", "role_state", "cursor", "limit"),
    ),
)
async def list_roles(request: AnyRequest) -> Response[Any]:
    """Who holds which role in the branch."""
    bank = bank_of(request)
    async with bank.engine.connect() as connection:
        page = await roles.listed(
            connection,
            bank.book_id,
            actor_id=member_of(request).member_id,
            now=bank.clock(),
            member_id=id_query(request, "member_id"),
            role=choice_query(request, "role", ROLES),
            state=choice_query(request, "role_state", STATES),
            before=cursor_of(request),
            limit=limit_of(request),
        )
    return give(RoleGrants(roles=[shaped(row, RoleGrant) for row in page.rows], following=following(page.following)))


@doing("/roles", NewRole)
async def grant_role(deed: Doing[NewRole]) -> dict[str, Any]:
    """Give a member of the branch a role in the branch; never oneself."""
    body = deed.body
    grant_id = await roles.grant(
        deed.connection,
        deed.bank.book_id,
        member_id=body.member_id,
        role=body.role,
        region_id=body.region_id,
        station_id=body.station_id,
        starts_at=moment("starts_at", body.starts_at),
        ends_at=moment("ends_at", body.ends_at),
        id=deed.id,
        now=deed.now,
        actor_id=deed.actor_id,
    )
    return {"grant_id": str(grant_id)}


@doing("/roles/{grant_id:uuid}/end", RoleEnd)
async def end_role(deed: Doing[RoleEnd]) -> None:
    """End a role now; one that has not begun never will."""
    await roles.revoke(deed.connection, deed.bank.book_id, deed.subject, now=deed.now, actor_id=deed.actor_id)


handlers = [list_roles, grant_role.route, end_role.route]
