"""What members see of rewards and clerks of codes."""

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank.acting import earn, no_draw, redeem
from tests.timebank.acting import one as act
from timebank import catalogue, codes, counter, members, rewards
from timebank.errors import NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.tables import member, redemption

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def hold(
    connection: AsyncConnection, city: City, member_id: UUID, reward_id: UUID, at: datetime = MORNING, **more: Any
) -> UUID:
    """A redemption as a row, in any state."""
    id = uuid7(at)
    number, digits = codes.redemption_numbers(city.keys.redemption, id, 0)
    values = {
        "book_id": city.book_id,
        "id": id,
        "number": number,
        "digits": digits,
        "member_id": member_id,
        "reward_id": reward_id,
        "points": 100,
        "state": "held",
        "held_at": at,
        "expires_at": at + timedelta(days=1),
    }
    await connection.execute(insert(redemption).values({**values, **more}))
    return id


async def offered(
    connection: AsyncConnection, city: City, member_id: UUID, points: int = 1000, now: datetime = MORNING
) -> list[catalogue.Offer]:
    found, following = await catalogue.offers(connection, city.book_id, member_id, points=points, zone=ZONE, now=now)
    assert following is None
    return found


# What stands against redeeming, in the order of the reference.
ORDER = ("member_suspended", "limit_reached", "out_of_stock", "points_short")


@pytest.mark.parametrize("faults", list(combinations(ORDER, 2)) + [(code,) for code in ORDER], ids=str)
async def test_of_two_reasons_the_shelf_says_what_redeeming_would(
    connection: AsyncConnection, city: City, faults: tuple[str, ...]
) -> None:
    await no_draw(connection, city)
    (one,) = await city.add_members(connection, 1)
    if "points_short" not in faults:
        await earn(connection, city, one, 120)
    limit = {"limit_pieces": 1, "limit_period": "ever"} if "limit_reached" in faults else {}
    reward_id = await city.add_reward(connection, stock=0 if "out_of_stock" in faults else 5, **limit)
    if limit:
        await hold(connection, city, one, reward_id)
    if "member_suspended" in faults:
        await connection.execute(update(member).where(member.c.id == one).values(state="suspended"))
    now = MORNING + timedelta(days=2)
    points = 0 if "points_short" in faults else 120
    (offer,) = await offered(connection, city, one, points=points, now=now)
    answer = await act(connection, city, redeem(city, one, reward_id), now)
    assert offer.refusal == answer.code == faults[0]


async def test_offers_are_those_of_the_regions_above_home(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    dear = await city.add_reward(connection, price_points=300)
    near = await city.add_reward(connection, price_points=50, region_id=city.community_id)
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)
    far = await city.add_reward(connection, region_id=city.other_community_id, places=[elsewhere.id])
    seen = await offered(connection, city, one)
    assert [offer.reward.id for offer in seen] == [near, dear]
    assert [[place.name_en for place in offer.places] for offer in seen] == [["Test station"]] * 2
    with pytest.raises(NotFound):
        await catalogue.offer(connection, city.book_id, one, far, points=1000, zone=ZONE, now=MORNING)


async def test_offers_keep_to_their_time(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    until = await city.add_reward(connection, ends_at=MORNING + timedelta(hours=1))
    later = await city.add_reward(connection, starts_at=MORNING + timedelta(hours=1))
    closed = await city.add_reward(connection)
    await rewards.edit(connection, city.book_id, closed, {"state": "closed"}, now=MORNING)
    assert [offer.reward.id for offer in await offered(connection, city, one)] == [until]
    after = await offered(connection, city, one, now=MORNING + timedelta(hours=1))
    assert [offer.reward.id for offer in after] == [later]


async def test_why_a_reward_cannot_be_redeemed(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    reward_id = await city.add_reward(connection, limit_pieces=1, limit_period="month")

    async def look(points: int, now: datetime = MORNING) -> tuple[str | None, int]:
        (offer,) = await offered(connection, city, one, points, now)
        return offer.refusal, offer.missing_points

    assert await look(100) == (None, 0)
    assert await look(99) == ("points_short", 1)
    held = await hold(connection, city, one, reward_id)
    assert await look(99) == ("limit_reached", 1)
    # Midnight of the first of April is at 16:00 of the 31st in UTC.
    assert await look(100, datetime(2026, 3, 31, 15, 59, tzinfo=UTC)) == ("limit_reached", 0)
    assert await look(100, datetime(2026, 3, 31, 16, 0, tzinfo=UTC)) == (None, 0)
    await connection.execute(
        update(redemption)
        .where(redemption.c.book_id == city.book_id, redemption.c.id == held)
        .values(state="cancelled", ended_at=MORNING)
    )
    assert await look(100) == (None, 0)
    await rewards.restock(connection, city.book_id, reward_id, pieces=-10, now=MORNING)
    assert await look(100) == ("out_of_stock", 0)
    await members.suspend(connection, city.book_id, one, now=MORNING)
    assert await look(100) == ("member_suspended", 0)


async def test_my_redemptions_are_mine(connection: AsyncConnection, city: City) -> None:
    one, two = await city.add_members(connection, 2)
    reward_id = await city.add_reward(connection)
    made = [await hold(connection, city, one, reward_id, MORNING + timedelta(hours=hour)) for hour in range(3)]
    now = MORNING + timedelta(hours=3)
    first = await catalogue.my_redemptions(connection, city.book_id, one, now=now, limit=2)
    rest = await catalogue.my_redemptions(connection, city.book_id, one, now=now, limit=2, before=first.following)
    assert [row.id for row in (*first.rows, *rest.rows)] == made[::-1]
    assert (await catalogue.my_redemptions(connection, city.book_id, two, now=now)).rows == []
    row = await catalogue.my_redemption(connection, city.book_id, one, made[0], now=now)
    assert (row.reward_en, row.state) == ("Rice", "held")
    with pytest.raises(NotFound):
        await catalogue.my_redemption(connection, city.book_id, two, made[0], now=now)
    due = await catalogue.to_collect(connection, city.book_id, one, now=MORNING + timedelta(days=1, hours=1))
    assert [row.id for row in due] == made[2:]


async def test_time_is_over_before_a_job_says_so(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    id = await hold(connection, city, one, await city.add_reward(connection))
    later = MORNING + timedelta(days=1)
    row = await catalogue.my_redemption(connection, city.book_id, one, id, now=later)
    assert (row.state, row.ended_at) == ("timed_out", later)


async def test_a_code_at_the_counter(connection: AsyncConnection, city: City) -> None:
    (one,) = await city.add_members(connection, 1)
    elsewhere = await city.add_station(connection)
    await city.grant(connection, city.clerk_id, "clerk", station_id=elsewhere.id)
    id = await hold(connection, city, one, await city.add_reward(connection))
    row = await catalogue.my_redemption(connection, city.book_id, one, id, now=MORNING)

    async def look(station_id: UUID = city.station.id, actor_id: UUID = city.clerk_id, **by: Any) -> Any:
        return await counter.at_counter(
            connection, city.book_id, station_id, actor_id=actor_id, now=by.pop("now", MORNING), **by
        )

    text = catalogue.code_text(city.keys, row.number)
    assert codes.read_redemption_code(city.keys.redemption, f"https://bank.example{text}") == row.number
    for by in ({"number": row.number}, {"digits": row.digits}):
        found = await look(**by)
        assert (found.id, counter.counter_refusal(found)) == (id, None)
    assert counter.counter_refusal(await look(elsewhere.id, number=row.number)) == "wrong_place"
    assert counter.counter_refusal(await look(number=row.number, now=row.expires_at)) == "redemption_timed_out"
    for wrong in (
        {"digits": row.digits, "station_id": elsewhere.id},
        {"number": row.number + 1},
        {"number": row.number, "actor_id": city.manager_id},
        {"number": row.number, "station_id": city.new_id()},
    ):
        with pytest.raises(NotFound):
            await look(**wrong)


@pytest.mark.parametrize(("state", "code"), [("fulfilled", "already_fulfilled"), ("cancelled", "already_cancelled")])
async def test_an_ended_code_says_how_it_ended(connection: AsyncConnection, city: City, state: str, code: str) -> None:
    (one,) = await city.add_members(connection, 1)
    place = {"station_id": city.station.id} if state == "fulfilled" else {}
    reward_id = await city.add_reward(connection)
    id = await hold(connection, city, one, reward_id, state=state, ended_at=MORNING, **place)
    row = await catalogue.my_redemption(connection, city.book_id, one, id, now=MORNING)
    found = await counter.at_counter(
        connection, city.book_id, city.station.id, actor_id=city.clerk_id, now=MORNING, digits=row.digits
    )
    assert counter.counter_refusal(found) == code


@pytest.mark.parametrize(
    ("name", "masked"), [("甘小荷", "甘**"), ("李", "李"), ("Ann Lee", "A. L."), ("Ann", "A**"), ("", "")]
)
def test_a_masked_name(name: str, masked: str) -> None:
    assert catalogue.masked(name) == masked
