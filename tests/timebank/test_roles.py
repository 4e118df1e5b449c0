"""Roles: given by an administrator of the branch, never to oneself, for a time, ended at once."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from timebank import access, members, roles
from timebank.errors import Invalid, NotAllowed, NotFound
from timebank.keys import Keys
from timebank.tables import audit_entry, role_grant

LATER = MORNING + timedelta(hours=1)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def test_a_role_holds_from_its_start_until_it_is_ended(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    grant_id = await roles.grant(
        connection,
        city.book_id,
        member_id=member_id,
        role="auditor",
        region_id=city.region_id,
        id=city.new_id(),
        now=MORNING,
        starts_at=LATER,
    )
    assert await access.grants(connection, city.book_id, member_id, MORNING) == ()
    (held,) = await access.grants(connection, city.book_id, member_id, LATER)
    assert held == access.Grant(grant_id, "auditor", city.region_id, None)
    await roles.revoke(connection, city.book_id, grant_id, now=LATER)
    assert await access.grants(connection, city.book_id, member_id, LATER) == ()
    with pytest.raises(NotFound):
        await roles.revoke(connection, city.book_id, grant_id, now=LATER)
    assert (await members.by_id(connection, city.book_id, member_id)).version == 3


async def test_a_role_that_has_not_begun_can_be_taken_back(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    begins = MORNING + timedelta(days=30)
    facts = {"member_id": member_id, "role": "auditor", "region_id": city.region_id, "id": city.new_id()}
    grant_id = await roles.grant(connection, city.book_id, now=MORNING, starts_at=begins, **facts)
    await roles.revoke(connection, city.book_id, grant_id, now=LATER)
    for at in (MORNING, begins, begins + timedelta(days=1)):
        assert await access.grants(connection, city.book_id, member_id, at) == ()


@pytest.mark.parametrize(
    "wrong",
    [{"role": "king"}, {"station": True}, {"region": False}, {"ends_at": MORNING}, {"ends_at": MORNING - timedelta(1)}],
)
async def test_what_a_role_cannot_be(connection: AsyncConnection, city: City, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        await roles.grant(
            connection,
            city.book_id,
            member_id=city.clerk_id,
            role=wrong.get("role", "clerk"),
            region_id=city.region_id if wrong.get("region", True) else None,
            station_id=city.station.id if wrong.get("station") else None,
            ends_at=wrong.get("ends_at"),
            id=city.new_id(),
            now=MORNING,
        )


async def test_administrators_give_roles_in_their_branch_only(connection: AsyncConnection, city: City) -> None:
    admin, volunteer = await city.add_members(connection, 2)
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)

    async def give(actor_id: Any, **scope: Any) -> Any:
        return await roles.grant(
            connection,
            city.book_id,
            member_id=scope.pop("member_id", volunteer),
            role="manager",
            id=city.new_id(),
            now=MORNING,
            actor_id=actor_id,
            **scope,
        )

    at_station = await give(admin, station_id=city.station.id)
    await give(admin, region_id=city.community_id)
    for scope in ({"region_id": city.region_id}, {"region_id": city.other_district_id}, {"station_id": elsewhere.id}):
        with pytest.raises(NotFound):
            await give(admin, **scope)
    with pytest.raises(NotFound):
        await give(city.manager_id, station_id=city.station.id)
    with pytest.raises(NotAllowed):
        await give(admin, member_id=admin, station_id=city.station.id)
    with pytest.raises(NotFound):
        await give(admin, member_id=city.new_id(), station_id=city.station.id)
    from_above = await give(None, station_id=elsewhere.id)
    citywide = await give(None, region_id=city.region_id)
    for grant_id in (from_above, citywide):
        with pytest.raises(NotFound) as caught:
            await roles.revoke(connection, city.book_id, grant_id, now=LATER, actor_id=admin)
        assert caught.value.data == {"kind": "grant"}
    await roles.revoke(connection, city.book_id, at_station, now=LATER, actor_id=admin)


async def test_who_was_erased_gets_no_role(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    await members.erase(connection, city.book_id, member_id, now=MORNING)
    with pytest.raises(NotFound):
        await city.grant(connection, member_id, "clerk", station_id=city.station.id)


async def test_who_gave_a_role_is_kept(connection: AsyncConnection, city: City) -> None:
    admin, volunteer = await city.add_members(connection, 2)
    await city.grant(connection, admin, "admin", region_id=city.region_id)
    grant_id = await roles.grant(
        connection,
        city.book_id,
        member_id=volunteer,
        role="clerk",
        station_id=city.station.id,
        id=city.new_id(),
        now=MORNING,
        ends_at=LATER,
        actor_id=admin,
    )
    query = select(role_grant.c.granted_by, role_grant.c.ends_at).where(role_grant.c.id == grant_id)
    assert tuple((await connection.execute(query)).one()) == (admin, LATER)
    query = select(audit_entry).where(audit_entry.c.subject_id == volunteer, audit_entry.c.action == "role.grant")
    entry = (await connection.execute(query)).one()
    assert entry.actor_id == admin
    assert entry.after["grant_id"] == str(grant_id)
    assert await access.grants(connection, city.book_id, volunteer, LATER) == ()


async def test_a_role_covers_its_branch_and_nothing_else(connection: AsyncConnection, city: City) -> None:
    here, elsewhere = city.station.id, (await city.add_station(connection, region_id=city.other_community_id)).id
    scopes = [
        ({"region_id": city.region_id}, {here, elsewhere}),
        ({"region_id": city.street_id}, {here}),
        ({"region_id": city.other_district_id}, {elsewhere}),
        ({"station_id": elsewhere}, {elsewhere}),
    ]
    for scope, covered in scopes:
        member_id = await city.add_member(connection)
        await city.grant(connection, member_id, "manager", **scope)
        seen = await access.stations(connection, city.book_id, actor_id=member_id, roles=("manager",), now=MORNING)
        assert {row.id for row in seen} == covered
        assert not await access.stations(
            connection, city.book_id, actor_id=member_id, roles=("clerk", "admin"), now=MORNING
        )
