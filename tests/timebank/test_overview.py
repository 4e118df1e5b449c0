"""Figures of a branch: by the regions directly under it, and of nobody else's."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import City, build_city
from timebank import checkins, codes, overview, verification
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.punches import Punch
from timebank.verification import Verify


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city of its own for each test."""
    return await build_city(connection, new_book, keys)


async def punch(connection: AsyncConnection, city: City, member_id: UUID, kind: Any, minutes: int) -> UUID:
    """A scan at the city's station, so many minutes after the morning. Answers the record's id."""
    at = city.now + timedelta(minutes=minutes)
    number, screen = city.station.number, city.screen.number
    code = codes.station_code(city.keys.station, number, screen, codes.slot_at(at))
    scan = codes.read_station_code(city.keys.station, code, at)
    command = Punch(id=uuid7(at), actor_id=member_id, kind=kind, code=code, scan=scan, refusal=None)
    act = checkins.check_in if kind == "in" else checkins.check_out
    (answer,) = await act(connection, city.book_id, [command], at, draw=city.keys.draw)
    return UUID(answer.data["attendance_id"])


async def test_each_part_has_the_figures_of_everything_under_it(connection: AsyncConnection, city: City) -> None:
    admin = await city.add_member(connection, "郑管理", region_id=city.region_id)
    await city.grant(connection, admin, "admin", region_id=city.region_id)
    served, serving = await city.add_members(connection, 2)
    await city.add_member(connection, "林远", region_id=city.other_community_id)
    record_id = await punch(connection, city, served, "in", 0)
    await punch(connection, city, served, "out", 120)
    await punch(connection, city, serving, "in", 130)
    await punch(connection, city, await city.add_member(connection), "in", 130)
    who: dict[str, Any] = {"actor_id": admin, "roles": ("admin",), "now": city.now + timedelta(hours=3)}

    here, elsewhere = await overview.parts(connection, city.book_id, **who)
    assert (here.id, here.stations, here.minutes, here.people_in, here.waiting) == (city.district_id, 1, 0, 2, 1)
    # The manager, the clerk, and the three who came; the administrator lives in no part of the city.
    assert here.members == 5
    assert (elsewhere.id, elsewhere.members, elsewhere.stations) == (city.other_district_id, 1, 0)
    assert (elsewhere.minutes, elsewhere.people_in, elsewhere.waiting) == (0, 0, 0)

    decision = Verify(id=city.new_id(), actor_id=admin, record_id=record_id, verdict="verify")
    await verification.verify(connection, city.book_id, [decision], who["now"])
    here, _ = await overview.parts(connection, city.book_id, **who)
    assert (here.minutes, here.waiting) == (120, 0)


async def test_a_branch_is_what_somebody_administers_and_its_parts_lie_directly_under_it(
    connection: AsyncConnection, city: City
) -> None:
    admin = await city.add_member(connection, "郑管理")
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    await city.grant(connection, admin, "manager", region_id=city.other_district_id)
    who: dict[str, Any] = {"actor_id": admin, "roles": ("admin",), "now": city.now}
    assert [row.id for row in await overview.branches(connection, city.book_id, **who)] == [city.district_id]
    assert [row.id for row in await overview.parts(connection, city.book_id, **who)] == [city.street_id]
    who["actor_id"] = city.manager_id
    assert list(await overview.branches(connection, city.book_id, **who)) == []
    assert list(await overview.parts(connection, city.book_id, **who)) == []
