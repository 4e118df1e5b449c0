"""Stations and their devices: numbered without gaps or doubles, each with a screen, changed by their branch only."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, City, build_city
from timebank import devices, funds, kinds, stations
from timebank.errors import Conflict, Invalid, NotFound
from timebank.keys import Keys
from timebank.tables import audit_entry, service_kind, station


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def test_a_station_opens_with_a_screen(connection: AsyncConnection, city: City) -> None:
    row = await city.add_station(connection)
    assert (row.number, row.state, row.cap_minutes) == (2, "open", 240)
    (screen,) = await devices.of_station(connection, city.book_id, row.id)
    assert (screen.kind, screen.number, screen.revoked_at) == ("screen", 2, None)


async def test_a_number_may_be_chosen_once(connection: AsyncConnection, city: City) -> None:
    assert (await city.add_station(connection, number=1900)).number == 1900
    assert (await city.add_station(connection)).number == 1901
    with pytest.raises(Conflict):
        await city.add_station(connection, number=1900)


async def test_stations_opened_at_once_get_different_numbers(engine: AsyncEngine, new_book: int, keys: Keys) -> None:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)

    async def open_one() -> int:
        async with engine.begin() as connection:
            row = await city.add_station(connection)
            return int(row.number)

    assert sorted(await asyncio.gather(*(open_one() for _ in range(16)))) == list(range(2, 18))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"cap_minutes": 0}, Invalid),
        ({"cap_minutes": 1441}, Invalid),
        ({"name_zh": " "}, Invalid),
        ({"address": "x" * 201}, Invalid),
        ({"person_in_charge": "\x00"}, Invalid),
        ({"region_id": None}, NotFound),
        ({"fund_id": None}, NotFound),
        ({"service_kind_id": None}, NotFound),
    ],
)
async def test_what_a_station_cannot_be(
    connection: AsyncConnection, city: City, wrong: dict[str, Any], error: type[Exception]
) -> None:
    given = {name: city.new_id() if value is None else value for name, value in wrong.items()}
    with pytest.raises(error):
        await city.add_station(connection, **given)


async def test_a_fund_pays_in_its_own_branch_only(connection: AsyncConnection, city: City) -> None:
    elsewhere = await funds.add(
        connection,
        city.book_id,
        name_zh="西湖基金",
        name_en="West lake fund",
        region_id=city.other_district_id,
        id=city.new_id(),
        now=MORNING,
    )
    with pytest.raises(NotFound):
        await city.add_station(connection, fund_id=elsewhere)
    await city.add_station(connection, fund_id=elsewhere, region_id=city.other_community_id)


async def test_only_the_branch_may_open_and_close(connection: AsyncConnection, city: City) -> None:
    admin = await city.add_member(connection, "区管理员")
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    row = await city.add_station(connection, actor_id=admin)
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)
    with pytest.raises(NotFound):
        await city.add_station(connection, region_id=city.other_community_id, actor_id=admin)
    await stations.set_state(connection, city.book_id, row.id, state="closed", now=MORNING, actor_id=admin)
    for station_id, actor_id in ((elsewhere.id, admin), (row.id, city.manager_id), (city.new_id(), None)):
        with pytest.raises(NotFound):
            await stations.set_state(
                connection, city.book_id, station_id, state="closed", now=MORNING, actor_id=actor_id
            )
    with pytest.raises(Invalid):
        await stations.set_state(connection, city.book_id, row.id, state="moved", now=MORNING)
    rows = await connection.execute(select(station.c.id, station.c.state).where(station.c.book_id == city.book_id))
    states = {row.id: row.state for row in rows}
    assert states[row.id] == "closed"
    assert states[elsewhere.id] == "open"


async def test_devices_are_enrolled_and_revoked(connection: AsyncConnection, city: City) -> None:
    given = {"station_id": city.station.id, "name": "前台平板", "now": MORNING}
    row = await devices.enrol(
        connection, city.book_id, kind="kiosk", id=city.new_id(), public_key=b"\x01" * 32, **given
    )
    assert row.number == city.screen.number + 1
    with pytest.raises(Invalid):
        await devices.enrol(connection, city.book_id, kind="toaster", id=city.new_id(), **given)
    later = MORNING + timedelta(hours=1)
    with pytest.raises(NotFound):
        await devices.revoke(connection, city.book_id, row.id, now=later, actor_id=city.manager_id)
    for moment in (later, later + timedelta(hours=1)):
        await devices.revoke(connection, city.book_id, row.id, now=moment)
    with pytest.raises(NotFound):
        await devices.revoke(connection, city.book_id, city.new_id(), now=later)
    assert [device.id for device in await devices.of_station(connection, city.book_id, city.station.id)] == [
        city.screen.id
    ]
    query = select(audit_entry.c.action).where(audit_entry.c.subject_id == row.id).order_by(audit_entry.c.at)
    assert list((await connection.execute(query)).scalars()) == ["device.enrol", "device.revoke"]


async def test_the_catalogue_is_installed_once(connection: AsyncConnection, city: City) -> None:
    assert await kinds.install(connection, city.book_id, now=MORNING) == 0
    rows = await kinds.catalogue(connection, city.book_id)
    assert [row.code for row in rows] == [kind.code for kind in kinds.CATALOGUE]
    sizes = {name: sum(row.catalogue == name for row in rows) for name in ("seven_helps", "four_aids")}
    assert sizes == {"seven_helps": 7, "four_aids": 4}
    await connection.execute(
        update(service_kind)
        .where(service_kind.c.book_id == city.book_id, service_kind.c.code == "patrol")
        .values(active=False)
    )
    assert "patrol" not in await kinds.by_code(connection, city.book_id)
    with pytest.raises(NotFound):
        await city.add_station(connection, service_kind_id=city.kinds["patrol"])


async def test_the_nearest_fund_pays(connection: AsyncConnection, city: City) -> None:
    with pytest.raises(NotFound):
        await funds.nearest(connection, city.book_id, city.new_id())
    assert await funds.nearest(connection, city.book_id, city.community_id) == city.fund_id
    nearer = await funds.add(
        connection,
        city.book_id,
        name_zh="街道基金",
        name_en="Street fund",
        region_id=city.street_id,
        id=city.new_id(),
        now=MORNING,
    )
    assert await funds.nearest(connection, city.book_id, city.community_id) == nearer
    assert await funds.nearest(connection, city.book_id, city.other_community_id) == city.fund_id
    assert await funds.nearest(connection, city.book_id, city.region_id) == city.fund_id
