"""Versions of the rules: drafted for a day to come, never changed, tried on last month first."""

import asyncio
import re
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.earning import correct, row_of, served, verified, verify
from tests.factories import MORNING, City, build_city
from timebank import policies
from timebank.commands import Answer
from timebank.commit import Committer
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.policies import Draft
from timebank.policy import FAST_TRACK_ALLOWED, RANGES, RATE_HIGHEST, Rules, out_of_range
from timebank.preview import last_month, preview
from timebank.tables import audit_entry, record

TODAY = date(2026, 3, 2)
USUAL = Rules(rate_points_per_hour={})


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


@pytest.fixture
async def admin(connection: AsyncConnection, city: City) -> UUID:
    """Administers the whole city."""
    member_id = await city.add_member(connection, "市管理员")
    await city.grant(connection, member_id, "admin", region_id=city.region_id)
    return member_id


async def draft(
    connection: AsyncConnection, city: City, actor_id: UUID, starts_on: date, rules: Rules = USUAL, **more: Any
) -> Answer:
    command = Draft(id=more.pop("id", None) or uuid7(MORNING), actor_id=actor_id, starts_on=starts_on, rules=rules)
    (answer,) = await policies.draft(connection, city.book_id, [command], more.pop("now", MORNING))
    return answer


async def in_force(connection: AsyncConnection, city: City, day: date) -> int:
    return policies.on_day(await policies.versions(connection, city.book_id), day).number


async def test_a_version_holds_from_its_first_day_until_the_next(
    connection: AsyncConnection, city: City, admin: UUID
) -> None:
    rules = replace(USUAL, default_rate=120, rate_points_per_hour={"duty": 30})
    answer = await draft(connection, city, admin, date(2026, 4, 1), rules)
    assert (answer.code, answer.data) == ("ok", {"number": 2, "starts_on": "2026-04-01"})
    assert await in_force(connection, city, date(2026, 3, 31)) == 1
    assert await in_force(connection, city, date(2026, 4, 1)) == 2
    newest = (await policies.versions(connection, city.book_id))[0]
    assert (newest.rules, newest.created_by, newest.created_at) == (rules, admin, MORNING)


async def test_a_later_version_replaces_one_that_starts_on_the_same_day(
    connection: AsyncConnection, city: City, admin: UUID
) -> None:
    for rate in (120, 90):
        await draft(connection, city, admin, date(2026, 4, 1), replace(USUAL, default_rate=rate))
    found = policies.on_day(await policies.versions(connection, city.book_id), date(2026, 5, 1))
    assert (found.number, found.rules.default_rate) == (3, 90)


@pytest.mark.parametrize("starts_on", [TODAY, TODAY - timedelta(days=1), date(2037, 1, 1)])
async def test_no_day_that_has_begun_gets_other_rules(
    connection: AsyncConnection, city: City, admin: UUID, starts_on: date
) -> None:
    answer = await draft(connection, city, admin, starts_on)
    assert (answer.code, answer.data) == ("invalid", {"field": "starts_on", "reason": "range"})


async def test_today_is_the_communitys(connection: AsyncConnection, city: City, admin: UUID) -> None:
    # In Shanghai it is the third already.
    evening = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)
    assert (await draft(connection, city, admin, date(2026, 3, 3), now=evening)).code == "invalid"
    assert (await draft(connection, city, admin, date(2026, 3, 4), now=evening)).code == "ok"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"default_rate": -1}, "default_rate"),
        ({"default_rate": 601}, "default_rate"),
        ({"rounding_minutes": 0}, "rounding_minutes"),
        ({"daily_cap_minutes": 1441}, "daily_cap_minutes"),
        ({"life_years": 11}, "life_years"),
        ({"draw_percent": 101}, "draw_percent"),
        ({"manual_minutes_per_month": -1}, "manual_minutes_per_month"),
        ({"late_per_month": 1001}, "late_per_month"),
        ({"point_grades": "AE"}, "point_grades"),
        ({"point_grades": "AA"}, "point_grades"),
        ({"fast_track_grades": "ABC"}, "fast_track_grades"),
        ({"rate_points_per_hour": {"duty": 601}}, "rate_points_per_hour"),
        ({"rate_points_per_hour": {"flying": 60}}, "rate_points_per_hour"),
    ],
)
async def test_what_rules_cannot_be(
    connection: AsyncConnection, city: City, admin: UUID, wrong: dict[str, Any], field: str
) -> None:
    answer = await draft(connection, city, admin, date(2026, 4, 1), replace(USUAL, **wrong))
    assert (answer.code, answer.data["field"]) == ("invalid", field)


async def test_only_who_administers_the_whole_book_makes_rules(connection: AsyncConnection, city: City) -> None:
    district = await city.add_member(connection)
    await city.grant(connection, district, "admin", region_id=city.district_id)
    for actor_id in (district, city.manager_id):
        assert (await draft(connection, city, actor_id, date(2026, 4, 1))).code == "role_not_allowed"
    assert len(await policies.versions(connection, city.book_id)) == 1


async def test_a_draft_leaves_a_trail_and_is_made_once(connection: AsyncConnection, city: City, admin: UUID) -> None:
    id_ = uuid7(MORNING)
    answers = [await draft(connection, city, admin, date(2026, 4, 1), id=id_) for _ in range(2)]
    assert answers[0] == answers[1]
    assert (await draft(connection, city, admin, date(2026, 4, 2), id=id_)).code == "id_reused"
    query = select(audit_entry).where(audit_entry.c.action == "policy.draft", audit_entry.c.book_id == city.book_id)
    entry = (await connection.execute(query)).one()
    assert (entry.before["number"], entry.after["number"], entry.after["starts_on"]) == (1, 2, "2026-04-01")


async def test_drafts_made_at_once_get_numbers_of_their_own(engine: AsyncEngine, new_book: int, keys: Keys) -> None:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        admin = await city.add_member(connection)
        await city.grant(connection, admin, "admin", region_id=city.region_id)

    def process() -> Committer[Draft]:
        return Committer(engine, new_book, policies.draft, lambda: MORNING, batch_limit=1)

    drafts = [Draft(id=uuid7(MORNING), actor_id=admin, starts_on=date(2026, 4, 1), rules=USUAL) for _ in range(4)]
    answers = await asyncio.gather(*(process().submit(each) for each in drafts))
    assert sorted(answer.data["number"] for answer in answers) == [2, 3, 4, 5]


async def test_what_was_in_force_is_never_changed(connection: AsyncConnection) -> None:
    with pytest.raises(DBAPIError) as caught:
        await connection.exec_driver_sql("UPDATE timebank.policy_version SET rules = '{}'")
    assert getattr(caught.value.orig, "sqlstate", None) == "42501"


def test_what_differs_is_named_field_by_field() -> None:
    earlier = Rules(rate_points_per_hour={"duty": 30, "patrol": 60})
    later = replace(earlier, rate_points_per_hour={"duty": 45, "advice": 10}, life_years=2)
    assert policies.differences(later, earlier) == {
        "life_years": (1, 2),
        "rate:advice": (None, 10),
        "rate:duty": (30, 45),
        "rate:patrol": (60, None),
    }
    assert policies.differences(later, later) == {}


def test_last_month_is_the_calendar_month_before() -> None:
    assert last_month(date(2026, 3, 2)) == (date(2026, 2, 1), date(2026, 2, 28))
    assert last_month(date(2026, 1, 31)) == (date(2025, 12, 1), date(2025, 12, 31))


async def test_a_preview_works_out_last_month_by_other_rules(connection: AsyncConnection, city: City) -> None:
    one, two = await city.add_members(connection, 2)
    day = timedelta(days=1)
    long_day = [await verified(connection, city, one, MORNING + hours, 240) for hours in (0 * day, 5 * day / 24)]
    adjusted = await served(connection, city, one, MORNING + day, 300, kind="duty")
    await verify(connection, city, adjusted, MORNING + day * 2, verdict="adjust", minutes=100, reason="left early")
    corrected = await verified(connection, city, two, minutes=120, grade="C", kind="duty")
    await correct(connection, city, corrected, 50)
    gone = await verified(connection, city, two, MORNING + day)
    await correct(connection, city, gone, None)
    rejected = await served(connection, city, two, MORNING + 2 * day)
    await verify(connection, city, rejected, verdict="reject", reason="not seen")
    await served(connection, city, two, MORNING + 3 * day)
    april = datetime(2026, 4, 10, 1, 0, tzinfo=UTC)
    await verified(connection, city, two, april - timedelta(days=2), 60)

    same = await preview(connection, city.book_id, USUAL, april)
    assert (same.first_day, same.last_day) == (date(2026, 3, 1), date(2026, 3, 31))
    assert (same.total.records, same.total.changed) == (4, 0)
    assert (same.total.minutes_before, same.total.minutes_after) == (630, 630)

    rules = replace(
        USUAL, daily_cap_minutes=300, rounding_minutes=30, point_grades="AB", rate_points_per_hour={"duty": 120}
    )
    found = await preview(connection, city.book_id, rules, april)
    elderly, duty = found.kinds["help_elderly"], found.kinds["duty"]
    # 240 and the 60 that the cap leaves.
    assert (elderly.records, elderly.changed, elderly.minutes_before, elderly.minutes_after) == (2, 1, 480, 300)
    assert (elderly.points_before, elderly.points_after) == (480, 300)
    # 100 as adjusted becomes 90 minutes and 180 points; 50 as corrected becomes 30, of a grade that earns none.
    assert (duty.records, duty.changed, duty.minutes_before, duty.minutes_after) == (2, 2, 150, 120)
    assert (duty.points_before, duty.points_after) == (150, 180)
    assert (found.total.records, found.total.changed, found.total.points_after) == (4, 3, 480)
    # Nothing was changed by looking.
    assert (await row_of(connection, city, long_day[1])).credited_minutes == 240
    states = await connection.scalars(select(record.c.state).where(record.c.book_id == city.book_id))
    assert sorted(states) == [
        "rejected",
        "reversed",
        "verified",
        "verified",
        "verified",
        "verified",
        "verified",
        "waiting",
    ]


async def test_new_records_go_by_the_rules_of_their_day(connection: AsyncConnection, city: City, admin: UUID) -> None:
    member_id = await city.add_member(connection)
    await draft(connection, city, admin, date(2026, 3, 3), replace(USUAL, default_rate=120, rounding_minutes=60))
    before = await verified(connection, city, member_id, minutes=90)
    after = await verified(connection, city, member_id, MORNING + timedelta(days=1), 90)
    first, second = await row_of(connection, city, before), await row_of(connection, city, after)
    assert (first.credited_minutes, first.points, first.policy_number) == (90, 90, 1)
    assert (second.credited_minutes, second.points, second.policy_number) == (60, 120, 2)


def test_every_number_of_the_rules_has_its_range() -> None:
    assert {name for name, value in asdict(USUAL).items() if isinstance(value, int)} == set(RANGES)
    assert out_of_range(USUAL) is None


def test_the_reference_of_the_rules_is_what_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "policy.md").read_text(encoding="utf-8")
    rows = {name: cells for name, *cells in re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", page, re.MULTILINE)}
    assert set(rows) == set(asdict(USUAL))
    for name, (usual, allowed) in rows.items():
        assert usual.strip() == (str(getattr(USUAL, name)) if name != "rate_points_per_hour" else "none")
        numbers = tuple(map(int, re.findall(r"\d+", allowed)))
        if name in RANGES:
            assert numbers == RANGES[name]
    assert rows["rate_points_per_hour"][1].startswith(f"0 to {RATE_HIGHEST}")
    assert rows["fast_track_grades"][1] == f"of {FAST_TRACK_ALLOWED}"
