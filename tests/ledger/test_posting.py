"""Every outcome of a transfer, which of two is given, and what a refusal leaves behind: nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ledger.book import close_accounts, create_book, open_accounts, post, reversal
from ledger.model import HIGHEST, Account, LedgerError, Outcome, Transfer
from tests.ledger.desk import NOON, UNIT, Desk, new_id


def undo(transfer: Transfer, **more: Any) -> Transfer:
    return reversal(transfer.id, **{"id": new_id(), "code": "undo", "occurred_at": NOON, **more})


async def close(desk: Desk, *ids: Any, now: Any = NOON) -> None:
    async with desk.engine.begin() as connection:
        await close_accounts(connection, desk.book_id, ids, now)


async def test_a_transfer_moves_a_whole_amount_from_one_account_to_another(desk: Desk) -> None:
    here, there = await desk.open(balance=10), await desk.open()

    assert await desk.post(desk.move(here, there, 4)) == [Outcome.ok]

    assert await desk.balance(here, there, desk.issuance_id) == [6, 4, -10]


async def test_an_empty_batch_is_nothing_to_do(desk: Desk) -> None:
    assert await desk.post() == []


async def test_each_side_keeps_its_running_balance_and_version(desk: Desk) -> None:
    here, there = await desk.open(balance=10), await desk.open()
    moves = [desk.move(here, there, amount) for amount in (1, 2, 3)]

    await desk.post(*moves)

    rows = await desk.rows(
        "SELECT debit_balance, debit_version, credit_balance, credit_version FROM ledger.transfer"
        " WHERE book_id = :book_id AND debit_id = :here ORDER BY debit_version",
        here=here,
    )
    assert rows == [(9, 2, 1, 1), (7, 3, 3, 2), (4, 4, 6, 3)]


async def test_the_same_transfer_again_is_already_posted_for_ever(desk: Desk) -> None:
    here, there = await desk.open(balance=10), await desk.open()
    batch = [desk.move(here, there, 7), desk.move(here, there, 7), desk.move(there, here, 1)]

    assert await desk.post(*batch) == ["ok", "below_floor", "ok"]
    assert await desk.post(*batch) == ["already_posted", "below_floor", "already_posted"]
    await close(desk, here)
    assert await desk.post(batch[0], now=desk.later(86_400 * 3650)) == ["already_posted"]

    assert await desk.balance(here, there) == [4, 6]


async def test_a_refused_id_is_not_used_up(desk: Desk) -> None:
    here, there = await desk.open(), await desk.open()
    move = desk.move(here, there, 5)

    assert await desk.post(move, desk.move(desk.issuance_id, here, 5), move, move) == [
        "below_floor",
        "ok",
        "ok",
        "already_posted",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 2},
        {"code": "other"},
        {"unit": "minute"},
        {"occurred_at": NOON + timedelta(microseconds=1)},
        {"source": {"record": 2}},
        {"group_id": new_id()},
        {"debit_id": new_id()},
        {"credit_id": new_id()},
        {"debit_id": None, "credit_id": None, "unit": None, "amount": None, "reverses_id": new_id()},
    ],
    ids=lambda change: "-".join(change),
)
async def test_the_same_id_with_other_content_is_refused(desk: Desk, change: dict[str, Any]) -> None:
    here, there = await desk.open(balance=10), await desk.open()
    move = desk.move(here, there, 1, source={"record": 1})
    other = replace(move, **change)

    # Next to the first in one batch, and in a batch of its own later.
    assert await desk.post(move, other) == ["ok", "id_reused"]
    assert await desk.post(other, move) == ["id_reused", "already_posted"]
    assert await desk.balance(here, there) == [9, 1]


async def test_a_source_is_the_same_whatever_the_order_of_its_keys(desk: Desk) -> None:
    there = await desk.open()
    move = desk.move(desk.issuance_id, there, source={"a": 1, "b": [2]})

    assert await desk.post(move, replace(move, source={"b": [2], "a": 1})) == ["ok", "already_posted"]


async def test_unknown_accounts_are_named_before_anything_else_about_them(desk: Desk) -> None:
    here = await desk.open(balance=10)
    await close(desk, here)

    assert (
        await desk.post(
            desk.move(here, new_id(), -1), desk.move(new_id(), here), desk.move(new_id(), new_id(), HIGHEST)
        )
        == ["account_unknown"] * 3
    )


async def test_an_account_of_another_book_is_unknown(desk: Desk, service: Any) -> None:
    there = await desk.open()
    other = Desk(service, 2**31 - 1 - desk.book_id)
    async with service.begin() as connection:
        await create_book(connection, other.book_id, "Another town", "Asia/Shanghai")

    assert await other.post(other.move(desk.issuance_id, there)) == ["account_unknown"]
    assert await Desk(service, 2**31 - 1).post(desk.move(desk.issuance_id, there)) == ["account_unknown"]


async def test_a_closed_account_neither_gives_nor_takes(desk: Desk) -> None:
    here, there = await desk.open(balance=10), await desk.open()
    move = desk.move(here, there)
    await desk.post(move)
    await close(desk, here)

    assert (
        await desk.post(
            desk.move(here, there, unit="minute"), desk.move(there, here), desk.move(here, here), undo(move)
        )
        == ["account_closed"] * 4
    )
    assert await desk.balance(here) == [9]


async def test_closing_keeps_its_first_time_and_never_runs_before_the_last_transfer(desk: Desk) -> None:
    here, never_used = await desk.open(), await desk.open()
    await desk.post(desk.move(desk.issuance_id, here), now=desk.later(60))

    await close(desk, here, never_used)
    await close(desk, here, never_used, now=desk.later(3600))

    rows = await desk.rows(
        "SELECT closed_at FROM ledger.account WHERE book_id = :book_id AND id = ANY (:ids) ORDER BY version",
        ids=[here, never_used],
    )
    assert [row.closed_at for row in rows] == [NOON, desk.later(60)]


async def test_closing_an_unknown_account_closes_none(desk: Desk) -> None:
    here = await desk.open()

    with pytest.raises(LedgerError) as refused:
        await close(desk, here, new_id())

    assert refused.value.code == "account_unknown"
    assert await desk.post(desk.move(desk.issuance_id, here)) == ["ok"]


async def test_units_do_not_mix(desk: Desk) -> None:
    points, minutes = await desk.open(balance=5), await desk.open(unit="minute")

    assert (
        await desk.post(
            desk.move(points, minutes),
            desk.move(minutes, points),
            desk.move(points, minutes, unit="minute"),
            desk.move(minutes, minutes),
        )
        == ["unit_mismatch"] * 4
    )


async def test_an_account_cannot_pay_itself(desk: Desk) -> None:
    here = await desk.open(balance=5)

    assert await desk.post(desk.move(here, here, 0), desk.move(here, here, 9)) == ["same_account"] * 2


@pytest.mark.parametrize("amount", [0, -1, -HIGHEST])
async def test_only_positive_amounts_move(desk: Desk, amount: int) -> None:
    here, there = await desk.open(), await desk.open()

    assert await desk.post(desk.move(here, there, amount)) == ["amount_not_positive"]


async def test_a_floor_holds_to_the_last_unit_and_in_the_order_of_the_batch(desk: Desk) -> None:
    here, there = await desk.open(balance=10), await desk.open()

    assert await desk.post(
        desk.move(here, there, 11),
        desk.move(here, there, 8),
        desk.move(here, there, 3),
        desk.move(there, here, 1),
        desk.move(here, there, 3),
        desk.move(here, there, 1),
    ) == ["below_floor", "ok", "below_floor", "ok", "ok", "below_floor"]

    assert await desk.balance(here, there) == [0, 10]


async def test_a_floor_may_lie_below_zero(desk: Desk) -> None:
    here, there = await desk.open(-5), await desk.open()

    assert await desk.post(desk.move(here, there, 5), desk.move(here, there, 1)) == ["ok", "below_floor"]


async def test_balances_end_where_64_bits_end(desk: Desk) -> None:
    full, debtor, lowest = await desk.open(balance=HIGHEST), await desk.open(None), await desk.open(-HIGHEST + 1)

    assert await desk.balance(desk.issuance_id, full) == [-HIGHEST, HIGHEST]
    assert await desk.post(
        desk.move(desk.issuance_id, debtor),
        desk.move(debtor, full),
        desk.move(lowest, full, HIGHEST),
        desk.move(lowest, desk.issuance_id, HIGHEST - 1),
        desk.move(lowest, desk.issuance_id, HIGHEST),
    ) == ["overflow", "overflow", "below_floor", "ok", "below_floor"]


async def test_recorded_time_never_runs_against_versions_when_the_clock_goes_back(desk: Desk) -> None:
    here, there, apart = await desk.open(), await desk.open(), await desk.open()

    await desk.post(desk.move(desk.issuance_id, here, 5), now=desk.later(0))
    await desk.post(desk.move(here, there, 2), desk.move(desk.issuance_id, apart), now=desk.later(-3600))
    await desk.post(desk.move(there, apart), now=desk.later(-7200))
    await desk.post(desk.move(there, apart), now=desk.later(5))

    rows = await desk.rows(
        "SELECT recorded_at FROM ledger.transfer WHERE book_id = :book_id AND credit_id = :id ORDER BY credit_version",
        id=apart,
    )
    assert [row.recorded_at for row in rows] == [desk.later(0), desk.later(0), desk.later(5)]


@pytest.mark.parametrize("ahead", ["debit", "credit"])
async def test_either_account_ahead_of_the_clock_sets_the_time(desk: Desk, ahead: str) -> None:
    early, late, other = await desk.open(balance=2), await desk.open(balance=1), await desk.open(balance=1)
    await desk.post(desk.move(other, late), now=desk.later(60))
    move = desk.move(early, late) if ahead == "credit" else desk.move(late, early)

    await desk.post(move, now=desk.later(1))

    rows = await desk.rows("SELECT recorded_at FROM ledger.transfer WHERE id = :id", id=move.id)
    assert rows == [(desk.later(60),)]


async def test_nothing_stays_when_the_transaction_is_rolled_back(desk: Desk) -> None:
    there = await desk.open()
    move = desk.move(desk.issuance_id, there)
    async with desk.engine.connect() as connection:
        assert await post(connection, desk.book_id, [move], NOON) == ["ok"]
        await connection.rollback()

    assert await desk.balance(there) == [0]
    assert await desk.post(move) == ["ok"]


async def test_opening_again_changes_nothing_and_other_content_is_refused(desk: Desk) -> None:
    account = Account(id=new_id(), unit=UNIT, kind="purse", floor=0)
    async with desk.engine.begin() as connection:
        await open_accounts(connection, desk.book_id, [account])
    await desk.post(desk.move(desk.issuance_id, account.id, 3))

    async with desk.engine.begin() as connection:
        await open_accounts(connection, desk.book_id, [account, account, replace(account, id=new_id())])
        await open_accounts(connection, desk.book_id, [])
    assert await desk.balance(account.id) == [3]

    for change in ({"unit": "minute"}, {"kind": "fund"}, {"floor": None}, {"floor": -1}, {"system": True}):
        with pytest.raises(LedgerError) as refused:
            async with desk.engine.begin() as connection:
                await open_accounts(connection, desk.book_id, [replace(account, **change)])
        assert refused.value.code == "account_conflict"


async def test_accounts_open_in_a_book_only(desk: Desk) -> None:
    account = Account(id=new_id(), unit=UNIT, kind="purse", floor=0)
    async with desk.engine.connect() as connection:
        with pytest.raises(LedgerError) as refused:
            await open_accounts(connection, 2**31 - 1, [account])
    assert refused.value.code == "book_unknown"


async def test_a_book_keeps_its_name_and_time_zone(desk: Desk) -> None:
    async with desk.engine.begin() as connection:
        await create_book(connection, desk.book_id, "A town", "Asia/Shanghai")
    for name, time_zone in (("Another town", "Asia/Shanghai"), ("A town", "UTC")):
        with pytest.raises(LedgerError) as refused:
            async with desk.engine.begin() as connection:
                await create_book(connection, desk.book_id, name, time_zone)
        assert refused.value.code == "book_conflict"
