"""Shifts, and what ends by itself when nobody checks out."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank.ways import Doorway
from timebank import attendances, shifts
from timebank.errors import Invalid, NotFound
from timebank.ids import uuid7
from timebank.jobs import JOBS
from timebank.keys import Keys
from timebank.tables import attendance, audit_entry, record

NOON = MORNING + timedelta(hours=2)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


@pytest.fixture
def door(connection: AsyncConnection, city: City) -> Doorway:
    return Doorway(connection, city)


async def plan(connection: AsyncConnection, city: City, **more: Any) -> UUID:
    values = {
        "station_id": city.station.id,
        "starts_at": MORNING,
        "ends_at": NOON,
        "id": uuid7(MORNING),
        "now": MORNING,
        "actor_id": city.manager_id,
        "grace_minutes": 10,
    }
    return await shifts.add(connection, city.book_id, **{**values, **more})


async def test_a_shift_is_planned_once_shown_and_cancelled(door: Doorway, city: City) -> None:
    connection, id = door.connection, uuid7(MORNING)
    for _ in range(2):
        await plan(connection, city, id=id, capacity=1)
    one, two = await city.add_members(connection, 2)
    await door.run(door.sent(one, "in", MORNING), door.sent(two, "in", MORNING))
    (row,) = (await shifts.planned(connection, city.book_id, city.station.id, since=MORNING)).rows
    # Full, and nobody was turned away.
    assert (row.id, row.capacity, row.people) == (id, 1, 2)
    assert (await shifts.planned(connection, city.book_id, city.station.id, since=NOON)).rows == []
    with pytest.raises(NotFound):
        await shifts.cancel(connection, city.book_id, id, now=MORNING, actor_id=city.clerk_id)
    with pytest.raises(NotFound):
        await shifts.cancel(connection, city.book_id, uuid7(MORNING), now=MORNING, actor_id=city.manager_id)
    for _ in range(2):
        await shifts.cancel(connection, city.book_id, id, now=MORNING, actor_id=city.manager_id)
    assert (await shifts.planned(connection, city.book_id, city.station.id, since=MORNING)).rows == []
    query = select(audit_entry.c.action).where(
        audit_entry.c.book_id == city.book_id, audit_entry.c.subject_kind == "shift"
    )
    assert sorted((await connection.execute(query)).scalars()) == ["shift.add", "shift.cancel"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"ends_at": MORNING}, "ends_at"),
        ({"ends_at": MORNING + timedelta(hours=25)}, "ends_at"),
        ({"starts_at": MORNING + timedelta(days=401), "ends_at": MORNING + timedelta(days=401, hours=1)}, "starts_at"),
        ({"grace_minutes": -1}, "grace_minutes"),
        ({"grace_minutes": 241}, "grace_minutes"),
        ({"capacity": 0}, "capacity"),
    ],
)
async def test_a_shift_that_cannot_be(
    connection: AsyncConnection, city: City, more: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as error:
        await plan(connection, city, **more)
    assert error.value.data["field"] == field


async def test_only_who_looks_after_a_station_plans_there(connection: AsyncConnection, city: City) -> None:
    for actor_id in (city.clerk_id, await city.add_member(connection)):
        with pytest.raises(NotFound):
            await plan(connection, city, actor_id=actor_id)
    with pytest.raises(NotFound):
        await plan(connection, city, service_kind_id=uuid7(MORNING))


async def close(door: Doorway, now: datetime) -> int:
    return await attendances.close_forgotten(door.connection, door.city.book_id, now)


async def test_a_forgotten_check_out_ends_with_the_shift_and_its_grace(door: Doorway, city: City) -> None:
    connection = door.connection
    await plan(connection, city)
    one, two = await city.add_members(connection, 2)
    answer = await door.one(door.sent(one, "in", MORNING))
    await door.one(door.sent(two, "in", MORNING))
    await door.one(door.sent(two, "out", NOON))
    due = NOON + timedelta(minutes=10)
    assert await close(door, due - timedelta(seconds=1)) == 0
    # A job that comes late does not make the stay longer.
    assert await close(door, due + timedelta(hours=9)) == 1
    assert await close(door, due + timedelta(hours=9)) == 0
    found = await door.record(answer.data["attendance_id"])
    assert (found.ended_at, found.measured_minutes, found.grade) == (due, 0, "B")
    assert (found.holds, found.state) == (["unconfirmed"], "waiting")
    state = select(attendance.c.state).where(attendance.c.book_id == city.book_id, attendance.c.member_id == one)
    assert await connection.scalar(state) == "unconfirmed"
    # And the next service begins as ever.
    assert (await door.one(door.sent(one, "in", due + timedelta(hours=10)))).code == "ok"


async def test_without_a_shift_it_ends_with_the_stations_cap(door: Doorway, city: City) -> None:
    (one,) = await city.add_members(door.connection, 1)
    answer = await door.one(door.sent(one, "in", MORNING))
    cap = timedelta(minutes=city.station.cap_minutes)
    assert await close(door, MORNING + cap - timedelta(seconds=1)) == 0
    assert await close(door, MORNING + cap) == 1
    assert (await door.record(answer.data["attendance_id"])).ended_at == MORNING + cap


async def test_a_cancelled_shift_no_longer_ends_anything(door: Doorway, city: City) -> None:
    id = await plan(door.connection, city)
    (one,) = await city.add_members(door.connection, 1)
    await door.one(door.sent(one, "in", MORNING))
    await shifts.cancel(door.connection, city.book_id, id, now=MORNING, actor_id=city.manager_id)
    assert await close(door, NOON + timedelta(hours=1)) == 0
    assert await close(door, MORNING + timedelta(minutes=city.station.cap_minutes)) == 1


async def test_many_end_in_batches(door: Doorway, city: City) -> None:
    people = await city.add_members(door.connection, 7)
    await door.run(*(door.sent(who, "in", MORNING) for who in people))
    late = MORNING + timedelta(days=1)
    ended = [await attendances.close_forgotten(door.connection, city.book_id, late, limit=3) for _ in range(4)]
    assert ended == [3, 3, 1, 0]
    query = select(record.c.holds).where(record.c.book_id == city.book_id)
    assert [row.holds for row in await door.connection.execute(query)] == [["unconfirmed"]] * 7


def test_the_bank_does_it_by_itself() -> None:
    assert JOBS["close_forgotten"] is attendances.close_forgotten


@pytest.mark.parametrize(("minutes", "found"), [(-11, None), (-10, "a"), (50, "a"), (51, "b"), (119, "b"), (120, "b")])
def test_of_two_shifts_somebody_comes_for_the_one_that_starts_last(minutes: int, found: str | None) -> None:
    rows: list[Any] = [Planned("a", 0, 120), Planned("b", 61, 200)]
    row = shifts.at(rows, MORNING + timedelta(minutes=minutes))
    assert (row.id if row else None) == found


class Planned:
    """A shift as `shifts.at` sees it; minutes from the morning on."""

    def __init__(self, id: str, start: int, end: int) -> None:
        self.id, self.grace_minutes = id, 10
        self.starts_at, self.ends_at = MORNING + timedelta(minutes=start), MORNING + timedelta(minutes=end)
