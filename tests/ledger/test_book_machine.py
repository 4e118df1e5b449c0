"""The book and its model, side by side: whatever Hypothesis thinks of, both must say and hold the same."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from ledger.audit import audit
from ledger.book import close_accounts, create_book, open_accounts, post
from ledger.model import HIGHEST, Account, Transfer
from ledger.queries import balance_at, statement
from tests.ledger.desk import NOON, new_id
from tests.ledger.model import BookModel

# Small pools, so that ids, groups and accounts meet again and again.
IDS = [UUID(int=number) for number in range(1, 40)]
GROUPS = [UUID(int=number) for number in range(100, 106)]
ACCOUNTS = [
    Account(id=UUID(int=1000), unit="point", kind="issuance", floor=None, system=True),
    *(Account(id=UUID(int=1001 + n), unit="point", kind="purse", floor=0) for n in range(4)),
    Account(id=UUID(int=1010), unit="point", kind="credit line", floor=-20),
    Account(id=UUID(int=1011), unit="minute", kind="hours", floor=0),
    Account(id=UUID(int=1012), unit="minute", kind="issuance", floor=None, system=True),
]
NAMES = [account.id for account in ACCOUNTS]
POINTS = NAMES[:6]
STRANGER = UUID(int=1099)

amounts = st.one_of(st.integers(1, 12), st.sampled_from([-1, 0, HIGHEST - 3, HIGHEST]))
moves = st.builds(
    Transfer,
    id=st.sampled_from(IDS),
    debit_id=st.one_of(st.sampled_from(POINTS), st.sampled_from([*NAMES, STRANGER])),
    credit_id=st.one_of(st.sampled_from(POINTS), st.sampled_from([*NAMES, STRANGER])),
    unit=st.sampled_from(["point", "point", "point", "minute"]),
    amount=amounts,
    code=st.sampled_from(["a", "a", "b"]),
    occurred_at=st.sampled_from([NOON, NOON, NOON + timedelta(seconds=1)]),
    source=st.sampled_from([{}, {}, {"record": 1}]),
)
undos = st.builds(
    Transfer,
    id=st.sampled_from(IDS),
    reverses_id=st.sampled_from(IDS),
    code=st.just("undo"),
    occurred_at=st.just(NOON),
)


@st.composite
def batches(draw: st.DrawFn) -> list[Transfer]:
    """Up to a dozen transfers, some of them in groups, no group in two places or with one id twice."""
    batch: list[Transfer] = []
    groups = draw(st.permutations(GROUPS))
    for group_id in groups[: draw(st.integers(1, 4))]:
        part = draw(st.lists(st.one_of(moves, moves, undos), max_size=4, unique_by=lambda transfer: transfer.id))
        is_group = draw(st.booleans())
        batch += [in_group(transfer, group_id) if is_group else transfer for transfer in part]
    return batch


def in_group(transfer: Transfer, group_id: UUID) -> Transfer:
    """The transfer, as part of a group. (`dataclasses.replace` is most of the time of a run otherwise.)"""
    content = {name: getattr(transfer, name) for name in Transfer.__dataclass_fields__}
    return Transfer(**{**content, "group_id": group_id})


@pytest.fixture
def machine(ledger_database: Any, new_book: int) -> Iterator[type[RuleBasedStateMachine]]:
    """The machine, on a loop and a connection of its own: Hypothesis does not wait for coroutines."""
    engine = create_async_engine(ledger_database.service_url)
    runner = asyncio.Runner()
    # Books are numbered from a place of their own, apart from those of other tests.
    book_ids = count(1_200_000_000 + new_book % 1_000_000 * 800)

    class BookMachine(RuleBasedStateMachine):
        """One book and one model, sent the same batches."""

        @initialize()
        def open_all(self) -> None:
            self.book_id = next(book_ids)
            self.model = BookModel()
            self.now = NOON
            self.past = [(NOON - timedelta(days=1), dict.fromkeys(NAMES, 0))]
            for account in ACCOUNTS:
                self.model.open(account)
            runner.run(self.write(lambda c: create_book(c, self.book_id, "A model town", "UTC")))
            runner.run(self.write(lambda c: open_accounts(c, self.book_id, ACCOUNTS)))

        @rule(batch=batches(), seconds=st.integers(-5, 20))
        def post(self, batch: list[Transfer], seconds: int) -> None:
            self.now += timedelta(seconds=seconds)
            said = runner.run(self.write(lambda c: post(c, self.book_id, batch, self.now)))
            assert said == self.model.post(batch, self.now)

        @rule(number=st.integers(1, len(NAMES) - 1))
        def close(self, number: int) -> None:
            if sum(held.is_closed for held in self.model.accounts.values()) < 2:
                self.model.accounts[NAMES[number]].is_closed = True
                runner.run(self.write(lambda c: close_accounts(c, self.book_id, [NAMES[number]], self.now)))

        @invariant()
        def holds_the_same(self) -> None:
            rows = runner.run(self.read(ACCOUNT_ROWS))
            assert {row.id: (row.balance, row.version, row.last_recorded_at) for row in rows} == {
                id_: (held.balance, held.version, held.last_recorded_at) for id_, held in self.model.accounts.items()
            }

        def teardown(self) -> None:
            if hasattr(self, "book_id"):
                runner.run(self.prove())

        async def prove(self) -> None:
            """At the end: every row, every statement and the balance at every time, and a clean audit."""
            rows = await self.read(TRANSFER_ROWS)
            assert {row.id: tuple(row)[1:] for row in rows} == {
                id_: (
                    p.debit_id,
                    p.credit_id,
                    p.unit,
                    p.amount,
                    p.recorded_at,
                    *p.debit,
                    *p.credit,
                )
                for id_, p in self.model.transfers.items()
            }
            async with engine.connect() as connection:
                for id_, held in self.model.accounts.items():
                    lines = await statement(connection, self.book_id, id_, limit=1000)
                    assert [line.version for line in lines] == list(range(held.version, 0, -1))
                    known = {line.recorded_at: line.balance for line in reversed(lines)}
                    for at, balance in known.items():
                        assert await balance_at(connection, self.book_id, id_, at) == balance
            async with engine.connect() as connection:
                assert (await audit(connection, self.book_id)).findings == []

        @asynccontextmanager
        async def transaction(self) -> AsyncIterator[AsyncConnection]:
            async with engine.begin() as connection:
                yield connection

        async def write(self, verb: Any) -> Any:
            async with self.transaction() as connection:
                return await verb(connection)

        async def read(self, query: str) -> Any:
            async with self.transaction() as connection:
                return (await connection.execute(text(query), {"book_id": self.book_id})).all()

    yield BookMachine
    runner.run(engine.dispose())
    runner.close()


ACCOUNT_ROWS = "SELECT id, balance, version, last_recorded_at FROM ledger.account WHERE book_id = :book_id"
TRANSFER_ROWS = """
SELECT id, debit_id, credit_id, unit, amount, recorded_at, debit_balance, debit_version, credit_balance, credit_version
FROM ledger.transfer WHERE book_id = :book_id
"""


def test_the_book_and_its_model_agree(machine: type[RuleBasedStateMachine]) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=40, stateful_step_count=12, deadline=None, suppress_health_check=checks),
    )


def test_the_model_says_no_where_the_reference_says_no() -> None:
    """The model is believed above; so it is shown here to refuse, and to undo a group it has begun."""
    model = BookModel()
    for account in ACCOUNTS:
        model.open(account)
    issuance, here, there = POINTS[:3]

    def move(debit_id: UUID, credit_id: UUID, amount: int, group_id: UUID | None = None) -> Transfer:
        return Transfer(
            id=new_id(),
            debit_id=debit_id,
            credit_id=credit_id,
            unit="point",
            amount=amount,
            code="a",
            occurred_at=NOON,
            group_id=group_id,
        )

    group = [move(here, there, 2, GROUPS[0]), move(here, there, 2, GROUPS[0])]
    assert model.post([move(issuance, here, 3), *group, move(here, here, 1)], NOON) == [
        "ok",
        "group_refused",
        "below_floor",
        "same_account",
    ]
    assert [model.accounts[id_].balance for id_ in (issuance, here, there)] == [-3, 3, 0]
