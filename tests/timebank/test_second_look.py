"""Who may decide what: grades that may be ticked together, and hours over quota, which take a second person."""

from dataclasses import asdict
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.earning import served, verified, verify
from tests.factories import MORNING, City, build_city
from timebank import records
from timebank.keys import Keys
from timebank.policy import Rules
from timebank.tables import decision, policy_version

NEXT_DAY = MORNING + timedelta(days=1)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def second_manager(connection: AsyncConnection, city: City, household_id: UUID | None = None) -> UUID:
    member_id = await city.add_member(connection, household_id=household_id)
    await city.grant(connection, member_id, "manager", station_id=city.station.id)
    return member_id


async def fast_track(connection: AsyncConnection, city: City, grades: str, starts_on: date, number: int = 2) -> None:
    rules = asdict(Rules(rate_points_per_hour={}, fast_track_grades=grades))
    values = {"number": number, "starts_on": starts_on, "rules": rules, "created_at": MORNING}
    await connection.execute(insert(policy_version).values(book_id=city.book_id, **values))


async def clear(connection: AsyncConnection, city: City) -> dict[UUID, bool]:
    page = await records.queue(connection, city.book_id, actor_id=city.manager_id, now=MORNING)
    return {row.id: row.clear for row in page.rows}


async def test_at_first_only_grade_a_without_holds_goes_together(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    made = {
        await served(connection, city, member_id, grade=grade, holds=holds): allowed
        for grade, holds, allowed in (
            ("A", (), True),
            ("A", ("drawn",), False),
            ("B", (), False),
            ("C", (), False),
            ("D", (), False),
        )
    }
    assert await clear(connection, city) == made
    for record_id, allowed in made.items():
        answer = await verify(connection, city, record_id, bulk=True)
        assert answer.code == ("ok" if allowed else "needs_single_decision")


async def test_the_rules_of_the_records_day_say_which_grades_go_together(
    connection: AsyncConnection, city: City
) -> None:
    member_id = await city.add_member(connection)
    await fast_track(connection, city, "AB", date(2026, 3, 3))
    today = await served(connection, city, member_id, grade="B")
    tomorrow = await served(connection, city, member_id, NEXT_DAY, grade="B")
    drawn = await served(connection, city, member_id, NEXT_DAY + timedelta(hours=3), grade="B", holds=("overlap",))
    assert await clear(connection, city) == {today: False, tomorrow: True, drawn: False}
    assert (await verify(connection, city, today, bulk=True)).code == "needs_single_decision"
    assert (await verify(connection, city, tomorrow, bulk=True)).code == "ok"
    assert (await verify(connection, city, drawn, bulk=True)).code == "needs_single_decision"


async def test_of_two_versions_with_one_first_day_the_later_says(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    await fast_track(connection, city, "AB", date(2026, 3, 1), 2)
    await fast_track(connection, city, "", date(2026, 3, 1), 3)
    record_id = await served(connection, city, member_id)
    assert await clear(connection, city) == {record_id: False}
    assert (await verify(connection, city, record_id, bulk=True)).code == "needs_single_decision"
    sums = await records.queue_sums(connection, city.book_id, actor_id=city.manager_id, now=MORNING)
    assert (sums.records, sums.clear_records) == (1, 0)


async def test_together_only_as_it_was_recorded(connection: AsyncConnection, city: City) -> None:
    record_id = await served(connection, city, await city.add_member(connection))
    answer = await verify(connection, city, record_id, verdict="adjust", minutes=30, reason="x", bulk=True)
    assert answer.code == "needs_single_decision"


async def test_hours_over_quota_take_somebody_who_did_not_enter_them(connection: AsyncConnection, city: City) -> None:
    member_id, second = await city.add_member(connection), await second_manager(connection, city)
    for verdict in ({"verdict": "verify"}, {"verdict": "adjust", "minutes": 30, "reason": "x"}):
        record_id = await served(
            connection, city, member_id, grade="C", holds=("over_quota",), entered_by=city.manager_id
        )
        assert (await verify(connection, city, record_id, **verdict)).code == "second_approver_needed"
        assert (await verify(connection, city, record_id, actor_id=second, **verdict)).code == "ok"
        kept = (await connection.execute(select(decision).where(decision.c.record_id == record_id))).one()
        # What the second person did stands as an approval, unless other minutes say that it was more than that.
        assert (kept.verdict, kept.actor_id, kept.holds) == (
            "approve" if verdict["verdict"] == "verify" else "adjust",
            second,
            ["over_quota"],
        )


async def test_the_second_person_is_not_of_the_first_ones_household(connection: AsyncConnection, city: City) -> None:
    household = city.new_id()
    first = await second_manager(connection, city, household)
    spouse = await second_manager(connection, city, household)
    member_id = await city.add_member(connection)
    record_id = await served(connection, city, member_id, grade="C", holds=("over_quota",), entered_by=first)
    for actor_id in (first, spouse):
        answer = await verify(connection, city, record_id, actor_id=actor_id)
        assert answer.code == "second_approver_needed"
    assert (await verify(connection, city, record_id)).code == "ok"


async def test_nobody_approves_for_himself(connection: AsyncConnection, city: City) -> None:
    manager = await second_manager(connection, city)
    record_id = await served(connection, city, manager, grade="C", holds=("over_quota",), entered_by=city.manager_id)
    assert (await verify(connection, city, record_id, actor_id=manager)).code == "own_record"


async def test_within_the_quota_whoever_entered_hours_may_verify_but_not_raise_them(
    connection: AsyncConnection, city: City
) -> None:
    member_id = await city.add_member(connection)
    record_id = await served(connection, city, member_id, minutes=60, grade="C", entered_by=city.manager_id)
    raised = {"verdict": "adjust", "minutes": 61, "reason": "x"}
    assert (await verify(connection, city, record_id, **raised)).code == "second_approver_needed"
    assert (await verify(connection, city, record_id)).code == "ok"
    # Nobody entered this one by hand, so the manager may set what is right.
    scanned = await served(connection, city, member_id, NEXT_DAY, 60)
    assert (await verify(connection, city, scanned, NEXT_DAY, **raised)).code == "ok"
    assert await verified(connection, city, member_id, NEXT_DAY + timedelta(days=1))
