"""The pages say what is there: every link, file, function, command, option and setting that they name exists."""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from api.cli import COMMANDS, main
from api.language import catalogue
from timebank.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
GUIDES_IN_CHINESE = sorted((DOCS / "how-to" / "zh-CN").glob("*.md"))
FOLDERS = ("api", "docs", "ledger", "migrations", "tests", "timebank")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")
FILE = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*")
FUNCTION = re.compile(r"`(\w+)\(\)`")
COMMAND = re.compile(r"(?:^|[\s/`])timebank ((?:[a-z-]+|[A-Z]+_\w+)(?: .*)?)$")
# A path of somebody's machine, and where packages come from: both are other on every machine.
PLACES = re.compile(r"(?<![\w.])/(?:home|root|work|tmp|Users|mnt|opt|private)/")
REGISTRIES = re.compile(
    r"(?:pypi\.org|pythonhosted|npmjs|crates\.io|proxy\.golang|docker\.io|ghcr\.io|deb\.debian|artifactory|nexus)", re.I
)


@cache
def text_of(page: Path) -> str:
    """A page."""
    return page.read_text(encoding="utf-8")


@cache
def prose_of(page: Path) -> str:
    """A page without what stands in fences."""
    return FENCE.sub("", text_of(page))


def links_of(page: Path) -> Iterator[tuple[Path, str]]:
    """Where the links of a page into this repository lead, and to which heading there."""
    for address in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", address):
            continue
        path, _, anchor = unquote(address).partition("#")
        yield (page.parent / path).resolve() if path else page, anchor


@cache
def anchors_of(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", words)))
    return found


def shell_lines(page: Path) -> Iterator[str]:
    """What a page tells its reader to type: in fences of a terminal, and in the running text."""
    for language, block in FENCE.findall(text_of(page)):
        if language in ("", "console", "sh", "bash"):
            # A line that is continued is one line.
            for line in block.replace("\\\n", " ").splitlines():
                if language != "console" or line.startswith("$ "):
                    yield line.removeprefix("$ ")
    yield from SPAN.findall(prose_of(page))


def commands_of(page: Path) -> list[str]:
    """The `timebank` commands of a page, without the name of the program."""
    found = (COMMAND.search(line.strip()) for line in shell_lines(page))
    return [match[1] for match in found if match]


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    links = list(links_of(ROOT / name))
    assert [str(target) for target, _ in links if not target.exists()] == []
    assert [link for link in links if link[0].exists() and link[1] and link[1] not in anchors_of(link[0])] == []


def test_every_page_is_reached_from_the_index() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page.suffix == ".md" and page not in reached and page.exists():
            reached.add(page)
            waiting += [target for target, _ in links_of(page)]
    assert {page for page in PAGES if page not in reached} == set()


def test_the_index_names_every_page() -> None:
    listed = {target for index in (DOCS / "README.md", DOCS / "adr" / "README.md") for target, _ in links_of(index)}
    assert {page for page in DOCS.rglob("*.md") if page not in listed} <= {DOCS / "README.md"}


@pytest.mark.parametrize("name", NAMES)
def test_every_file_that_is_named_is_there(name: str) -> None:
    named = [span for span in SPAN.findall(prose_of(ROOT / name)) if FILE.fullmatch(span)]
    # What is in capitals stands for something else.
    files = [path for path in named if not re.search(r"/[A-Z]+(?:/|$)", path)]
    assert [path for path in files if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_function_that_is_named_beside_its_file_is_in_it(name: str) -> None:
    for paragraph in re.split(r"\n(?=\n|\||- )", prose_of(ROOT / name)):
        files = [path for path in SPAN.findall(paragraph) if re.fullmatch(r"[\w/]+\.py", path) and "/" in path]
        known = {name for path in files for name in functions_in(path)}
        for function in FUNCTION.findall(paragraph) if files else ():
            assert function in known, (function, files)


@cache
def functions_in(path: str) -> set[str]:
    """Every function and method of a file; that it is there at all is tested above."""
    if not (ROOT / path).exists():
        return set()
    nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("name", NAMES)
def test_every_command_is_one(name: str) -> None:
    for line in commands_of(ROOT / name):
        command: click.Command = main
        words = line.split()
        if words[0] == "--settings":
            # Before any command, with the file's name.
            assert words[0] in main.params[0].opts
            words = words[2:]
        while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z-]+", words[0]):
            found = command.get_command(click.Context(command), words[0])
            assert found is not None, line
            command = found
            words.pop(0)
        options = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h", "--version"}
        for word in re.findall(r"(?:^|[\s\[])(--?[a-z][\w-]*)", " ".join(words).split(" -- ")[0]):
            assert word in options, line


def test_commands_are_found_in_pages() -> None:
    assert {line.split()[0] for page in PAGES for line in commands_of(page)} >= {"audit", "keys", "migrate"}
    for target in COMMANDS.values():
        module, _, attribute = target.partition(":")
        assert isinstance(getattr(importlib.import_module(f"api.commands.{module}"), attribute), click.Command)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_one(name: str) -> None:
    known = {field.metadata["variable"] for field in fields(Settings)}
    assert set(re.findall(r"TIMEBANK_[A-Z_]+[A-Z]", text_of(ROOT / name))) <= known


@pytest.mark.parametrize("name", NAMES)
def test_every_make_command_is_one(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {match[1] for line in shell_lines(ROOT / name) if (match := re.search(r"(?:^|&& )make ([a-z]+)$", line))}
    assert named <= targets


@pytest.mark.parametrize("name", NAMES)
def test_no_page_knows_a_machine_or_a_registry(name: str) -> None:
    assert PLACES.findall(text_of(ROOT / name)) == []
    assert REGISTRIES.findall(text_of(ROOT / name)) == []


def test_guides_in_chinese_name_what_stands_on_the_pages() -> None:
    said = {entry.string for entry in catalogue("zh-CN") if entry.id}
    for page in GUIDES_IN_CHINESE:
        named = set(re.findall("“([^”]+)”", text_of(page)))
        assert len(named) > 10
        assert sorted(named - said) == []
        assert f"[English](../{page.name})" in text_of(page)


def test_both_readmes_show_the_same() -> None:
    english, chinese = ROOT / "README.md", ROOT / "README.zh-CN.md"
    shown = [
        [block for language, block in FENCE.findall(text_of(page)) if language == "console"]
        for page in (english, chinese)
    ]
    assert shown[0] == shown[1]
    linked = [{target for target, _ in links_of(page) if target.suffix == ".md"} for page in (english, chinese)]
    # Where there is a guide in Chinese, the Chinese page leads to that.
    linked[1] = {page.parent.parent / page.name if page.parent.name == "zh-CN" else page for page in linked[1]}
    assert linked[0] - {chinese} == linked[1] - {english}
    named = [re.findall(r"`(tests/[\w/]+\.py)`", text_of(page)) for page in (english, chinese)]
    assert named[0] == named[1]
    assert len(named[0]) > 10
