"""The table of benchmarks, on the terminal and as docs/reference/benchmarks.md."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure
from timebank.database import plain_url

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "benchmarks.md"
HEADINGS = ("", "figure", "a second", "baseline", "a second", "ratio", "rounds", "must reach", "", "p50", "p99")

TEXT = """\
# Benchmarks

Machines differ and are noisy, so each figure stands beside a baseline that is measured on the same machine, against
the same PostgreSQL, in alternating rounds: {rounds} of {seconds:g} seconds. Figures are medians; "rounds" is the
lowest and the highest ratio of one round. This page is written by a full run, never by hand.

{table}

Measured on {day}: {machine}. Load average {load_before} before the run and {load_after} at its end; the run itself
keeps two cores busy.

## What is measured

PostgreSQL is the embedded one with the settings that the bank ships, and durable: `fsync`, `full_page_writes` and
`synchronous_commit` are on, and every answer is given after its commit. Callers, servers and PostgreSQL share the
machine.

**B1** is the ledger under group commit, as every hot command of the bank uses it: 256 callers in one process, each
waiting for its answer before it makes the next transfer, from one account that all of them debit and that may not fall
below zero, into 2,000 others. Afterwards the book is audited. The baseline is PostgreSQL's own pgbench with its
TPC-B-like script: a transaction of three updates, a SELECT and an INSERT, prepared, at scale {scale}, with 8 and with
32 clients, of which the better counts.

**B3** is a check-in by a rotating code as a phone makes it: over HTTP, signed in by cookie, with the token against
forged forms. The session is looked up (each check-in is another volunteer's, so none is remembered), the code's MAC and
time are checked, the answer is kept for a repetition, and all of it is committed. Afterwards the rows are counted. The
baseline is a Litestar handler that verifies one JWT and inserts one row in a transaction, on the same kind of server
with the same connection pool, and does nothing else. Both servers have one process.

## Run it again

    make bench

A first look, in half a minute, that writes nothing: `python -m tests.bench --quick`. `--rounds` and `--seconds` make a
longer run. Let the machine do nothing else meanwhile.
"""


@dataclass(frozen=True)
class Machine:
    """What it was measured on."""

    cores: int
    memory_gib: float
    processor: str
    system: str
    postgresql: str

    def __str__(self) -> str:
        return (
            f"{self.cores} cores ({self.processor}), {self.memory_gib:.0f} GiB of memory, {self.system}, "
            f"PostgreSQL {self.postgresql}, Python {platform.python_version()}"
        )


async def this_machine(service_url: str) -> Machine:
    """What this process runs on, and the version of the server."""
    connection = await asyncpg.connect(plain_url(service_url))
    version = await connection.fetchval("SHOW server_version")
    await connection.close()
    return Machine(
        cores=os.cpu_count() or 1,
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        processor=processor(),
        system=f"{platform.system()} {platform.machine()}",
        postgresql=str(version),
    )


def processor() -> str:
    """The processor's name as Linux has it; elsewhere what Python knows."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def cells(figure: Figure) -> tuple[str, ...]:
    """One line of the table, under HEADINGS."""
    return (
        figure.number,
        figure.name,
        f"{figure.figure:,.0f}",
        figure.baseline_name,
        f"{figure.baseline:,.0f}",
        f"{figure.ratio:.2f} ×",
        f"{figure.ratios[0]:.2f}–{figure.ratios[-1]:.2f}",
        f"{figure.must_reach:g} ×" + (f" (aim {figure.aim:g} ×)" if figure.aim else ""),
        "met" if figure.is_met else "missed",
        f"{figure.wait_ms(50):.1f} ms",
        f"{figure.wait_ms(99):.1f} ms",
    )


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table(*HEADINGS)
    for figure in figures:
        table.add_row(*cells(figure))
    Console(width=180).print(table)


def write(
    figures: Sequence[Figure],
    machine: Machine,
    *,
    seconds: float,
    scale: int,
    load: tuple[float, float],
    page: Path = PAGE,
) -> None:
    """Write the page."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *map(cells, figures)]
    page.write_text(
        TEXT.format(
            table="\n".join(f"| {' | '.join(row)} |" for row in rows),
            rounds=len(figures[0].figures),
            seconds=seconds,
            scale=scale,
            machine=machine,
            day=datetime.now(UTC).date().isoformat(),
            load_before=f"{load[0]:.1f}",
            load_after=f"{load[1]:.1f}",
        ),
        encoding="utf-8",
    )
