"""`timebank export`: the demo city in the tools that auditors have, down to every account's own balance."""

import csv
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from beancount import loader
from beancount.core import data as directives
from beancount.core import realization

from ledger.export import account_name, commodity
from tests.directories import short_directory
from tests.service.processes import copy_data, timebank
from tests.tools import find_hledger
from timebank.postgres import EmbeddedPostgres

BOOK_ID = 1


@dataclass(frozen=True)
class Loaded:
    """A demo city at which nobody is at work, in a database that runs."""

    data: Path
    url: str


@pytest.fixture(scope="module")
def city(made: Path) -> Iterator[Loaded]:
    """The demo city."""
    with short_directory() as directory:
        data = copy_data(made, directory / "data")
        with EmbeddedPostgres(data, options={"fsync": "off", "shared_buffers": "16MB"}) as server:
            loaded = timebank("demo", "load", data=data)
            assert loaded.returncode == 0, loaded.stdout
            yield Loaded(data, server.owner_url)


async def balances_of(city: Loaded) -> dict[str, tuple[int, str]]:
    """What every account of the city holds by its own row: amount and commodity, by its name in the journal."""
    connection = await asyncpg.connect(city.url)
    try:
        rows = await connection.fetch(
            "SELECT id, kind, system, unit, balance FROM ledger.account WHERE book_id = $1", BOOK_ID
        )
    finally:
        await connection.close()
    assert len(rows) > 100
    assert len([row for row in rows if row["balance"]]) > 50
    return {
        account_name(row["kind"], row["id"], system=row["system"]): (row["balance"], commodity(row["unit"]))
        for row in rows
    }


def exported(city: Loaded, dialect: str, file: Path) -> Path:
    """The journal that the command writes."""
    done = timebank("export", "--format", dialect, file, data=city.data)
    assert done.returncode == 0, done.stdout
    assert f"Written to {file}." in done.stdout
    return file


def hledger(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    """One command of hledger's."""
    return subprocess.run(
        [find_hledger(), *words], capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8"}
    )


async def test_beancount_reads_the_city_and_comes_to_its_balances(city: Loaded, tmp_path: Path) -> None:
    balances = await balances_of(city)
    entries, errors, _ = loader.load_file(str(exported(city, "beancount", tmp_path / "city.beancount")))
    assert errors == []
    opened = {entry.account for entry in entries if isinstance(entry, directives.Open)}
    assert opened == set(balances)
    root = realization.realize(entries)
    for name, (balance, unit) in balances.items():
        found = [(each.units.number, each.units.currency) for each in realization.get(root, name).balance]
        assert found == ([(Decimal(balance), unit)] if balance else []), name


async def test_hledger_reads_the_city_and_comes_to_its_balances(city: Loaded, tmp_path: Path) -> None:
    balances = await balances_of(city)
    file = exported(city, "hledger", tmp_path / "city.journal")
    checked = hledger("-f", file, "check", "accounts", "ordereddates")
    assert (checked.returncode, checked.stderr) == (0, "")
    table = hledger("-f", file, "balance", "--flat", "--empty", "-N", "-O", "csv")
    found = dict(list(csv.reader(table.stdout.splitlines()))[1:])
    assert set(found) == set(balances)
    for name, (balance, unit) in balances.items():
        assert found[name] == (f"{balance} {unit}" if balance else "0"), name


def test_a_journal_names_nobody_and_a_file_that_is_there_is_left_alone(city: Loaded, tmp_path: Path) -> None:
    file = exported(city, "beancount", tmp_path / "city.beancount")
    text = file.read_text(encoding="utf-8")
    assert "甘小荷" not in text
    assert "+8613900000001" not in text
    again = timebank("export", file, data=city.data)
    assert again.returncode != 0
    assert "left alone" in again.stdout
    assert file.read_text(encoding="utf-8") == text


def test_a_book_that_is_not_there_leaves_no_file(city: Loaded, tmp_path: Path) -> None:
    file = tmp_path / "none.beancount"
    refused = timebank("export", file, data=city.data, book=77)
    assert refused.returncode != 0
    assert "There is no book 77" in refused.stdout
    assert not file.exists()
