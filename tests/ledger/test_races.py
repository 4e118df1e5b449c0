"""Many real connections at once on the same accounts: nobody waits in a circle, nothing is lost, no floor gives way."""

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from ledger.audit import audit
from ledger.book import RETRIED_SQLSTATES, close_accounts, open_accounts, post, reversal, send_again
from ledger.model import Account, Outcome, Transfer
from tests.ledger.desk import NOON, UNIT, Desk, new_id

CONNECTIONS = 24


async def send(desk: Desk, batch: list[Transfer]) -> list[Outcome]:
    """As a caller does it: the same batch again for as long as another session got in between."""
    for _ in range(20):
        try:
            return await desk.post(*batch)
        except DBAPIError as error:
            if not send_again(error):
                raise
    raise AssertionError("never settled")


async def at_once(desk: Desk, batches: list[list[Transfer]]) -> list[list[Outcome]]:
    """Every batch on a connection of its own, all of them open before the first is sent."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(send(desk, batch)) for batch in batches]
    return [task.result() for task in tasks]


async def prove(desk: Desk) -> None:
    async with desk.engine.connect() as connection:
        assert (await audit(connection, desk.book_id)).findings == []


async def test_opposing_transfers_never_deadlock(desk: Desk) -> None:
    accounts = [await desk.open(balance=1000) for _ in range(4)]
    chance = random.Random(7)
    batches = []
    for _ in range(CONNECTIONS * 4):
        ends = [chance.sample([*accounts, desk.issuance_id], 2) for _ in range(10)]
        batches.append([desk.move(debit, credit, chance.randint(1, 9)) for debit, credit in ends])

    # No `send`: a deadlock would be an error here, not another attempt.
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(desk.post(*batch)) for batch in batches]

    assert Counter(outcome for task in tasks for outcome in task.result()) == {"ok": CONNECTIONS * 40}
    assert sum(await desk.balance(*accounts, desk.issuance_id)) == 0
    await prove(desk)


async def test_a_hot_account_gives_exactly_what_it_has(desk: Desk) -> None:
    fund = await desk.open(balance=100, system=True)
    purses = [await desk.open() for _ in range(CONNECTIONS)]

    answers = await at_once(desk, [[desk.move(fund, purse) for _ in range(7)] for purse in purses])

    assert Counter(outcome for answer in answers for outcome in answer) == {
        "ok": 100,
        "below_floor": 7 * CONNECTIONS - 100,
    }
    assert await desk.balance(fund) == [0]
    assert sum(await desk.balance(*purses)) == 100
    await prove(desk)


async def test_one_batch_sent_by_everybody_is_posted_once(desk: Desk) -> None:
    here, there = await desk.open(balance=50), await desk.open()
    group_id = new_id()
    batch = [desk.move(here, there, 2) for _ in range(5)]
    batch += [desk.move(here, there, 3, group_id=group_id) for _ in range(5)]

    answers = await at_once(desk, [batch] * CONNECTIONS)

    assert Counter(tuple(answer) for answer in answers) == {
        ("ok",) * 10: 1,
        ("already_posted",) * 10: CONNECTIONS - 1,
    }
    assert await desk.balance(here, there) == [25, 25]


async def test_one_id_on_many_accounts_is_posted_on_one(desk: Desk) -> None:
    purses = [await desk.open(balance=5) for _ in range(2 * CONNECTIONS)]
    id_ = new_id()
    pairs = zip(purses[::2], purses[1::2], strict=True)

    answers = await at_once(desk, [[replace(desk.move(a, b), id=id_)] for a, b in pairs])

    assert Counter(answer[0] for answer in answers) == {"ok": 1, "id_reused": CONNECTIONS - 1}
    await prove(desk)


async def test_one_group_id_on_many_accounts_is_posted_once(desk: Desk) -> None:
    purses = [await desk.open(balance=5) for _ in range(2 * CONNECTIONS)]
    group_id = new_id()
    pairs = zip(purses[::2], purses[1::2], strict=True)

    answers = await at_once(
        desk, [[desk.move(a, b, group_id=group_id), desk.move(b, a, group_id=group_id)] for a, b in pairs]
    )

    assert Counter(tuple(answer) for answer in answers) == {
        ("ok", "ok"): 1,
        ("id_reused", "id_reused"): CONNECTIONS - 1,
    }
    await prove(desk)


async def test_a_hold_is_released_once(desk: Desk) -> None:
    here, held = await desk.open(balance=5), await desk.open()
    hold = desk.move(here, held, 5)
    await desk.post(hold)

    answers = await at_once(
        desk,
        [[reversal(hold.id, id=new_id(), code="release", occurred_at=NOON)] for _ in range(CONNECTIONS)],
    )

    # Whoever comes second finds the held account empty, which is named first.
    assert Counter(answer[0] for answer in answers) == {"ok": 1, "below_floor": CONNECTIONS - 1}
    assert await desk.balance(here, held) == [5, 0]


async def test_accounts_open_and_close_while_others_post(desk: Desk) -> None:
    here = await desk.open(balance=10_000)
    accounts = [Account(id=new_id(), unit=UNIT, kind="purse", floor=0) for _ in range(8)]

    async def open_and_post(number: int) -> list[Outcome]:
        shuffled = random.Random(number).sample(accounts, len(accounts))
        async with desk.engine.begin() as connection:
            await open_accounts(connection, desk.book_id, shuffled)
            return await post(connection, desk.book_id, [desk.move(here, a.id) for a in shuffled], NOON)

    async def close(ids: list[UUID]) -> None:
        async with desk.engine.begin() as connection:
            await close_accounts(connection, desk.book_id, ids, NOON)

    await open_and_post(0)
    closing = [accounts[0].id, here]
    jobs: list[Any] = [open_and_post(number) for number in range(1, CONNECTIONS)]
    jobs[CONNECTIONS // 2 : CONNECTIONS // 2] = [close(closing), close(closing[::-1])]
    answers = await asyncio.gather(*jobs)

    assert {outcome for answer in answers if answer for outcome in answer} <= {"ok", "account_closed"}
    await prove(desk)


async def test_an_unfinished_batch_is_whole_or_absent(desk: Desk) -> None:
    """Connections cut in the middle: what was not acknowledged is settled by sending it again."""
    fund = await desk.open(balance=10_000)
    purses = [await desk.open() for _ in range(CONNECTIONS)]
    batches = [[desk.move(fund, purse, 2) for _ in range(50)] for purse in purses]

    async def cut(batch: list[Transfer], seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(desk.post(*batch), seconds)

    await asyncio.gather(*(cut(batch, 0.002 * number) for number, batch in enumerate(batches)))

    counts = await desk.rows(
        "SELECT credit_id, count(*) AS posted FROM ledger.transfer WHERE book_id = :book_id AND debit_id = :fund"
        " GROUP BY credit_id",
        fund=fund,
    )
    assert {row.posted for row in counts} <= {50}
    answers = await at_once(desk, batches)
    assert all(set(answer) in ({Outcome.ok}, {Outcome.already_posted}) for answer in answers)
    assert await desk.balance(*purses) == [100] * CONNECTIONS
    await prove(desk)


async def test_what_is_sent_again_is_told_by_sqlstate(desk: Desk) -> None:
    for sqlstate, expected in ((state, True) for state in RETRIED_SQLSTATES):
        assert await raised(desk, sqlstate) is expected
    assert await raised(desk, "22P02") is False


async def raised(desk: Desk, sqlstate: str) -> bool:
    """What `send_again` says of an error of this SQLSTATE."""
    statement = f"DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{sqlstate}'; END $$"
    try:
        async with desk.engine.begin() as connection:
            await connection.exec_driver_sql(statement)
    except DBAPIError as error:
        return send_again(error)
    raise AssertionError("nothing raised")
