"""Reversals: once, with the sides and the amount of what they reverse."""

from ledger.model import HIGHEST
from tests.ledger.desk import UNIT, Desk
from tests.ledger.test_posting import undo


async def test_a_reversal_takes_sides_and_amount_from_its_original(desk: Desk) -> None:
    here, there = await desk.open(balance=10), await desk.open()
    hold = desk.move(here, there, 4)
    await desk.post(hold)
    release = undo(hold)

    assert await desk.post(release, desk.move(here, there, 10)) == ["ok", "ok"]
    assert await desk.post(release) == ["already_posted"]

    assert await desk.balance(here, there) == [0, 10]
    assert await desk.rows(
        "SELECT debit_id, credit_id, unit, amount, reverses_id FROM ledger.transfer"
        " WHERE book_id = :book_id AND id = :id",
        id=release.id,
    ) == [(there, here, UNIT, 4, hold.id)]


async def test_a_transfer_is_reversed_once(desk: Desk) -> None:
    here, there = await desk.open(balance=10), await desk.open()
    move = desk.move(here, there, 4)
    await desk.post(move, desk.move(here, there, 4))

    assert await desk.post(undo(move), undo(move)) == ["ok", "already_reversed"]
    assert await desk.post(undo(move)) == ["already_reversed"]
    assert await desk.post(desk.move(there, here, 4), undo(move)) == ["ok", "below_floor"]


async def test_already_reversed_is_named_before_overflow(desk: Desk) -> None:
    source, giver, taker = await desk.open(None), await desk.open(balance=3), await desk.open(None)
    move = desk.move(giver, taker, 3)
    await desk.post(move)
    await desk.post(undo(move), desk.move(taker, source, HIGHEST))

    assert await desk.balance(taker) == [-HIGHEST]
    assert await desk.post(undo(move), desk.move(taker, giver)) == ["already_reversed", "overflow"]


async def test_a_reversal_may_itself_be_reversed(desk: Desk) -> None:
    here, there = await desk.open(balance=10), await desk.open()
    move = desk.move(here, there, 4)
    await desk.post(move)
    back = undo(move)
    await desk.post(back)

    assert await desk.post(undo(back)) == ["ok"]
    assert await desk.balance(here, there) == [6, 4]


async def test_a_reversal_respects_the_floor(desk: Desk) -> None:
    here, there = await desk.open(balance=4), await desk.open()
    move = desk.move(here, there, 4)
    await desk.post(move, desk.move(there, desk.issuance_id, 1))

    assert await desk.post(undo(move)) == ["below_floor"]


async def test_a_reversal_names_a_transfer_posted_before_the_batch(desk: Desk) -> None:
    here, there = await desk.open(balance=4), await desk.open()
    move = desk.move(here, there, 4)

    assert await desk.post(move, undo(move), undo(desk.move(here, there))) == [
        "ok",
        "account_unknown",
        "account_unknown",
    ]
