"""The closed list of the holds, read out of the code: each waits for a person and says why."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.language import language
from api.pages import words
from api.sentences import HOLDS
from tests.factories import MORNING, City, build_city
from tests.timebank.test_closed_lists import EVENING, HOUR
from tests.timebank.test_holds import enter, plan, rule
from tests.timebank.ways import Doorway
from timebank import astray, attendances, devices, manual, policy, records
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.scans import Sent
from timebank.tables import station


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


@pytest.fixture
def door(connection: AsyncConnection, city: City) -> Doorway:
    return Doorway(connection, city)


# By hold: a case that comes to it, of which it answers the record, or the scan that led to nothing.
Case = Callable[[Doorway, UUID], Awaitable[Any]]
CASES: dict[str, Case] = {}


def case(hold: str) -> Callable[[Case], Case]:
    """Names the case of a hold."""

    def named(each: Case) -> Case:
        CASES[hold] = each
        return each

    return named


async def enter_all(door: Doorway, *commands: Any) -> Any:
    """A manager's entries; the last one's record."""
    city = door.city
    answers = await manual.enter(door.connection, city.book_id, commands, EVENING, keys=city.keys)
    return answers[-1].data["attendance_id"]


@case("overlap")
async def overlap(door: Doorway, one: UUID) -> Any:
    return await enter_all(door, enter(door.city, one), enter(door.city, one))


@case("already_in")
async def already_in(door: Doorway, one: UUID) -> Any:
    await door.one(door.sent(one, "in", MORNING))
    again = door.sent(one, "in", MORNING + HOUR)
    assert (await door.one(again)).code == "held"
    return again.id


@case("nothing_open")
async def nothing_open(door: Doorway, one: UUID) -> Any:
    leaving = door.sent(one, "out", MORNING)
    assert (await door.one(leaving)).code == "held"
    return leaving.id


@case("outside_shift")
async def outside_shift(door: Doorway, one: UUID) -> Any:
    await plan(door, MORNING + 4 * HOUR, MORNING + 6 * HOUR)
    return (await door.serve(one, MORNING)).data["attendance_id"]


@case("long_day")
async def long_day(door: Doorway, one: UUID) -> Any:
    await rule(door.connection, door.city, long_day_minutes=119)
    return (await door.serve(one, MORNING, 120)).data["attendance_id"]


@case("too_fast")
async def too_fast(door: Doorway, one: UUID) -> Any:
    connection, city = door.connection, door.city
    far = await city.add_station(connection)
    (screen,) = await devices.of_station(connection, city.book_id, far.id)
    for id, latitude in ((door.station.id, 28.68), (far.id, 39.9)):
        here = update(station).where(station.c.book_id == city.book_id, station.c.id == id)
        await connection.execute(here.values(latitude=latitude, longitude=116.0))
    away = Doorway(connection, city, far, screen)
    await away.serve(one, MORNING, 60)
    return (await door.serve(one, MORNING + 2 * HOUR)).data["attendance_id"]


@case("shared_phone")
async def shared_phone(door: Doorway, one: UUID) -> Any:
    other, phone_id = await door.city.add_member(door.connection), uuid7(MORNING)
    await door.one(door.sent(other, "in", MORNING, phone_id=phone_id))
    return (await door.serve(one, MORNING, phone_id=phone_id)).data["attendance_id"]


@case("same_slot_again")
async def same_slot_again(door: Doorway, one: UUID) -> Any:
    return (await door.serve(one, MORNING, 0)).data["attendance_id"]


@case("mass_checkout")
async def mass_checkout(door: Doorway, one: UUID) -> Any:
    await rule(door.connection, door.city, mass_checkout_people=2, draw_percent=0)
    people = [one, await door.city.add_member(door.connection)]
    await door.run(*(door.sent(each, "in", MORNING) for each in people))
    answers = await door.run(*(door.sent(each, "out", MORNING + HOUR) for each in people))
    return answers[0].data["attendance_id"]


@case("over_quota")
async def over_quota(door: Doorway, one: UUID) -> Any:
    await rule(door.connection, door.city, manual_minutes_per_month=119)
    return await enter_all(door, enter(door.city, one))


@case("drawn")
async def drawn(door: Doorway, one: UUID) -> Any:
    await rule(door.connection, door.city, draw_percent=100)
    return (await door.serve(one, MORNING)).data["attendance_id"]


@case("clock_doubt")
async def clock_doubt(door: Doorway, one: UUID) -> Any:
    return (await door.serve(one, MORNING, phone_time=MORNING - HOUR)).data["attendance_id"]


@case("poster_alone")
async def poster_alone(door: Doorway, one: UUID) -> Any:
    assert (await door.one(door.sent(one, "in", MORNING, Sent(code=await door.poster(MORNING))))).code == "held"
    return (await door.one(door.sent(one, "out", MORNING + HOUR))).data["attendance_id"]


@case("unconfirmed")
async def unconfirmed(door: Doorway, one: UUID) -> Any:
    arrival = await door.one(door.sent(one, "in", MORNING))
    assert await attendances.close_forgotten(door.connection, door.city.book_id, EVENING) == 1
    return arrival.data["attendance_id"]


@pytest.mark.parametrize("hold", policy.HOLD_ORDER)
async def test_every_line_of_the_holds_waits_for_a_person_and_says_why(door: Doorway, city: City, hold: str) -> None:
    one = await city.add_member(door.connection)
    id = UUID(str(await CASES[hold](door, one)))
    who = {"actor_id": city.manager_id, "now": EVENING}
    page = await records.queue(door.connection, city.book_id, **who)
    waiting = {row.id: (row.holds, row.clear) for row in page.rows}
    lost = {row.id: row.holds for row in (await astray.queue(door.connection, city.book_id, **who)).rows}
    assert lost.get(id) == [hold] if hold in astray.HOLDS else waiting.get(id) == ([hold], False)
    short, long = HOLDS[hold], [words.of(words.HOLDS, language(tag), hold) for tag in ("zh-CN", "en")]
    assert len({*short, *long}) == 4
    assert all(short)
    assert all(long)
