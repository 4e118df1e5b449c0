"""What check-ins and check-outs make of themselves: attendances and records, one by one and many in a batch."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from tests.timebank.acting import done, rows, scan, send, the_record
from tests.timebank.test_checkins import LATER, other_place
from timebank import codes, members, tables
from timebank.keys import Keys
from timebank.punches import Punch
from timebank.tables import attendance, punch, record, station


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city in which chance holds no record."""
    city = await build_city(connection, new_book, keys, fund_points=0)
    await acting.no_draw(connection, city)
    return city


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
