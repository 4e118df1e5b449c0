"""Statements of a period, old lines that keep their own numbers, and what of it a manager may see."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.earning import cancel, correct, redeem, served, verified, verify
from tests.factories import MORNING, City, build_city
from timebank import explain, members, merging, statements
from timebank.errors import Invalid, NotFound
from timebank.keys import Keys
from timebank.periods import EVER, Period, month, month_before, year
from timebank.tables import audit_entry

LATER = MORNING + timedelta(days=40)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def extract(
    connection: AsyncConnection, city: City, member_id: UUID, period: Period = EVER, unit: str = "point", most: int = 99
) -> statements.Extract:
    return await statements.extract(connection, city.book_id, member_id, unit=unit, period=period, most=most)


def amounts(found: statements.Extract) -> list[tuple[int, int]]:
    """Each line's amount and the balance after it."""
    return [(line.amount, balance) for line, balance in found.lines]


def test_periods_are_whole_days_where_the_community_lives() -> None:
    assert month(date(2028, 2, 10)) == Period(date(2028, 2, 1), date(2028, 2, 29))
    assert month_before(date(2026, 1, 31)) == Period(date(2025, 12, 1), date(2025, 12, 31))
    assert year(date(2026, 5, 5)) == Period(date(2026, 1, 1), date(2026, 12, 31))
    for since, until in ((date(2026, 3, 2), date(2026, 3, 1)), (date(1999, 12, 31), None), (None, date(2200, 1, 1))):
        with pytest.raises(Invalid):
            Period(since, until)


async def test_a_period_begins_and_ends_at_midnight_in_the_zone_of_the_book(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    # Verified twelve hours after check-in: at 15:59 and 16:00 in UTC, which is midnight in Nanchang.
    midnight = datetime(2026, 3, 31, 16, tzinfo=UTC)
    for at, minutes in ((midnight - timedelta(hours=12, seconds=1), 60), (midnight - timedelta(hours=12), 30)):
        await verified(connection, city, member_id, at, minutes)
    march, april = Period(None, date(2026, 3, 31)), Period(date(2026, 4, 1), date(2026, 4, 1))
    for unit in ("point", "minute"):
        for period, found in ((march, [(60, 60)]), (april, [(30, 90)]), (EVER, [(60, 60), (30, 90)])):
            assert amounts(await extract(connection, city, member_id, period, unit)) == found


async def test_a_statement_goes_from_one_balance_to_the_other(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    reward_id = await city.add_reward(connection, price_points=100)
    first = await verified(connection, city, member_id, MORNING, 120)
    made = await redeem(connection, city, member_id, reward_id, MORNING + timedelta(days=2))
    await cancel(connection, city, member_id, made.data["redemption_id"], MORNING + timedelta(days=3))
    await redeem(connection, city, member_id, reward_id, MORNING + timedelta(days=4))
    # 100 of the 120 are spent: what goes back is lent first.
    await correct(connection, city, first, 30, MORNING + timedelta(days=5))
    await verified(connection, city, member_id, MORNING + timedelta(days=6), 200)
    for unit in ("point", "minute"):
        whole = await extract(connection, city, member_id, unit=unit)
        # Every day on which something happened, and one without on either side.
        happened = {(line.recorded_at + timedelta(hours=8)).date() for line, _ in whole.lines}
        days = sorted({*happened, min(happened) - timedelta(days=1), max(happened) + timedelta(days=1)})
        assert (whole.opening, whole.is_cut) == (0, False)
        balance = await explain.balance(connection, city.book_id, member_id, MORNING + timedelta(days=8))
        assert whole.closing == (balance.points if unit == "point" else balance.minutes)
        for since in days:
            for until in days:
                if until < since:
                    continue
                period = Period(since, until)
                part = await extract(connection, city, member_id, period, unit)
                there = [
                    (line.amount, after)
                    for line, after in whole.lines
                    if since <= (line.recorded_at + timedelta(hours=8)).date() <= until
                ]
                assert amounts(part) == there
                assert part.closing == part.opening + sum(amount for amount, _ in there)
                sums = await statements.sums(connection, city.book_id, member_id, unit=unit, period=period)
                assert (sums.opening, sums.closing) == (part.opening, part.closing)


async def test_a_statement_that_is_too_long_keeps_its_end_and_says_so(
    connection: AsyncConnection, city: City, member_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(5):
        await verified(connection, city, member_id, MORNING + timedelta(days=day), 10 + day)
    monkeypatch.setattr(statements, "LINES_AT_ONCE", 2)
    whole = await extract(connection, city, member_id, most=5)
    assert (whole.opening, whole.closing, whole.is_cut) == (0, 60, False)
    cut = await extract(connection, city, member_id, most=3)
    assert (cut.opening, cut.closing, cut.is_cut) == (21, 60, True)
    assert amounts(cut) == amounts(whole)[2:]


async def test_old_lines_of_a_corrected_record_keep_their_own_numbers(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    other = await city.add_member(connection)
    await city.grant(connection, other, "manager", station_id=city.station.id)
    record_id = await verified(connection, city, member_id, MORNING, 120)
    at = [MORNING + timedelta(hours=12), MORNING + timedelta(days=1), MORNING + timedelta(days=2)]
    await correct(connection, city, record_id, 90, at[1], actor_id=other)
    await correct(connection, city, record_id, 100, at[2])
    for unit in ("point", "minute"):
        found = [line for line, _ in (await extract(connection, city, member_id, unit=unit)).lines]
        earned = [line for line in found if line.kind.startswith("earn")]
        told = [(line.credited_minutes, line.verified_by, line.verified_at, line.is_replaced) for line in earned]
        # A correction that adds posts what it keeps and what it adds.
        last = (100, city.manager_id, at[2], False)
        assert told[:2] == [(120, city.manager_id, at[0], True), (90, other, at[1], True)]
        assert set(told[2:]) == {last}
        changes = {
            (line.kind.startswith("earn"), line.correction.minutes_before, line.correction.minutes_after)
            for line in found
            if line.correction
        }
        assert changes == {(False, 120, 90), (True, 120, 90), (False, 90, 100), (True, 90, 100)}
        assert earned[0].correction is None
        assert {line.policy_number for line in found} == {1}
        assert all(line.record and line.record.credited_minutes == 100 for line in found)


async def test_a_record_that_was_taken_back_whole_and_credited_again(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    record_id = await verified(connection, city, member_id, MORNING, 60)
    await correct(connection, city, record_id, None, MORNING + timedelta(days=1))
    await correct(connection, city, record_id, 45, MORNING + timedelta(days=2))
    first, back, again = [line for line, _ in (await extract(connection, city, member_id)).lines]
    assert (first.credited_minutes, back.kind, again.credited_minutes) == (60, "reverse", 45)
    assert back.correction
    assert (back.correction.points_before, back.correction.points_after) == (60, 0)


async def of_branch(
    connection: AsyncConnection, city: City, record_id: UUID, actor_id: UUID, unit: str = "point", **more: Any
) -> statements.BranchLines:
    values = {"now": LATER, "period": EVER, **more}
    return await statements.of_branch(connection, city.book_id, record_id, actor_id=actor_id, unit=unit, **values)


async def test_a_manager_sees_what_comes_from_the_branch_and_nothing_else(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    elsewhere = await city.add_station(connection)
    other_manager = await city.add_member(connection)
    await city.grant(connection, other_manager, "manager", station_id=elsewhere.id)
    reward_id = await city.add_reward(connection, price_points=50)
    here = await verified(connection, city, member_id, MORNING, 120)
    await correct(connection, city, here, 90)
    there_at = MORNING + timedelta(days=2)
    there = await served(connection, city, member_id, there_at, 70, station=elsewhere)
    await verify(connection, city, there, there_at + timedelta(hours=12), actor_id=other_manager)
    await redeem(connection, city, member_id, reward_id, MORNING + timedelta(days=4))
    for unit in ("point", "minute"):
        found = await of_branch(connection, city, here, city.manager_id, unit)
        assert {line.record.id for line in found.page.lines if line.record} == {here}
        assert sorted(line.amount for line in found.page.lines) == [-120, 90, 120]
        assert found.total == 90
        assert all(line.redemption is None for line in found.page.lines)
        far = await of_branch(connection, city, there, other_manager, unit)
        assert ([line.amount for line in far.page.lines], far.total) == ([70], 70)
    for record_id, actor_id in ((there, city.manager_id), (here, other_manager), (here, member_id)):
        with pytest.raises(NotFound):
            await of_branch(connection, city, record_id, actor_id)


async def test_that_a_manager_looked_is_kept(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    record_id = await verified(connection, city, member_id)
    period = Period(date(2026, 3, 1), None)
    await of_branch(connection, city, record_id, city.manager_id, period=period)
    query = select(audit_entry).where(audit_entry.c.book_id == city.book_id, audit_entry.c.subject_id == member_id)
    (entry,) = [row for row in await connection.execute(query) if row.action == "member.explain"]
    assert (entry.actor_id, entry.subject_kind, entry.at) == (city.manager_id, "member", LATER)
    assert entry.after == {"record_id": str(record_id), "unit": "point", "since": "2026-03-01", "until": None}


async def test_pages_and_periods_of_a_branch(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    made = [await verified(connection, city, member_id, MORNING + timedelta(days=day), 10 + day) for day in range(5)]
    seen: list[int] = []
    before = None
    while True:
        found = await of_branch(connection, city, made[0], city.manager_id, before=before, limit=2)
        assert found.total == 60
        seen += [line.amount for line in found.page.lines]
        if found.page.following is None:
            break
        before = str(found.page.following)
    assert seen == [14, 13, 12, 11, 10]
    day = (MORNING + timedelta(days=2, hours=20)).date()
    found = await of_branch(connection, city, made[0], city.manager_id, period=Period(day, day))
    assert ([line.amount for line in found.page.lines], found.total) == ([12], 12)


async def test_who_was_merged_brings_their_lines(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    old = await city.add_member(connection)
    first = await verified(connection, city, old, MORNING, 60)
    await verified(connection, city, member_id, MORNING + timedelta(days=1), 30)
    await merging.merge(
        connection,
        city.book_id,
        survivor_id=member_id,
        absorbed_id=old,
        id=city.new_id(),
        now=MORNING + timedelta(days=3),
        actor_id=None,
    )
    for unit in ("point", "minute"):
        assert amounts(await extract(connection, city, member_id, unit=unit)) == [(60, 60), (30, 90)]
    assert (await of_branch(connection, city, first, city.manager_id)).total == 90


async def test_somebody_erased_is_still_explained(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    record_id = await verified(connection, city, member_id, MORNING, 60)
    await members.erase(connection, city.book_id, member_id, now=LATER)
    assert (await of_branch(connection, city, record_id, city.manager_id)).total == 60
