"""Reading: balances now and at any time, and statements page by page."""

from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from ledger.book import reversal
from ledger.model import LedgerError
from ledger.queries import Line, balance_at, balances, joint_statement, joint_sum, statement
from tests.ledger.desk import NOON, UNIT, Desk, new_id


async def pages(desk: Desk, account_id: UUID, limit: int) -> list[list[Line]]:
    """A whole statement, page by page."""
    found: list[list[Line]] = []
    before = None
    async with desk.engine.connect() as connection:
        while lines := await statement(connection, desk.book_id, account_id, before=before, limit=limit):
            found.append(lines)
            before = lines[-1].version
    return found


async def test_balances_of_those_that_exist(desk: Desk) -> None:
    here = await desk.open(balance=3)
    async with desk.engine.connect() as connection:
        assert await balances(connection, desk.book_id, [here, new_id(), desk.issuance_id]) == {
            here: 3,
            desk.issuance_id: -3,
        }
        assert await balances(connection, desk.book_id, []) == {}
        assert await balances(connection, 2**31 - 1, [here]) == {}


async def test_a_statement_says_what_happened_newest_first(desk: Desk) -> None:
    here, there = await desk.open(balance=10), await desk.open()
    hold = desk.move(here, there, 4, code="hold", source={"redemption": "r1"}, occurred_at=desk.later(-9))
    await desk.post(hold)
    group_id = new_id()
    release = reversal(hold.id, id=new_id(), code="release", occurred_at=NOON, group_id=group_id)
    await desk.post(release, now=desk.later(60))

    ((back, out, start),) = await pages(desk, here, 50)

    assert back == Line(
        account_id=here,
        version=3,
        transfer_id=release.id,
        other_id=there,
        unit=UNIT,
        amount=4,
        balance=10,
        code="release",
        group_id=group_id,
        reverses_id=hold.id,
        reversed_by_id=None,
        occurred_at=NOON,
        recorded_at=desk.later(60),
        source={},
    )
    assert (out.amount, out.balance, out.version, out.reversed_by_id) == (-4, 6, 2, release.id)
    assert (out.source, out.occurred_at, out.recorded_at) == ({"redemption": "r1"}, desk.later(-9), NOON)
    assert (start.amount, start.balance, start.other_id) == (10, 10, desk.issuance_id)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_pages_hold_every_line_once_whatever_their_length(desk: Desk, limit: int) -> None:
    here, there = await desk.open(balance=5), await desk.open()
    await desk.post(*(desk.move(*(here, there) if n % 3 else (there, here), 1) for n in range(1, 8)))

    found = await pages(desk, here, limit)

    assert all(len(page) == limit for page in found[:-1])
    lines = [line for page in found for line in page]
    assert [line.version for line in lines] == list(range(8, 0, -1))
    for newer, older in pairwise(lines):
        assert newer.balance == older.balance + newer.amount


async def test_a_page_once_read_stays_as_it_is(desk: Desk) -> None:
    here = await desk.open(balance=5)
    await desk.post(desk.move(desk.issuance_id, here), desk.move(desk.issuance_id, here))
    async with desk.engine.connect() as connection:
        before = await statement(connection, desk.book_id, here, before=3)
        await desk.post(desk.move(here, desk.issuance_id))
        assert await statement(connection, desk.book_id, here, before=3) == before
        assert await statement(connection, desk.book_id, here, before=1) == []


async def test_a_statement_of_a_time_has_what_was_recorded_in_it(desk: Desk) -> None:
    here = await desk.open(balance=5)
    for _ in range(2):
        desk.now += timedelta(hours=1)
        await desk.post(desk.move(desk.issuance_id, here))
    async with desk.engine.connect() as connection:
        third, second, first = await statement(connection, desk.book_id, here)
        assert first.recorded_at < second.recorded_at < third.recorded_at
        for since, until, found in (
            (second.recorded_at, None, [third, second]),
            (None, second.recorded_at, [first]),
            (second.recorded_at, third.recorded_at, [second]),
            (second.recorded_at, second.recorded_at, []),
        ):
            assert await statement(connection, desk.book_id, here, since=since, until=until) == found
        for bounds in ({"since": NOON.replace(tzinfo=None)}, {"until": NOON.replace(tzinfo=None)}):
            with pytest.raises(LedgerError) as refused:
                await statement(connection, desk.book_id, here, **bounds)
            assert refused.value.code == "time_naive"


async def test_an_account_without_transfers_has_an_empty_statement(desk: Desk) -> None:
    here = await desk.open()
    async with desk.engine.connect() as connection:
        assert await statement(connection, desk.book_id, here) == []
        with pytest.raises(LedgerError) as refused:
            await statement(connection, desk.book_id, new_id())
    assert refused.value.code == "account_unknown"


async def test_the_balance_at_any_time(desk: Desk) -> None:
    here, there = await desk.open(), await desk.open()
    times = [10, 20, 20, 20, 30, 50]
    known = {0: 0, 9.999_999: 0}
    balance = 0
    for seconds in times:
        await desk.post(desk.move(desk.issuance_id, here, 7), desk.move(here, there, 2), now=desk.later(seconds))
        balance += 5
        known |= {seconds: balance, seconds + 5: balance}
    async with desk.engine.connect() as connection:
        for at, expected in known.items():
            assert await balance_at(connection, desk.book_id, here, desk.later(at)) == expected
        assert await balance_at(connection, desk.book_id, await desk.open(), NOON) == 0
        with pytest.raises(LedgerError) as refused:
            await balance_at(connection, desk.book_id, new_id(), NOON)
    assert refused.value.code == "account_unknown"


async def joint_pages(desk: Desk, ids: list[UUID], limit: int) -> list[list[Line]]:
    """The statement of several accounts, page by page."""
    found: list[list[Line]] = []
    before = None
    async with desk.engine.connect() as connection:
        while lines := await joint_statement(connection, desk.book_id, ids, before=before, limit=limit):
            found.append(lines)
            before = (lines[-1].recorded_at, lines[-1].transfer_id)
    return found


async def test_several_accounts_have_one_statement(desk: Desk) -> None:
    one, two, other = await desk.open(), await desk.open(), await desk.open()
    earned = desk.move(desk.issuance_id, one, 5)
    await desk.post(earned, now=desk.later(1))
    await desk.post(desk.move(desk.issuance_id, two, 7), desk.move(desk.issuance_id, other, 9), now=desk.later(2))
    hold = desk.move(two, other, 3, code="hold")
    await desk.post(hold, now=desk.later(3))
    await desk.post(reversal(hold.id, id=new_id(), code="release", occurred_at=NOON), now=desk.later(4))

    ((release, held, later, first),) = await joint_pages(desk, [one, two, new_id()], 50)

    assert [(line.account_id, line.amount, line.balance) for line in (release, held, later, first)] == [
        (two, 3, 7),
        (two, -3, 4),
        (two, 7, 7),
        (one, 5, 5),
    ]
    assert (release.reverses_id, held.reversed_by_id) == (hold.id, release.transfer_id)
    async with desk.engine.connect() as connection:
        (alone,) = await statement(connection, desk.book_id, one)
        assert first == alone
        assert await joint_statement(connection, desk.book_id, []) == []
        assert await joint_statement(connection, 2**31 - 1, [one]) == []


async def test_what_moves_between_the_accounts_has_no_line(desk: Desk) -> None:
    one, two = await desk.open(balance=5), await desk.open()
    await desk.post(desk.move(one, two, 4), now=desk.later(1))
    async with desk.engine.connect() as connection:
        assert [line.amount for line in await joint_statement(connection, desk.book_id, [one, two])] == [5]
        assert [line.amount for line in await joint_statement(connection, desk.book_id, [one])] == [-4, 5]


async def test_a_joint_statement_of_a_time_begins_and_ends_on_the_moment(desk: Desk) -> None:
    one, two = await desk.open(), await desk.open()
    for second in (1, 2, 3, 4):
        await desk.post(desk.move(desk.issuance_id, one if second % 2 else two, 10**second), now=desk.later(second))
    await desk.post(desk.move(one, two, 10), now=desk.later(5))
    async with desk.engine.connect() as connection:
        for since in (None, *range(7)):
            for until in (None, *range(7)):
                span = {
                    "since": None if since is None else desk.later(since),
                    "until": None if until is None else desk.later(until),
                }
                lines = await joint_statement(connection, desk.book_id, [one, two], **span)
                there = [second for second in (4, 3, 2, 1) if (since or 0) <= second < (7 if until is None else until)]
                assert [line.amount for line in lines] == [10**second for second in there]
                assert await joint_sum(connection, desk.book_id, [one, two], **span) == sum(map(pow, [10] * 4, there))
        for second in range(6):
            held = [await balance_at(connection, desk.book_id, id_, desk.later(second)) for id_ in (one, two)]
            until = desk.later(second + 1)
            assert await joint_sum(connection, desk.book_id, [one, two], until=until) == sum(held)
        assert await joint_sum(connection, desk.book_id, []) == 0


async def test_a_joint_statement_of_sources_has_what_comes_from_them(desk: Desk) -> None:
    one = await desk.open()
    for points, source in ((1, {"task": "a"}), (2, {"task": "b"}), (4, {"task": 7}), (8, {"other": "a"}), (16, {})):
        await desk.post(desk.move(desk.issuance_id, one, points, source=source))
    async with desk.engine.connect() as connection:
        for values, points in ((["a"], 1), (["a", "b"], 3), (["7", "c"], 4), ([], 0)):
            lines = await joint_statement(connection, desk.book_id, [one], sources=("task", values))
            assert sum(line.amount for line in lines) == points
            assert await joint_sum(connection, desk.book_id, [one], sources=("task", values)) == points


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_joint_pages_hold_every_line_once_though_all_came_at_one_time(desk: Desk, limit: int) -> None:
    purses = [await desk.open(balance=5) for _ in range(3)]
    await desk.post(*(desk.move(purse, desk.issuance_id) for purse in purses * 3))

    found = await joint_pages(desk, purses, limit)

    assert all(len(page) == limit for page in found[:-1])
    lines = [line for page in found for line in page]
    assert len({line.transfer_id for line in lines}) == len(lines) == 12
    places = [(line.recorded_at, line.transfer_id) for line in lines]
    assert places == sorted(places, reverse=True)
    assert sum(line.amount for line in lines) == sum(await desk.balance(*purses)) == 6


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"ids": [None]}, "wrong_type"),
        ({"ids": [new_id()] * 10_001}, "batch_too_large"),
        ({"before": (NOON.replace(tzinfo=None), new_id())}, "time_naive"),
        ({"before": (NOON, "6f1c")}, "wrong_type"),
        ({"limit": 0}, "number_out_of_range"),
        ({"limit": 1001}, "number_out_of_range"),
        ({"since": NOON.replace(tzinfo=None)}, "time_naive"),
        ({"until": "2026-03-31"}, "wrong_type"),
    ],
)
async def test_a_joint_statement_refuses_what_it_cannot_read(desk: Desk, more: dict[str, Any], code: str) -> None:
    async with desk.engine.connect() as connection:
        with pytest.raises(LedgerError) as refused:
            await joint_statement(connection, desk.book_id, **{"ids": [new_id()], **more})
    assert refused.value.code == code
