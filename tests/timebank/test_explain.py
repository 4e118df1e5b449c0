""" "Explain my balance": from a sum down to the scans, the verifier and the rules, and nobody else's."""

from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City
from tests.timebank import acting
from tests.timebank.acting import DAY, cancel, done, earn, fulfil, redeem, scan, send, serve, the_redemption, verify
from timebank import devices, explain, funds
from timebank.cursors import CursorInvalid
from timebank.explain import Line, Lines, PurseView


async def lines(connection: AsyncConnection, city: City, member_id: UUID, unit: str = "point", **more: Any) -> Lines:
    return await explain.lines(connection, city.book_id, member_id, unit=unit, **more)


async def every_line(connection: AsyncConnection, city: City, member_id: UUID, unit: str, limit: int) -> list[Line]:
    """A whole statement, page by page, as an address carries the cursor."""
    found: list[Line] = []
    before = None
    while True:
        page = await lines(connection, city, member_id, unit, before=before, limit=limit)
        assert len(page.lines) <= limit
        found += page.lines
        if page.following is None:
            return found
        assert len(page.lines) == limit
        before = str(page.following)


async def test_who_has_nothing_is_told_so(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    assert await explain.balance(connection, city.book_id, member_id, DAY) == explain.Balance(0, 0, 0, 0, 0, [])
    for unit in ("point", "minute"):
        assert await lines(connection, city, member_id, unit) == Lines([], None)


async def test_a_balance_says_what_there_is_to_spend_what_is_held_and_what_ends_when(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    await earn(connection, city, member_id, 150)
    await acting.set_rules(connection, city, 3, date(2026, 3, 3), life_years=0)
    await earn(connection, city, member_id, 80, MORNING + timedelta(days=2))
    reward_id = await city.add_reward(connection)
    made = await done(connection, city, redeem(city, member_id, reward_id), DAY)
    # The 80 that end first and 20 of the others are held.
    assert await explain.balance(connection, city.book_id, member_id, DAY) == explain.Balance(
        minutes=230,
        points=130,
        held_points=100,
        owed_points=0,
        expiring_points=0,
        purses=[PurseView("试验基金", "Test fund", 130, date(2027, 12, 31))],
    )
    await done(connection, city, cancel(city, member_id, made.data["redemption_id"]), DAY)
    balance = await explain.balance(connection, city.book_id, member_id, DAY)
    assert (balance.points, balance.held_points) == (230, 0)
    assert [(each.points, each.expires_on) for each in balance.purses] == [
        (80, date(2026, 12, 31)),
        (150, date(2027, 12, 31)),
    ]
    # On New Year's Day in Nanchang, which begins at 16:00 in UTC, the first are gone.
    midnight = MORNING.replace(month=12, day=31, hour=16)
    for now, points in ((midnight - timedelta(seconds=1), 230), (midnight, 150)):
        assert (await explain.balance(connection, city.book_id, member_id, now)).points == points


async def test_a_line_of_service_goes_down_to_its_scans_and_who_verified_it(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    into = scan(city, member_id, "in")
    out = scan(city, member_id, "out", MORNING + timedelta(minutes=90))
    for command in (into, out):
        await done(connection, city, command)
    await done(connection, city, verify(city, into.id), DAY)
    for unit, fund, ends in (("point", "Test fund", date(2027, 12, 31)), ("minute", None, None)):
        (line,) = (await lines(connection, city, member_id, unit)).lines
        assert (line.kind, line.amount, line.recorded_at) == (f"earn_{'points' if fund else 'hours'}", 90, DAY)
        assert (line.fund_en, line.fund_zh, line.expires_on) == (fund, "试验基金" if fund else None, ends)
        assert line.record is not None
        assert (line.record.id, line.record.measured_minutes, line.record.grade) == (into.id, 90, "A")
        assert (line.record.decided_by, line.record.decided_at, line.record.policy_number) == (city.manager_id, DAY, 2)
        assert (line.record.station_en, line.record.kind_en) == ("Test station", "Helping older people")
        assert [(each.id, each.kind, each.source, each.occurred_at) for each in line.punches] == [
            (into.id, "in", "live", MORNING),
            (out.id, "out", "live", MORNING + timedelta(minutes=90)),
        ]
        assert line.redemption is None


async def test_a_record_without_a_check_out_shows_its_one_scan(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    elsewhere = await city.add_station(connection)
    (screen,) = await devices.of_station(connection, city.book_id, elsewhere.id)
    into = scan(city, member_id, "in")
    await done(connection, city, into)
    later = scan(city, member_id, "in", MORNING + timedelta(hours=3), station=elsewhere, screen=screen)
    await done(connection, city, later)
    await done(connection, city, verify(city, into.id, "adjust", minutes=45, reason="seen until a quarter to"), DAY)
    (line,) = (await lines(connection, city, member_id)).lines
    assert line.record is not None
    assert (line.amount, line.record.measured_minutes, line.record.credited_minutes) == (45, 0, 45)
    assert [each.id for each in line.punches] == [into.id]


async def test_lines_of_redemptions_say_what_they_were_for(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    await earn(connection, city, member_id, 250)
    rice = await city.add_reward(connection)
    oil = await city.add_reward(connection, name_zh="食用油", name_en="Oil", price_points=50)
    kept, given_back = redeem(city, member_id, oil), redeem(city, member_id, rice)
    await done(connection, city, kept, DAY)
    await done(connection, city, given_back, DAY + timedelta(hours=1))
    await done(connection, city, cancel(city, member_id, given_back.id), DAY + timedelta(hours=2))
    number = (await the_redemption(connection, city, kept.id)).number
    await done(connection, city, fulfil(city, number=number), DAY + timedelta(hours=3))
    found = (await lines(connection, city, member_id)).lines
    shown = [(line.kind, line.amount, line.redemption.reward_en if line.redemption else None) for line in found]
    # Handing over moves nothing of the member's: it had left the purse when it was held.
    assert shown == [
        ("release", 100, "Rice"),
        ("hold", -100, "Rice"),
        ("hold", -50, "Oil"),
        ("earn_points", 250, None),
    ]
    assert [line.redemption.id for line in found if line.redemption] == [given_back.id, given_back.id, kept.id]
    assert [line.kind for line in (await lines(connection, city, member_id, "minute")).lines] == ["earn_hours"]
    balance = await explain.balance(connection, city.book_id, member_id, DAY)
    assert balance.points == sum(line.amount for line in found) == 200


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
async def test_pages_hold_every_line_once_though_several_purses_moved_at_once(
    connection: AsyncConnection, city: City, member_id: UUID, limit: int
) -> None:
    other_fund = await funds.add(
        connection,
        city.book_id,
        name_zh="另一基金",
        name_en="Other fund",
        region_id=city.region_id,
        id=city.new_id(),
        now=MORNING,
    )
    await funds.fill(
        connection, city.book_id, fund_id=other_fund, points=900, id=city.new_id(), now=MORNING, actor_id=None
    )
    elsewhere = await city.add_station(connection, fund_id=other_fund)
    (screen,) = await devices.of_station(connection, city.book_id, elsewhere.id)
    await city.grant(connection, city.manager_id, "manager", station_id=elsewhere.id)
    await acting.set_rules(connection, city, 3, date(2026, 3, 4), life_years=2)
    made = []
    for day in range(4):
        at = MORNING + timedelta(days=day)
        made.append(await serve(connection, city, member_id, at, 30))
        made.append(
            await serve(connection, city, member_id, at + timedelta(hours=2), 20, station=elsewhere, screen=screen)
        )
    # Everything verified at one moment, and one reward that takes something out of each of the four purses.
    await send(connection, city, [verify(city, record_id) for record_id in made], DAY)
    reward_id = await city.add_reward(connection, price_points=195)
    await done(connection, city, redeem(city, member_id, reward_id), DAY)
    points = await every_line(connection, city, member_id, "point", limit)
    assert len({line.transfer_id for line in points}) == len(points) == 8 + 4
    assert sum(line.amount for line in points) == 5
    assert {line.fund_en for line in points} == {"Test fund", "Other fund"}
    assert {line.expires_on for line in points} == {date(2027, 12, 31), date(2028, 12, 31)}
    minutes = await every_line(connection, city, member_id, "minute", limit)
    assert {line.record.id for line in minutes if line.record} == set(made)
    assert sum(line.amount for line in minutes) == 200
    for found in (points, minutes):
        assert all((a.recorded_at, a.transfer_id) > (b.recorded_at, b.transfer_id) for a, b in pairwise(found))


async def test_nobody_sees_another_members_lines(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    other = await city.add_member(connection)
    for who, points in ((member_id, 60), (other, 90)):
        await earn(connection, city, who, points)
        reward_id = await city.add_reward(connection, price_points=10)
        await done(connection, city, redeem(city, who, reward_id), DAY)
    mine = (await explain.balance(connection, city.book_id, member_id, DAY), await lines(connection, city, member_id))
    assert (mine[0].points, mine[0].held_points, mine[0].minutes) == (50, 10, 60)
    theirs = await lines(connection, city, other)
    assert {line.transfer_id for line in mine[1].lines}.isdisjoint({line.transfer_id for line in theirs.lines})
    assert all(line.record.member_id == member_id for line in mine[1].lines if line.record)
    # A place in another's list is only a place: it opens nothing.
    page = await lines(connection, city, other, limit=1)
    again = await lines(connection, city, member_id, before=str(page.following))
    assert {line.transfer_id for line in again.lines} <= {line.transfer_id for line in mine[1].lines}
    with pytest.raises(CursorInvalid):
        await lines(connection, city, member_id, before="1.x")


async def test_a_page_costs_as_many_statements_as_a_line(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    counts = set()
    for day in (0, 2, 4):
        await earn(connection, city, member_id, 100, MORNING + timedelta(days=day))
        await earn(connection, city, member_id, 100, MORNING + timedelta(days=day, hours=5))
        async with acting.counted(connection) as sent:
            assert (await lines(connection, city, member_id)).lines
        counts.add(len(sent))
    assert len(counts) == 1
