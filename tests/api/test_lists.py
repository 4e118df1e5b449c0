"""Every list page by page, for programs and for people: nothing twice, nothing left out, and it ends."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from api import csv_file, downloads
from tests.api.listed import ROOT, items_of, redeem
from tests.api.people import Person, Town, problem
from timebank import funds

# As many of everything as a page of one item needs, to have a middle.
MANY = 3
# Pages with lists on them, as addresses with the names of `things`.
PAGES = (
    "/records",
    "/statement",
    "/codes",
    "/rewards",
    "/card",
    "/counter?station={station}",
    "/stations",
    "/stations/{number}",
    "/queue",
    "/queue/{record}/statement",
    "/admin/stations",
    "/admin/members",
    "/admin/roles",
    "/admin/regions?at={region}",
    "/admin/regions?name=36011",
    "/certificates",
    "/admin/kinds",
    "/admin/funds",
    "/admin/funds/{fund}",
    "/admin/rewards",
    "/admin/policy",
    # Every list that was taken away is a line of it by then.
    "/admin/trail?action=shift",
    "/admin/webhooks",
)
# Lists that one page holds side by side, each with its own place in it.
SIDE_BY_SIDE = {"/queue": {"after", "questions", "scans"}, "/stations/{number}": {"people", "shifts"}}
# How many forms narrow the lists of a page; one for each list, where nothing else is said.
FORMS = {"/queue": 1, "/card": 0, "/counter?station={station}": 0}


async def all_of_it(town: Town) -> tuple[Person, dict[str, Any]]:
    """Somebody with every role, and at least three of everything that they may see; and the names of things."""
    city, bank = town.city, town.bank
    boss = await town.with_role("admin")
    assert boss.member_id
    async with bank.engine.begin() as connection:
        for role in ("manager", "clerk", "auditor"):
            await city.grant(connection, boss.member_id, role, region_id=city.region_id)
        for number in range(MANY):
            await city.add_station(connection, name_en=f"Branch {number}")
            await city.add_region(connection, "district", f"36011{number + 1}000000", city.region_id)
            await city.add_reward(connection, price_points=1 + number // 2)
            names = {"name_zh": f"基金{number}", "name_en": f"Fund {number}"}
            await funds.add(connection, city.book_id, region_id=city.region_id, id=city.new_id(), now=city.now, **names)
            await funds.fill(
                connection,
                city.book_id,
                fund_id=city.fund_id,
                points=10,
                id=city.new_id(),
                now=city.now,
                actor_id=None,
            )
    hook = {"id": boss.new_id(), "region_id": str(city.region_id), "url": "https://hook.example.org/"}
    assert (await boss.send(f"{ROOT}/webhooks", {**hook, "events": ["shift.planned"]})).status_code == 201
    things = {"number": city.station.number, "region": city.region_id, "fund": city.fund_id, "station": city.station.id}
    manager, other = await town.member(city.manager_id), await town.volunteer("林一")
    for person in (boss, other):
        verified = [await town.serve(person, 61) for _ in range(MANY)]
        for record_id in verified:
            body = {"id": manager.new_id(), "record_id": record_id, "verdict": "verify"}
            assert (await manager.send(f"{ROOT}/decisions", body)).status_code == 201
        await redeem(person)
    things["record"] = verified[0]
    held = (await other.get(f"{ROOT}/redemptions")).json()["redemptions"]
    for each in held:
        body = {"id": boss.new_id(), "station_id": str(city.station.id), "code": each["code"]}
        assert (await boss.send(f"{ROOT}/fulfilments", body)).status_code == 201
    for _ in range(MANY):
        record_id = await town.serve(other, 10)
        body = {"id": other.new_id(), "record_id": record_id, "question": "Why?"}
        assert (await other.send(f"{ROOT}/inquiries", body)).status_code == 201
        assert (await other.send(f"{ROOT}/check-outs", {"id": other.new_id(), "code": town.code()})).status_code == 202
        town.watch.move(minutes=1)
    await cards(town, boss, manager)
    for number in range(MANY):
        assert (await boss.send(f"{ROOT}/certificates", {"id": boss.new_id()})).status_code == 201
        begins = town.watch.now + timedelta(days=number)
        body = {"id": boss.new_id(), "starts_at": str(begins), "ends_at": str(begins + timedelta(hours=2))}
        assert (await boss.send(f"{ROOT}/stations/{city.station.number}/shifts", body)).status_code == 201
        visitor = await town.volunteer(f"访客{number}")
        await visitor.send(f"{ROOT}/check-ins", {"id": visitor.new_id(), "code": town.code()})
        rules = (await boss.get(f"{ROOT}/policy-versions")).json()["versions"][0]["rules"]
        body = {"id": boss.new_id(), "starts_on": f"2026-0{4 + number}-01", "rules": rules}
        assert (await boss.send(f"{ROOT}/policy-versions", body)).status_code == 201
    return boss, things


async def cards(town: Town, person: Person, manager: Person) -> None:
    """Somebody comes, goes and comes by card, without the PIN."""
    card = (await person.send(f"{ROOT}/card", {"id": person.new_id()})).json()["code"]
    for kind in ("in", "out", "in"):
        body = {"id": manager.new_id(), "kind": kind, "code": card}
        answer = await manager.send(f"{ROOT}/stations/{town.city.station.number}/card-scans", body)
        assert answer.status_code in (201, 202), answer.text
        town.watch.move(minutes=30)


def listing(document: dict[str, Any]) -> Iterator[str]:
    """The address of every operation that answers page by page."""
    for path, methods in document["paths"].items():
        names = {each["name"] for each in methods.get("get", {}).get("parameters", ())}
        if {"cursor", "limit"} <= names:
            yield path


def filled(path: str, things: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The address, and what it asks for beside its page."""
    asked = {f"{ROOT}/regions": {"parent_id": "region"}, f"{ROOT}/fulfilments": {"station_id": "station"}}
    names = {"record_id": "record", "fund_id": "fund", "number": "number"}
    address = re.sub(r"\{(\w+)\}", lambda match: str(things[names[match[1]]]), path)
    return address, {name: str(things[thing]) for name, thing in asked.get(path, {}).items()}


async def test_every_list_is_walked_to_its_end(town: Town) -> None:
    boss, things = await all_of_it(town)
    await walk_for_programs(town, boss, things)
    await walk_for_people(boss, things)


async def walk_for_programs(town: Town, boss: Person, things: dict[str, Any]) -> None:
    """Every list of the description."""
    document = (await boss.get(f"{ROOT}/openapi.json")).json()
    full = set()
    for path in listing(document):
        address, asked = filled(path, things)
        # What the trail keeps of looks at somebody's balance must not grow between the two walks.
        whole = items_of((await boss.get(address, params={**asked, "limit": "100"})).json())
        if len(whole) >= MANY:
            full.add(path)
        found, cursor = [], None
        while len(found) <= len(whole):
            page = (
                await boss.get(address, params={**asked, "limit": "1", **({"cursor": cursor} if cursor else {})})
            ).json()
            found += items_of(page)
            cursor = page["following"]
            if cursor is None:
                break
        assert found == whole, path
        await taken_away(town, boss, document, path, address, asked, whole)
        for wrong, code in (
            ({"cursor": "x"}, "cursor_invalid"),
            ({"limit": "0"}, "invalid"),
            ({"limit": "101"}, "invalid"),
        ):
            assert problem(await boss.get(address, params={**asked, **wrong}))[1] == code, (path, wrong)
    # What `all_of_it` fills.
    assert len(full) >= 20
    taken = (await boss.get(f"{ROOT}/trail", params={"action": "list.download", "limit": "100"})).json()["entries"]
    noted = {(entry["after"]["list"], entry["after"]["format"]): entry["after"]["rows"] for entry in taken}
    assert all(entry["actor_id"] == str(boss.member_id) for entry in taken)
    assert noted["/members", "xlsx"] == noted["/members", "csv"] >= MANY
    # What one sees of oneself, and of things, is nobody else's.
    assert not {"/records", "/statement", "/stations", "/funds"} & {name for name, _ in noted}


async def taken_away(
    town: Town, boss: Person, document: dict[str, Any], path: str, address: str, asked: dict[str, str], whole: list[Any]
) -> None:
    """The list as CSV and as XLSX is the list as JSON, row by row and cell by cell, under a head of its own words."""
    files = {}
    for name, language in (("csv", "zh-CN"), ("xlsx", "en")):
        boss.client.cookies.set("language", language)
        town.watch.move(seconds=1)
        answer = await boss.get(address, params={**asked, "format": name, "limit": "1"})
        assert answer.status_code == 200, (address, answer.text)
        assert answer.headers["content-type"].startswith(downloads.FORMATS[name].media_type)
        assert re.fullmatch(
            rf'attachment; filename="[a-z-]+-2026-\d\d-\d\d\.{name}"', answer.headers["content-disposition"]
        )
        assert int(answer.headers["content-length"]) == len(answer.content)
        files[name] = answer.content
    (chinese, *lines) = csv.reader(io.StringIO(files["csv"].decode("utf-8-sig"), newline=""))
    book = CalamineWorkbook.from_filelike(io.BytesIO(files["xlsx"]))
    (english, *rows) = book.get_sheet_by_index(0).to_python()
    # An empty cell at the end of a row is none.
    rows = [[*row, *[""] * (len(english) - len(row))] for row in rows]
    assert len(set(chinese)) == len(set(english)) == len(chinese) == len(english)
    assert any("\u4e00" <= sign <= "\u9fff" for sign in "".join(chinese))
    assert "".join(english).isascii()
    # That the trail was taken away once stands in it when it is taken away again.
    assert len(rows) - len(whole) == path.endswith("/trail")
    rows = rows[len(rows) - len(whole) :]
    schema = item_schema(document, path)
    for item, line, row in zip(whole, lines, rows, strict=True):
        cells = list(flat(document, schema, item))
        assert line == [each if re.fullmatch(r"-?\d+", each) else csv_file.neutral(each) for each in cells], address
        assert [shown(cell) for cell in row] == cells, address


def item_schema(document: dict[str, Any], path: str) -> str:
    """The name of the shape of what is in a list."""
    content = document["paths"][path]["get"]["responses"]["200"]["content"]
    assert {form.media_type for form in downloads.FORMATS.values()} < set(content)
    page = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    (items,) = [
        field["items"] for field in document["components"]["schemas"][page]["properties"].values() if "items" in field
    ]
    return str(items["$ref"].rpartition("/")[2])


def flat(document: dict[str, Any], shape: str, item: dict[str, Any] | None) -> Iterator[str]:
    """The cells of one item, with those of the things in it."""
    for name, field in document["components"]["schemas"][shape]["properties"].items():
        inner = [each["$ref"].rpartition("/")[2] for each in (field, *field.get("anyOf", ())) if "$ref" in each]
        value = item[name] if item else None
        if inner:
            yield from flat(document, inner[0], value)
        else:
            yield cell(value)


def cell(value: Any) -> str:
    """What stands in a cell for a value in JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return (datetime.fromisoformat(value) + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def shown(cell: Any) -> str:
    """What a spreadsheet shows for a cell that it knows the kind of."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, date):
        return cell.isoformat()
    return str(int(cell)) if isinstance(cell, float) else str(cell)


async def test_no_list_is_taken_away_in_parts_too_often_or_too_many_at_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss, bank = await town.with_role("admin"), town.bank
    strange = await town.volunteer("=1+1")
    members = f"{ROOT}/members"
    body = (await boss.get(members, params={"format": "csv"})).text
    assert "'=1+1" in body
    assert str(strange.member_id) in body
    whole = len((await boss.get(members)).json()["members"])
    # Page by page, and still whole.
    monkeypatch.setattr(downloads, "PAGE_ROWS", 2)
    assert (await boss.get(members, params={"format": "csv"})).text == body
    monkeypatch.setattr(downloads, "ROWS_LIMIT", whole - 1)
    for name in downloads.FORMATS:
        answer = await boss.get(members, params={"format": name})
        assert problem(answer) == (422, "list_too_long")
    for wrong in ({"format": "pdf"}, {"format": "csv", "limit": "0"}, {"format": "csv", "member_state": "x"}):
        assert problem(await boss.get(members, params=wrong)) == (422, "invalid")
    assert problem(await boss.get(members, params={"format": "csv", "cursor": "x"})) == (422, "cursor_invalid")
    assert problem(await strange.get(members, params={"format": "csv"})) == (403, "role_not_allowed")
    assert bank.downloads_under_way == 0
    bank.downloads_under_way = downloads.AT_ONCE
    assert problem(await boss.get(members, params={"format": "csv"})) == (503, "busy")
    bank.downloads_under_way = 0
    assert boss.member_id
    monkeypatch.setattr(downloads, "OFTEN", replace(downloads.OFTEN, count=1))
    assert problem(await boss.get(members, params={"format": "csv"})) == (429, "try_later")


def next_links(text: str) -> list[str]:
    """Where the rest of the lists of a page is."""
    return [unescape(each) for each in re.findall(r'<a [^>]*rel="next" href="([^"]+)"', text)]


def shorter(address: str) -> str:
    """The same, with one item of each list."""
    path = address.partition("#")[0]
    return path + ("&" if "?" in path else "?") + "limit=1"


async def walk_for_people(boss: Person, things: dict[str, Any]) -> None:
    """Every list that people read."""
    for path in PAGES:
        address = path.format(**things)
        first = await boss.get(shorter(address))
        assert first.status_code == 200, (path, first.text)
        beginnings = next_links(first.text)
        names = {re.search(r"[?&](\w+)=[^&]*$", each)[1] for each in beginnings}
        assert len(beginnings) == len(names) == len(SIDE_BY_SIDE.get(path, "x")), (path, beginnings)
        assert names == SIDE_BY_SIDE.get(path, names)
        narrowing = re.findall(r'<form [^>]*method="get" action="([^"#?]+)', first.text)
        assert narrowing.count(address.partition("?")[0]) == FORMS.get(path, len(names)), (path, narrowing)
        for name, link in zip(
            sorted(names), sorted(beginnings, key=lambda each: each.rpartition("&")[2].rpartition("?")[2]), strict=True
        ):
            seen, at = [first.text], link
            while at:
                page = await boss.get(shorter(at))
                assert page.status_code == 200, (at, page.text)
                seen.append(page.text)
                at = next((each for each in next_links(page.text) if re.search(rf"[?&]{name}=[^&]*$", each)), "")
                assert len(seen) < 100, path
            assert len(seen) >= MANY, (path, name)
