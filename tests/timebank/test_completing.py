"""Check-outs that arrive when their stay has ended by itself: they complete the record that waits."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City
from tests.timebank.acting import done, rows, verify
from tests.timebank.ways import Doorway
from timebank import astray, attendances, devices
from timebank.scans import Sent
from timebank.tables import attendance, audit_entry

HOUR = timedelta(hours=1)
LEFT = MORNING + 2 * HOUR
# After the longest stay of the station, four hours.
CLOSED = MORNING + 5 * HOUR


@pytest.fixture
def door(connection: AsyncConnection, city: City) -> Doorway:
    return Doorway(connection, city)


@pytest.fixture
async def one(connection: AsyncConnection, city: City) -> UUID:
    return await city.add_member(connection)


async def beside(door: Doorway) -> Doorway:
    """Another station."""
    place = await door.city.add_station(door.connection)
    screen, *_ = await devices.of_station(door.connection, door.city.book_id, place.id)
    return Doorway(door.connection, door.city, place, screen)


async def forgotten(door: Doorway, member_id: UUID) -> UUID:
    """A stay that nobody ended and the job has closed; answers its id."""
    arrival = door.sent(member_id, "in", MORNING)
    assert (await door.one(arrival)).code == "ok"
    assert await attendances.close_forgotten(door.connection, door.city.book_id, CLOSED) == 1
    return arrival.id


def late(door: Doorway, member_id: UUID, at: Any = LEFT, sent_at: Any = CLOSED + HOUR) -> Any:
    """A code that was scanned at `at` and is sent when the phone has a network again."""
    return door.sent(member_id, "out", sent_at, Sent(code=door.code(at), late=True))


async def test_a_late_check_out_completes_the_record_that_waits(
    door: Doorway, city: City, one: UUID, connection: AsyncConnection
) -> None:
    id = await forgotten(door, one)
    command = late(door, one)
    for _ in range(2):
        answer = await door.one(command, CLOSED + HOUR)
        assert (answer.code, answer.data["attendance_id"]) == ("ok", str(id))
        assert (answer.data["minutes"], answer.data["grade"]) == (120, "B")
    row = await door.record(id)
    assert (row.ended_at, row.measured_minutes, row.grade, row.holds) == (LEFT, 120, "B", [])
    assert (row.state, row.recorded_at) == ("waiting", CLOSED)
    (stay,) = await rows(connection, city, attendance, id=id)
    assert (stay.state, stay.ended_at, stay.out_punch_id) == ("closed", LEFT, command.id)
    # Kept with what was before; and the scan is nobody's to settle.
    (entry,) = await rows(connection, city, audit_entry, action="record.complete")
    assert (entry.actor_id, entry.subject_id) == (one, id)
    assert (entry.before, entry.after) == (
        {"ends_at": (MORNING + 4 * HOUR).isoformat(), "minutes": 0},
        {"ends_at": LEFT.isoformat(), "minutes": 120},
    )
    assert (await astray.queue(connection, city.book_id, actor_id=city.manager_id, now=CLOSED + HOUR)).rows == []
    answer = await done(connection, city, verify(city, id), CLOSED + 2 * HOUR)
    assert (answer.data["credited_minutes"], answer.data["points"]) == (120, 120)


async def test_it_may_arrive_when_its_member_is_elsewhere_or_back(
    door: Doorway, city: City, one: UUID, connection: AsyncConnection
) -> None:
    """A check-in elsewhere ended the stay; and the same phone has started another one here since."""
    there = await beside(door)
    first = door.sent(one, "in", MORNING)
    await door.one(first)
    moved = await there.one(there.sent(one, "in", MORNING + 3 * HOUR))
    assert moved.data["unconfirmed_id"] == str(first.id)
    back = await door.one(door.sent(one, "in", MORNING + 4 * HOUR))
    assert back.data["unconfirmed_id"] == moved.data["attendance_id"]
    answer = await door.one(late(door, one), CLOSED)
    assert (answer.code, answer.data["attendance_id"], answer.data["minutes"]) == ("ok", str(first.id), 120)
    # The stays elsewhere are as they were.
    assert (await door.record(moved.data["attendance_id"])).holds == ["unconfirmed"]
    assert (await door.one(door.sent(one, "out", CLOSED))).data["attendance_id"] == back.data["attendance_id"]


@pytest.mark.parametrize(
    ("at", "decided"),
    [
        (MORNING - HOUR, False),
        (MORNING + 4 * HOUR + timedelta(minutes=1), False),
        (LEFT, True),
    ],
)
async def test_others_lead_to_nothing(
    door: Doorway, city: City, one: UUID, connection: AsyncConnection, at: Any, decided: bool
) -> None:
    """Scanned before the stay or after its end; or the manager has entered the minutes meanwhile."""
    id = await forgotten(door, one)
    if decided:
        await done(connection, city, verify(city, id, "adjust", minutes=60, reason="在场"), CLOSED)
    before = await door.record(id)
    answer = await door.one(late(door, one, at), CLOSED + HOUR)
    assert (answer.code, answer.data["holds"]) == ("held", ["nothing_open"])
    assert await door.record(id) == before


async def test_each_stay_once_and_only_its_own(
    door: Doorway, city: City, one: UUID, connection: AsyncConnection
) -> None:
    id = await forgotten(door, one)
    other = await city.add_member(connection)
    batch = [late(door, other), late(door, one), late(door, one, LEFT + HOUR)]
    answers = await door.run(*batch, now=CLOSED + HOUR)
    assert [answer.code for answer in answers] == ["held", "ok", "held"]
    assert (await door.record(id)).ended_at == LEFT


async def test_it_is_looked_at_like_any_other(door: Doorway, city: City, one: UUID) -> None:
    """What is held about the scan and about the time stands on the record: the phone was online in between, and a stay
    that is open now began before the check-out."""
    id = await forgotten(door, one)
    there = await beside(door)
    arrival = there.sent(one, "in", CLOSED, Sent(code=there.code(MORNING + HOUR), late=True))
    assert (await there.one(arrival, CLOSED)).code == "ok"
    other = door.sent(one, "out", CLOSED)
    assert (await door.one(other)).data["holds"] == ["nothing_open"]
    answer = await door.one(late(door, one), CLOSED + HOUR)
    assert (answer.code, answer.data["holds"]) == ("ok", ["clock_doubt"])
    row = await door.record(id)
    assert (row.measured_minutes, row.holds) == (120, ["overlap", "clock_doubt"])
