"""Tests that share a bank stay together, and what they are called by is there."""

import pytest

from tests.conftest import ROOT
from tests.groups import BY_FILE, BY_THEMSELVES, DEMO_CITY, group_of


@pytest.mark.parametrize("named", [*BY_FILE, *BY_THEMSELVES, *DEMO_CITY])
def test_what_is_named_is_there(named: str) -> None:
    path, _, test = named.partition("::")
    assert (ROOT / path).exists()
    if test:
        assert f"def {test.rstrip('[')}(" in (ROOT / path).read_text(encoding="utf-8")


def test_a_file_that_shares_a_bank_is_one_group_and_what_is_long_is_none() -> None:
    counter = "tests/browser/test_counter.py"
    assert group_of(f"{counter}::test_two_pages_without_scripts[en]") == group_of(f"{counter}::test_other") == counter
    pages = "tests/browser/test_pages.py"
    assert group_of(f"{pages}::test_every_page[admin-en]") != group_of(f"{pages}::test_every_page[admin-zh-CN]")
    assert group_of("tests/unit/test_groups.py::test_a") != group_of("tests/unit/test_groups.py::test_b")
    assert {group_of(f"{DEMO_CITY[0]}::test_any"), *map(group_of, DEMO_CITY)} == {"demo city"}
