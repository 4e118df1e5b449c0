"""Check-in and check-out: what is refused, what is kept and held, and what a record says."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from tests.timebank.acting import done, one, rows, scan, serve, the_record
from timebank import codes, devices, members, policy, stations
from timebank.commands import Answer
from timebank.hourly import HourlyKeys
from timebank.keys import Keys
from timebank.tables import attendance, punch, record, service_kind

LATER = MORNING + timedelta(hours=2)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city in which chance holds no record."""
    city = await build_city(connection, new_book, keys, fund_points=0)
    await acting.no_draw(connection, city)
    return city


async def other_place(connection: AsyncConnection, city: City, **more: Any) -> dict[str, Any]:
    """A second station with its screen, as `scan` takes them."""
    place = await city.add_station(connection, **more)
    return {"station": place, "screen": (await devices.of_station(connection, city.book_id, place.id))[0]}


async def close(connection: AsyncConnection, city: City) -> None:
    await stations.set_state(connection, city.book_id, city.station.id, state="closed", now=MORNING)


async def nothing_kept(connection: AsyncConnection, city: City) -> bool:
    """Whether no scan left anything but its answer."""
    return not any([await rows(connection, city, table) for table in (punch, attendance, record)])


# What is refused, in the order of the protocol.


@pytest.mark.parametrize("kind", ["in", "out"])
@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("code_malformed", "https://elsewhere.example/menu"),
        ("code_forged", codes.station_code(HourlyKeys(b"somebody else's"), 1, 1, codes.slot_at(MORNING))),
    ],
)
async def test_a_code_that_is_not_ours(
    connection: AsyncConnection, city: City, member_id: UUID, kind: str, code: str, text: str
) -> None:
    assert await one(connection, city, scan(city, member_id, kind, code=text)) == Answer(code)
    assert await nothing_kept(connection, city)


@pytest.mark.parametrize("kind", ["in", "out"])
async def test_a_code_that_is_no_longer_live(
    connection: AsyncConnection, city: City, member_id: UUID, kind: str
) -> None:
    old = scan(city, member_id, kind).code
    command = scan(city, member_id, kind, LATER, code=old)
    assert await one(connection, city, command) == Answer("code_expired")
    assert await nothing_kept(connection, city)


@pytest.mark.parametrize("kind", ["in", "out"])
async def test_a_device_that_was_revoked(connection: AsyncConnection, city: City, member_id: UUID, kind: str) -> None:
    await devices.revoke(connection, city.book_id, city.screen.id, now=MORNING)
    assert await one(connection, city, scan(city, member_id, kind)) == Answer("device_revoked")
    assert await nothing_kept(connection, city)


async def test_a_device_that_is_nobodys_or_another_stations(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    elsewhere = await other_place(connection, city)
    unknown = codes.station_code(city.keys.station, city.station.number, 2**25 - 1, codes.slot_at(MORNING))
    for command in (
        scan(city, member_id, "in", code=unknown),
        scan(city, member_id, "in", screen=elsewhere["screen"]),
        scan(city, member_id, "in", station=elsewhere["station"]),
    ):
        assert await one(connection, city, command) == Answer("device_revoked")
    assert await nothing_kept(connection, city)


async def test_a_station_that_is_closed(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    await close(connection, city)
    assert await one(connection, city, scan(city, member_id, "in")) == Answer("station_closed")
    assert await nothing_kept(connection, city)


async def test_who_is_in_when_a_station_closes_can_still_check_out(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    await done(connection, city, scan(city, member_id, "in"))
    await close(connection, city)
    assert (await one(connection, city, scan(city, member_id, "out", LATER))).data["minutes"] == 120


@pytest.mark.parametrize("kind", ["in", "out"])
async def test_a_member_who_is_suspended(connection: AsyncConnection, city: City, member_id: UUID, kind: str) -> None:
    await members.suspend(connection, city.book_id, member_id, now=MORNING)
    assert await one(connection, city, scan(city, member_id, kind)) == Answer("member_suspended")
    assert await one(connection, city, scan(city, city.new_id(), kind)) == Answer("member_suspended")
    assert await nothing_kept(connection, city)


async def test_a_kind_of_service_that_is_unknown_or_given_up(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    given_up = city.kinds["patrol"]
    await connection.execute(
        update(service_kind)
        .where(service_kind.c.book_id == city.book_id, service_kind.c.id.in_([given_up, city.station.service_kind_id]))
        .values(active=False)
    )
    for kind_id in (given_up, city.new_id()):
        answer = await one(connection, city, scan(city, member_id, "in", service_kind_id=kind_id))
        assert answer == Answer("not_found", {"kind": "service_kind"})
    assert await nothing_kept(connection, city)
    # What a station is there for is done there, until somebody chooses something else for the station.
    await done(connection, city, scan(city, member_id, "in"))


async def test_of_several_reasons_the_first_of_the_protocol_is_given(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    await devices.revoke(connection, city.book_id, city.screen.id, now=MORNING)
    await close(connection, city)
    await members.suspend(connection, city.book_id, member_id, now=MORNING)

    async def refused() -> str:
        return (await one(connection, city, scan(city, member_id, "in", service_kind_id=city.new_id()))).code

    forged = codes.station_code(HourlyKeys(b"x"), city.station.number, city.screen.number, 0)
    assert (await one(connection, city, scan(city, member_id, "in", code=forged))).code == "code_forged"
    assert await refused() == "device_revoked"
    city.screen = await devices.enrol(
        connection,
        city.book_id,
        station_id=city.station.id,
        kind="screen",
        name="New screen",
        id=city.new_id(),
        now=MORNING,
    )
    assert await refused() == "station_closed"
    await stations.set_state(connection, city.book_id, city.station.id, state="open", now=MORNING)
    assert await refused() == "member_suspended"
    await members.reinstate(connection, city.book_id, member_id, now=MORNING)
    assert await refused() == "not_found"


async def test_the_same_id_again_gets_the_same_answer_for_ever(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    command = scan(city, member_id, "in", phone_id=city.new_id(), phone_time=MORNING)
    first = await done(connection, city, command)
    # A day later the code is no longer live, and the station is closed; the phone asks again all the same.
    await close(connection, city)
    again = replace(command, scan=None, refusal="code_expired")
    assert await one(connection, city, again, MORNING + timedelta(days=1)) == first
    assert len(await rows(connection, city, punch)) == 1
    refused = scan(city, member_id, "in", code="nonsense")
    answer = await one(connection, city, refused)
    assert await one(connection, city, refused, LATER) == answer == Answer("code_malformed")


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "out"},
        {"code": "another"},
        {"service_kind_id": UUID(int=1)},
        {"phone_id": UUID(int=1)},
        {"phone_time": LATER},
        {"actor_id": UUID(int=1)},
    ],
)
async def test_an_id_that_was_used_for_something_else_reveals_nothing(
    connection: AsyncConnection, city: City, member_id: UUID, other: dict[str, Any]
) -> None:
    command = scan(city, member_id, "in")
    await done(connection, city, command)
    kept = [await rows(connection, city, table) for table in (punch, attendance, record)]
    assert await one(connection, city, replace(command, **other), LATER) == Answer("id_reused")
    assert [await rows(connection, city, table) for table in (punch, attendance, record)] == kept


# What is kept and held for a person.


async def test_who_is_in_already_is_held(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    first = scan(city, member_id, "in")
    await done(connection, city, first)
    second = scan(city, member_id, "in", LATER)
    answer = await one(connection, city, second)
    assert answer == Answer(
        "held",
        {
            "station_id": str(city.station.id),
            "holds": ["already_in"],
            "attendance_id": str(first.id),
            "at": MORNING.isoformat(),
        },
    )
    assert {row.id: row.holds for row in await rows(connection, city, punch)} == {
        first.id: [],
        second.id: ["already_in"],
    }
    (stay,) = await rows(connection, city, attendance)
    assert (stay.state, stay.started_at) == ("open", MORNING)
    # The first one still ends as if nothing had been.
    assert (await done(connection, city, scan(city, member_id, "out", LATER))).data["minutes"] == 120


async def test_a_check_out_of_nothing_is_held(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    elsewhere = await other_place(connection, city)
    await done(connection, city, scan(city, member_id, "in", **elsewhere))
    command = scan(city, member_id, "out", LATER)
    assert await one(connection, city, command) == Answer(
        "held", {"station_id": str(city.station.id), "at": LATER.isoformat(), "holds": ["nothing_open"]}
    )
    (kept,) = await rows(connection, city, punch, id=command.id)
    assert (kept.holds, kept.kind, kept.station_id) == (["nothing_open"], "out", city.station.id)
    assert not await rows(connection, city, record)
    (stay,) = await rows(connection, city, attendance)
    assert (stay.state, stay.station_id) == ("open", elsewhere["station"].id)


async def test_a_long_day_is_held(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    for day, minutes in enumerate((600, 601)):
        at = MORNING + timedelta(days=day)
        kept = await the_record(connection, city, await serve(connection, city, member_id, at, minutes))
        assert kept.holds == (["long_day"] if minutes > 600 else [])
        assert (kept.state, kept.measured_minutes) == ("waiting", minutes)


async def test_two_ends_of_one_code_are_held(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    begin = codes.slot_start(codes.slot_at(MORNING))
    command = scan(city, member_id, "in", begin)
    await done(connection, city, command)
    # The same picture, scanned again while it is live.
    await done(connection, city, scan(city, member_id, "out", begin + timedelta(seconds=45), code=command.code))
    assert (await the_record(connection, city, command.id)).holds == ["same_slot_again"]


async def test_a_check_out_that_was_scanned_before_the_check_in_is_held(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    early = scan(city, member_id, "out", MORNING - timedelta(minutes=5))
    command = scan(city, member_id, "in")
    await done(connection, city, command)
    answer = await done(connection, city, early, MORNING + timedelta(seconds=9))
    assert answer.data["minutes"] == 0
    kept = await the_record(connection, city, command.id)
    assert (kept.holds, kept.started_at, kept.ended_at) == (["clock_doubt"], MORNING, MORNING)


async def test_a_stay_that_began_before_the_last_one_ended_is_held(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    elsewhere = await other_place(connection, city)
    # The page of the next station was opened in time, and confirmed only after the check-out here.
    early = scan(city, member_id, "in", LATER - timedelta(minutes=5), **elsewhere)
    await serve(connection, city, member_id)
    await done(connection, city, early, LATER + timedelta(minutes=1))
    await done(connection, city, scan(city, member_id, "out", LATER + timedelta(hours=1), **elsewhere))
    assert (await the_record(connection, city, early.id)).holds == ["overlap"]
    # What joins on without overlapping is not held.
    after = await serve(connection, city, member_id, LATER + timedelta(hours=1))
    assert (await the_record(connection, city, after)).holds == []


async def test_chance_holds_records_of_grade_a(connection: AsyncConnection, city: City) -> None:
    await acting.set_rules(connection, city, 3, date(2026, 3, 1), draw_percent=50)
    made = [await serve(connection, city, one_) for one_ in await city.add_members(connection, 9)]
    held = {id_: (await the_record(connection, city, id_)).holds for id_ in made}
    assert held == {id_: ["drawn"] if policy.drawn(acting.DRAW, id_, 50) else [] for id_ in made}
