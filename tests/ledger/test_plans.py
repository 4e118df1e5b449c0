"""A book that has just begun, in a database that knows nothing yet of its tables: posting reads by the key of ids."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from ledger.book import create_book, open_accounts, post, reversal
from ledger.model import Account, Outcome, Transfer
from tests.conftest import Database, make
from tests.ledger.desk import NOON, UNIT, new_id

BATCH = 100


@pytest.fixture
def new_database(server: dict[str, str], worker_name: str) -> Iterator[Database]:
    """A database whose tables nobody has analysed."""
    yield from make(server, f"ledger_new_{worker_name}", ("ledger",))


@pytest.fixture
async def connection(new_database: Database) -> AsyncIterator[AsyncConnection]:
    """One connection of the service's, which keeps the plans that it makes."""
    engine = create_async_engine(new_database.service_url, pool_size=1)
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def rows_read(connection: AsyncConnection) -> int:
    """How many transfers this session has fetched by index; what counts is by how many that rises in a transaction."""
    query = text("SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = CAST('ledger.transfer' AS regclass)")
    return int((await connection.execute(query)).scalar_one())


async def test_a_batch_reads_no_more_of_the_book_than_it_names(connection: AsyncConnection) -> None:
    here, there = (Account(id=new_id(), unit=UNIT, kind="purse", floor=None) for _ in range(2))
    await create_book(connection, 1, "A town", "Asia/Shanghai")
    await open_accounts(connection, 1, [here, there])

    def moves(**more: Any) -> list[Transfer]:
        sides = {"debit_id": here.id, "credit_id": there.id, "unit": UNIT, "amount": 1}
        return [Transfer(id=new_id(), code="test", occurred_at=NOON, **sides, **more) for _ in range(BATCH)]

    first = moves()
    back = [reversal(each.id, id=new_id(), code="undo", occurred_at=NOON) for each in first]
    for batch, outcome in [
        (first, Outcome.ok),
        (moves(), Outcome.ok),
        (moves(group_id=new_id()), Outcome.ok),
        (moves(group_id=new_id()), Outcome.ok),
        (first, Outcome.already_posted),
        (back, Outcome.ok),
        (back, Outcome.already_posted),
    ]:
        before = await rows_read(connection)
        assert set(await post(connection, 1, batch, NOON)) == {outcome}
        # By id, by what it reverses (and by that again for the foreign key), by its group: a few for each.
        assert await rows_read(connection) - before <= 4 * BATCH
        await connection.commit()
