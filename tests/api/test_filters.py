"""Lists are narrowed by what people look for, for programs and on pages."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from api.pages import admin
from tests.api.listed import ROOT, items_of, redeem
from tests.api.people import Person, Town, problem
from timebank import funds


async def test_filters_narrow_and_strange_ones_are_refused(town: Town) -> None:
    boss = await town.with_role("admin")
    async with town.bank.engine.begin() as connection:
        await town.city.add_station(connection, name_en="Branch")
        for kind in ("goods", "voucher"):
            await town.city.add_reward(connection, kind=kind)
    body = {"id": boss.new_id(), "active": False}
    await boss.send(f"{ROOT}/service-kinds/{town.city.kinds['other']}/changes", body)
    rules = (await boss.get(f"{ROOT}/policy-versions")).json()["versions"][0]["rules"]
    for _ in range(2):
        body = {"id": boss.new_id(), "starts_on": "2026-06-01", "rules": rules}
        assert (await boss.send(f"{ROOT}/policy-versions", body)).status_code == 201
    cases: list[tuple[str, str, str, Callable[[dict[str, Any]], bool]]] = [
        ("service-kinds", "catalogue", "four_aids", lambda each: each["catalogue"] == "four_aids"),
        ("service-kinds", "kind_state", "retired", lambda each: not each["active"]),
        ("rewards", "reward_kind", "voucher", lambda each: each["kind"] == "voucher"),
        ("stations", "station_name", "Branch", lambda each: "Branch" in each["name_en"]),
        ("policy-versions", "version_state", "in_force", lambda each: each["number"] == 1),
        ("policy-versions", "version_state", "replaced", lambda each: each["number"] == 2),
        ("policy-versions", "version_state", "to_come", lambda each: each["number"] == 3),
    ]
    for path, name, value, fits in cases:
        everything = items_of((await boss.get(f"{ROOT}/{path}")).json())
        narrowed = items_of((await boss.get(f"{ROOT}/{path}", params={name: value})).json())
        assert narrowed == [each for each in everything if fits(each)], (name, value)
        assert 0 < len(narrowed) < len(everything), (name, value)
        if name != "station_name":
            assert problem(await boss.get(f"{ROOT}/{path}", params={name: "x"})) == (422, "invalid"), name
    shown = (await boss.get("/admin/policy?state=replaced")).text
    assert ("第 2 版" in shown, "第 1 版" in shown, "version_state=replaced" in shown) == (True, False, True)
    assert "没有找到" in (await boss.get("/admin/policy?state=past")).text


async def test_regions_are_found_by_name_code_and_level_however_deep(town: Town) -> None:
    boss, city = await town.with_role("admin"), town.city
    district, other = str(city.district_id), str(city.other_district_id)
    community, elsewhere = str(city.community_id), str(city.other_community_id)
    names = {"name_zh": "翠苑社区", "name_en": "Jade Garden"}
    await boss.send(f"{ROOT}/regions/{community}/names", {"id": boss.new_id(), **names})
    for asked, found in (
        ({"region_name": "jade"}, {community}),
        ({"region_name": "苑"}, {community}),
        ({"region_name": "360103"}, {other, elsewhere}),
        ({"region_name": "360103001002"}, {elsewhere}),
        ({"region_name": "%"}, set()),
        ({"region_level": "community"}, {community, elsewhere}),
        ({"region_level": "community", "parent_id": district}, {community}),
        ({"region_name": "3601", "region_level": "district"}, {district, other}),
        ({"region_name": "3601", "parent_id": other}, {elsewhere}),
    ):
        listed = items_of((await boss.get(f"{ROOT}/regions", params=asked)).json())
        assert {each["id"] for each in listed} == found, asked
        page = {"name": asked.get("region_name", ""), "level": asked.get("region_level", "")}
        text = (await boss.get("/admin/regions", params={**page, "at": asked.get("parent_id", "")})).text
        for id in (district, other, community, elsewhere):
            below = text.partition('class="branch"')[2]
            assert (f'at={id}">' in below) == (id in found), (asked, id)
    assert problem(await boss.get(f"{ROOT}/regions", params={"region_level": "x"})) == (422, "invalid")
    # What is found stands with the way down to it, and nobody finds what is not of their branch.
    assert "试验360100 › 试验360102 › 试验360102</span>" in (await boss.get("/admin/regions?name=jade")).text
    theirs = await town.with_role("admin", region_id=city.other_district_id)
    assert items_of((await theirs.get(f"{ROOT}/regions", params={"region_name": "jade"})).json()) == []


async def test_records_and_codes_are_found_by_state_grade_and_reason(town: Town) -> None:
    manager, person = await town.member(town.city.manager_id), await town.volunteer("林一")
    scanned = await town.serve(person, 61)
    town.watch.move(hours=20)
    entered = []
    for minutes in (30, 660):
        times = {"started_at": str(town.watch.now - timedelta(minutes=minutes)), "ended_at": str(town.watch.now)}
        body = {"id": manager.new_id(), "member": town.city.phones[person.member_id], "reason": "没电", **times}
        assert (await manager.send(f"{ROOT}/stations/{town.city.station.number}/entries", body)).status_code == 201
        entered.append(body["id"])
        town.watch.move(hours=12)
    short, long = entered

    async def ids(reader: Person, path: str) -> list[str]:
        return [each["id"] for each in items_of((await reader.get(f"{ROOT}/{path}")).json())]

    for query, found in (("grade=C", entered), ("grade=A", [scanned]), ("hold=long_day", [long]), ("grade=D", [])):
        assert await ids(manager, f"queue?{query}") == found, query
        page = (await manager.get(f"/queue?{query}")).text
        shown = [record for record in (scanned, short, long) if record in page]
        assert shown == found, query
    verified = {"id": manager.new_id(), "record_id": short, "verdict": "verify"}
    began = {each["id"]: each["started_at"] for each in (await person.get(f"{ROOT}/records")).json()["records"]}
    days = {id: f"{datetime.fromisoformat(at) + timedelta(hours=8):%Y-%m-%d}" for id, at in began.items()}
    assert (await manager.send(f"{ROOT}/decisions", verified)).status_code == 201
    for query, found in (
        ("state=verified", [short]),
        ("grade=A", [scanned]),
        ("state=waiting&grade=C", [long]),
        ("state=reversed", []),
        (f"until={days[scanned]}", [scanned]),
        (f"since={days[scanned]}&until={days[scanned]}", [scanned]),
        (f"since={days[short]}&state=verified", [short]),
    ):
        assert await ids(person, f"records?{query.replace('state=', 'record_state=')}") == found, query
        page = (await person.get(f"/records?{query}")).text
        shown = [record for record in (scanned, short, long) if f"/records/{record}" in page]
        assert shown == found, query

    async with town.bank.engine.begin() as connection:
        for _ in range(3):
            await town.city.add_reward(connection, price_points=1, hold_minutes=60)
    await redeem(person)
    kept, given_up, late = await ids(person, "redemptions")
    body = {"id": person.new_id()}
    assert (await person.send(f"{ROOT}/redemptions/{given_up}/cancellation", body)).status_code == 201
    body = {"id": manager.new_id(), "station_id": str(town.city.station.id)}
    clerk = await town.member(town.city.clerk_id)
    code = (await person.get(f"{ROOT}/redemptions/{kept}")).json()["code"]
    assert (await clerk.send(f"{ROOT}/fulfilments", {**body, "code": code})).status_code == 201
    assert await ids(person, "redemptions?redemption_state=held") == [late]
    # Nobody collects it, and no job has seen to that yet.
    town.watch.move(hours=2)
    for state, found in (("held", []), ("fulfilled", [kept]), ("cancelled", [given_up]), ("timed_out", [late])):
        assert await ids(person, f"redemptions?redemption_state={state}") == found, state
        page = (await person.get(f"/codes?state={state}")).text
        assert [each for each in (kept, given_up, late) if f"/codes/{each}" in page] == found, state
    for reader, path in (
        (manager, "queue?grade=E"),
        (manager, "queue?hold=x"),
        (person, "records?record_state=x"),
        (person, "records?grade=x"),
        (person, "records?until=x"),
        (person, "redemptions?redemption_state=x"),
    ):
        assert problem(await reader.get(f"{ROOT}/{path}")) == (422, "invalid"), path


async def test_funds_are_found_by_region(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    boss = await town.with_role("admin")
    names = {"name_zh": "别处的基金", "name_en": "Fund of elsewhere"}
    async with town.bank.engine.begin() as connection:
        where: Any = {"region_id": town.city.other_district_id, "id": town.city.new_id(), "now": town.city.now}
        await funds.add(connection, town.city.book_id, **where, **names)
    for address, found in (
        ("/admin/funds", True),
        (f"/admin/funds?region={town.city.other_district_id}", True),
        (f"/admin/funds?region={town.city.station.region_id}", False),
    ):
        assert ("别处的基金" in (await boss.get(address)).text) == found, address
    # The overview has room for so many, and leads to the rest.
    for shown in (2, 1):
        monkeypatch.setattr(admin, "SHOWN", shown)
        page = (await boss.get("/admin")).text
        assert (page.count('data-label="剩余积分"'), "全部基金" in page) == (shown, shown == 1), page


async def test_a_fund_s_statement_is_read_by_period(town: Town) -> None:
    boss, fund = await town.with_role("admin"), town.city.fund_id
    for points in (11, 22):
        body = {"id": boss.new_id(), "points": points}
        assert (await boss.send(f"{ROOT}/funds/{fund}/fillings", body)).status_code == 201
        town.watch.move(days=1)
    lines = items_of((await boss.get(f"{ROOT}/funds/{fund}/statement")).json())
    later = lines[0]["recorded_at"]
    for query, found in (({"since": later}, [22]), ({"until": later}, [11]), ({"since": later, "until": later}, [])):
        part = items_of((await boss.get(f"{ROOT}/funds/{fund}/statement", params=query)).json())
        assert [line["amount"] for line in part if line["amount"] in (11, 22)] == found
    for query, found in (({"since": "2199-01-01"}, False), ({"until": "2199-01-01"}, True)):
        page = (await boss.get(f"/admin/funds/{fund}", params=query)).text
        assert ("+22" in page, "这段时间内没有变动" in page) == (found, not found)
    for query in ({"since": "x"}, {"until": "2026-13-01"}, {"since": "2026-03-02", "until": "2026-03-01"}):
        assert (await boss.get(f"/admin/funds/{fund}", params=query)).status_code == 422
    assert problem(await boss.get(f"{ROOT}/funds/{fund}/statement", params={"since": "x"})) == (422, "invalid")


async def test_wishes_to_be_erased_are_found_by_region(town: Town) -> None:
    boss, city = await town.with_role("admin"), town.city
    person = await town.volunteer("林遗忘")
    body = {"id": person.new_id()}
    assert (await person.send(f"{ROOT}/me/erasure-request", body)).status_code == 201
    for region_id, found in ((city.region_id, True), (city.station.region_id, True), (city.other_district_id, False)):
        listed = items_of((await boss.get(f"{ROOT}/erasures", params={"region_id": str(region_id)})).json())
        assert [each["member_id"] for each in listed] == [str(person.member_id)] * found
        assert ("林遗忘" in (await boss.get(f"/admin/erasures?region_id={region_id}")).text) == found
