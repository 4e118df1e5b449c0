"""What tests of the bank start from: an engine as the service's role, a transaction that leaves nothing, keys."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tests.factories import City, build_city
from tests.timebank import acting
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


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    """A city with a full fund, in which chance holds no record: a point a minute, at most eight hours a day."""
    city = await build_city(connection, new_book, keys)
    await acting.no_draw(connection, city)
    return city


@pytest.fixture
async def member_id(request: pytest.FixtureRequest, connection: AsyncConnection, city: City) -> UUID:
    """A member, who has served for as many points as the module's `POINTS` says, or for none."""
    member_id = await city.add_member(connection)
    await acting.earn(connection, city, member_id, getattr(request.module, "POINTS", 0))
    return member_id


@pytest.fixture
async def reward_id(connection: AsyncConnection, city: City) -> UUID:
    """Rice for 100 points, ten in stock."""
    return await city.add_reward(connection)
