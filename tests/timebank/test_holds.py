"""Everything that is held for a person, a test for each reason: shown in the queue, and the decision kept beside it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank.ways import Doorway
from timebank import devices, manual, policy, records, shifts, verification
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.manual import Enter
from timebank.scans import Sent
from timebank.tables import decision, policy_version, station
from timebank.verification import Verify

NOON = MORNING + timedelta(hours=2)
EVENING = MORNING + timedelta(hours=12)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


@pytest.fixture
def door(connection: AsyncConnection, city: City) -> Doorway:
    return Doorway(connection, city)


@pytest.fixture
async def one(connection: AsyncConnection, city: City) -> UUID:
    return await city.add_member(connection)


async def shown_and_decided(
    door: Doorway, record_id: Any, *holds: str, verdict: str = "verify", by: UUID | None = None
) -> None:
    """The manager's queue shows the reasons, bulk passes by, and the decision keeps what was known."""
    city, connection, id = door.city, door.connection, UUID(str(record_id))
    manager_id = by or city.manager_id
    page = await records.queue(connection, city.book_id, actor_id=manager_id, now=EVENING)
    (row,) = [row for row in page.rows if row.id == id]
    assert (row.holds, row.clear) == (list(holds), False)
    shared = {"actor_id": manager_id, "record_id": id}
    bulk = Verify(id=uuid7(EVENING), verdict="verify", bulk=True, **shared)
    alone = Verify(id=uuid7(EVENING), verdict=verdict, reason="问过了" if verdict != "verify" else None, **shared)  # type: ignore[arg-type]  # as the tests name them
    (first,) = await verification.verify(connection, city.book_id, [bulk], EVENING)
    assert first.code == "needs_single_decision"
    (second,) = await verification.verify(connection, city.book_id, [alone], EVENING)
    assert second.code == "ok", second
    query = select(decision.c.holds, decision.c.actor_id).where(
        decision.c.book_id == city.book_id, decision.c.record_id == id
    )
    assert [tuple(row) for row in await connection.execute(query)] == [(list(holds), manager_id)]


async def rule(connection: AsyncConnection, city: City, **rules: Any) -> None:
    """A policy version from today on."""
    await connection.execute(
        insert(policy_version).values(
            book_id=city.book_id,
            number=7,
            starts_on=MORNING.date(),
            rules={"rate_points_per_hour": {}, **rules},
            created_at=MORNING,
        )
    )


def enter(city: City, member_id: UUID, **more: Any) -> Enter:
    values = {
        "id": uuid7(EVENING),
        "actor_id": city.manager_id,
        "station_id": city.station.id,
        "member_id": member_id,
        "started_at": MORNING,
        "ended_at": NOON,
        "reason": "在场",
    }
    return Enter(**{**values, **more})


async def test_overlap(door: Doorway, city: City, one: UUID, connection: AsyncConnection) -> None:
    first = await door.serve(one, MORNING, 120)
    inside = enter(city, one, started_at=MORNING + timedelta(hours=1), ended_at=NOON + timedelta(hours=1))
    after = enter(city, one, started_at=NOON + timedelta(hours=1), ended_at=NOON + timedelta(hours=2))
    twice = enter(city, one, started_at=NOON + timedelta(hours=1), ended_at=NOON + timedelta(hours=2))
    answers = await manual.enter(connection, city.book_id, [inside, after, twice], EVENING, keys=city.keys)
    assert [answer.data.get("holds", []) for answer in answers] == [["overlap"], [], ["overlap"]]
    assert (await door.record(first.data["attendance_id"])).holds == []
    await shown_and_decided(door, inside.id, "overlap", verdict="reject")


async def test_an_entry_overlaps_with_who_is_in_now(
    door: Doorway, city: City, one: UUID, connection: AsyncConnection
) -> None:
    await door.one(door.sent(one, "in", MORNING))
    before = enter(city, one, started_at=MORNING - timedelta(hours=2), ended_at=MORNING)
    during = enter(city, one)
    answers = await manual.enter(connection, city.book_id, [before, during], EVENING, keys=city.keys)
    assert [answer.data.get("holds", []) for answer in answers] == [[], ["overlap"]]
    # And stays in.
    assert (await door.one(door.sent(one, "out", NOON))).code == "ok"


async def test_late_codes_overlap_with_what_was_entered_meanwhile(
    door: Doorway, city: City, one: UUID, connection: AsyncConnection
) -> None:
    await manual.enter(connection, city.book_id, [enter(city, one)], EVENING, keys=city.keys)
    start = door.sent(one, "in", EVENING, Sent(code=door.code(NOON - timedelta(minutes=30)), late=True))
    await door.one(start, EVENING)
    end = door.sent(one, "out", EVENING, Sent(code=door.code(NOON + timedelta(minutes=30)), late=True))
    answer = await door.one(end, EVENING)
    assert answer.code == "ok"
    await shown_and_decided(door, answer.data["attendance_id"], "overlap")


async def plan(door: Doorway, start: datetime, end: datetime, **more: Any) -> UUID:
    return await shifts.add(
        door.connection,
        door.city.book_id,
        station_id=door.station.id,
        starts_at=start,
        ends_at=end,
        id=uuid7(MORNING),
        now=MORNING,
        actor_id=door.city.manager_id,
        **more,
    )


async def test_outside_shift(door: Doorway, city: City, connection: AsyncConnection) -> None:
    await plan(door, MORNING, NOON, grace_minutes=10)
    grace = timedelta(minutes=10)
    minute = timedelta(minutes=1)
    for at, arrival in (
        (MORNING - grace - minute, None),
        (MORNING - grace, "early"),
        (MORNING, "on_time"),
        (MORNING + grace, "on_time"),
        (MORNING + grace + minute, "late"),
        (NOON - minute, "late"),
        (NOON, None),
    ):
        person = await city.add_member(connection)
        answer = await door.one(door.sent(person, "in", at))
        assert answer.code == "ok"
        assert answer.data.get("arrival") == arrival
        assert answer.data.get("holds", []) == ([] if arrival else ["outside_shift"]), at
    await door.one(door.sent(person, "out", NOON + timedelta(hours=1)))
    await shown_and_decided(door, answer.data["attendance_id"], "outside_shift")
    # On a day without shifts nobody in particular is expected.
    person = await city.add_member(connection)
    assert "holds" not in (await door.one(door.sent(person, "in", MORNING + timedelta(days=1)))).data


async def test_long_day(door: Doorway, city: City, connection: AsyncConnection) -> None:
    one, two, three = await city.add_members(connection, 3)
    assert (await door.serve(one, MORNING - timedelta(hours=1), 600)).data["grade"] == "A"
    long = await door.serve(two, MORNING - timedelta(hours=1), 601)
    await shown_and_decided(door, long.data["attendance_id"], "long_day")
    # Two stays of one day count together, those of another day do not.
    await door.serve(three, MORNING - timedelta(days=1), 400)
    await door.serve(three, MORNING - timedelta(hours=1), 400)
    more = await door.serve(three, MORNING + timedelta(hours=6), 201)
    await shown_and_decided(door, more.data["attendance_id"], "long_day")


async def test_too_fast(door: Doorway, city: City, one: UUID, connection: AsyncConnection) -> None:
    """From Nanchang to Jiujiang it is some 110 km: in half an hour nobody gets there, in an hour somebody may."""
    far = await city.add_station(connection)
    (screen,) = await devices.of_station(connection, city.book_id, far.id)
    for id, latitude, longitude in ((city.station.id, 28.68, 115.86), (far.id, 29.66, 115.95)):
        await connection.execute(
            update(station)
            .where(station.c.book_id == city.book_id, station.c.id == id)
            .values(latitude=latitude, longitude=longitude)
        )
    away = Doorway(connection, city, far, screen)
    await away.serve(one, MORNING, 60)
    left = MORNING + timedelta(minutes=60)
    answer = await door.one(door.sent(one, "in", left + timedelta(minutes=30)))
    assert answer.data["holds"] == ["too_fast"]
    answer = await door.one(door.sent(one, "out", left + timedelta(minutes=60)))
    await shown_and_decided(door, answer.data["attendance_id"], "too_fast")
    answer = await away.one(away.sent(one, "in", left + timedelta(minutes=120)))
    assert "holds" not in answer.data


async def test_shared_phone(door: Doorway, city: City, connection: AsyncConnection) -> None:
    one, two, three = await city.add_members(connection, 3)
    phone = uuid7(MORNING)
    first = await door.one(door.sent(one, "in", MORNING, phone_id=phone))
    assert "holds" not in first.data
    second = await door.one(door.sent(two, "in", MORNING, phone_id=phone))
    assert second.data["holds"] == ["shared_phone"]
    await door.one(door.sent(two, "out", NOON, phone_id=uuid7(MORNING)))
    await shown_and_decided(door, second.data["attendance_id"], "shared_phone")
    # Two in one batch, and half a day later it is forgotten.
    other = uuid7(MORNING)
    at = MORNING + timedelta(hours=1)
    answers = await door.run(*(door.sent(who, "in", at, phone_id=other) for who in (three, two)))
    assert [answer.data.get("holds") for answer in answers] == [["shared_phone"]] * 2
    at += timedelta(hours=13)
    assert "holds" not in (await door.one(door.sent(await city.add_member(connection), "in", at, phone_id=other))).data
    # A card is scanned with the station's device, whoever shows it.
    shown = [door.shown("in", at, await door.card(who, at)) for who in await city.add_members(connection, 2)]
    assert all("holds" not in answer.data for answer in await door.run(*shown))


async def test_same_slot_again(door: Doorway, one: UUID) -> None:
    await door.one(door.sent(one, "in", MORNING))
    answer = await door.one(door.sent(one, "out", MORNING + timedelta(seconds=19)))
    await shown_and_decided(door, answer.data["attendance_id"], "same_slot_again")


async def test_cards_have_no_slot_to_repeat(door: Doorway, one: UUID) -> None:
    card = await door.card(one, MORNING)
    await door.one(door.shown("in", MORNING, card, vouched_by="pin"))
    answer = await door.one(door.shown("out", MORNING, card, vouched_by="pin"))
    assert (await door.record(answer.data["attendance_id"])).holds == []


async def test_mass_checkout(door: Doorway, city: City, connection: AsyncConnection) -> None:
    people = await city.add_members(connection, 12)
    await door.run(*(door.sent(who, "in", MORNING) for who in people))
    at = MORNING + timedelta(hours=1)
    # Nine of twelve, then one more in the same moment: the tenth makes it four fifths, and all ten are held.
    first = await door.run(*(door.sent(who, "out", at) for who in people[:9]))
    assert all("holds" not in answer.data for answer in first)
    tenth = await door.one(door.sent(people[9], "out", at + timedelta(seconds=5)))
    assert tenth.data["holds"] == ["mass_checkout"]
    for answer in [*first, tenth]:
        assert (await door.record(answer.data["attendance_id"])).holds == ["mass_checkout"]
    await shown_and_decided(door, tenth.data["attendance_id"], "mass_checkout")
    # A minute later the rest go one by one.
    rest = await door.run(*(door.sent(who, "out", at + timedelta(minutes=1)) for who in people[10:]))
    assert all("holds" not in answer.data for answer in rest)


async def test_mass_checkout_is_relative_to_who_is_in(door: Doorway, city: City, connection: AsyncConnection) -> None:
    people = await city.add_members(connection, 14)
    await door.run(*(door.sent(who, "in", MORNING) for who in people))
    leaving = await door.run(*(door.sent(who, "out", NOON) for who in people[:11]))
    assert all("holds" not in answer.data for answer in leaving)
    await rule(connection, city, mass_checkout_people=2, mass_checkout_percent=50)
    at = NOON + timedelta(minutes=5)
    leaving = await door.run(*(door.sent(who, "out", at) for who in people[11:13]))
    assert [answer.data["holds"] for answer in leaving] == [["mass_checkout"]] * 2


async def test_over_quota_of_a_managers_entries(door: Doorway, city: City, connection: AsyncConnection) -> None:
    await rule(connection, city, manual_minutes_per_month=240)
    one, two, three = await city.add_members(connection, 3)
    commands = [enter(city, who) for who in (one, two, three)]
    answers = await manual.enter(connection, city.book_id, commands[:2], EVENING, keys=city.keys)
    answers += await manual.enter(connection, city.book_id, commands[2:], EVENING, keys=city.keys)
    assert [answer.data.get("holds") for answer in answers] == [None, None, ["over_quota"]]
    other = await city.add_member(connection)
    await city.grant(connection, other, "manager", station_id=city.station.id)
    await shown_and_decided(door, commands[2].id, "over_quota", by=other)
    # What another manager enters is counted apart.
    times = {"started_at": NOON, "ended_at": NOON + timedelta(hours=2)}
    (answer,) = await manual.enter(
        connection, city.book_id, [enter(city, one, actor_id=other, **times)], EVENING, keys=city.keys
    )
    assert "holds" not in answer.data


async def test_over_quota_of_late_codes(door: Doorway, city: City, one: UUID, connection: AsyncConnection) -> None:
    await rule(connection, city, late_per_month=3)
    now = EVENING
    found = []
    for hours in (0, 2):
        for kind, extra in (("in", 0), ("out", 1)):
            at = MORNING + timedelta(hours=hours + extra)
            command = door.sent(one, kind, now, Sent(code=door.code(at), late=True))
            answer = await door.one(command, now)
            found.append(answer.data.get("holds"))
    assert found == [None, None, None, ["over_quota"]]
    await shown_and_decided(door, answer.data["attendance_id"], "over_quota")
    # Nobody entered it, so whoever looks at it is no second person.
    verdict = select(decision.c.verdict).where(decision.c.record_id == UUID(answer.data["attendance_id"]))
    assert await connection.scalar(verdict) == "verify"


async def test_drawn(door: Doorway, city: City, one: UUID, connection: AsyncConnection) -> None:
    await rule(connection, city, draw_percent=100)
    answer = await door.serve(one, MORNING)
    # Nobody is told before the manager looks.
    assert "holds" not in answer.data
    await shown_and_decided(door, answer.data["attendance_id"], "drawn")


async def test_clock_doubt_when_the_phones_clock_is_wrong(
    door: Doorway, city: City, connection: AsyncConnection
) -> None:
    for minutes, holds in ((-16, ["clock_doubt"]), (-15, None), (15, None), (16, ["clock_doubt"])):
        one = await city.add_member(connection)
        wrong = MORNING + timedelta(minutes=minutes)
        answer = await door.one(door.sent(one, "in", MORNING, phone_time=wrong))
        assert answer.data.get("holds") == holds, minutes
    await door.one(door.sent(one, "out", NOON, phone_time=NOON))
    await shown_and_decided(door, answer.data["attendance_id"], "clock_doubt")


async def test_clock_doubt_when_a_code_is_late_from_a_phone_that_was_online(
    door: Doorway, city: City, connection: AsyncConnection
) -> None:
    one, two, three = await city.add_members(connection, 3)
    phone = uuid7(MORNING)
    # Two hours after the slot, the same phone scanned live.
    await door.one(door.sent(one, "in", NOON, phone_id=phone))
    await door.one(door.sent(one, "out", NOON + timedelta(hours=1), phone_id=phone))
    for who, phone_id, holds in (
        (one, None, ["clock_doubt"]),
        (two, phone, ["shared_phone", "clock_doubt"]),
        (three, uuid7(MORNING), None),
    ):
        late = door.sent(who, "in", EVENING, Sent(code=door.code(MORNING), late=True), phone_id=phone_id)
        assert (await door.one(late, EVENING)).data.get("holds") == holds


async def test_clock_doubt_when_a_page_was_confirmed_in_the_wrong_order(door: Doorway, one: UUID) -> None:
    await door.one(door.sent(one, "in", MORNING))
    opened = door.sent(one, "out", MORNING - timedelta(minutes=1))
    answer = await door.one(opened, MORNING + timedelta(minutes=5))
    assert answer.data["minutes"] == 0
    await shown_and_decided(door, answer.data["attendance_id"], "clock_doubt")


async def test_poster_alone(door: Doorway, one: UUID) -> None:
    poster = Sent(code=await door.poster(MORNING))
    answer = await door.one(door.sent(one, "in", MORNING, poster))
    assert (answer.code, answer.data["holds"]) == ("held", ["poster_alone"])
    answer = await door.one(door.sent(one, "out", NOON, poster))
    assert answer.data["grade"] == "C"
    await shown_and_decided(door, answer.data["attendance_id"], "poster_alone")


async def test_unconfirmed(door: Doorway, city: City, one: UUID, connection: AsyncConnection) -> None:
    elsewhere = await city.add_station(connection)
    (screen,) = await devices.of_station(connection, city.book_id, elsewhere.id)
    away = Doorway(connection, city, elsewhere, screen)
    first = await door.one(door.sent(one, "in", MORNING))
    second = await away.one(away.sent(one, "in", NOON))
    assert (second.code, second.data["unconfirmed_id"]) == ("ok", first.data["attendance_id"])
    found = await door.record(first.data["attendance_id"])
    assert (found.measured_minutes, found.grade, found.ended_at) == (0, "B", NOON)
    city_wide = {"actor_id": city.manager_id, "record_id": found.id}
    end = Verify(id=uuid7(EVENING), verdict="adjust", minutes=100, reason="本人说十点四十离开", **city_wide)
    page = await records.queue(connection, city.book_id, actor_id=city.manager_id, now=EVENING)
    assert [row.holds for row in page.rows] == [["unconfirmed"]]
    (answer,) = await verification.verify(connection, city.book_id, [end], EVENING)
    assert (answer.code, answer.data["credited_minutes"]) == ("ok", 100)


async def test_holds_of_both_ends_stand_on_the_record_in_the_order_of_the_protocol(
    door: Doorway, city: City, one: UUID, connection: AsyncConnection
) -> None:
    await plan(door, NOON, EVENING)
    phone = uuid7(MORNING)
    await door.one(door.sent(await city.add_member(connection), "in", MORNING, phone_id=phone))
    wrong = {"phone_time": MORNING - timedelta(hours=1)}
    start = Sent(code=await door.poster(MORNING))
    answer = await door.one(door.sent(one, "in", MORNING, start, phone_id=phone, **wrong))
    assert answer.data["holds"] == ["outside_shift", "shared_phone", "clock_doubt", "poster_alone"]
    answer = await door.one(door.sent(one, "out", MORNING + timedelta(hours=11)))
    await shown_and_decided(
        door,
        answer.data["attendance_id"],
        "outside_shift",
        "long_day",
        "shared_phone",
        "clock_doubt",
        "poster_alone",
    )


async def test_every_hold_has_its_place_in_the_order() -> None:
    from api.sentences import HOLDS

    assert set(policy.HOLD_ORDER) == set(HOLDS)
