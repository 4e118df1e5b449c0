"""Every code is documented, has words in both languages, and every code in the code base is one of them."""

import ast
import importlib
import pkgutil
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import api
import timebank
from api.guards import ACCESS
from api.openapi import document
from api.problems import FROM_SQLSTATE, FROM_STATUS
from api.sentences import HOLDS, REASONS, SENTENCES, hold_words, sentence, status_of
from tests.api.people import Town, problem
from timebank.errors import BankError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
TABLES = PAGE.split("\n## ")
# What an answer says that is no refusal.
DONE = {"ok", "held"}
# Calls whose first argument is a code.
MAKERS = {"Answer", "Problem"}


def rows(table: str) -> dict[str, list[str]]:
    """The rows of a table by the code in their first column."""
    found = {}
    for line in table.splitlines():
        if line.startswith("| `"):
            code, *rest = (cell.strip() for cell in line.strip("|").split(" | "))
            found[code.strip(" `")] = [cell.rstrip(" |") for cell in rest]
    return found


def test_every_code_is_documented_as_it_is() -> None:
    documented = rows(TABLES[0])
    assert list(documented) == list(SENTENCES)
    for code, (status, zh, en, what_to_do) in documented.items():
        assert (int(status), zh, en) == SENTENCES[code], code
        assert what_to_do.endswith("."), code


def test_every_reason_and_hold_is_documented_as_it_is() -> None:
    assert {name: tuple(words) for name, words in rows(TABLES[1]).items()} == REASONS
    assert {name: tuple(words) for name, words in rows(TABLES[2]).items()} == HOLDS


def test_every_class_of_error_has_words() -> None:
    for module in pkgutil.walk_packages(timebank.__path__, "timebank."):
        if not module.name.endswith(("postgres_child", "__main__")):
            importlib.import_module(module.name)

    def below(kind: type[BankError]) -> Iterator[type[BankError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    found = {kind.code for kind in below(BankError) if kind.__module__.startswith(("timebank.", "api."))}
    assert found <= set(SENTENCES)
    assert len(found) > 10


def test_every_code_in_the_source_has_words() -> None:
    named = set(FROM_STATUS.values()) | set(FROM_SQLSTATE.values())
    for package in (timebank, api):
        for path in Path(package.__path__[0]).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    name = node.func.id if isinstance(node.func, ast.Name) else None
                    if name in MAKERS:
                        named.add(node.args[0].value)
    assert named - DONE <= set(SENTENCES)
    assert len(named) > 15


def test_every_reason_in_the_source_has_words() -> None:
    used = set()
    for package in (timebank, api):
        for path in Path(package.__path__[0]).rglob("*.py"):
            source = path.read_text(encoding="utf-8")
            used |= set(re.findall(r'reason="(\w+)"', source)) | set(re.findall(r'"reason": "(\w+)"', source))
    assert used
    assert used <= set(REASONS)


@pytest.mark.parametrize("code", SENTENCES)
def test_a_code_says_something_in_both_languages(code: str) -> None:
    status, zh, en = SENTENCES[code]
    assert 400 <= status <= 599
    assert re.search(r"[\u4e00-\u9fff]", zh)
    assert zh.endswith("。")
    assert not re.search(r"[\u4e00-\u9fff]", en)
    assert en.endswith(".")
    names = [{name for _, name, _, _ in string.Formatter().parse(words) if name} for words in (zh, en)]
    assert names[0] == names[1]
    # Data that is missing leaves a sentence, not a failure.
    assert sentence(code, "en")
    assert sentence(code, "zh-CN", dict.fromkeys(names[0], "x"))


def test_what_is_not_known_is_said_to_be_unexpected() -> None:
    assert status_of("no_such_code") == 500
    assert sentence("no_such_code", "en") == SENTENCES["unexpected"].en
    assert hold_words("drawn", "en") == HOLDS["drawn"][1]
    assert hold_words("drawn", "zh-CN") == HOLDS["drawn"][0]
    assert hold_words("no_such_hold", "en") == "no_such_hold"


async def test_the_address_of_a_problem_leads_to_its_words(town: Town) -> None:
    person = town.stranger()
    answer = await person.get("/api/v1/me", headers={"Accept-Language": "en"})
    assert problem(answer) == (401, "not_signed_in")
    assert answer.json()["detail"] == SENTENCES["not_signed_in"].en
    answer = await person.get("/api/v1/me", headers={"Accept-Language": "zh"})
    assert answer.json()["detail"] == SENTENCES["not_signed_in"].zh
    found = (await person.get(answer.json()["type"])).json()
    assert found == {"code": "not_signed_in", **SENTENCES["not_signed_in"]._asdict()}
    listed = (await person.get("/api/v1/errors")).json()
    assert [entry["code"] for entry in listed["errors"]] == list(SENTENCES)
    assert set(listed["reasons"]) == set(REASONS)
    assert problem(await person.get("/api/v1/errors/no_such_code")) == (404, "not_found")


def references(value: object) -> Iterator[str]:
    """Every reference in a document."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


async def test_the_description_is_whole(town: Town) -> None:
    answer = await town.stranger().get("/api/v1/openapi.json")
    found = answer.json()
    assert found == document(town.app)
    assert found["openapi"] == "3.1.0"
    schemas = found["components"]["schemas"]
    used = {reference.rpartition("/")[2] for reference in references(found)}
    assert used == set(schemas)
    ids = []
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            ids.append(operation["operationId"])
            assert operation["summary"], (path, method)
            codes = {
                code
                for response in operation["responses"].values()
                for content in response.get("content", {}).values()
                for code in content["schema"].get("properties", {}).get("code", {}).get("enum", [])
            }
            assert codes <= set(SENTENCES)
            of_kiosk = operation["security"] == [{"kiosk": []}]
            assert ("credential_forged" in codes) == of_kiosk, (path, method)
            assert ("not_signed_in" in codes) == bool(operation["security"] and not of_kiosk), (path, method)
            assert method == "get" or "cross_site" in codes
            named = set(re.findall(r"\{(\w+)\}", path))
            assert named == {each["name"] for each in operation["parameters"] if each["in"] == "path"}
    assert len(ids) == len(set(ids))
    assert found["paths"]["/api/v1/sessions"]["post"]["security"] == []
    assert found["paths"]["/api/v1/check-ins"]["post"]["security"] == [{"session": [], "csrf": []}]


def test_shapes_refuse_what_nobody_reads(town: Town) -> None:
    schemas = document(town.app)["components"]["schemas"]
    assert schemas["Scan"]["additionalProperties"] is False
    assert schemas["Scan"]["required"] == ["id", "code"]


def test_the_reference_of_routes_is_the_table_of_guards() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    words = {"anybody": "anybody", "members": "members", "machine": "this machine", "kiosks": "a kiosk"}
    documented = {route: cells[0] for route, cells in rows(page).items() if " /" in route}
    assert documented == {
        route: words.get(access.to) or " or ".join(access.roles)
        for route, access in ACCESS.items()
        if route.split()[1].startswith(("/api/", "/health/", "/metrics"))
    }
