"""A bank over HTTP: the real app on real PostgreSQL, with a clock that a test moves."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.state import Bank
from tests.api.people import Town, Watch
from tests.factories import MORNING, PASSWORD, build_city
from tests.hashing import cheap_hashes
from timebank import passwords
from timebank.commit import Commits
from timebank.database import create_engine
from timebank.keys import Keys
from timebank.members import set_password
from timebank.settings import Settings
from timebank.sms import LocalSender

Build = Callable[..., contextlib.AbstractAsyncContextManager[Town]]

# Hashing is slow on purpose: a third of the time of all tests here. How slow is the business of test_passwords.py, in
# tests/timebank; and a bank that somebody starts hashes as it always does.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
QUICK_NOBODY = QUICK.hash("nobody's password, which no keyed hash can equal")


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords and PINs are hashed as always, at a lower price."""
    monkeypatch.setattr(passwords, "HASHER", QUICK)
    monkeypatch.setattr(passwords, "NOBODY", QUICK_NOBODY)


@pytest.fixture(scope="module", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Whoever signs in does so at once; `tests/timebank/test_passwords.py` is about what a guess costs."""
    with cheap_hashes():
        yield


@pytest.fixture(scope="session")
async def engine(database: Any) -> AsyncIterator[AsyncEngine]:
    """Connections with the privileges that the running service has, and no others."""
    engine = create_engine(database.service_url, pool_size=20)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Keys of this run."""
    return Keys.new()


@pytest.fixture(scope="session")
def app() -> Litestar:
    """The app, put together once, which takes a second; it belongs to whatever bank its state names."""
    return create_app()


@pytest.fixture
def build(app: Litestar, engine: AsyncEngine, keys: Keys, new_book: int, database: Any, tmp_path: Path) -> Build:
    """Opens a town whose settings a test chooses."""

    @contextlib.asynccontextmanager
    async def open_town(**chosen: Any) -> AsyncIterator[Town]:
        settings = replace(Settings(data=tmp_path, database_url=database.service_url), book_id=new_book, **chosen)
        watch, said = Watch(MORNING), []
        commits = Commits(engine, new_book, keys, watch)
        sender = LocalSender(said.append, demo=settings.demo)
        bank = Bank(settings, engine, keys, watch, commits, sender)
        # A test that changes what somebody may do sees it at once.
        bank.recognition.seconds = 0
        async with engine.begin() as connection:
            city = await build_city(connection, new_book, keys)
            hashed = await passwords.hashed(keys, PASSWORD)
            for member_id in (city.manager_id, city.clerk_id):
                await set_password(connection, new_book, member_id, password_hash=hashed, now=MORNING)
        await commits.start()
        town = Town(app, bank, city, watch, said)
        app.state.bank = bank
        try:
            yield town
        finally:
            for person in town.people:
                await person.client.aclose()
            await commits.stop()

    return open_town


@pytest.fixture
async def town(build: Build) -> AsyncIterator[Town]:
    """A town as it is on the first day."""
    async with build() as town:
        yield town
