"""What every test of the database stands on: one PostgreSQL for the run, and databases of their own for each worker.

The embedded one is started unless TIMEBANK_DATABASE_URL names another; then TIMEBANK_MIGRATION_URL names a role there
that may create databases and roles, and the tests make databases beside the one named and drop them afterwards.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tests.directories import quick_place
from tests.groups import Groups
from tests.tools import find_chromium
from timebank import schema
from timebank.database import plain_url
from timebank.postgres import EmbeddedPostgres

# By which workers learn of the server that the first process started.
SERVER = "TIMEBANK_TEST_SERVER"
ROOT = Path(__file__).parent.parent
# Leaves room for as many real connections as the races want.
OPTIONS = {"max_connections": "400", "shared_buffers": "256MB"}


@dataclass(frozen=True)
class Database:
    """A migrated database that belongs to one worker, as the role that serves and as the one that owns it."""

    service_url: str
    owner_url: str


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    """Let tests that share something dear run in one worker."""
    return Groups(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Build the scripts and start the embedded server once, in the process that starts the workers."""
    if hasattr(config, "workerinput") or SERVER in os.environ:
        return
    # The scripts of the pages as their sources are now; takes a moment when nothing has changed.
    subprocess.run([sys.executable, str(ROOT / "api" / "web" / "build.py")], check=True)
    if os.environ.get("TIMEBANK_DATABASE_URL"):
        return
    data = Path(tempfile.mkdtemp(prefix="timebank-tests-", dir=quick_place()))
    # PostgreSQL's own account has to get through.
    data.chmod(0o711)
    embedded = EmbeddedPostgres(data, options=OPTIONS)
    server = embedded.start()
    os.environ[SERVER] = json.dumps(
        {"service": server.service_url, "owner": server.owner_url, "maker": server.superuser_url}
    )

    def stop() -> None:
        embedded.stop()
        shutil.rmtree(data, ignore_errors=True)
        del os.environ[SERVER]

    config.add_cleanup(stop)


def with_database(url: str, name: str) -> str:
    """`url`, for SQLAlchemy, with another database."""
    parts = urlsplit(plain_url(url))
    return urlunsplit(parts._replace(scheme="postgresql+asyncpg", path=f"/{name}"))


@pytest.fixture(scope="session")
def server() -> dict[str, str]:
    """URLs of the server by role: `service`, `owner`, and `maker`, which makes databases."""
    if SERVER in os.environ:
        return dict(json.loads(os.environ[SERVER]))
    owner = os.environ.get("TIMEBANK_MIGRATION_URL")
    if not owner:
        pytest.exit("TIMEBANK_DATABASE_URL needs TIMEBANK_MIGRATION_URL beside it", returncode=2)
    return {"service": os.environ["TIMEBANK_DATABASE_URL"], "owner": owner, "maker": owner}


def make(server: dict[str, str], name: str, branches: tuple[str, ...]) -> Iterator[Database]:
    """A fresh database with these branches of the schema; dropped afterwards."""
    owner = urlsplit(plain_url(server["owner"])).username
    made = Database(with_database(server["service"], name), with_database(server["owner"], name))

    async def run(url: str, *statements: str) -> None:
        connection = await asyncpg.connect(plain_url(url))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    asyncio.run(run(server["maker"], drop, f'CREATE DATABASE "{name}" OWNER "{owner}"'))
    asyncio.run(schema.migrate(made.owner_url, branches))
    yield made
    asyncio.run(run(server["maker"], drop))


@pytest.fixture(scope="session")
def database(server: dict[str, str], worker_name: str) -> Iterator[Database]:
    """The whole schema."""
    yield from make(server, f"timebank_test_{worker_name}", schema.BRANCHES)


@pytest.fixture(scope="session")
def ledger_database(server: dict[str, str], worker_name: str) -> Iterator[Database]:
    """The ledger's branch alone: what another project would install."""
    yield from make(server, f"ledger_test_{worker_name}", ("ledger",))


@pytest.fixture(scope="session")
def worker_name() -> str:
    """Which of the parallel workers this is; "main" where there is one."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


numbers = count(1)


@pytest.fixture
def new_book() -> int:
    """The number of a book that nobody has used."""
    return next(numbers)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser; without it, the test fails and says what to install."""
    return find_chromium()
