"""The journal of a book: the tools of plain-text accounting read it, and come to the same balances."""

import csv
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from beancount import loader
from beancount.core import realization

from ledger.book import open_accounts, reversal
from ledger.export import DIALECTS, account_name, commodity, journal
from ledger.model import Account, LedgerError, Outcome
from tests.ledger.desk import NOON, Desk, new_id
from tests.tools import find_hledger


def hledger(file: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """One command of hledger's on a journal."""
    return subprocess.run(
        [find_hledger(), "-f", file, *words], capture_output=True, text=True, check=False, env={"LC_ALL": "C.UTF-8"}
    )


async def written(desk: Desk, dialect: str) -> str:
    async with desk.engine.connect() as connection:
        return "".join([piece async for piece in journal(connection, desk.book_id, DIALECTS[dialect])])


async def lived_in(desk: Desk) -> dict[str, int]:
    """A book with groups, reversals, odd words, several days and the largest amount; its balances by journal name."""
    here, there = await desk.open(balance=1000), await desk.open()
    odd = Account(id=new_id(), unit="Stunden ⏳", kind="Zeit-Konto; 1", floor=None)
    other = Account(id=new_id(), unit="Stunden ⏳", kind="，", floor=None)
    async with desk.engine.begin() as connection:
        await open_accounts(connection, desk.book_id, [odd, other])
    group_id = new_id()
    hold = desk.move(here, there, 7, code='say "hello"; really | \\', source={"note": '爱心 "1"\\', "n": [1, None]})
    undo = reversal(hold.id, id=new_id(), code="release", occurred_at=NOON)
    outcomes = await desk.post(
        hold,
        desk.move(here, there, 20, group_id=group_id),
        desk.move(there, here, 3, group_id=group_id),
        now=desk.later(86_400 * 3),
    )
    outcomes += await desk.post(undo, now=desk.later(86_400 * 4))
    outcomes += await desk.post(desk.move(odd.id, other.id, 2**62, unit="Stunden ⏳"), now=desk.later(86_400 * 400))
    assert set(outcomes) == {Outcome.ok}
    rows = await desk.rows("SELECT id, kind, system, balance FROM ledger.account WHERE book_id = :book_id")
    return {account_name(row.kind, row.id, system=row.system): row.balance for row in rows}


async def test_beancount_comes_to_the_same_balances(desk: Desk) -> None:
    balances = await lived_in(desk)

    entries, errors, _ = loader.load_string(await written(desk, "beancount"))

    assert errors == []
    root = realization.realize(entries)
    for name, balance in balances.items():
        found = realization.get(root, name).balance
        assert [position.units.number for position in found] == ([Decimal(balance)] if balance else [])


async def test_beancount_finds_a_transfer_that_was_left_out(desk: Desk) -> None:
    await lived_in(desk)
    blocks = (await written(desk, "beancount")).split("\n\n")
    whole = [block for block in blocks if 'say \\"hello\\"' not in block]
    assert len(whole) == len(blocks) - 1

    _, errors, _ = loader.load_string("\n\n".join(whole))

    assert errors


async def test_hledger_comes_to_the_same_balances(desk: Desk, tmp_path: Path) -> None:
    balances = await lived_in(desk)
    file = tmp_path / "book.journal"
    file.write_text(await written(desk, "hledger"), encoding="utf-8")

    assert hledger(file, "check").returncode == 0
    rows = csv.reader(hledger(file, "balance", "--flat", "--empty", "-N", "-O", "csv").stdout.splitlines()[1:])
    found = dict(rows)
    assert {name: int(found[name].split()[0]) for name in balances} == balances


async def test_hledger_finds_a_changed_amount(desk: Desk, tmp_path: Path) -> None:
    await lived_in(desk)
    text = await written(desk, "hledger")
    file = tmp_path / "book.journal"
    file.write_text(text.replace("20 POINT", "21 POINT"), encoding="utf-8")

    assert hledger(file, "check").returncode != 0


async def test_a_journal_is_one_snapshot_of_a_book_that_is_there(desk: Desk) -> None:
    async with desk.engine.connect() as connection:
        with pytest.raises(LedgerError) as refused:
            await anext(journal(connection, desk.book_id + 1_000_000, DIALECTS["beancount"]))
        assert refused.value.code == "book_unknown"
    async with desk.engine.connect() as connection:
        await connection.exec_driver_sql("SELECT 1")
        with pytest.raises(LedgerError) as refused:
            await anext(journal(connection, desk.book_id, DIALECTS["beancount"]))
        assert refused.value.code == "snapshot_needed"


def test_units_keep_apart_in_every_tool() -> None:
    units = ["point", "Point", "POINT", "minute", "爱心币", "爱心", "a b", "ab", "x" * 64]
    names = [commodity(unit) for unit in units]
    assert len(set(names)) == len(units)
    assert all(name.isascii() and name.isalpha() and name.isupper() and len(name) <= 20 for name in names)
