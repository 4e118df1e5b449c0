"""Connections that end while they wait in the pool: whoever asks next gets a living one and notices nothing."""

import os
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from timebank import database as connections
from timebank.database import create_engine, for_clients
from timebank.postgres_files import find_clients


@pytest.fixture
async def lone(database: Any) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection."""
    engine = create_engine(database.service_url, pool_size=1)
    yield engine
    await engine.dispose()


async def process_id(engine: AsyncEngine) -> int:
    """Of the server process behind the connection that the pool gives."""
    async with engine.connect() as connection:
        return int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())


def end_behind_its_back(url: str, process_id: int) -> None:
    """End a server process. This loop stands still meanwhile, so that no driver hears of it."""
    address, environment = for_clients(url)
    statement = f"SELECT pg_terminate_backend({process_id}, 5000)"
    command = [str(find_clients() / "psql"), "-qtAX", "-c", statement, address]
    subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)


async def test_a_connection_goes_round(lone: AsyncEngine) -> None:
    assert await process_id(lone) == await process_id(lone)


async def test_one_that_the_server_has_closed_is_replaced(lone: AsyncEngine, engine: AsyncEngine) -> None:
    old = await process_id(lone)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:id, 5000)"), {"id": old})
    assert await process_id(lone) != old


async def test_one_that_was_long_unused_is_asked_whether_it_lives(
    lone: AsyncEngine, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await process_id(lone)
    end_behind_its_back(database.service_url, old)
    monkeypatch.setattr(connections, "SURELY_ALIVE_SECONDS", 0)
    assert await process_id(lone) != old


async def test_one_that_was_just_used_is_not_asked(lone: AsyncEngine, database: Any) -> None:
    old = await process_id(lone)
    end_behind_its_back(database.service_url, old)
    with pytest.raises(DBAPIError) as failed:
        await process_id(lone)
    # Which `timebank.commit` sends again and a page answers with `busy`; the next finds a new one.
    assert failed.value.connection_invalidated
    assert await process_id(lone) != old
