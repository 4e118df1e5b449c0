"""Fixtures of the ledger's tests: engines as service and as owner of the ledger alone, and a fresh book."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ledger.book import create_book, open_accounts
from ledger.model import Account
from tests.ledger.desk import UNIT, Desk


@pytest.fixture(scope="session")
async def service(ledger_database: Any) -> AsyncIterator[AsyncEngine]:
    """Connections of the service's role."""
    engine = create_async_engine(ledger_database.service_url, pool_size=20, max_overflow=20)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def owner(ledger_database: Any) -> AsyncIterator[AsyncEngine]:
    """Connections of the role that migrates, which may act as the owner of the ledger."""
    engine = create_async_engine(ledger_database.owner_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def as_owner(owner: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction as the owner of the tables, rolled back at the end whatever was done in it."""
    async with owner.connect() as connection:
        await connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await connection.exec_driver_sql("SET LOCAL ROLE ledger_owner")
        yield connection
        await connection.rollback()


@pytest.fixture
async def desk(service: AsyncEngine, new_book: int) -> Desk:
    """A fresh book with an issuance."""
    made = Desk(service, new_book)
    issuance = Account(id=made.issuance_id, unit=UNIT, kind="issuance", floor=None, system=True)
    async with service.begin() as connection:
        await create_book(connection, new_book, "A town", "Asia/Shanghai")
        await open_accounts(connection, new_book, [issuance])
    return made
