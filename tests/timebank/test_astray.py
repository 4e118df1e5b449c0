"""Scans that led to nothing: held for a person, shown in the queue and decided."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank.test_holds import EVENING, NOON
from tests.timebank.ways import Doorway
from timebank import astray, manual, members
from timebank.astray import Settle
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.tables import punch_decision


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


@pytest.fixture
def door(connection: AsyncConnection, city: City) -> Doorway:
    return Doorway(connection, city)


@pytest.fixture
async def one(connection: AsyncConnection, city: City) -> UUID:
    return await city.add_member(connection)


async def queue(door: Doorway, actor_id: UUID | None = None) -> list[tuple[UUID, list[str]]]:
    page = await astray.queue(
        door.connection, door.city.book_id, actor_id=actor_id or door.city.manager_id, now=EVENING
    )
    return [(row.id, row.holds) for row in page.rows]


def settle(city: City, punch_id: UUID, verdict: Any, **more: Any) -> Settle:
    values = {"id": uuid7(EVENING), "actor_id": city.manager_id, "reason": "问过本人"}
    return Settle(punch_id=punch_id, verdict=verdict, **{**values, **more})


async def decided(door: Doorway, *commands: Settle) -> list[Any]:
    return await astray.settle_astray(door.connection, door.city.book_id, commands, EVENING, keys=door.city.keys)


async def test_nothing_open(door: Doorway, city: City, one: UUID, connection: AsyncConnection) -> None:
    out = door.sent(one, "out", NOON)
    answer = await door.one(out)
    assert (answer.code, answer.data["holds"]) == ("held", ["nothing_open"])
    assert await queue(door) == [(out.id, ["nothing_open"])]
    assert await queue(door, one) == await queue(door, city.clerk_id) == []
    command = settle(city, out.id, "enter", other_at=MORNING)
    for _ in range(2):
        (settled,) = await decided(door, command)
        assert (settled.code, settled.data["minutes"], settled.data["grade"]) == ("ok", 120, "B")
    assert await queue(door) == []
    kept = (await connection.execute(select(punch_decision).where(punch_decision.c.book_id == city.book_id))).one()
    assert (kept.holds, kept.verdict, str(kept.record_id)) == (
        ["nothing_open"],
        "enter",
        settled.data["attendance_id"],
    )
    person = await members.by_id(connection, city.book_id, one)
    assert manual.unseal(city.keys, person, kept.sealed_reason) == "问过本人"
    found = await door.record(settled.data["attendance_id"])
    assert (found.started_at, found.ended_at, found.state, found.holds) == (MORNING, NOON, "waiting", [])
    # The scan is the evidence that it always was.
    assert (await door.punch(out.id)).holds == ["nothing_open"]
    (again,) = await decided(door, settle(city, out.id, "dismiss"))
    assert again.code == "already_decided"


async def test_already_in(door: Doorway, city: City, one: UUID, connection: AsyncConnection) -> None:
    first = await door.one(door.sent(one, "in", MORNING))
    second = door.sent(one, "in", MORNING + timedelta(minutes=1))
    answer = await door.one(second)
    assert (answer.code, answer.data["holds"]) == ("held", ["already_in"])
    assert answer.data["attendance_id"] == first.data["attendance_id"]
    assert await queue(door) == [(second.id, ["already_in"])]
    (laid_aside,) = await decided(door, settle(city, second.id, "dismiss"))
    assert (laid_aside.code, laid_aside.data) == ("ok", {"punch_id": str(second.id)})
    assert await queue(door) == []
    third = door.sent(one, "in", MORNING + timedelta(minutes=2))
    await door.one(third)
    # Entered although the first is open: kept, and held again because the two overlap.
    (made,) = await decided(door, settle(city, third.id, "enter", other_at=NOON))
    found = await door.record(made.data["attendance_id"])
    assert (found.id, found.grade, found.holds) == (third.id, "B", ["overlap"])
    assert (await door.one(door.sent(one, "out", NOON))).data["minutes"] == 120


async def test_what_went_astray_is_decided_by_who_may(door: Doorway, city: City, connection: AsyncConnection) -> None:
    household = uuid7(MORNING)
    boss = await city.add_member(connection, household_id=household)
    await city.grant(connection, boss, "manager", station_id=city.station.id)
    wife = await city.add_member(connection, household_id=household)
    outs = [door.sent(who, "out", NOON) for who in (wife, boss, city.manager_id)]
    await door.run(*outs)
    assert {id for id, _ in await queue(door, boss)} == {outs[2].id}
    assert {id for id, _ in await queue(door)} == {outs[0].id, outs[1].id}
    commands = [
        settle(city, outs[0].id, "dismiss", actor_id=boss),
        settle(city, outs[1].id, "dismiss", actor_id=boss),
        settle(city, outs[1].id, "dismiss", actor_id=city.clerk_id),
        settle(city, uuid7(NOON), "dismiss"),
        settle(city, outs[0].id, "dismiss", reason=" "),
        settle(city, outs[0].id, "enter"),
        settle(city, outs[0].id, "enter", other_at=NOON),
    ]
    assert [answer.code for answer in await decided(door, *commands)] == [
        "own_record",
        "own_record",
        "not_found",
        "not_found",
        "reason_missing",
        "minutes_invalid",
        "minutes_invalid",
    ]
