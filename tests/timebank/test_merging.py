"""Two members become one: every hour, every point and every line goes over, and nothing is left behind."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, PASSWORD, City, build_city
from tests.timebank.acting import cancel, committed, done, earn, no_draw, one, redeem, scan, serve, verify
from timebank import access, consents, ending, explain, members, merging, purses, records, roles
from timebank.errors import BankError, Invalid, NotAllowed, NotFound
from timebank.keys import Keys
from timebank.tables import audit_entry, member, metadata, redemption, role_grant, session

LATER = MORNING + timedelta(days=9)


async def merge(connection: AsyncConnection, city: City, survivor: UUID, absorbed: UUID, **more: Any) -> merging.Merged:
    facts = {"id": city.new_id(), "now": LATER, "actor_id": None, **more}
    return await merging.merge(connection, city.book_id, survivor_id=survivor, absorbed_id=absorbed, **facts)


async def all_lines(connection: AsyncConnection, city: City, member_id: UUID, unit: str) -> list[explain.Line]:
    """Every line of a member, read page by page."""
    found: list[explain.Line] = []
    before = None
    while True:
        page = await explain.lines(connection, city.book_id, member_id, unit=unit, before=before, limit=2)
        found += page.lines
        if page.following is None:
            return found
        before = str(page.following)


async def test_hours_points_and_records_go_over_and_every_line_is_explained(
    connection: AsyncConnection, city: City
) -> None:
    survivor, absorbed = await city.add_members(connection, 2)
    await earn(connection, city, survivor, 60)
    await earn(connection, city, absorbed, 90, MORNING + timedelta(days=1))
    merged = await merge(connection, city, survivor, absorbed)
    assert merged == merging.Merged(minutes=90, points=90, records=1, redemptions=0)
    balance = await explain.balance(connection, city.book_id, survivor, LATER)
    assert (balance.minutes, balance.points) == (150, 150)
    nothing = await explain.balance(connection, city.book_id, absorbed, LATER)
    assert (nothing.minutes, nothing.points, nothing.held_points) == (0, 0, 0)
    for unit in ("point", "minute"):
        lines = await all_lines(connection, city, survivor, unit)
        assert sum(line.amount for line in lines) == 150
        assert all(line.record is not None and len(line.punches) == 2 for line in lines)
    own = await records.mine(connection, city.book_id, survivor)
    assert len(own.rows) == 2
    assert not (await records.mine(connection, city.book_id, absorbed)).rows


async def test_what_is_held_goes_over_and_comes_back_to_the_survivor(connection: AsyncConnection, city: City) -> None:
    survivor, absorbed = await city.add_members(connection, 2)
    await earn(connection, city, absorbed, 300)
    reward_id = await city.add_reward(connection)
    first, second = redeem(city, absorbed, reward_id), redeem(city, absorbed, reward_id)
    for command in (first, second):
        await done(connection, city, command)
    assert (await merge(connection, city, survivor, absorbed)).redemptions == 2
    balance = await explain.balance(connection, city.book_id, survivor, MORNING)
    assert (balance.points, balance.held_points) == (100, 200)
    await done(connection, city, cancel(city, survivor, first.id))
    assert await ending.time_out(connection, city.book_id, MORNING + timedelta(days=400)) == 1
    balance = await explain.balance(connection, city.book_id, survivor, MORNING)
    assert (balance.points, balance.held_points) == (300, 0)
    assert sum(line.amount for line in await all_lines(connection, city, survivor, "point")) == 300
    assert not [each for each in await purses.purses_of(connection, city.book_id, [absorbed]) if each.points]
    await done(connection, city, redeem(city, survivor, reward_id))


async def test_what_was_refused_last_stays_refused(connection: AsyncConnection, city: City) -> None:
    survivor, absorbed = await city.add_members(connection, 2)
    # By account and purpose: when they answered what, in hours.
    said: tuple[tuple[UUID, str, int, bool], ...] = (
        (survivor, "honour", 1, True),
        (absorbed, "honour", 0, True),
        (absorbed, "honour", 2, False),
        (absorbed, "service", 1, False),
        (survivor, "service", 2, True),
        (absorbed, "location", 1, False),
    )
    for member_id, purpose, hours, agreed in said:
        at = MORNING + timedelta(hours=hours)
        number = consents.in_use(purpose).number
        facts: dict[str, Any] = {
            "purpose": purpose,
            "number": number,
            "agreed": agreed,
            "actor_id": member_id,
            "now": at,
        }
        await consents.answer(connection, city.book_id, member_id, id=city.new_id(), **facts)
    assert set(await consents.may_be_named(connection, city.book_id, [survivor])) == {survivor}
    await merge(connection, city, survivor, absorbed)
    assert await consents.may_be_named(connection, city.book_id, [survivor, absorbed]) == {}
    standing = await consents.standing(connection, city.book_id, survivor)
    assert [(each.text.purpose, each.agreed) for each in standing] == [
        ("service", True),
        ("location", False),
        ("honour", False),
    ]
    assert (await members.by_id(connection, city.book_id, survivor)).refused == ["honour", "location"]
    # A yes of the absorbed account is no answer of the survivor's, and a no of the survivor's stays.
    third = await city.add_member(connection)
    facts = {"purpose": "honour", "number": 2, "agreed": True, "actor_id": third, "now": LATER + timedelta(hours=1)}
    await consents.answer(connection, city.book_id, third, id=city.new_id(), **facts)
    await merge(connection, city, survivor, third, now=LATER + timedelta(hours=2))
    assert await consents.may_be_named(connection, city.book_id, [survivor]) == {}


async def test_a_chain_of_merges_ends_in_the_last(connection: AsyncConnection, city: City) -> None:
    first, second, third = await city.add_members(connection, 3)
    await earn(connection, city, first, 200)
    reward_id = await city.add_reward(connection)
    held = redeem(city, first, reward_id)
    await done(connection, city, held)
    await merge(connection, city, second, first)
    await merge(connection, city, third, second)
    await done(connection, city, cancel(city, third, held.id))
    balance = await explain.balance(connection, city.book_id, third, MORNING)
    assert (balance.minutes, balance.points) == (200, 200)
    assert sum(line.amount for line in await all_lines(connection, city, third, "point")) == 200
    assert sum(line.amount for line in await all_lines(connection, city, third, "minute")) == 200


async def test_records_that_wait_are_credited_to_the_survivor(connection: AsyncConnection, city: City) -> None:
    survivor, absorbed = await city.add_members(connection, 2)
    record_id = await serve(connection, city, absorbed, MORNING, 60)
    await merge(connection, city, survivor, absorbed)
    await done(connection, city, verify(city, record_id), LATER)
    assert (await explain.balance(connection, city.book_id, survivor, LATER)).points == 60


async def test_the_absorbed_member_is_nobody_any_more(connection: AsyncConnection, city: City) -> None:
    survivor = await city.add_member(connection)
    absorbed = await city.add_member(connection, "林二", password=PASSWORD, household_id=city.new_id())
    await city.grant(connection, absorbed, "clerk", station_id=city.station.id)
    await roles.grant(
        connection,
        city.book_id,
        member_id=absorbed,
        role="manager",
        station_id=city.station.id,
        starts_at=LATER + timedelta(days=9),
        id=city.new_id(),
        now=MORNING,
    )
    phone = city.phones[absorbed]
    await merge(connection, city, survivor, absorbed)
    row = await members.by_id(connection, city.book_id, absorbed)
    assert (row.state, row.merged_into, row.phone_index, row.password_hash) == ("merged", survivor, None, None)
    assert await members.by_phone(connection, city.book_id, city.keys, phone) is None
    for at in (LATER, LATER + timedelta(days=30)):
        assert await access.grants(connection, city.book_id, absorbed, at) == ()
    assert (await members.by_id(connection, city.book_id, survivor)).household_id == row.household_id
    query = select(func.count()).select_from(session).where(session.c.member_id == absorbed)
    assert await connection.scalar(query) == 0
    for verb in (members.suspend, members.reinstate, members.erase):
        with pytest.raises(NotFound):
            await verb(connection, city.book_id, absorbed, now=LATER)


async def test_whatever_runs_beside_it_no_point_is_lost(engine: AsyncEngine, new_book: int, keys: Keys) -> None:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        await no_draw(connection, city)
        survivor, absorbed = await city.add_members(connection, 2)
        await earn(connection, city, absorbed, 500)
        reward_id = await city.add_reward(connection)
        held = [redeem(city, absorbed, reward_id) for _ in range(3)]
        for command in held:
            await done(connection, city, command)
        waiting = await serve(connection, city, absorbed, LATER - timedelta(days=1), 60)
    beside: list[Callable[[AsyncConnection], Awaitable[Any]]] = [
        lambda connection: merge(connection, city, survivor, absorbed),
        lambda connection: one(connection, city, cancel(city, absorbed, held[0].id), LATER),
        lambda connection: one(connection, city, redeem(city, absorbed, reward_id), LATER),
        lambda connection: one(connection, city, verify(city, waiting), LATER),
        lambda connection: ending.time_out(connection, city.book_id, LATER + timedelta(days=400)),
    ]
    await asyncio.gather(*(committed(engine, work) for work in beside))
    async with engine.connect() as connection:
        assert (await purses.audit(connection, city.book_id)).passed
    async with engine.connect() as connection:
        assert not [each for each in await purses.purses_of(connection, city.book_id, [absorbed]) if each.points]
        assert await purses.hours(connection, city.book_id, absorbed) == 0
        balance = await explain.balance(connection, city.book_id, survivor, LATER)
        assert (balance.minutes, balance.points + balance.held_points) == (560, 560)
        assert sum(line.amount for line in await all_lines(connection, city, survivor, "point")) == balance.points


async def test_both_sides_stand_in_the_trail(connection: AsyncConnection, city: City) -> None:
    survivor, absorbed = await city.add_members(connection, 2)
    await earn(connection, city, absorbed, 30)
    await merge(connection, city, survivor, absorbed)
    query = select(audit_entry).where(audit_entry.c.action.in_(("member.merge", "member.absorb")))
    entries = {row.action: row for row in await connection.execute(query.where(audit_entry.c.book_id == city.book_id))}
    assert entries["member.merge"].after["merged_into"] == str(survivor)
    assert entries["member.absorb"].after["absorbed_id"] == str(absorbed)
    assert entries["member.absorb"].after["points"] == 30
    assert entries["member.merge"].region_id == city.community_id


async def test_who_serves_now_is_not_merged(connection: AsyncConnection, city: City) -> None:
    first, second = await city.add_members(connection, 2)
    await done(connection, city, scan(city, first, "in"))
    for pair in ((first, second), (second, first)):
        with pytest.raises(merging.CheckedIn):
            await merge(connection, city, *pair)


async def test_what_cannot_be_merged_is_refused(connection: AsyncConnection, city: City) -> None:
    here, other, gone, merged = await city.add_members(connection, 4)
    elsewhere = await city.add_member(connection, region_id=city.other_community_id)
    admin, above = await city.add_members(connection, 2)
    await city.grant(connection, admin, "admin", region_id=city.community_id)
    await city.grant(connection, above, "clerk", region_id=city.region_id)
    await members.erase(connection, city.book_id, gone, now=MORNING)
    await merge(connection, city, other, merged)
    refused: list[tuple[UUID, UUID, type[BankError]]] = [
        (here, here, Invalid),
        (here, gone, NotFound),
        (gone, here, NotFound),
        (here, merged, NotFound),
        (merged, here, NotFound),
        (here, elsewhere, NotFound),
        (elsewhere, here, NotFound),
        (here, city.new_id(), NotFound),
        (here, admin, NotAllowed),
        (admin, here, NotAllowed),
        (here, above, NotAllowed),
    ]
    for survivor, absorbed, error in refused:
        with pytest.raises(error):
            await merge(connection, city, survivor, absorbed, actor_id=admin)
    await merge(connection, city, here, other, actor_id=admin)


async def test_erasing_the_survivor_forgets_the_absorbed_too(connection: AsyncConnection, city: City) -> None:
    survivor, absorbed = await city.add_members(connection, 2)
    await merge(connection, city, survivor, absorbed)
    await members.erase(connection, city.book_id, survivor, now=LATER)
    query = select(member.c.data_key, member.c.personal, member.c.name_index).where(
        member.c.book_id == city.book_id, member.c.id.in_((survivor, absorbed))
    )
    assert {tuple(row) for row in await connection.execute(query)} == {(None, None, None)}


def test_every_column_that_names_a_member_is_moved_or_kept_for_a_reason() -> None:
    """A new table has to say which of the two it is."""
    known = {f"{table.name}.member_id" for table in merging.MOVED} | set(merging.KEPT)
    named = set()
    for table in metadata.tables.values():
        for constraint in table.foreign_key_constraints:
            if constraint.referred_table is member:
                named |= {f"{table.name}.{name}" for name in constraint.column_keys if name != "book_id"}
        named |= {f"{table.name}.{column.name}" for column in table.c if column.name == "member_id"}
    assert named == known
    assert redemption in merging.MOVED
    assert f"{role_grant.name}.member_id" in merging.KEPT
