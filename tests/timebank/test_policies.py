"""Policy versions: each holds from its first day until the next one starts, and none is ever changed."""

from datetime import date, timedelta

import msgspec
import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank import acting
from timebank import policies
from timebank.keys import Keys
from timebank.policy import Rules
from timebank.tables import policy_version


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys, fund_points=0)


async def test_a_new_book_has_rules_for_every_day(connection: AsyncConnection, city: City) -> None:
    (first,) = known = await policies.versions(connection, city.book_id)
    assert first.rules == Rules(rate_points_per_hour={})
    assert policies.on_day(known, date(2000, 1, 1)) == policies.on_day(known, date(2100, 1, 1)) == first


async def test_a_version_holds_until_the_next_one_starts(connection: AsyncConnection, city: City) -> None:
    # Written in no order, as an administrator may plan further ahead before deciding what comes first.
    await acting.set_rules(connection, city, 2, date(2027, 1, 1), default_rate=90)
    await acting.set_rules(
        connection, city, 3, date(2026, 7, 1), rate_points_per_hour={"patrol": 30}, point_grades="AB"
    )
    known = await policies.versions(connection, city.book_id)
    assert [version.number for version in known] == [2, 3, 1]
    for day, number in (
        (date(2026, 6, 30), 1),
        (date(2026, 7, 1), 3),
        (date(2026, 12, 31), 3),
        (date(2027, 1, 1), 2),
        (date(2030, 1, 1), 2),
    ):
        assert policies.on_day(known, day).number == number
    rules = policies.on_day(known, date(2026, 7, 1)).rules
    assert (rules.rate_points_per_hour, rules.point_grades, rules.default_rate) == ({"patrol": 30}, "AB", 60)


async def test_another_books_rules_do_not_count(connection: AsyncConnection, city: City) -> None:
    assert await policies.versions(connection, city.book_id + 1_000_000) == []


async def test_a_rule_that_is_no_rule_is_not_taken_for_one(connection: AsyncConnection, city: City) -> None:
    values = {"book_id": city.book_id, "number": 2, "starts_on": date(2026, 1, 1), "created_at": MORNING}
    await connection.execute(insert(policy_version).values(**values, rules={"default_rate": "much"}))
    with pytest.raises(msgspec.ValidationError):
        await policies.versions(connection, city.book_id)


@pytest.mark.parametrize(
    "statement", ["UPDATE timebank.policy_version SET rules = '{}'", "DELETE FROM timebank.policy_version"]
)
async def test_the_service_cannot_change_a_version(connection: AsyncConnection, city: City, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        await connection.execute(text(f"{statement} WHERE book_id = {city.book_id}"))


async def test_of_two_versions_for_one_day_the_later_holds(connection: AsyncConnection, city: City) -> None:
    day = MORNING.date() + timedelta(days=1)
    for number in (2, 3):
        await acting.set_rules(connection, city, number, day)
    versions = await policies.versions(connection, city.book_id)
    assert policies.on_day(versions, day).number == 3
    assert policies.on_day(versions, MORNING.date()).number == 1
