"""Limits: so many pieces for one member in one calendar period, as the community's calendar has it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import City, build_city
from tests.timebank.counter_desk import Desk
from timebank import catalogue, redemptions, rewards
from timebank.clock import period_start
from timebank.errors import Invalid
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.redemptions import Redeem
from timebank.tables import PERIODS, audit_entry

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


def local(*parts: int) -> datetime:
    """A moment in Nanchang."""
    return datetime(*parts, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("period", "starts_at"),
    [
        ("day", local(2026, 3, 4)),
        ("week", local(2026, 3, 2)),
        ("month", local(2026, 3, 1)),
        ("year", local(2026, 1, 1)),
        ("ever", None),
    ],
)
def test_when_a_period_began(period: str, starts_at: datetime | None) -> None:
    # A Wednesday; in UTC it is still the day before.
    assert period_start(period, datetime(2026, 3, 3, 16, 30, tzinfo=UTC), ZONE) == starts_at


def test_a_day_begins_at_midnight_where_the_clock_was_turned() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = period_start("week", datetime(2026, 3, 29, 20, tzinfo=UTC), berlin)
    assert start == datetime(2026, 3, 22, 23, tzinfo=UTC)


# When one more is refused, and when it is not any more: the last moment of the period, and the first of the next.
ENDS = {
    "day": local(2026, 3, 3),
    "week": local(2026, 3, 9),
    "month": local(2026, 4, 1),
    "year": local(2027, 1, 1),
}


@pytest.mark.parametrize("period", PERIODS)
async def test_a_limit_lasts_for_its_period(connection: AsyncConnection, city: City, period: str) -> None:
    (one, two) = await city.add_members(connection, 2)
    desk = Desk(connection, city)
    for member_id in (one, two):
        await desk.give_points(member_id, 10_000)
    reward_id = await city.add_reward(connection, limit_pieces=2, limit_period=period)

    async def redeem(member_id: UUID, now: datetime) -> str:
        command = Redeem(id=uuid7(now), actor_id=member_id, reward_id=reward_id)
        (answer,) = await redemptions.redeem(connection, city.book_id, [command], now, secret=city.keys.redemption)
        ((offer,), _) = await catalogue.offers(connection, city.book_id, member_id, points=10_000, zone=ZONE, now=now)
        assert (offer.refusal == "limit_reached") == (offer.redeemed == 2)
        return answer.code

    first = local(2026, 3, 2, 9)
    assert [await redeem(one, first) for _ in range(3)] == ["ok", "ok", "limit_reached"]
    assert await redeem(two, first) == "ok"
    if period == "ever":
        assert await redeem(one, local(2027, 12, 31, 9)) == "limit_reached"
        return
    assert await redeem(one, ENDS[period] - timedelta(seconds=1)) == "limit_reached"
    assert await redeem(one, ENDS[period]) == "ok"


async def test_a_batch_keeps_to_the_limit(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    await Desk(connection, city).give_points(one, 10_000)
    reward_id = await city.add_reward(connection, limit_pieces=3, limit_period="day")
    commands = [Redeem(id=uuid7(city.now), actor_id=one, reward_id=reward_id) for _ in range(5)]
    answers = await redemptions.redeem(connection, city.book_id, commands, city.now, secret=city.keys.redemption)
    assert [answer.code for answer in answers] == ["ok"] * 3 + ["limit_reached"] * 2


async def test_cancelled_and_undone_count_as_they_are_now(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    desk = Desk(connection, city)
    await desk.give_points(one, 10_000)
    reward_id = await city.add_reward(connection, limit_pieces=1, limit_period="ever")
    made = await desk.redeem(one, reward_id)
    handed = uuid7(desk.at(1))
    await desk.fulfil(made.data["number"], 1, id=handed)
    assert (await desk.redeem(one, reward_id, 2)).code == "limit_reached"
    await desk.undo(handed, 3)
    assert (await desk.redeem(one, reward_id, 4)).code == "limit_reached"
    await desk.cancel(one, UUID(made.data["redemption_id"]), 5)
    assert (await desk.redeem(one, reward_id, 6)).code == "ok"


async def test_without_a_limit_there_is_none(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    desk = Desk(connection, city)
    await desk.give_points(one, 10_000)
    reward_id = await city.add_reward(connection)
    assert [(await desk.redeem(one, reward_id, minutes)).code for minutes in range(10)] == ["ok"] * 10


@pytest.mark.parametrize(
    ("wrong", "field", "reason"),
    [
        ({"limit_pieces": 2}, "limit_period", "missing"),
        ({"limit_period": "day"}, "limit_pieces", "missing"),
        ({"limit_pieces": 0, "limit_period": "day"}, "limit_pieces", "range"),
        ({"limit_pieces": 10_001, "limit_period": "day"}, "limit_pieces", "range"),
        ({"limit_pieces": 1, "limit_period": "decade"}, "limit_period", "unknown"),
    ],
)
async def test_half_a_limit_is_none(
    connection: AsyncConnection, city: City, wrong: dict[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await city.add_reward(connection, **wrong)
    assert (caught.value.data["field"], caught.value.data["reason"]) == (field, reason)
    reward_id = await city.add_reward(connection)
    with pytest.raises(Invalid):
        await rewards.edit(connection, city.book_id, reward_id, rewards.Changes(**wrong), now=city.now)


async def test_a_limit_is_changed_and_taken_away_with_a_trail(connection: AsyncConnection, city: City) -> None:
    reward_id = await city.add_reward(connection, limit_pieces=1, limit_period="day")
    to_a_week = rewards.Changes(limit_pieces=1, limit_period="week")
    to_none = rewards.Changes(limit_pieces=None, limit_period=None)
    for hour, changes in enumerate((to_a_week, to_none)):
        now = city.now + timedelta(hours=hour)
        await rewards.edit(connection, city.book_id, reward_id, changes, now=now)
    query = (
        select(audit_entry.c.before, audit_entry.c.after)
        .where(audit_entry.c.subject_id == reward_id, audit_entry.c.action == "reward.edit")
        .order_by(audit_entry.c.at)
    )
    assert [tuple(row) for row in await connection.execute(query)] == [
        ({"limit_period": "day"}, {"limit_period": "week"}),
        ({"limit_pieces": 1, "limit_period": "week"}, {"limit_pieces": None, "limit_period": None}),
    ]


async def test_places_are_changed_with_a_trail(connection: AsyncConnection, city: City) -> None:
    beside = await city.add_station(connection)
    reward_id = await city.add_reward(connection)
    places = [beside.id, city.station.id]
    for _ in range(2):
        await rewards.edit(connection, city.book_id, reward_id, {}, places=places, now=city.now)
    query = select(audit_entry.c.before, audit_entry.c.after).where(
        audit_entry.c.subject_id == reward_id, audit_entry.c.action == "reward.edit"
    )
    ((before, after),) = (await connection.execute(query)).all()
    assert before == {"places": [str(city.station.id)]}
    assert after == {"places": sorted(map(str, places))}
    with pytest.raises(Invalid) as caught:
        await rewards.edit(connection, city.book_id, reward_id, {}, places=[], now=city.now)
    assert caught.value.data == {"field": "places", "reason": "empty"}
    with pytest.raises(Invalid):
        await rewards.edit(connection, city.book_id, reward_id, {"kind": "service"}, places=[], now=city.now)
    await rewards.edit(connection, city.book_id, reward_id, {"kind": "honour"}, places=[], now=city.now)
    with pytest.raises(Invalid):
        await rewards.edit(connection, city.book_id, reward_id, {"kind": "goods"}, now=city.now)
