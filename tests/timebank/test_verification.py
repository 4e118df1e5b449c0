"""Verification: who may decide what, what it earns, and what waits for a dry fund."""

import asyncio
import random
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from tests.timebank.acting import committed, done, one, proved, rows, scan, send, serve, the_record, verify
from timebank import devices, members, purses, roles
from timebank.commands import Answer
from timebank.keys import Keys
from timebank.tables import decision, role_grant
from timebank.verification import Verify

NEXT_DAY = MORNING + timedelta(days=1)


async def decide(connection: AsyncConnection, city: City, *commands: Verify, now: datetime = NEXT_DAY) -> list[Answer]:
    return await send(connection, city, commands, now)


async def code(connection: AsyncConnection, city: City, command: Verify) -> str:
    return (await one(connection, city, command, NEXT_DAY)).code


async def minutes_of(connection: AsyncConnection, city: City, member_id: UUID) -> int:
    return await purses.hours(connection, city.book_id, member_id)


async def points_of(connection: AsyncConnection, city: City, member_id: UUID) -> dict[date, int]:
    """A member's points by the day they end on."""
    found = await purses.purses_of(connection, city.book_id, [member_id])
    return {purse.expires_on: purse.points for purse in found}


# What a decision does.


async def test_verified_hours_and_points_are_credited(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    record_id = await serve(connection, city, member_id)
    command = verify(city, record_id)
    assert await done(connection, city, command, NEXT_DAY) == Answer(
        "ok",
        {
            "record_id": str(record_id),
            "state": "verified",
            "credited_minutes": 120,
            "points": 120,
            "points_state": "posted",
        },
    )
    assert await minutes_of(connection, city, member_id) == 120
    assert await points_of(connection, city, member_id) == {date(2027, 12, 31): 120}
    row = await the_record(connection, city, record_id)
    assert (row.state, row.credited_minutes, row.points, row.points_state) == ("verified", 120, 120, "posted")
    assert (row.decided_by, row.decided_at, row.policy_number) == (city.manager_id, NEXT_DAY, 2)
    (kept,) = await rows(connection, city, decision)
    assert (kept.id, kept.record_id, kept.actor_id, kept.verdict) == (command.id, record_id, city.manager_id, "verify")
    assert (kept.minutes, kept.reason, kept.holds, kept.decided_at) == (None, None, [], NEXT_DAY)


async def test_a_manager_may_set_the_minutes(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    record_id = await serve(connection, city, member_id, minutes=700)
    answer = await done(connection, city, verify(city, record_id, "adjust", minutes=90, reason="忘了签退"), NEXT_DAY)
    assert (answer.data["credited_minutes"], answer.data["points"]) == (90, 90)
    assert await minutes_of(connection, city, member_id) == 90
    # What was measured stays beside what was credited, and the reasons beside the decision.
    row = await the_record(connection, city, record_id)
    assert (row.measured_minutes, row.credited_minutes, row.holds) == (700, 90, ["long_day"])
    (kept,) = await rows(connection, city, decision)
    assert (kept.verdict, kept.minutes, kept.reason, kept.holds) == ("adjust", 90, "忘了签退", ["long_day"])


async def test_a_rejected_record_earns_nothing(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    record_id = await serve(connection, city, member_id)
    answer = await done(connection, city, verify(city, record_id, "reject", reason="Nobody was there"), NEXT_DAY)
    assert answer.data == {
        "record_id": str(record_id),
        "state": "rejected",
        "credited_minutes": None,
        "points": None,
        "points_state": "none",
    }
    assert await minutes_of(connection, city, member_id) == 0
    assert await points_of(connection, city, member_id) == {}
    row = await the_record(connection, city, record_id)
    assert (row.state, row.decided_by, row.policy_number) == ("rejected", city.manager_id, None)


async def test_nothing_is_posted_for_nothing(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    record_id = await serve(connection, city, member_id)
    answer = await done(connection, city, verify(city, record_id, "adjust", minutes=0, reason="only a visit"), NEXT_DAY)
    assert (answer.data["state"], answer.data["points_state"]) == ("verified", "none")
    assert await minutes_of(connection, city, member_id) == 0
    # Hours without points, where the policy pays for none of this grade.
    await acting.set_rules(connection, city, 3, MORNING.date(), point_grades="")
    other_id = await serve(connection, city, member_id, MORNING + timedelta(hours=3), 60)
    answer = await done(connection, city, verify(city, other_id), NEXT_DAY)
    assert (answer.data["credited_minutes"], answer.data["points"], answer.data["points_state"]) == (60, 0, "none")
    assert await minutes_of(connection, city, member_id) == 60
    assert await points_of(connection, city, member_id) == {}


async def test_the_rules_are_those_of_the_day_of_service(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    await acting.set_rules(connection, city, 3, date(2026, 3, 3), default_rate=120, life_years=2)
    before = await serve(connection, city, member_id)
    after = await serve(connection, city, member_id, MORNING + timedelta(days=1))
    old, new = await decide(
        connection, city, verify(city, before), verify(city, after), now=MORNING + timedelta(days=2)
    )
    assert (old.data["points"], new.data["points"]) == (120, 240)
    assert await points_of(connection, city, member_id) == {date(2027, 12, 31): 120, date(2028, 12, 31): 240}
    assert [(await the_record(connection, city, id_)).policy_number for id_ in (before, after)] == [2, 3]


# Who may decide what.


async def test_only_who_manages_the_branch_may_decide(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    record_id = await serve(connection, city, member_id)
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)
    other, suspended, former, admin, above = await city.add_members(connection, 5)
    await city.grant(connection, other, "manager", station_id=elsewhere.id)
    for member in (suspended, former):
        await city.grant(connection, member, "manager", station_id=city.station.id)
    await members.suspend(connection, city.book_id, suspended, now=MORNING)
    (grant,) = [row for row in await rows(connection, city, role_grant) if row.member_id == former]
    await roles.revoke(connection, city.book_id, grant.id, now=MORNING)
    for actor_id in (other, suspended, former, city.clerk_id, member_id, city.new_id()):
        assert await code(connection, city, verify(city, record_id, actor_id=actor_id)) == "not_found"
    assert await code(connection, city, verify(city, city.new_id())) == "not_found"
    assert await rows(connection, city, decision) == []
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    await city.grant(connection, above, "manager", region_id=city.region_id)
    assert await code(connection, city, verify(city, record_id, actor_id=admin)) == "ok"
    second = await serve(connection, city, member_id, MORNING + timedelta(hours=3))
    assert await code(connection, city, verify(city, second, actor_id=above)) == "ok"


async def test_nobody_decides_for_himself_or_his_household(connection: AsyncConnection, city: City) -> None:
    household = city.new_id()
    manager, spouse = [await city.add_member(connection, household_id=household) for _ in range(2)]
    neighbour = await city.add_member(connection, household_id=city.new_id())
    await city.grant(connection, manager, "manager", station_id=city.station.id)
    for verdict, more in (("verify", {}), ("reject", {"reason": "no"}), ("adjust", {"minutes": 1, "reason": "yes"})):
        for who in (manager, spouse):
            record_id = await serve(connection, city, who)
            command = verify(city, record_id, verdict, actor_id=manager, **more)
            assert await code(connection, city, command) == "own_record"
    assert (
        await code(connection, city, verify(city, await serve(connection, city, neighbour), actor_id=manager)) == "ok"
    )
    # Who has no household is in nobody's.
    own = await serve(connection, city, city.manager_id)
    assert await code(connection, city, verify(city, own)) == "own_record"
    assert await minutes_of(connection, city, manager) == 0


async def test_a_record_is_decided_once(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    record_id = await serve(connection, city, member_id)
    first, second = verify(city, record_id), verify(city, record_id, "reject", reason="no")
    assert [answer.code for answer in await decide(connection, city, first, second)] == ["ok", "already_decided"]
    assert await code(connection, city, verify(city, record_id)) == "already_decided"
    # Sent again, each gets what it got.
    assert [answer.code for answer in await decide(connection, city, second, first)] == ["already_decided", "ok"]
    assert await minutes_of(connection, city, member_id) == 120
    assert len(await rows(connection, city, decision)) == 1


async def test_only_clear_records_may_be_ticked_in_bulk(connection: AsyncConnection, city: City) -> None:
    people = await city.add_members(connection, 3)
    clear = await serve(connection, city, people[0])
    held = await serve(connection, city, people[1], minutes=601)
    elsewhere = await city.add_station(connection)
    (screen,) = await devices.of_station(connection, city.book_id, elsewhere.id)
    unconfirmed = scan(city, people[2], "in")
    await done(connection, city, unconfirmed)
    await done(connection, city, scan(city, people[2], "in", NEXT_DAY, station=elsewhere, screen=screen))
    answers = await decide(
        connection, city, *(verify(city, id_, bulk=True) for id_ in (held, clear, unconfirmed.id, clear))
    )
    assert [answer.code for answer in answers] == [
        "needs_single_decision",
        "ok",
        "needs_single_decision",
        "already_decided",
    ]
    # One by one they may be decided.
    assert await code(connection, city, verify(city, held)) == "ok"
    assert await code(connection, city, verify(city, unconfirmed.id, "adjust", minutes=60, reason="seen")) == "ok"
    assert (await the_record(connection, city, unconfirmed.id)).grade == "B"


async def test_only_verifying_can_be_done_in_bulk(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    record_id = await serve(connection, city, member_id)
    for verdict, more in (("reject", {"reason": "no"}), ("adjust", {"minutes": 1, "reason": "no"})):
        command = verify(city, record_id, verdict, bulk=True, **more)
        assert await code(connection, city, command) == "needs_single_decision"


@pytest.mark.parametrize(
    ("verdict", "more", "refusal"),
    [
        ("verify", {"minutes": 5}, "minutes_invalid"),
        ("reject", {"minutes": 5, "reason": "no"}, "minutes_invalid"),
        ("adjust", {"reason": "no"}, "minutes_invalid"),
        ("adjust", {"minutes": -1, "reason": "no"}, "minutes_invalid"),
        ("adjust", {"minutes": 1441, "reason": "no"}, "minutes_invalid"),
        ("adjust", {"minutes": 5}, "reason_missing"),
        ("adjust", {"minutes": 5, "reason": "  \n"}, "reason_missing"),
        ("reject", {}, "reason_missing"),
        ("reject", {"reason": ""}, "reason_missing"),
    ],
)
async def test_a_decision_must_be_whole(
    connection: AsyncConnection, city: City, member_id: UUID, verdict: str, more: dict[str, Any], refusal: str
) -> None:
    record_id = await serve(connection, city, member_id)
    assert await code(connection, city, verify(city, record_id, verdict, **more)) == refusal
    assert (await the_record(connection, city, record_id)).state == "waiting"


async def test_the_same_decision_again_gets_the_same_answer_and_another_none(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    record_id = await serve(connection, city, member_id)
    command = verify(city, record_id)
    first = await done(connection, city, command, NEXT_DAY)
    assert await one(connection, city, command, NEXT_DAY + timedelta(days=9)) == first
    for other in ({"verdict": "reject", "reason": "no"}, {"bulk": True}, {"actor_id": member_id}):
        facts = {"actor_id": city.manager_id, "record_id": record_id, "verdict": "verify", **other}
        assert await one(connection, city, Verify(id=command.id, **facts), NEXT_DAY) == Answer("id_reused")
    assert await minutes_of(connection, city, member_id) == 120


async def test_one_refused_decision_never_fails_its_neighbours(connection: AsyncConnection, city: City) -> None:
    people = await city.add_members(connection, 3)
    made = [await serve(connection, city, each) for each in people]
    answers = await decide(
        connection,
        city,
        verify(city, made[0], "adjust"),
        verify(city, made[0]),
        verify(city, city.new_id()),
        verify(city, made[1], actor_id=people[0]),
        verify(city, made[1], "reject", reason="no"),
        verify(city, made[2]),
    )
    assert [answer.code for answer in answers] == ["minutes_invalid", "ok", "not_found", "not_found", "ok", "ok"]
    assert [await minutes_of(connection, city, each) for each in people] == [120, 0, 120]


async def test_a_batch_of_decisions_costs_as_many_statements_as_one(connection: AsyncConnection, city: City) -> None:
    counts = set()
    for size in (1, 3, 40):
        made = [await serve(connection, city, each) for each in await city.add_members(connection, size)]
        async with acting.counted(connection) as sent:
            answers = await decide(connection, city, *(verify(city, record_id) for record_id in made))
        assert {answer.code for answer in answers} == {"ok"}
        counts.add(len(sent))
    assert len(counts) == 1
    assert counts.pop() < 20


# The most that one day is worth.


async def test_a_day_is_capped_across_batches(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    made = [await serve(connection, city, member_id, MORNING + timedelta(hours=4 * n), 200) for n in range(3)]
    other_day = await serve(connection, city, member_id, NEXT_DAY, 200)
    credited = []
    for record_id in (*made, other_day):
        answer = await done(connection, city, verify(city, record_id), NEXT_DAY)
        credited.append(answer.data["credited_minutes"])
    assert credited == [200, 200, 80, 200]
    assert await minutes_of(connection, city, member_id) == 680


async def test_a_rejected_record_uses_nothing_of_the_day_up(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    first, second = [await serve(connection, city, member_id, MORNING + timedelta(hours=9 * n), 480) for n in range(2)]
    await done(connection, city, verify(city, first, "reject", reason="no"), NEXT_DAY)
    assert (await done(connection, city, verify(city, second), NEXT_DAY)).data["credited_minutes"] == 480


async def test_in_one_batch_the_day_is_filled_in_the_order_it_was_lived(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    made = [await serve(connection, city, member_id, MORNING + timedelta(hours=4 * n), 200) for n in range(3)]
    shuffled = random.Random(3).sample(made, 3)
    assert shuffled != made
    await decide(connection, city, *(verify(city, record_id) for record_id in shuffled))
    assert [(await the_record(connection, city, id_)).credited_minutes for id_ in made] == [200, 200, 80]


async def test_in_whatever_order_records_are_decided_the_day_is_worth_the_same(
    connection: AsyncConnection, city: City
) -> None:
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        member_id = await city.add_member(connection)
        made = [await serve(connection, city, member_id, MORNING + timedelta(hours=4 * n), 200) for n in range(3)]
        for number in order:
            await done(connection, city, verify(city, made[number]), NEXT_DAY)
        assert await minutes_of(connection, city, member_id) == 480
        assert await points_of(connection, city, member_id) == {date(2027, 12, 31): 480}


async def test_the_day_is_the_communitys(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    # 15:30 in UTC is half past eleven at night in Nanchang; an hour later is the next day.
    night = MORNING.replace(hour=15, minute=30)
    late = await serve(connection, city, member_id, night, 20)
    early = await serve(connection, city, member_id, night + timedelta(hours=1), 480)
    answers = await decide(connection, city, verify(city, late), verify(city, early))
    assert [answer.data["credited_minutes"] for answer in answers] == [20, 480]


# Many at once, on connections of their own.


@pytest.fixture
async def busy(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    """A committed city, for several connections."""
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys, fund_points=10_000)
        await acting.no_draw(connection, city)
    return city


async def test_64_managers_at_once_credit_a_record_once(engine: AsyncEngine, busy: City) -> None:
    async with engine.begin() as connection:
        people = await busy.add_members(connection, 8)
        made = [await serve(connection, busy, each, minutes=60) for each in people]
        managers = await busy.add_members(connection, 64)
        for manager in managers:
            await busy.grant(connection, manager, "manager", station_id=busy.station.id)
    chance = random.Random(11)

    async def tick(manager: UUID) -> list[Answer]:
        batch = [verify(busy, record_id, actor_id=manager, bulk=True) for record_id in chance.sample(made, len(made))]
        return await committed(engine, lambda connection: send(connection, busy, batch, NEXT_DAY))

    answers = [answer for batch in await asyncio.gather(*map(tick, managers)) for answer in batch]

    assert Counter(answer.code for answer in answers) == {"ok": 8, "already_decided": 63 * 8}
    async with engine.connect() as connection:
        assert [await minutes_of(connection, busy, each) for each in people] == [60] * 8
        assert len(await rows(connection, busy, decision)) == 8
    assert await proved(engine, busy)


async def test_a_day_is_capped_though_its_records_are_decided_at_once(engine: AsyncEngine, busy: City) -> None:
    async with engine.begin() as connection:
        member_id = await busy.add_member(connection)
        made = [await serve(connection, busy, member_id, MORNING + timedelta(hours=n), 50) for n in range(14)]

    async def tick(record_id: UUID) -> Answer:
        command = verify(busy, record_id)
        return await committed(engine, lambda connection: one(connection, busy, command, NEXT_DAY))

    answers = await asyncio.gather(*map(tick, made))

    assert {answer.code for answer in answers} == {"ok"}
    assert sum(answer.data["credited_minutes"] for answer in answers) == 480
    async with engine.connect() as connection:
        assert await minutes_of(connection, busy, member_id) == 480
