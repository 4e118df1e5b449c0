"""Check-in and check-out: what is refused, what is kept and held, and what a record says."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from tests.timebank.acting import done, one, rows, scan, send, serve, the_record
from timebank import codes, devices, members, policy, stations, tables
from timebank.commands import Answer
from timebank.hourly import HourlyKeys
from timebank.keys import Keys
from timebank.punches import Punch
from timebank.tables import attendance, punch, record, service_kind, station

LATER = MORNING + timedelta(hours=2)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city in which chance holds no record."""
    city = await build_city(connection, new_book, keys, fund_points=0)
    await acting.no_draw(connection, city)
    return city


@pytest.fixture
async def member_id(connection: AsyncConnection, city: City) -> UUID:
    return await city.add_member(connection)


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


# What follows from scans that are kept.


async def test_a_check_in_opens_an_attendance(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    phone_id = city.new_id()
    command = scan(
        city,
        member_id,
        "in",
        service_kind_id=city.kinds["patrol"],
        phone_id=phone_id,
        phone_time=MORNING - timedelta(seconds=3),
    )
    answer = await done(connection, city, command, MORNING + timedelta(seconds=40))
    assert answer.data == {
        "attendance_id": str(command.id),
        "station_id": str(city.station.id),
        "at": MORNING.isoformat(),
    }
    (kept,) = await rows(connection, city, punch)
    assert (kept.id, kept.member_id, kept.station_id, kept.device_id) == (
        command.id,
        member_id,
        city.station.id,
        city.screen.id,
    )
    assert (kept.kind, kept.source, kept.code, kept.slot) == ("in", "live", command.code, codes.slot_at(MORNING))
    assert (kept.phone_id, kept.phone_time) == (phone_id, MORNING - timedelta(seconds=3))
    assert (kept.occurred_at, kept.recorded_at) == (MORNING, MORNING + timedelta(seconds=40))
    assert (kept.holds, kept.entered_by, kept.reason) == ([], None, None)
    (stay,) = await rows(connection, city, attendance)
    assert (stay.id, stay.in_punch_id, stay.out_punch_id, stay.state) == (command.id, command.id, None, "open")
    assert (stay.service_kind_id, stay.started_at, stay.ended_at) == (city.kinds["patrol"], MORNING, None)
    assert not await rows(connection, city, record)


async def test_a_record_has_every_field_that_the_order_asks_for(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    at = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)  # half past eleven at night in Nanchang
    into = scan(city, member_id, "in", at)
    out = scan(city, member_id, "out", at + timedelta(minutes=61, seconds=59))
    await done(connection, city, into)
    answer = await done(connection, city, out)
    assert answer.data == {
        "attendance_id": str(into.id),
        "station_id": str(city.station.id),
        "at": (at + timedelta(minutes=61, seconds=59)).isoformat(),
        "minutes": 61,
        "grade": "A",
    }
    kept = await the_record(connection, city, into.id)
    assert (kept.activity_zh, kept.activity_en) == ("试验志愿服务站", "Test station")
    assert (kept.place, kept.organising_unit, kept.person_in_charge) == ("试验路 1 号", "试验社区", "周负责")
    assert (kept.content, kept.service_kind_id) == ("助老", city.kinds["help_elderly"])
    assert (kept.member_id, kept.station_id) == (member_id, city.station.id)
    assert (kept.started_at, kept.ended_at) == (at, at + timedelta(minutes=61, seconds=59))
    # The community's day of the check-in, though the stay ended on the next.
    assert (kept.local_day, kept.measured_minutes, kept.grade) == (date(2026, 3, 2), 61, "A")
    assert (kept.state, kept.points_state, kept.credited_minutes, kept.points) == ("waiting", "none", None, None)
    (stay,) = await rows(connection, city, attendance)
    assert (stay.state, stay.out_punch_id, stay.ended_at) == ("closed", out.id, kept.ended_at)
    # A station that is renamed later changes no record.
    await connection.execute(update(station).where(station.c.id == city.station.id).values(name_zh="新站"))
    assert (await the_record(connection, city, into.id)).activity_zh == "试验志愿服务站"


async def test_a_check_in_elsewhere_closes_the_first_as_unconfirmed(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    elsewhere = await other_place(connection, city, name_zh="第二站", name_en="Second")
    first = scan(city, member_id, "in")
    await done(connection, city, first)
    second = scan(city, member_id, "in", LATER, **elsewhere)
    answer = await done(connection, city, second)
    assert answer.data == {
        "attendance_id": str(second.id),
        "station_id": str(elsewhere["station"].id),
        "at": LATER.isoformat(),
        "unconfirmed_id": str(first.id),
    }
    stays = {stay.id: stay for stay in await rows(connection, city, attendance)}
    assert (stays[first.id].state, stays[first.id].ended_at, stays[first.id].out_punch_id) == (
        "unconfirmed",
        LATER,
        None,
    )
    assert (stays[second.id].state, stays[second.id].station_id) == ("open", elsewhere["station"].id)
    # Zero minutes until a manager sets the end, which is why it is B.
    kept = await the_record(connection, city, first.id)
    assert (kept.measured_minutes, kept.grade, kept.state, kept.holds) == (0, "B", "waiting", ["unconfirmed"])
    assert (kept.activity_zh, kept.started_at, kept.ended_at) == ("试验志愿服务站", MORNING, LATER)


async def test_a_check_in_elsewhere_that_was_scanned_first_ends_nothing_before_it_began(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    elsewhere = await other_place(connection, city)
    early = scan(city, member_id, "in", MORNING - timedelta(minutes=5), **elsewhere)
    first = scan(city, member_id, "in")
    await done(connection, city, first)
    await done(connection, city, early, MORNING + timedelta(minutes=1))
    kept = await the_record(connection, city, first.id)
    assert (kept.started_at, kept.ended_at, kept.measured_minutes) == (MORNING, MORNING, 0)


# Batches.


async def test_one_refused_command_never_fails_its_neighbours(connection: AsyncConnection, city: City) -> None:
    people = await city.add_members(connection, 6)
    await members.suspend(connection, city.book_id, people[1], now=MORNING)
    in_already = scan(city, people[4], "in", MORNING - timedelta(minutes=1))
    await done(connection, city, in_already)
    elsewhere = await other_place(connection, city)
    used = scan(city, people[5], "in", MORNING - timedelta(minutes=1), **elsewhere)
    await done(connection, city, used)
    batch = [
        scan(city, people[0], "in"),
        scan(city, people[1], "in"),
        scan(city, people[2], "in", code="nonsense"),
        scan(city, people[3], "in", service_kind_id=city.new_id()),
        scan(city, people[4], "in"),
        scan(city, people[5], "in"),
        scan(city, people[0], "in", id=used.id),
        used,
        scan(city, people[3], "in"),
    ]
    answers = await send(connection, city, batch, MORNING)
    assert [answer.code for answer in answers] == [
        "ok",
        "member_suspended",
        "code_malformed",
        "not_found",
        "held",
        "ok",
        "id_reused",
        "ok",
        "ok",
    ]
    assert answers[5].data["unconfirmed_id"] == str(used.id)
    stays = await rows(connection, city, attendance, state="open")
    assert {stay.member_id for stay in stays} == {people[number] for number in (0, 3, 4, 5)}
    # Everything that was answered is remembered, and nothing twice.
    assert await send(connection, city, batch, LATER) == answers
    assert len(await rows(connection, city, tables.command)) == 9
    assert len(await rows(connection, city, punch)) == 6


async def test_one_member_may_stand_in_a_batch_several_times(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    second, third = await other_place(connection, city), await other_place(connection, city)
    batch: list[Punch] = [
        scan(city, member_id, "in"),
        scan(city, member_id, "in", MORNING + timedelta(seconds=1)),
        scan(city, member_id, "in", MORNING + timedelta(seconds=2), **second),
        scan(city, member_id, "in", MORNING + timedelta(seconds=3), **third),
        scan(city, member_id, "in", MORNING + timedelta(seconds=4), **third),
    ]
    answers = await send(connection, city, [*batch, batch[0]], MORNING + timedelta(seconds=5))
    assert [answer.code for answer in answers] == ["ok", "held", "ok", "ok", "held", "ok"]
    assert answers[0] == answers[5]
    assert [answer.data.get("unconfirmed_id") for answer in answers[2:4]] == [str(batch[0].id), str(batch[2].id)]
    states = {stay.id: stay.state for stay in await rows(connection, city, attendance)}
    assert states == {batch[0].id: "unconfirmed", batch[2].id: "unconfirmed", batch[3].id: "open"}
    assert {row.id for row in await rows(connection, city, record)} == {batch[0].id, batch[2].id}
    outs = [scan(city, member_id, "out", LATER, **place) for place in (third, third, second)]
    answers = await send(connection, city, outs, LATER)
    assert [answer.code for answer in answers] == ["ok", "held", "held"]
    assert answers[0].data["attendance_id"] == str(batch[3].id)


async def test_a_batch_costs_as_many_statements_as_one_command(connection: AsyncConnection, city: City) -> None:
    counts = []
    for size in (1, 3, 40):
        people = await city.add_members(connection, size)
        for kind, at in (("in", MORNING), ("out", LATER)):
            async with acting.counted(connection) as sent:
                # Not everybody at once, which is held and costs one statement more.
                answers = await send(
                    connection,
                    city,
                    [scan(city, each, kind, at - timedelta(minutes=index)) for index, each in enumerate(people)],
                    at,
                )
            assert {answer.code for answer in answers} == {"ok"}
            counts.append((kind, len(sent)))
    assert len(set(counts)) == 2
    assert max(count for _, count in counts) < 15


async def test_a_scan_of_a_ticket_counts_at_the_tickets_time(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    command = scan(city, member_id, "in")
    answer = await done(connection, city, command, MORNING + timedelta(minutes=9))
    assert answer.data["at"] == MORNING.isoformat()
