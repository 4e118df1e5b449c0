"""Every way in, and the grade that each is worth: screen, digits, card, late, home visit, poster, manager."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank.ways import Doorway
from timebank import cards, codes, doors, manual, members
from timebank.errors import NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.manual import Enter
from timebank.scans import Sent
from timebank.tables import audit_entry

NOON = MORNING + timedelta(hours=2)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


@pytest.fixture
def door(connection: AsyncConnection, city: City) -> Doorway:
    return Doorway(connection, city)


async def door_code(door: Doorway, resident_id: UUID, at: datetime = MORNING, **more: Any) -> str:
    values = {"station_id": door.station.id, "id": uuid7(at), "actor_id": door.city.manager_id, **more}
    digits, _ = await doors.issue(
        door.connection, door.city.book_id, door.city.keys, resident_id=resident_id, now=at, **values
    )
    return digits


class Ways:
    """One end of a service by each of the ways in."""

    def __init__(self, door: Doorway, member_id: UUID, resident_id: UUID) -> None:
        self.door, self.member_id, self.resident_id = door, member_id, resident_id

    async def end(self, way: str, kind: str, at: datetime) -> tuple[Any, datetime]:
        """The command, and when it arrives."""
        door, one = self.door, self.member_id
        if way == "digits":
            return door.sent(one, kind, at, Sent(digits=door.digits(at), station_number=door.station.number)), at
        if way == "poster with digits":
            return door.sent(one, kind, at, Sent(code=await door.poster(at), digits=door.digits(at))), at
        if way == "poster":
            return door.sent(one, kind, at, Sent(code=await door.poster(at))), at
        if way == "late":
            scanned = codes.slot_start(codes.slot_at(at))
            sent = Sent(code=door.code(scanned), late=True)
            return door.sent(one, kind, scanned + timedelta(minutes=30), sent, phone_time=scanned), (
                scanned + timedelta(minutes=30)
            )
        if way in ("card", "card with pin"):
            vouched = {"vouched_by": "pin"} if "pin" in way else {}
            return door.shown(kind, at, await door.card(one, at), **vouched), at
        if way == "door":
            card = await door.card(self.resident_id, at)
            return door.sent(one, kind, at, Sent(code=card), station_id=door.station.id), at
        return door.sent(one, kind, at), at


@pytest.fixture
async def ways(door: Doorway, city: City, connection: AsyncConnection) -> Ways:
    return Ways(door, await city.add_member(connection), await city.add_member(connection, "甘老人"))


@pytest.mark.parametrize(
    ("first", "second", "grade"),
    [
        ("live", "live", "A"),
        ("live", "digits", "A"),
        ("poster with digits", "live", "A"),
        ("card with pin", "card with pin", "A"),
        ("card with pin", "live", "A"),
        ("card", "card with pin", "B"),
        ("live", "card", "B"),
        ("live", "late", "B"),
        ("late", "live", "B"),
        ("door", "door", "B"),
        ("live", "poster", "C"),
        ("poster", "card", "C"),
        ("poster", "poster", "C"),
    ],
)
async def test_a_service_has_the_grade_of_its_weaker_end(ways: Ways, first: str, second: str, grade: str) -> None:
    door = ways.door
    command, now = await ways.end(first, "in", MORNING)
    answer = await door.one(command, now)
    assert answer.code == ("held" if first == "poster" else "ok")
    record_id = answer.data["attendance_id"]
    begun = await door.punch(command.id)
    assert begun.source == first.split(" with ")[0].replace("poster", "digits" if " with " in first else "poster")
    command, now = await ways.end(second, "out", NOON)
    answer = await door.one(command, now)
    assert (answer.code, answer.data["grade"], answer.data["minutes"]) == ("ok", grade, 120)
    record = await door.record(record_id)
    assert (record.member_id, record.grade, record.state) == (ways.member_id, grade, "waiting")
    # Told to whoever decides, because nobody else can say that they were there.
    assert record.holds == (["poster_alone"] if "poster" in (first, second) else [])


async def test_a_card_says_who_scanned_it_and_how_it_was_vouched_for(ways: Ways) -> None:
    door = ways.door
    command, _ = await ways.end("card with pin", "in", MORNING)
    await door.one(command)
    row = await door.punch(command.id)
    assert (row.member_id, row.entered_by, row.vouched_by) == (ways.member_id, door.city.manager_id, "pin")
    assert row.phone_id is None


async def test_a_member_confirms_a_scan_of_their_card_from_their_own_phone(
    ways: Ways, connection: AsyncConnection
) -> None:
    door, city, who = ways.door, ways.door.city, ways.member_id
    start, _ = await ways.end("card", "in", MORNING)
    await door.one(start)
    (waiting,) = (await cards.to_confirm(connection, city.book_id, who)).rows
    assert (waiting.id, waiting.kind, waiting.record_state) == (start.id, "in", None)
    for stranger in (city.manager_id, ways.resident_id):
        with pytest.raises(NotFound):
            await cards.confirm(connection, city.book_id, city.keys, start.id, member_id=stranger, now=MORNING)
    await cards.confirm(connection, city.book_id, city.keys, start.id, member_id=who, now=MORNING)
    await cards.confirm(connection, city.book_id, city.keys, start.id, member_id=who, now=MORNING)
    end, _ = await ways.end("card", "out", NOON)
    answer = await door.one(end)
    # One end is vouched for, the other not yet.
    assert answer.data["grade"] == "B"
    await cards.confirm(connection, city.book_id, city.keys, end.id, member_id=who, now=NOON)
    record = await door.record(answer.data["attendance_id"])
    assert record.grade == "A"
    assert (await cards.to_confirm(connection, city.book_id, who)).rows == []
    # The scans themselves never change.
    assert (await door.punch(end.id)).vouched_by is None


async def test_a_confirmation_does_not_dodge_the_draw(ways: Ways, connection: AsyncConnection) -> None:
    door, city, who = ways.door, ways.door.city, ways.member_id
    from timebank import policy

    while True:
        start, _ = await ways.end("card with pin", "in", MORNING)
        if policy.drawn(city.keys.draw, start.id, 5):
            break
    await door.one(start)
    end, _ = await ways.end("card", "out", NOON)
    record_id = (await door.one(end)).data["attendance_id"]
    assert (await door.record(record_id)).holds == []
    await cards.confirm(connection, city.book_id, city.keys, end.id, member_id=who, now=NOON)
    record = await door.record(record_id)
    assert (record.grade, record.holds) == ("A", ["drawn"])


async def test_late_codes_count_from_their_slot_for_three_days(
    door: Doorway, city: City, connection: AsyncConnection
) -> None:
    for hours, code in ((0.1, "ok"), (72, "ok"), (72.01, "code_expired")):
        one = await city.add_member(connection)
        now = MORNING + timedelta(hours=hours)
        command = door.sent(one, "in", now, Sent(code=door.code(MORNING), late=True))
        answer = await door.one(command, now)
        assert answer.code == code
        if code == "ok":
            assert answer.data["at"] == MORNING.isoformat()
            row = await door.punch(command.id)
            assert (row.source, row.occurred_at, row.recorded_at) == ("late", MORNING, now)
    # One that is live still is taken as live.
    one = await city.add_member(connection)
    command = door.sent(one, "in", MORNING, Sent(code=door.code(MORNING), late=True))
    assert (await door.one(command)).code == "ok"
    assert (await door.punch(command.id)).source == "live"


async def test_a_late_code_does_not_end_what_began_after_it(
    door: Doorway, city: City, connection: AsyncConnection
) -> None:
    one = await city.add_member(connection)
    elsewhere = await city.add_station(connection)
    open_now = await door.one(door.sent(one, "in", NOON))
    late = door.sent(one, "in", NOON + timedelta(minutes=1), Sent(code=door.code(MORNING), late=True))
    answer = await door.one(late, NOON + timedelta(minutes=1))
    assert (answer.code, answer.data["holds"]) == ("held", ["already_in"])
    assert answer.data["attendance_id"] == open_now.data["attendance_id"]
    out = door.sent(one, "out", NOON + timedelta(minutes=2), Sent(code=door.code(MORNING), late=True))
    answer = await door.one(out, NOON + timedelta(minutes=2))
    assert (answer.code, answer.data["holds"]) == ("held", ["nothing_open"])
    assert elsewhere.id != door.station.id


async def test_a_door_code_is_good_for_one_visit(ways: Ways, connection: AsyncConnection) -> None:
    door, city = ways.door, ways.door.city
    other = await city.add_member(connection)
    digits = await door_code(door, ways.resident_id)
    sent = Sent(door_code=f"{digits[:4]} {digits[4:]}")
    start = door.sent(ways.member_id, "in", MORNING, sent)
    answer = await door.one(start)
    assert answer.code == "ok"
    row = await door.punch(start.id)
    assert (row.source, row.resident_id, row.code) == ("door", ways.resident_id, "")
    # Whoever has it, has it; and nobody leaves with somebody else's.
    for who, kind in ((other, "in"), (other, "out")):
        assert (await door.one(door.sent(who, kind, MORNING, sent))).code == "code_expired"
    late = MORNING + timedelta(hours=25)
    answer = await door.one(door.sent(ways.member_id, "out", late, sent))
    assert (answer.code, answer.data["grade"]) == ("ok", "B")
    for kind in ("in", "out"):
        assert (await door.one(door.sent(ways.member_id, kind, late, sent))).code == "code_expired"


async def test_a_door_code_ends_after_a_day_and_wrong_digits_open_nothing(
    ways: Ways, connection: AsyncConnection
) -> None:
    door = ways.door
    digits = await door_code(door, ways.resident_id)
    late = MORNING + timedelta(hours=24)
    assert (await door.one(door.sent(ways.member_id, "in", late, Sent(door_code=digits)))).code == "code_expired"
    wrong = f"{(int(digits) + 1) % 10**8:08d}"
    for _ in range(5):
        answer = await door.one(door.sent(ways.member_id, "in", MORNING, Sent(door_code=wrong)))
        assert answer.code == "digits_wrong"
    answer = await door.one(door.sent(ways.member_id, "in", MORNING, Sent(door_code=digits)))
    assert answer.code == "try_later"


async def test_two_at_once_with_one_door_code(ways: Ways, connection: AsyncConnection) -> None:
    door, other = ways.door, await ways.door.city.add_member(connection)
    sent = Sent(door_code=await door_code(door, ways.resident_id))
    answers = await door.run(door.sent(ways.member_id, "in", MORNING, sent), door.sent(other, "in", MORNING, sent))
    assert [answer.code for answer in answers] == ["ok", "code_expired"]


async def test_a_door_code_is_issued_once_and_where_the_resident_lives(
    ways: Ways, city: City, connection: AsyncConnection
) -> None:
    door, id = ways.door, uuid7(MORNING)
    digits = await door_code(door, ways.resident_id, id=id)
    assert await door_code(door, ways.resident_id, id=id) == digits
    far = await city.add_member(connection, region_id=city.other_community_id)
    for more in ({"resident_id": far}, {"resident_id": ways.resident_id, "actor_id": city.clerk_id}):
        with pytest.raises(NotFound):
            await door_code(door, **more)
    # A card of somebody who lives elsewhere does not make a visit of this station either.
    visit = door.sent(ways.member_id, "in", MORNING, Sent(code=await door.card(far, MORNING)))
    answer = await door.one(door.sent(ways.member_id, "in", MORNING, Sent(code=visit.code), station_id=door.station.id))
    assert (answer.code, answer.data) == ("not_found", {"kind": "station"})


def entry(city: City, member_id: UUID, **more: Any) -> Enter:
    values = {
        "id": uuid7(NOON),
        "actor_id": city.manager_id,
        "station_id": city.station.id,
        "member_id": member_id,
        "started_at": MORNING,
        "ended_at": NOON,
        "reason": "手机没电，我看见林一在场",
    }
    return Enter(**{**values, **more})


async def test_a_manager_enters_a_service_with_a_reason(door: Doorway, city: City, connection: AsyncConnection) -> None:
    one = await city.add_member(connection)
    command = entry(city, one)
    for _ in range(2):
        (answer,) = await manual.enter(connection, city.book_id, [command], NOON, keys=city.keys)
        assert (answer.code, answer.data["grade"], answer.data["minutes"]) == ("ok", "C", 120)
    record = await door.record(answer.data["attendance_id"])
    assert (record.state, record.holds, record.measured_minutes) == ("waiting", [], 120)
    row = await door.punch(command.id)
    assert (row.source, row.entered_by, row.reason) == ("manual", city.manager_id, None)
    person = await members.by_id(connection, city.book_id, one)
    assert manual.unseal(city.keys, person, row.sealed_reason) == command.reason
    await members.erase(connection, city.book_id, one, now=NOON)
    person = await members.by_id(connection, city.book_id, one)
    assert manual.unseal(city.keys, person, row.sealed_reason) is None


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"reason": " \n"}, "reason_missing"),
        ({"reason": "x" * 501}, "reason_missing"),
        ({"ended_at": MORNING}, "minutes_invalid"),
        ({"ended_at": NOON + timedelta(seconds=1)}, "minutes_invalid"),
        ({"started_at": NOON - timedelta(hours=25)}, "minutes_invalid"),
        ({"started_at": NOON - timedelta(days=32), "ended_at": NOON - timedelta(days=32, hours=-1)}, "minutes_invalid"),
        ({"member_id": UUID(int=7)}, "not_found"),
        ({"service_kind_id": UUID(int=7)}, "not_found"),
        ({"station_id": UUID(int=7)}, "role_not_allowed"),
    ],
)
async def test_an_entry_that_cannot_be(
    city: City, connection: AsyncConnection, more: dict[str, Any], code: str
) -> None:
    one = await city.add_member(connection)
    command = entry(city, **{"member_id": one, **more})
    (answer,) = await manual.enter(connection, city.book_id, [command], NOON, keys=city.keys)
    assert answer.code == code


async def test_nobody_enters_for_himself_his_household_or_elsewhere(city: City, connection: AsyncConnection) -> None:
    household = uuid7(MORNING)
    boss = await city.add_member(connection, household_id=household)
    await city.grant(connection, boss, "manager", station_id=city.station.id)
    wife = await city.add_member(connection, household_id=household)
    one = await city.add_member(connection)
    suspended = await city.add_member(connection)
    await members.suspend(connection, city.book_id, suspended, now=MORNING)
    commands = [
        entry(city, boss, actor_id=boss),
        entry(city, wife, actor_id=boss),
        entry(city, one, actor_id=city.clerk_id),
        entry(city, suspended, actor_id=boss),
        entry(city, one, actor_id=boss),
    ]
    answers = await manual.enter(connection, city.book_id, commands, NOON, keys=city.keys)
    assert [answer.code for answer in answers] == [
        "own_record",
        "own_record",
        "role_not_allowed",
        "member_suspended",
        "ok",
    ]


async def test_a_card_is_replaced_in_one_step_and_said_in_the_trail(city: City, connection: AsyncConnection) -> None:
    one = await city.add_member(connection)
    id = uuid7(MORNING)
    first = await cards.issue(connection, city.book_id, one, id=id, now=MORNING, actor_id=one)
    assert await cards.issue(connection, city.book_id, one, id=id, now=MORNING, actor_id=one) == first
    second = await cards.issue(connection, city.book_id, one, id=uuid7(NOON), now=NOON, actor_id=city.manager_id)
    assert (await cards.live(connection, city.book_id, one)).number == second.number != first.number
    for stranger in (city.clerk_id, await city.add_member(connection)):
        with pytest.raises(NotFound):
            await cards.issue(connection, city.book_id, one, id=uuid7(NOON), now=NOON, actor_id=stranger)
    far = await city.add_member(connection, region_id=city.other_community_id)
    with pytest.raises(NotFound):
        await cards.issue(connection, city.book_id, far, id=uuid7(NOON), now=NOON, actor_id=city.manager_id)
    query = select(audit_entry.c.actor_id, audit_entry.c.before, audit_entry.c.after).where(
        audit_entry.c.book_id == city.book_id, audit_entry.c.action == "card.issue"
    )
    rows = (await connection.execute(query.order_by(audit_entry.c.at))).all()
    assert [(row.actor_id, row.before, row.after) for row in rows] == [
        (one, None, {"card_id": str(first.id)}),
        (city.manager_id, {"card_id": str(first.id)}, {"card_id": str(second.id)}),
    ]
