"""The page of settings names every variable with its default, and every code that a command ends with."""

import ast
import re
from dataclasses import fields
from pathlib import Path

from timebank.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")


def table(heading: str) -> dict[str, list[str]]:
    """The rows under a heading: the quoted first cell, and the others."""
    part = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in rows}


def refused() -> set[str]:
    """Every code of a Refusal in the sources; `run` and `refuse` in backup.py raise one by the code given."""
    found = set()
    for path in [*(ROOT / "timebank").rglob("*.py"), *(ROOT / "api").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = getattr(node.func, "id", None)
            if name == "Refusal" or (name in ("run", "refuse") and path.name == "backup.py"):
                found.add(node.args[0].value)
    return found


def test_every_variable_stands_on_the_page_with_its_default() -> None:
    known = {each.metadata["variable"]: each.metadata["default"] for each in fields(Settings)}
    shown = {name: cells[0] for name, cells in table("Variables").items()}
    assert shown == {
        name: "not set" if default is None else f"`{default}`" if default else "empty"
        for name, default in known.items()
    }


def test_what_the_page_says_of_a_variable_is_what_the_code_says() -> None:
    for each in fields(Settings):
        assert table("Variables")[each.metadata["variable"]][1] == each.metadata["description"]


def test_every_refusal_stands_on_the_page_with_what_to_do() -> None:
    documented = table("Refusals")
    assert set(documented) == refused()
    assert all(re.search(r"[\w`]\.$", cells[0]) for cells in documented.values())
