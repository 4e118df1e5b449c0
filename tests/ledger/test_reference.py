"""The reference page names every outcome in its order, every error, every finding and every verb, and no others."""

import inspect
import re
from pathlib import Path

import ledger.audit_checks
import ledger.queries
from ledger.model import Outcome

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "ledger.md").read_text(encoding="utf-8")
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "ledger").rglob("*.*"))
    if path.suffix in (".py", ".sql") and path.is_file()
)


def first_column(heading: str) -> list[str]:
    """The names in the first column of the table under `heading`."""
    section = PAGE.split(f"\n{heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)", row)]


def test_outcomes_in_order_of_precedence() -> None:
    assert first_column("### Outcomes, in order of precedence") == [outcome.value for outcome in Outcome]


def test_every_error_is_explained() -> None:
    raised = set(re.findall(r'LedgerError\(\s*"(\w+)"', SOURCES)) | set(re.findall(r"RETURN '(\w+)';", SOURCES)) - {
        "ok"
    }
    assert set(first_column("### Errors")) == raised


def test_every_finding_is_explained() -> None:
    checks = "\n".join(ledger.audit_checks.CHECKS.values())
    codes = set(re.findall(r"\('(\w+)', \(", checks)) | set(re.findall(r"SELECT '(\w+)'", checks))
    assert set(first_column("## Audit")) == codes


def test_every_query_is_explained() -> None:
    queries = {
        name
        for name, function in inspect.getmembers(ledger.queries, inspect.iscoroutinefunction)
        if function.__module__ == "ledger.queries"
    }
    assert set(first_column("## Reading")) == queries
