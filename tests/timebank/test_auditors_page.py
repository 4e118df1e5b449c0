"""The auditor's page says what happens: its SQL, run on the demo city as the role that serves, proves what it says."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from timebank import demo, purses
from timebank.keys import Keys

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "ledger.md").read_text(encoding="utf-8")
STATEMENTS = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@pytest.fixture
async def city(connection: AsyncConnection, keys: Keys, new_book: int) -> int:
    """The book of a demo city, which leaves nothing behind."""
    await demo.load(connection, new_book, keys, NOW)
    return new_book


def holds(says: str, rows: list[Row[Any]]) -> bool:
    """Whether rows are what the first line of a statement says of them."""
    if says == "no rows":
        return not rows
    if says == "given is paid out and left":
        return bool(rows) and all(row.given == row.paid_out + row.remaining and row.paid_out > 0 for row in rows)
    column = re.fullmatch(r"every (\w+) is 0", says)
    assert column, says
    return bool(rows) and all(getattr(row, column[1]) == 0 for row in rows)


async def test_every_statement_proves_what_it_says_and_the_accounts_are_those_of_the_page(
    connection: AsyncConnection, city: int
) -> None:
    said = 0
    for statement in STATEMENTS:
        rows = list((await connection.execute(text(statement.replace("book_id = 1", f"book_id = {city}")))).all())
        if statement.startswith("-- "):
            says = statement.splitlines()[0].removeprefix("-- ")
            assert holds(says, rows), (says, rows)
            said += 1
        else:
            assert rows
    assert (said, len(STATEMENTS)) == (9, 10)
    # And the accounts are those of the page's table.
    rows = await connection.execute(
        text("SELECT DISTINCT kind, unit, floor FROM ledger.account WHERE book_id = :city"), {"city": city}
    )
    table = PAGE.split("| account | how many |")[1].split("\n\n")[0]
    shown = set()
    for line in table.splitlines()[2:]:
        account, _, floor, _ = (cell.strip() for cell in line.strip("|").split(" | "))
        kind, _, unit = account.replace("`", "").partition(", of ")
        known = {
            "points": purses.POINT,
            "minutes": purses.MINUTE,
            "": purses.MINUTE if kind == "hours" else purses.POINT,
        }
        shown.add((kind, known[unit], None if floor == "none" else int(floor)))
    assert shown == {tuple(row) for row in rows}
