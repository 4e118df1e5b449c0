"""The guide says what happens: its blocks are run as one program, and what they print is what the page shows."""

import ast
import contextlib
import inspect
import io
import re
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "use-the-ledger-alone.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


async def run(source: str, names: dict[str, Any]) -> str:
    """What `source`, which may await at its top level, prints."""
    printed = io.StringIO()
    code = compile(source, GUIDE.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(printed):
        waiting = eval(code, names)  # noqa: S307 - our own page
        if inspect.isawaitable(waiting):
            await waiting
    return printed.getvalue()


async def test_the_guide_does_what_it_says(ledger_database: Any, new_book: int) -> None:
    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"service_url": ledger_database.service_url, "book_id": new_book}
    shown = 0
    for block in blocks:
        expected = [line.removeprefix("#> ") for line in block.splitlines() if line.startswith("#> ")]
        assert (await run(block, names)).splitlines() == expected
        shown += len(expected)
    assert len(blocks) == 7
    assert shown == 12
