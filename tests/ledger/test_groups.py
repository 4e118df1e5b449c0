"""Groups of transfers: posted together or not at all."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ledger.model import HIGHEST, Transfer
from tests.ledger.desk import NOON, Desk, new_id
from tests.ledger.test_posting import undo


async def test_a_group_is_posted_together(desk: Desk) -> None:
    here, there = await desk.open(balance=4), await desk.open()
    group_id = new_id()
    group = [desk.move(here, there, amount, group_id=group_id) for amount in (1, 2)]

    assert await desk.post(*group) == ["ok", "ok"]
    assert await desk.post(desk.move(here, there), *group) == ["ok", "already_posted", "already_posted"]
    assert await desk.post(*reversed(group)) == ["already_posted", "already_posted"]

    assert await desk.rows(
        "SELECT group_size, group_position FROM ledger.transfer WHERE book_id = :book_id AND group_id = :id"
        " ORDER BY group_position",
        id=group_id,
    ) == [(2, 1), (2, 2)]


async def test_a_group_is_refused_together_and_leaves_no_trace(desk: Desk) -> None:
    here, there = await desk.open(balance=4), await desk.open()
    spent = desk.move(here, there)
    await desk.post(spent)
    first, second = new_id(), new_id()

    outcomes = await desk.post(
        desk.move(here, there),
        desk.move(here, there, group_id=first),
        undo(spent, group_id=first),
        desk.move(here, there, 9, group_id=first),
        desk.move(here, there, group_id=second),
        undo(spent, group_id=second),
        now=desk.later(10),
    )

    assert outcomes == ["ok", "group_refused", "group_refused", "below_floor", "ok", "ok"]
    assert await desk.balance(here, there) == [2, 2]


@pytest.mark.parametrize("debited", ["fast", "slow"])
async def test_a_refused_group_does_not_move_time_on(desk: Desk, debited: str) -> None:
    fast, slow, other = await desk.open(balance=1), await desk.open(balance=1), await desk.open()
    await desk.post(desk.move(desk.issuance_id, fast), now=desk.later(60))
    group_id = new_id()
    sides = (fast, slow) if debited == "fast" else (slow, fast)
    refused = [desk.move(*sides, group_id=group_id), desk.move(other, slow, 9, group_id=group_id)]

    assert await desk.post(*refused, desk.move(slow, other)) == ["group_refused", "below_floor", "ok"]

    rows = await desk.rows("SELECT recorded_at FROM ledger.transfer WHERE credit_id = :id", id=other)
    assert rows == [(NOON,)]


async def test_two_faults_in_one_group_are_both_named(desk: Desk) -> None:
    here, there = await desk.open(), await desk.open(balance=HIGHEST)
    group_id = new_id()

    assert await desk.post(
        desk.move(here, there, group_id=group_id),
        desk.move(desk.issuance_id, there, group_id=group_id),
        desk.move(there, here, group_id=group_id),
    ) == ["below_floor", "overflow", "group_refused"]


@pytest.mark.parametrize(
    "send",
    [lambda a, b, c: [a], lambda a, b, c: [a, b, c], lambda a, b, c: [a, c], lambda a, b, c: [c]],
    ids=["a part", "one more", "another one", "only another"],
)
async def test_a_posted_group_cannot_be_changed(
    desk: Desk, send: Callable[[Transfer, Transfer, Transfer], list[Transfer]]
) -> None:
    here, there = await desk.open(balance=9), await desk.open()
    group_id = new_id()
    a, b, c = (desk.move(here, there, group_id=group_id) for _ in range(3))
    await desk.post(a, b)

    outcomes = await desk.post(*send(a, b, c))

    assert set(outcomes) <= {"already_posted", "id_reused"}
    assert outcomes[-1] == "id_reused"
    assert await desk.balance(here, there) == [7, 2]


async def test_the_same_id_inside_and_outside_a_group_is_another_transfer(desk: Desk) -> None:
    here, there = await desk.open(balance=9), await desk.open()
    group_id = new_id()
    alone = desk.move(here, there)
    grouped = replace(alone, group_id=group_id)

    assert await desk.post(alone, grouped, desk.move(here, there, group_id=group_id)) == [
        "ok",
        "id_reused",
        "group_refused",
    ]
