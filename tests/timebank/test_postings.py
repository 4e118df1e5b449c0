"""What each event means in the ledger: which accounts, under which ids, from what source, and once."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.model import HIGHEST
from ledger.queries import Line
from tests.factories import MORNING, City, build_city
from timebank import earnings, postings, purses, spending
from timebank.earnings import Earning
from timebank.errors import Conflict, Invalid
from timebank.keys import Keys
from timebank.postings import Unpostable
from timebank.spending import Handed

YEAR_END = date(2027, 12, 31)
NOON = MORNING + timedelta(hours=3)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city whose fund holds a thousand points."""
    return await build_city(connection, new_book, keys, fund_points=1000)


def earning(city: City, member_id: UUID, **more: Any) -> Earning:
    """Two hours and a hundred points."""
    record_id = city.new_id()
    facts = {
        "record_id": record_id,
        "member_id": member_id,
        "fund_id": city.fund_id,
        "in_punch_id": record_id,
        "out_punch_id": city.new_id(),
        "verifier_id": city.manager_id,
        "policy_number": 1,
        "occurred_at": MORNING,
        "minutes": 120,
        "points": 100,
        "expires_on": YEAR_END,
    }
    return Earning(**{**facts, **more})


async def earn(connection: AsyncConnection, city: City, *earned: Earning) -> set[UUID]:
    return await earnings.earn(connection, city.book_id, earned, NOON)


async def lines(connection: AsyncConnection, city: City, *account_ids: UUID) -> list[Line]:
    """The lines of accounts, the latest first."""
    return await purses.statement(connection, city.book_id, account_ids, before=None, limit=100)


async def balance(connection: AsyncConnection, city: City, account_id: UUID) -> int:
    return (await purses.balances(connection, city.book_id, [account_id]))[account_id]


def purse_of(city: City, member_id: UUID, expires_on: date = YEAR_END) -> UUID:
    return purses.purse_account(member_id, city.fund_id, expires_on)


async def test_what_a_record_earns_names_where_it_comes_from(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    made = earning(city, member_id)
    assert await earn(connection, city, made) == set()
    (hours,) = await lines(connection, city, purses.hours_account(member_id))
    (points,) = await lines(connection, city, purse_of(city, member_id))
    assert (hours.code, hours.unit, hours.amount) == ("earn_hours", purses.MINUTE, 120)
    assert (points.code, points.unit, points.amount) == ("earn_points", purses.POINT, 100)
    assert (hours.other_id, points.other_id) == (purses.HOURS_ISSUANCE, purses.fund_account(city.fund_id))
    assert (hours.transfer_id, points.transfer_id) == (uuid5(made.record_id, "hours"), uuid5(made.record_id, "points"))
    assert (
        hours.source
        == points.source
        == {
            "record_id": str(made.record_id),
            "in_punch_id": str(made.in_punch_id),
            "out_punch_id": str(made.out_punch_id),
            "verifier_id": str(city.manager_id),
            "policy": 1,
        }
    )
    assert (hours.occurred_at, hours.recorded_at) == (MORNING, NOON)


async def test_a_record_is_credited_once_whatever_is_sent_again(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    made = earning(city, member_id, out_punch_id=None)
    for _ in range(2):
        assert await earn(connection, city, made) == set()
    assert len(await lines(connection, city, purses.hours_account(member_id), purse_of(city, member_id))) == 2
    # Another content for the same record can only be a bug.
    with pytest.raises(Unpostable, match=r"earn_hours .*id_reused"):
        await earn(connection, city, earning(city, member_id, record_id=made.record_id, minutes=121))


async def test_nothing_is_posted_for_nothing(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    assert await earn(connection, city, earning(city, member_id, minutes=0, points=0)) == set()
    assert await earn(connection, city) == set()
    assert await purses.balances(connection, city.book_id, [purses.hours_account(member_id)]) == {}
    await earn(connection, city, earning(city, member_id, minutes=0), earning(city, member_id, points=0))
    assert await purses.hours(connection, city.book_id, member_id) == 120
    assert await balance(connection, city, purse_of(city, member_id)) == 100


async def test_what_the_fund_cannot_pay_waits_and_its_hours_do_not(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    dear, fitting = earning(city, member_id, points=1001), earning(city, member_id, points=1000)
    late = earning(city, member_id, points=1)
    assert await earn(connection, city, dear, fitting, late) == {dear.record_id, late.record_id}
    assert await purses.hours(connection, city.book_id, member_id) == 360
    assert await purses.fund_balances(connection, city.book_id, [city.fund_id]) == {city.fund_id: 0}


async def test_an_unknown_fund_is_a_bug(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    await purses.open_accounts(connection, city.book_id, member_ids=[member_id], purses=[])
    nowhere = earning(city, member_id, points=0)
    assert await earn(connection, city, nowhere) == set()
    with pytest.raises(Unpostable, match="account_unknown"):
        await spending.hold(
            connection, city.book_id, [spending.part(city.new_id(), purse_of(city, member_id), 5)], NOON
        )


async def test_a_hold_leaves_its_purses_and_comes_back_to_them(
    connection: AsyncConnection, city: City, member_id: UUID
) -> None:
    later = date(2028, 12, 31)
    await earn(connection, city, earning(city, member_id), earning(city, member_id, expires_on=later))
    redemption_id = city.new_id()
    parts = [
        spending.part(redemption_id, purse_of(city, member_id), 100),
        spending.part(redemption_id, purse_of(city, member_id, later), 30),
    ]
    assert len({part.transfer_id for part in parts}) == 2
    for _ in range(2):
        await spending.hold(connection, city.book_id, parts, NOON)
    assert await balance(connection, city, purses.HELD) == 130
    held = [line for line in await lines(connection, city, parts[0].purse_id, parts[1].purse_id) if line.code == "hold"]
    assert {line.group_id for line in held} == {redemption_id}
    assert {line.transfer_id: -line.amount for line in held} == {part.transfer_id: part.points for part in parts}
    assert held[0].source == {"redemption_id": str(redemption_id)}
    for _ in range(2):
        await spending.release(connection, city.book_id, parts, NOON)
    assert await balance(connection, city, purses.HELD) == 0
    assert [await balance(connection, city, part.purse_id) for part in parts] == [100, 100]
    released = [line for line in await lines(connection, city, parts[0].purse_id) if line.code == "release"]
    assert [(line.reverses_id, line.amount) for line in released] == [(parts[0].transfer_id, 100)]


async def test_a_group_is_held_together_or_not_at_all(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    await earn(connection, city, earning(city, member_id), earning(city, member_id, expires_on=date(2028, 12, 31)))
    redemption_id = city.new_id()
    parts = [
        spending.part(redemption_id, purse_of(city, member_id), 100),
        spending.part(redemption_id, purse_of(city, member_id, date(2028, 12, 31)), 101),
    ]
    # More than a purse holds was decided somewhere: a bug, of which nothing may be committed.
    with pytest.raises(Unpostable, match=r"hold of .*: group_refused"):
        await spending.hold(connection, city.book_id, parts, NOON)
    assert await balance(connection, city, purses.HELD) == 0


async def test_what_is_handed_over_was_held_before(connection: AsyncConnection, city: City, member_id: UUID) -> None:
    await earn(connection, city, earning(city, member_id))
    part = spending.part(city.new_id(), purse_of(city, member_id), 60)
    handed = Handed(part.redemption_id, part.redemption_id, city.clerk_id, 60)
    with pytest.raises(Unpostable, match="below_floor"):
        await spending.fulfil(connection, city.book_id, [handed], NOON)
    await spending.hold(connection, city.book_id, [part], NOON)
    for _ in range(2):
        await spending.fulfil(connection, city.book_id, [handed], NOON)
    (line,) = await lines(connection, city, purses.FULFILLED)
    assert (line.amount, line.other_id, line.transfer_id) == (60, purses.HELD, uuid5(part.redemption_id, "fulfil"))
    assert line.source == {"redemption_id": str(part.redemption_id), "clerk_id": str(city.clerk_id)}


async def test_a_fund_is_filled_once_for_each_id(connection: AsyncConnection, city: City) -> None:
    async def fill(id: UUID, **more: Any) -> bool:
        facts = {"fund_id": city.fund_id, "points": 50, "actor_id": None, "now": NOON, **more}
        return await postings.fill_fund(connection, city.book_id, id=id, **facts)

    id_ = city.new_id()
    assert await fill(id_)
    # Sent again, and be it a day later, it is known.
    assert not await fill(id_)
    assert not await fill(id_, now=NOON + timedelta(days=1))
    assert await purses.fund_balances(connection, city.book_id, [city.fund_id]) == {city.fund_id: 1050}
    for other in ({"points": 51}, {"actor_id": city.manager_id}):
        with pytest.raises(Conflict) as conflict:
            await fill(id_, **other)
        assert conflict.value.data == {"field": "id"}
    with pytest.raises(Conflict):
        await fill(city.new_id(), fund_id=city.new_id())
    for points in (0, -1, HIGHEST + 1, HIGHEST):  # the last is more than a fund with points in it can take
        with pytest.raises(Invalid) as invalid:
            await fill(city.new_id(), points=points)
        assert invalid.value.data == {"field": "points", "reason": "range", "lowest": 1, "highest": HIGHEST}
