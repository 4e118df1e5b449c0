"""What tests of the bank start from: an engine as the service's role, a transaction that leaves nothing, keys."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from timebank.keys import Keys


@pytest.fixture(scope="session")
async def engine(database: Any) -> AsyncIterator[AsyncEngine]:
    """Connections with the privileges that the running service has, and no others."""
    engine = create_async_engine(database.service_url, pool_size=20, max_overflow=80)
    yield engine
    await engine.dispose()


@pytest.fixture
async def connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A transaction that is rolled back afterwards."""
    async with engine.connect() as connection:
        yield connection
        await connection.rollback()


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Keys of this run."""
    return Keys.new()
