"""Corrections: taken back and decided anew, both visible; never held up by points that are spent already."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.earning import (
    assert_sound,
    correct,
    fund_points,
    owed,
    points,
    redeem,
    row_of,
    served,
    verified,
    verify,
)
from tests.factories import MORNING, City, build_city
from timebank import corrections, explain, funds, members, purses, verification
from timebank.corrections import Correct
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.tables import audit_entry, correction, decision, policy_version

NEXT_DAY = MORNING + timedelta(days=1)
LATER = MORNING + timedelta(days=2)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def lines(connection: AsyncConnection, city: City, member_id: UUID, unit: str = "point") -> list[tuple[str, int]]:
    """The statement, the first line first."""
    found = await explain.lines(connection, city.book_id, member_id, unit=unit, limit=50)
    return sorted((line.kind, line.amount) for line in found.lines)


async def test_a_correction_takes_back_and_posts_anew_and_both_stay_visible(
    connection: AsyncConnection, city: City
) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id, minutes=120)
    answer = await correct(connection, city, record_id, 90)
    assert (answer.code, answer.data) == (
        "ok",
        {
            "record_id": str(record_id),
            "state": "verified",
            "credited_minutes": 90,
            "points": 90,
            "points_state": "posted",
            "debt_points": 0,
        },
    )
    row = await row_of(connection, city, record_id)
    assert (row.state, row.credited_minutes, row.points, row.points_state) == ("verified", 90, 90, "posted")
    assert await points(connection, city, member_id) == 90
    assert await purses.hours(connection, city.book_id, member_id) == 90
    assert await fund_points(connection, city) == 1_000_000 - 90
    assert await lines(connection, city, member_id) == [("earn_points", 90), ("earn_points", 120), ("reverse", -120)]
    assert await lines(connection, city, member_id, "minute") == [
        ("earn_hours", 90),
        ("earn_hours", 120),
        ("reverse", -120),
    ]
    await assert_sound(connection, city)


async def test_a_correction_keeps_what_was_and_what_is_and_why(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id)
    await correct(connection, city, record_id, 60, reason="Mrs Chen says you left at ten")
    row = (await connection.execute(select(correction).where(correction.c.record_id == record_id))).one()
    assert (row.minutes, row.minutes_before, row.minutes_after, row.points_before, row.points_after) == (
        60,
        120,
        60,
        120,
        60,
    )
    assert (row.debt_points, row.policy_number) == (0, 1)
    assert b"Chen" not in row.reason
    kept = (await connection.execute(select(decision).where(decision.c.id == row.id))).one()
    assert (kept.verdict, kept.minutes, kept.reason, kept.actor_id) == ("reverse", 60, None, city.manager_id)
    entry = (await connection.execute(select(audit_entry).where(audit_entry.c.subject_id == record_id))).one()
    assert (entry.action, entry.actor_id) == ("record.correct", city.manager_id)
    assert (entry.before["credited_minutes"], entry.after["credited_minutes"]) == (120, 60)
    first, second = await corrections.history(connection, city.book_id, record_id, city.keys)
    assert (first.verdict, first.minutes_before, first.reason) == ("verify", None, None)
    assert (second.verdict, second.minutes_before, second.minutes_after) == ("reverse", 120, 60)
    assert second.reason == "Mrs Chen says you left at ten"


async def test_a_reason_is_forgotten_with_the_person(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id)
    await correct(connection, city, record_id, 60)
    await members.erase(connection, city.book_id, member_id, now=NEXT_DAY)
    await correct(connection, city, record_id, 30, LATER)
    steps = await corrections.history(connection, city.book_id, record_id, city.keys)
    assert [(step.verdict, step.reason, step.minutes_after) for step in steps] == [
        ("verify", None, None),
        ("reverse", None, 60),
        ("reverse", None, 30),
    ]


async def test_a_record_is_corrected_again_and_again(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id, minutes=120)
    for minutes, credited in ((60, 60), (200, 200), (None, 0), (45, 45), (500, 480)):
        answer = await correct(connection, city, record_id, minutes, LATER)
        assert answer.code == "ok"
        row = await row_of(connection, city, record_id)
        assert (row.state, row.credited_minutes) == ("reversed" if minutes is None else "verified", credited)
        assert await points(connection, city, member_id) == credited
        assert await purses.hours(connection, city.book_id, member_id) == credited
    await assert_sound(connection, city)


async def test_what_was_not_accepted_can_be_accepted_after_all(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await served(connection, city, member_id, minutes=60)
    await verify(connection, city, record_id, verdict="reject", reason="not seen")
    assert (await correct(connection, city, record_id, None)).code == "nothing_to_correct"
    assert (await correct(connection, city, record_id, 60)).code == "ok"
    assert await points(connection, city, member_id) == 60


async def test_spent_points_are_owed_and_later_earnings_pay_them_back(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    reward_id = await city.add_reward(connection, price_points=100)
    record_id = await verified(connection, city, member_id, minutes=120)
    assert (await redeem(connection, city, member_id, reward_id, NEXT_DAY)).code == "ok"
    answer = await correct(connection, city, record_id, 30, LATER)
    # 120 went away, 20 were left, 30 stay: 70 are missing.
    assert (answer.code, answer.data["debt_points"]) == ("ok", 70)
    assert (await points(connection, city, member_id), await owed(connection, city, member_id)) == (0, 70)
    assert await lines(connection, city, member_id) == [
        ("earn_points", 30),
        ("earn_points", 120),
        ("hold", -100),
        ("owe", 100),
        ("repay", -30),
        ("reverse", -120),
    ]
    await verified(connection, city, member_id, LATER, minutes=50)
    assert (await points(connection, city, member_id), await owed(connection, city, member_id)) == (0, 20)
    await verified(connection, city, member_id, LATER + timedelta(days=1), minutes=50)
    assert (await points(connection, city, member_id), await owed(connection, city, member_id)) == (30, 0)
    # Hours are never spent, so they are simply right.
    assert await purses.hours(connection, city.book_id, member_id) == 130
    await assert_sound(connection, city)


async def test_a_debt_is_paid_back_once_by_records_verified_together(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    reward_id = await city.add_reward(connection, price_points=100)
    record_id = await verified(connection, city, member_id, minutes=100)
    await redeem(connection, city, member_id, reward_id, NEXT_DAY)
    await correct(connection, city, record_id, None, LATER)
    assert await owed(connection, city, member_id) == 100
    commands = [
        verification.Verify(
            id=uuid7(LATER),
            actor_id=city.manager_id,
            record_id=await served(connection, city, member_id, LATER + timedelta(days=day), 70),
            verdict="verify",
        )
        for day in range(2)
    ]
    answers = await verification.verify(connection, city.book_id, commands, LATER + timedelta(days=3))
    assert [answer.code for answer in answers] == ["ok", "ok"]
    assert (await points(connection, city, member_id), await owed(connection, city, member_id)) == (40, 0)
    await assert_sound(connection, city)


@pytest.fixture
async def dry(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city whose fund is empty."""
    return await build_city(connection, new_book, keys, fund_points=0)


async def fill(connection: AsyncConnection, city: City, how_many: int) -> None:
    await funds.fill(
        connection, city.book_id, fund_id=city.fund_id, points=how_many, id=city.new_id(), now=MORNING, actor_id=None
    )


async def test_points_that_wait_are_simply_no_longer_owed(connection: AsyncConnection, dry: City) -> None:
    member_id = await dry.add_member(connection)
    record_id = await verified(connection, dry, member_id, minutes=120)
    assert (await row_of(connection, dry, record_id)).points_state == "waiting"
    answer = await correct(connection, dry, record_id, 30)
    assert (answer.data["points_state"], answer.data["debt_points"]) == ("waiting", 0)
    assert await lines(connection, dry, member_id) == []
    await fill(connection, dry, 1000)
    assert await verification.pay_waiting(connection, dry.book_id, LATER) == 1
    assert await points(connection, dry, member_id) == 30
    assert (await row_of(connection, dry, record_id)).points_state == "posted"
    assert (await correct(connection, dry, record_id, None, LATER)).code == "ok"
    assert (await points(connection, dry, member_id), await fund_points(connection, dry)) == (0, 1000)
    assert await verification.pay_waiting(connection, dry.book_id, LATER) == 0
    await assert_sound(connection, dry)


async def test_a_dry_fund_keeps_only_what_is_added_waiting(connection: AsyncConnection, dry: City) -> None:
    member_id = await dry.add_member(connection)
    await fill(connection, dry, 60)
    record_id = await verified(connection, dry, member_id, minutes=60)
    answer = await correct(connection, dry, record_id, 100)
    assert (answer.data["points"], answer.data["points_state"]) == (100, "waiting")
    assert await points(connection, dry, member_id) == 60
    # Corrected once more while it waits: what waited is forgotten, what was kept goes back.
    await correct(connection, dry, record_id, 90, LATER)
    assert await points(connection, dry, member_id) == 60
    await fill(connection, dry, 100)
    assert await verification.pay_waiting(connection, dry.book_id, LATER) == 1
    assert (await points(connection, dry, member_id), await fund_points(connection, dry)) == (90, 70)
    await correct(connection, dry, record_id, 10, LATER)
    assert (await points(connection, dry, member_id), await fund_points(connection, dry)) == (10, 150)
    await assert_sound(connection, dry)


async def test_points_that_waited_pay_back_what_is_owed(connection: AsyncConnection, dry: City) -> None:
    member_id = await dry.add_member(connection)
    await fill(connection, dry, 100)
    reward_id = await dry.add_reward(connection, price_points=100)
    spent = await verified(connection, dry, member_id, minutes=100)
    await redeem(connection, dry, member_id, reward_id, NEXT_DAY)
    waiting = await verified(connection, dry, member_id, NEXT_DAY, minutes=130)
    assert (await row_of(connection, dry, waiting)).points_state == "waiting"
    answer = await correct(connection, dry, spent, None, LATER)
    assert (answer.data["debt_points"], await owed(connection, dry, member_id)) == (100, 100)
    # What came back of the correction is not enough for the other record.
    assert await verification.pay_waiting(connection, dry.book_id, LATER) == 0
    await fill(connection, dry, 100)
    assert await verification.pay_waiting(connection, dry.book_id, LATER) == 1
    assert (await points(connection, dry, member_id), await owed(connection, dry, member_id)) == (30, 0)
    await assert_sound(connection, dry)


async def test_a_record_dry_again_pays_nothing_back(connection: AsyncConnection, dry: City) -> None:
    member_id = await dry.add_member(connection)
    await fill(connection, dry, 50)
    reward_id = await dry.add_reward(connection, price_points=50)
    record_id = await verified(connection, dry, member_id, minutes=50)
    await redeem(connection, dry, member_id, reward_id, NEXT_DAY)
    await correct(connection, dry, record_id, 20, LATER)
    assert await owed(connection, dry, member_id) == 30
    # 30 are in the fund: too few for this one, which waits whole and pays nothing back.
    later = await verified(connection, dry, member_id, LATER, minutes=60)
    assert (await row_of(connection, dry, later)).points_state == "waiting"
    assert await owed(connection, dry, member_id) == 30
    assert await purses.hours(connection, dry.book_id, member_id) == 80
    await assert_sound(connection, dry)


async def test_the_daily_cap_is_worked_out_anew_for_the_corrected_record_alone(
    connection: AsyncConnection, city: City
) -> None:
    member_id = await city.add_member(connection)
    first = await verified(connection, city, member_id, minutes=400)
    second = await verified(connection, city, member_id, MORNING + timedelta(hours=8), minutes=200)
    assert (await row_of(connection, city, second)).credited_minutes == 80
    await correct(connection, city, first, 100)
    # The other record stays as it was decided, until somebody corrects it too.
    assert (await row_of(connection, city, second)).credited_minutes == 80
    await correct(connection, city, second, 200, LATER)
    assert (await row_of(connection, city, second)).credited_minutes == 200
    await correct(connection, city, first, 480, LATER)
    assert (await row_of(connection, city, first)).credited_minutes == 280


async def test_a_correction_goes_by_the_rules_of_the_records_day(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id, minutes=120)
    rules = {"rate_points_per_hour": {}, "default_rate": 600, "rounding_minutes": 30}
    await connection.execute(
        insert(policy_version).values(
            book_id=city.book_id, number=2, starts_on=date(2026, 3, 3), rules=rules, created_at=MORNING
        )
    )
    await correct(connection, city, record_id, 95, LATER)
    row = await row_of(connection, city, record_id)
    assert (row.credited_minutes, row.points, row.policy_number) == (95, 95, 1)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"minutes": 1441}, "minutes_invalid"),
        ({"minutes": -1}, "minutes_invalid"),
        ({"reason": "  "}, "reason_missing"),
        ({"reason": "x" * 501}, "invalid"),
        ({"reason": "\x07"}, "invalid"),
        ({"minutes": 120}, "nothing_to_correct"),
        ({"inquiry_id": UUID(int=7 << 76)}, "inquiry_closed"),
        ({"record_id": UUID(int=7 << 76)}, "not_found"),
    ],
)
async def test_what_is_no_correction(connection: AsyncConnection, city: City, more: dict[str, Any], code: str) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id)
    values = {"record_id": record_id, "minutes": 90, "reason": "left early", **more}
    command = Correct(id=uuid7(LATER), actor_id=city.manager_id, **values)
    (answer,) = await corrections.correct(connection, city.book_id, [command], LATER, keys=city.keys)
    assert answer.code == code
    assert await points(connection, city, member_id) == 120


async def test_a_record_that_waits_is_decided_and_not_corrected(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await served(connection, city, member_id)
    assert (await correct(connection, city, record_id, 90)).code == "not_decided"


async def test_nobody_corrects_his_own_record_or_his_households_or_outside_the_branch(
    connection: AsyncConnection, city: City
) -> None:
    household = city.new_id()
    manager = await city.add_member(connection, household_id=household)
    spouse = await city.add_member(connection, household_id=household)
    await city.grant(connection, manager, "manager", station_id=city.station.id)
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)
    suspended = await city.add_member(connection)
    await city.grant(connection, suspended, "manager", station_id=city.station.id)
    await members.suspend(connection, city.book_id, suspended, now=MORNING)
    neighbour = await city.add_member(connection)
    for member_id in (manager, spouse):
        own = await verified(connection, city, member_id)
        assert (await correct(connection, city, own, 90, actor_id=manager)).code == "own_record"
        assert (await correct(connection, city, own, 90)).code == "ok"
    theirs = await verified(connection, city, neighbour)
    for stranger in (neighbour, suspended, city.clerk_id):
        assert (await correct(connection, city, theirs, 90, actor_id=stranger)).code == "not_found"
    there = await served(connection, city, neighbour, station=elsewhere)
    assert (await correct(connection, city, there, 90)).code == "not_found"


async def test_a_correction_sent_twice_is_made_once(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id)
    command = Correct(id=uuid7(LATER), actor_id=city.manager_id, record_id=record_id, minutes=60, reason="left early")
    answers = [
        answer
        for _ in range(2)
        for answer in await corrections.correct(connection, city.book_id, [command, command], LATER, keys=city.keys)
    ]
    assert answers == [answers[0]] * 4
    assert await points(connection, city, member_id) == 60
    assert len(await corrections.history(connection, city.book_id, record_id, city.keys)) == 2


async def test_whoever_entered_hours_by_hand_does_not_raise_them_alone(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    second = await city.add_member(connection)
    await city.grant(connection, second, "manager", station_id=city.station.id)
    record_id = await verified(connection, city, member_id, minutes=30, grade="C", entered_by=city.manager_id)
    assert (await correct(connection, city, record_id, 300)).code == "second_approver_needed"
    assert (await correct(connection, city, record_id, 20)).code == "ok"
    assert (await correct(connection, city, record_id, 300, actor_id=second)).code == "ok"


@pytest.mark.parametrize(
    "statement", ["UPDATE timebank.correction SET minutes_after = 0", "DELETE FROM timebank.correction"]
)
async def test_corrections_are_never_changed(connection: AsyncConnection, statement: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        await connection.exec_driver_sql(statement)
    assert getattr(caught.value.orig, "sqlstate", None) == "42501"
