"""B3: live check-ins a second over HTTP, 64 connections, against a bare handler with one JWT and one INSERT.

Everything is on: each check-in is another volunteer's first request, whose session is looked up, whose token against
forged forms is compared, whose code is read, whose command is remembered, and which is committed before it is answered.
Each of the two servers has one process.
"""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.auth import token_for
from tests.bench.baseline import SECRET, TABLE
from tests.bench.figures import Figure
from tests.bench.load import Ask, Measured, load, request
from tests.factories import City, build_city
from timebank import codes
from timebank.database import create_engine
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.sessions import token_hash
from timebank.tables import attendance

CONNECTIONS = 64
# More than anybody gets through in a second.
MEMBERS_PER_SECOND = 6_000
BANK = "api.app:create_app"
MEMBERS = text("""
    INSERT INTO timebank.member (book_id, id, region_id, locale, state, joined_at)
    SELECT :book_id, id, :region_id, 'zh-CN', 'active', :now FROM unnest(CAST(:ids AS uuid[])) AS t (id)
""")
SESSIONS = text("""
    INSERT INTO timebank.session (book_id, token_hash, member_id, created_at, seen_at, expires_at)
    SELECT :book_id, hash, id, CAST(:now AS timestamptz), CAST(:now AS timestamptz),
            CAST(:now AS timestamptz) + interval '14 days'
    FROM unnest(CAST(:ids AS uuid[]), CAST(:hashes AS bytea[])) AS t (id, hash)
""")


async def live_check_ins(
    service_url: str,
    owner_url: str,
    data: Path,
    *,
    rounds: int,
    seconds: float,
    warm_up: float = 1,
    book_id: int = 910_003,
) -> Figure:
    """Measure B3. The database is migrated and its book `book_id` is new; `data` is a directory for keys and logs.

    `seconds` of each round, after one of `warm_up` seconds that does not count.

    Afterwards the rows are counted: AssertionError where an answer was given for one that is not there.
    """
    keys, now = Keys.load_or_create(data / "keys.json"), datetime.now(UTC)
    engine = create_engine(service_url)
    figures: list[Measured] = []
    baselines: list[Measured] = []
    async with owned(owner_url) as analyse, contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        async with engine.begin() as connection:
            city = await build_city(connection, book_id, keys, now)
        environment = {"TIMEBANK_DATABASE_URL": service_url, "TIMEBANK_DATA": str(data), "TIMEBANK_BOOK": str(book_id)}
        bank = stack.enter_context(serve(BANK, environment, data / "bank.log"))
        bare = stack.enter_context(serve("tests.bench.baseline:create_app", environment, data / "bare.log"))
        for length in (warm_up, *[seconds] * rounds):
            baselines.append(await insert(bare, length))
            people = await arrive(engine, city, int(length * MEMBERS_PER_SECOND))
            # As the server itself would within a minute.
            await analyse()
            figures.append(await check_in(bank, city, keys, people, length))
        async with engine.connect() as connection:
            query = text(f"SELECT count(*) FROM {attendance.fullname} WHERE book_id = :book_id")
            found = await connection.scalar(query, {"book_id": book_id})
    if found != (done := sum(len(measured.waits) for measured in figures)):
        raise AssertionError(f"{done} check-ins were acknowledged, {found} are there")
    # The first round of each let the servers, and PostgreSQL's cache, get warm.
    del figures[0], baselines[0]
    return Figure(
        number="B3",
        name=f"live check-ins over HTTP, {CONNECTIONS} connections",
        figures=[measured.rate for measured in figures],
        baseline_name="a bare handler with one JWT and one INSERT",
        baselines=[measured.rate for measured in baselines],
        must_reach=1.0,
        aim=None,
        waits=[wait for measured in figures for wait in measured.waits],
    )


@contextlib.asynccontextmanager
async def owned(owner_url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The baseline's table, while it is needed; and what only the owner may do, to analyse the bank's tables."""
    engine = create_engine(owner_url)
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE TABLE {TABLE} (id uuid PRIMARY KEY, member text NOT NULL)"))
        await connection.execute(text(f"GRANT INSERT ON {TABLE} TO timebank_service"))

    async def analyse() -> None:
        async with engine.begin() as connection:
            for table in ("attendance", "command", "member", "punch", "session"):
                await connection.execute(text(f"ANALYZE timebank.{table}"))

    try:
        yield analyse
    finally:
        async with engine.begin() as connection:
            await connection.execute(text(f"DROP TABLE {TABLE}"))
        await engine.dispose()


@contextlib.contextmanager
def serve(target: str, environment: dict[str, str], log: Path) -> Iterator[int]:
    """A granian with one worker on a port of its own, as `timebank run` starts one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1", "--loop", "uvloop", "--no-ws", target]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out)
    try:
        wait_for(port, process, log)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until something answers; the log when nothing does."""
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=1)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text()[-2000:])


async def insert(port: int, seconds: float) -> Measured:
    """One round of the baseline."""
    asks: list[Ask] = []
    for number in range(CONNECTIONS):
        claims = {"sub": str(number), "aud": "bench", "exp": time.time() + 3600}
        headers = {"Host": f"127.0.0.1:{port}", "Authorization": f"Bearer {jwt.encode(claims, SECRET, 'HS256')}"}
        whole = request("/insert", headers, b"{}")
        asks.append(lambda whole=whole: whole)  # type: ignore[misc]
    measured = await load(port, asks, seconds)
    if set(measured.statuses) != {201}:
        raise AssertionError(measured.statuses)
    return measured


async def arrive(engine: AsyncEngine, city: City, members: int) -> list[tuple[UUID, str]]:
    """New volunteers who are signed in: their ids and tokens."""
    now = datetime.now(UTC)
    people = [(uuid7(now), secrets.token_urlsafe(32)) for _ in range(members)]
    values: dict[str, Any] = {"book_id": city.book_id, "now": now, "ids": [id for id, _ in people]}
    async with engine.begin() as connection:
        await connection.execute(MEMBERS, {**values, "region_id": city.community_id})
        await connection.execute(SESSIONS, {**values, "hashes": [token_hash(token) for _, token in people]})
    return people


async def check_in(port: int, city: City, keys: Keys, people: list[tuple[UUID, str]], seconds: float) -> Measured:
    """One round: whoever has not come yet, comes."""
    host = f"127.0.0.1:{port}"
    waiting = list(people)

    @cache
    def shown(slot: int) -> str:
        return codes.station_code(keys.station, city.station.number, city.screen.number, slot)

    def ask() -> bytes | None:
        if not waiting:
            return None
        _, token = waiting.pop()
        now = datetime.now(UTC)
        headers = {
            "Host": host,
            "Origin": f"http://{host}",
            "Cookie": f"timebank={token}",
            "X-CSRF-Token": token_for(token, "csrf"),
        }
        return request(
            "/api/v1/check-ins", headers, f'{{"id":"{uuid7(now)}","code":"{shown(codes.slot_at(now))}"}}'.encode()
        )

    measured = await load(port, [ask] * CONNECTIONS, seconds)
    if set(measured.statuses) != {201}:
        raise AssertionError(measured.statuses)
    return measured
