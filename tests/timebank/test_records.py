"""What managers and volunteers see of service records: only their branch, never their own, page by page."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from timebank import answers, checkins, codes, devices, overview, records, verification
from timebank.cursors import Cursor, CursorInvalid
from timebank.errors import NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.punches import Punch
from timebank.verification import Verify


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def scan(connection: AsyncConnection, city: City, member_id: UUID, kind: Any, at: datetime, **more: Any) -> UUID:
    """One scan of a station's screen, in or out; `screen` and `station` are another's than the city's first."""
    station, screen = more.get("station", city.station), more.get("screen", city.screen)
    code = codes.station_code(city.keys.station, station.number, screen.number, codes.slot_at(at))
    command = Punch(
        id=uuid7(at),
        actor_id=member_id,
        kind=kind,
        code=code,
        scan=codes.read_station_code(city.keys.station, code, at),
        refusal=None,
    )
    verb = checkins.check_in if kind == "in" else checkins.check_out
    (answer,) = await verb(connection, city.book_id, [command], at, draw=b"")
    assert not answer.refused, answer
    return command.id


async def serve(
    connection: AsyncConnection, city: City, member_id: UUID, at: datetime = MORNING, minutes: int = 120, **more: Any
) -> UUID:
    """A whole service; answers the record's id."""
    record_id = await scan(connection, city, member_id, "in", at, **more)
    await scan(connection, city, member_id, "out", at + timedelta(minutes=minutes), **more)
    return record_id


def now() -> datetime:
    return MORNING + timedelta(days=2)


async def queue(connection: AsyncConnection, city: City, actor_id: UUID, **more: Any) -> list[UUID]:
    page = await records.queue(connection, city.book_id, actor_id=actor_id, now=now(), **more)
    return [row.id for row in page.rows]


async def test_the_queue_is_the_branchs_oldest_first(connection: AsyncConnection, city: City) -> None:
    one, two = await city.add_members(connection, 2)
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)
    (screen,) = await stations_screen(connection, city, elsewhere)
    late = await serve(connection, city, one, MORNING + timedelta(hours=5), 30)
    early = await serve(connection, city, two)
    other = await serve(connection, city, two, MORNING + timedelta(hours=8), station=elsewhere, screen=screen)
    assert await queue(connection, city, city.manager_id) == [early, late]
    everywhere = await city.add_member(connection)
    await city.grant(connection, everywhere, "manager", region_id=city.region_id)
    assert await queue(connection, city, everywhere) == [early, late, other]
    assert await queue(connection, city, everywhere, which=records.Which(station_id=elsewhere.id)) == [other]
    for stranger in (city.clerk_id, one):
        assert await queue(connection, city, stranger) == []
    page = await records.queue(connection, city.book_id, actor_id=city.manager_id, now=now())
    row = page.rows[1]
    assert (row.measured_minutes, row.grade, row.station_en, row.kind_en) == (
        30,
        "A",
        "Test station",
        "Helping older people",
    )
    assert row.member_id == one


async def stations_screen(connection: AsyncConnection, city: City, station: Any) -> Any:
    return await devices.of_station(connection, city.book_id, station.id)


async def test_nobody_sees_his_own_or_his_households_in_the_queue(connection: AsyncConnection, city: City) -> None:
    household = city.new_id()
    manager = await city.add_member(connection, household_id=household)
    await city.grant(connection, manager, "manager", station_id=city.station.id)
    spouse = await city.add_member(connection, household_id=household)
    neighbour = await city.add_member(connection)
    for member_id in (manager, spouse):
        record_id = await serve(connection, city, member_id)
        with pytest.raises(NotFound):
            await records.to_decide(connection, city.book_id, record_id, actor_id=manager, now=now())
    seen = await serve(connection, city, neighbour)
    assert await queue(connection, city, manager) == [seen]
    assert len(await queue(connection, city, city.manager_id)) == 3


async def test_what_is_decided_leaves_the_queue(connection: AsyncConnection, city: City) -> None:
    await acting.no_draw(connection, city)
    one, two = await city.add_members(connection, 2)
    first, second = await serve(connection, city, one), await serve(connection, city, two, minutes=650)
    sums = await records.queue_sums(connection, city.book_id, actor_id=city.manager_id, now=now())
    assert (sums.records, sums.clear_records, sums.minutes) == (2, 1, 770)
    page = await records.queue(connection, city.book_id, actor_id=city.manager_id, now=now())
    assert {row.id: row.clear for row in page.rows} == {first: True, second: False}
    assert page.rows[1].holds == ["long_day"] or page.rows[0].holds == ["long_day"]
    command = Verify(
        id=city.new_id(),
        actor_id=city.manager_id,
        record_id=second,
        verdict="adjust",
        minutes=480,
        reason="forgot to check out",
    )
    (answer,) = await verification.verify(connection, city.book_id, [command], now())
    assert answer.code == "ok"
    assert await queue(connection, city, city.manager_id) == [first]
    # Still there to be looked at, and its owner reads why.
    row = await records.to_decide(connection, city.book_id, second, actor_id=city.manager_id, now=now())
    assert (row.state, row.credited_minutes) == ("verified", 480)
    mine = await records.mine(connection, city.book_id, two)
    assert [(row.id, row.reason) for row in mine.rows] == [(second, "forgot to check out")]
    assert [row.reason for row in (await records.mine(connection, city.book_id, one)).rows] == [None]
    known = await answers.remembered(connection, city.book_id, city.manager_id, [command.id, city.new_id()])
    assert known == {command.id: answer}
    assert await answers.remembered(connection, city.book_id, one, [command.id]) == {}


async def test_evidence_comes_in_order(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    record_id = await serve(connection, city, one)
    found = await records.punches(connection, city.book_id, record_id, city.keys)
    assert [(row.kind, row.source, row.occurred_at) for row in found] == [
        ("in", "live", MORNING),
        ("out", "live", MORNING + timedelta(hours=2)),
    ]
    assert await records.punches(connection, city.book_id, city.new_id(), city.keys) == []


async def test_pages_follow_each_other(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    made = [await serve(connection, city, one, MORNING + timedelta(hours=number), 30) for number in range(5)]
    seen: list[UUID] = []
    after = None
    while True:
        page = await records.queue(
            connection, city.book_id, actor_id=city.manager_id, now=now(), after=Cursor.read(after), limit=2
        )
        seen += [row.id for row in page.rows]
        if page.following is None:
            break
        after = str(page.following)
    assert seen == made
    first = await records.mine(connection, city.book_id, one, limit=3)
    rest = await records.mine(connection, city.book_id, one, limit=3, before=first.following)
    assert [row.id for row in (*first.rows, *rest.rows)] == made[::-1]
    assert rest.following is None


@pytest.mark.parametrize("text", ["x", "1", "1.", "-1." + "0" * 32, "9" * 17 + "." + "0" * 32, "1." + "g" * 32])
def test_a_cursor_of_somebody_elses_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        Cursor.read(text)


def test_a_cursor_comes_back() -> None:
    cursor = Cursor(MORNING + timedelta(microseconds=7), uuid7(MORNING))
    assert Cursor.read(str(cursor)) == cursor
    assert Cursor.read("") is None


async def test_where_somebody_is_now(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    assert await records.open_stay(connection, city.book_id, one) is None
    await scan(connection, city, one, "in", MORNING)
    stay = await records.open_stay(connection, city.book_id, one)
    assert stay is not None
    assert (stay.station_id, stay.started_at, stay.kind_en) == (city.station.id, MORNING, "Helping older people")
    assert await overview.people_in(connection, city.book_id, city.station.id) == 1


async def test_a_branch_at_a_glance(connection: AsyncConnection, city: City) -> None:
    admin = await city.add_member(connection)
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    await city.add_station(connection, region_id=city.other_community_id)
    one, two = await city.add_members(connection, 2)
    await serve(connection, city, one)
    await scan(connection, city, two, "in", MORNING)
    who: dict[str, Any] = {"actor_id": admin, "roles": ("admin",), "now": now()}
    (row,) = await overview.stations(connection, city.book_id, **who)
    assert (row.id, row.people_in, row.waiting, row.fund_en) == (city.station.id, 1, 1, "Test fund")
    sums = await overview.sums(connection, city.book_id, **who)
    assert (sums.members, sums.minutes, sums.waiting, sums.people_in) == (5, 0, 1, 1)
    (fund,) = await overview.funds(connection, city.book_id, **who)
    assert (fund.id, fund.owed) == (city.fund_id, 0)
    regions = await overview.regions(connection, city.book_id, **who)
    assert [region.level for region in regions] == ["district", "street", "community"]
    nobody = {**who, "actor_id": one}
    assert await overview.stations(connection, city.book_id, **nobody) == []
    assert await overview.funds(connection, city.book_id, **nobody) == []
    assert (await overview.sums(connection, city.book_id, **nobody)).members == 0


async def test_a_place_is_known_by_number_and_by_id(connection: AsyncConnection, city: City) -> None:
    place = await overview.place(connection, city.book_id, number=city.station.number)
    assert place == await overview.place(connection, city.book_id, id=city.station.id)
    assert place.kind_zh == "助老"
    with pytest.raises(NotFound):
        await overview.place(connection, city.book_id, number=999)
