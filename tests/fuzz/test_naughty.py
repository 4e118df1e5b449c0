"""Every text field of every body and of every form takes every kind of text, or refuses it with a code."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import count
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from api import openapi
from api.app import create_app
from api.sentences import SENTENCES
from tests.browser.bank import Service
from tests.fuzz.conftest import SECONDS, Sender
from tests.fuzz.naughty import NAUGHTY

DESCRIPTION = openapi.document(create_app())
AN_ID = "018f0000-0000-7000-8000-000000000000"
# Forms that are no text's business: they end the session, or move the time of everybody.
LEFT_ALONE = ("/sign-out", "/demo/clock", "/language")
PAGES_LIMIT = 60
TORTURE = os.environ.get("TIMEBANK_TORTURE") == "1"
# In the short form each field meets a few of the texts, the next field the next few.
AT_ONCE = len(NAUGHTY) if TORTURE else 3

turn = count()


def texts() -> list[str]:
    """The texts whose turn it is."""
    start = next(turn) * AT_ONCE
    return [NAUGHTY[(start + step) % len(NAUGHTY)] for step in range(AT_ONCE)]


def sample(schema: dict[str, Any]) -> Any:
    """A value that fits a schema of the description, as far as its shape goes."""
    if "$ref" in schema:
        return sample(DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return sample(schema[choice][0])
    kind = schema.get("type")
    if kind == "object":
        return {name: sample(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema["items"])] if "items" in schema else []
    if kind == "integer":
        return max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return False
    return AN_ID if schema.get("format") == "uuid" else None if kind == "null" else "text"


def fields_of(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a body texts and numbers are."""
    if isinstance(body, dict):
        for name, value in body.items():
            yield from fields_of(value, (*path, name))
    elif isinstance(body, list):
        for place, value in enumerate(body):
            yield from fields_of(value, (*path, place))
    else:
        yield path


def put(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of `body` with another value at `path`."""
    if not path:
        return value
    changed = dict(body) if isinstance(body, dict) else list(body)
    changed[path[0]] = put(body[path[0]], path[1:], value)
    return changed


def bodies() -> Iterator[tuple[str, str, Any]]:
    """Every route that takes JSON with anything in it: its path, its method and a body that fits."""
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            taken = operation.get("requestBody", {}).get("content", {}).get("application/json")
            whole = sample(taken["schema"]) if taken else None
            if whole:
                yield path, method, whole


WRITES = list(bodies())


@pytest.mark.parametrize(("path", "method", "whole"), WRITES, ids=[f"{m} {p}" for p, m, _ in WRITES])
def test_every_field_of_every_body(path: str, method: str, whole: Any, senders: dict[str, Sender]) -> None:
    place = path.replace("{number}", "1")
    while "{" in place:
        place = f"{place.partition('{')[0]}{AN_ID}{place.partition('}')[2]}"
    tried = 0
    with httpx.Client(timeout=SECONDS) as client:
        for where in fields_of(whole):
            for text in texts():
                for sender in (senders["volunteer"], senders["admin"]):
                    answer = client.request(
                        method, sender.address + place, json=put(whole, where, text), headers=sender.headers
                    )
                    assert answer.status_code < 500, (where, text, answer.text)
                    if answer.status_code >= 400:
                        assert answer.json()["code"] in SENTENCES
                    tried += 1
    assert tried


@dataclass
class Found(HTMLParser):
    """The links and forms of a page."""

    links: list[str] = field(default_factory=list)
    forms: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Collect what can be followed and what can be filled in."""
        facts = {name: value or "" for name, value in attributes}
        if tag == "a" and "href" in facts:
            self.links.append(facts["href"])
        if tag == "form":
            method = facts.get("method", "get").lower()
            self.forms.append({"action": facts.get("action", ""), "method": method, "kept": {}, "open": []})
        if tag in ("input", "textarea", "select", "button") and facts.get("name") and self.forms:
            form = self.forms[-1]
            if tag == "input" and facts.get("type") == "hidden":
                form["kept"][facts["name"]] = facts.get("value", "")
            if tag != "button" and facts.get("type") != "file":
                form["open"].append(facts["name"])


@pytest.mark.parametrize("role", ["volunteer", "manager", "clerk", "admin", "stranger"])
def test_every_field_of_every_form(role: str, service: Service, senders: dict[str, Sender]) -> None:
    headers = {"Origin": service.address}
    if role != "stranger":
        headers["Cookie"] = senders[role].headers["Cookie"]
    seen: dict[tuple[str, tuple[str, ...]], None] = {}
    waiting, visited = ["/"], set()
    with httpx.Client(base_url=service.address, headers=headers, timeout=SECONDS) as client:
        while waiting and len(visited) < PAGES_LIMIT:
            place = waiting.pop(0)
            if place in visited:
                continue
            visited.add(place)
            page = client.get(place)
            assert page.status_code < 500, place
            if not page.headers.get("content-type", "").startswith("text/html"):
                continue
            found = Found()
            found.feed(page.text)
            waiting += [link for link in (inside(service.address, place, link) for link in found.links) if link]
            for form in found.forms:
                action = inside(service.address, place, form["action"] or place)
                kind = (shape_of(action or ""), tuple(sorted(set(form["open"]))))
                if action is None or action in LEFT_ALONE or kind in seen:
                    continue
                seen[kind] = None
                fill(client, action, form)
    assert seen


@pytest.mark.parametrize("size", [300_000, 3_000_000])
def test_who_sends_too_much_is_told_so_each_time(service: Service, size: int) -> None:
    headers = {"Origin": service.address}
    with httpx.Client(base_url=service.address, headers=headers, timeout=SECONDS) as client:
        answers = [client.post("/sign-in/code", data={"phone": "1" * size}) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {413}


def fill(client: httpx.Client, action: str, form: dict[str, Any]) -> None:
    """Send a form once for each of its fields and each text."""
    for name in dict.fromkeys(form["open"]):
        for text in texts():
            values = {**dict.fromkeys(form["open"], "1"), **form["kept"], name: text}
            if name == "csrf":
                continue
            if form["method"] == "post":
                answer = client.post(action, data=values)
            else:
                answer = client.get(action, params=values)
            assert answer.status_code < 500, (action, name, text, answer.text[:2000])


def inside(address: str, place: str, link: str) -> str | None:
    """The path and query of a link of ours; None for any other."""
    whole = urlsplit(urljoin(address + place, link))
    if f"{whole.scheme}://{whole.netloc}" != address or whole.path.startswith(("/static/", "/api/")):
        return None
    return f"{whole.path}?{whole.query}" if whole.query else whole.path


def shape_of(path: str) -> str:
    """A path without its ids and numbers: forms of one kind are filled once."""
    parts = urlsplit(path).path.split("/")
    return "/".join("*" if any(character.isdigit() for character in part) else part for part in parts)
