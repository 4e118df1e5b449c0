"""`python -m tests.bench`: every benchmark on a PostgreSQL of its own, one table, docs/reference/benchmarks.md.

Ends with 1 when a figure does not reach what it must. `--quick` only shows that it works, and writes nothing.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from tests.bench import page
from tests.bench.checkins import live_check_ins
from tests.bench.figures import Figure
from tests.bench.ledger import hot_fund
from timebank import schema
from timebank.postgres import EmbeddedPostgres, Server

ROUNDS_MIN = 5


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    seconds: float
    scale: int
    """pgbench's: 100,000 accounts each."""


FULL = Plan(rounds=7, seconds=5, scale=50)
QUICK = Plan(rounds=1, seconds=1, scale=1)


@contextmanager
def server() -> Iterator[tuple[Server, Path]]:
    """A PostgreSQL as the bank ships it, on a new directory that is removed afterwards."""
    data = Path(tempfile.mkdtemp(prefix="timebank-bench-"))
    # PostgreSQL's own account has to get through.
    data.chmod(0o711)
    try:
        with EmbeddedPostgres(data) as started:
            yield started, data
    finally:
        shutil.rmtree(data, ignore_errors=True)


async def measure(started: Server, data: Path, plan: Plan) -> tuple[list[Figure], page.Machine]:
    """Every figure, one after the other."""
    urls = started.service_url, started.owner_url
    await schema.migrate(started.owner_url)
    figures = [
        await hot_fund(*urls, rounds=plan.rounds, seconds=plan.seconds, scale=plan.scale),
        await live_check_ins(*urls, data, rounds=plan.rounds, seconds=plan.seconds),
    ]
    return figures, await page.this_machine(started.service_url)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run to see that it works; writes nothing")
    parser.add_argument("--rounds", type=int, default=FULL.rounds, help=f"at least {ROUNDS_MIN} for the page")
    parser.add_argument("--seconds", type=float, default=FULL.seconds, help="of each round")
    chosen = parser.parse_args()
    plan = QUICK if chosen.quick else Plan(chosen.rounds, chosen.seconds, FULL.scale)
    load_before = os.getloadavg()[0]
    # On the event loop that the bank's own workers run on.
    with server() as (started, data), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures, machine = runner.run(measure(started, data, plan))
    load_after = os.getloadavg()[0]
    page.show(figures)
    print(f"{machine}. Load average {load_before:.1f} before, {load_after:.1f} after.")
    if chosen.quick:
        return 0
    if plan.rounds >= ROUNDS_MIN:
        page.write(figures, machine, seconds=plan.seconds, scale=plan.scale, load=(load_before, load_after))
    return 0 if all(figure.is_met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
