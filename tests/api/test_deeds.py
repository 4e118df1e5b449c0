"""What administrators do over HTTP: once under its id, in their branch, with a trail."""

import re
from typing import Any
from uuid import UUID

import pytest

from tests.api.people import Person, Town, problem
from tests.factories import PASSWORD
from timebank import sms


@pytest.fixture
async def admin(town: Town) -> Person:
    """Who administers the whole city."""
    return await town.with_role("admin")


async def do(person: Person, path: str, **body: Any) -> dict[str, Any]:
    """A command that must succeed; answers its data."""
    answer = await person.send(f"/api/v1{path}", {"id": person.new_id(), **body})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def trail(person: Person, **query: Any) -> list[dict[str, Any]]:
    return list((await person.get("/api/v1/trail", params=query)).json()["entries"])


def station_body(town: Town, person: Person, **more: Any) -> dict[str, Any]:
    city = town.city
    return {
        "id": person.new_id(),
        "region_id": str(city.community_id),
        "fund_id": str(city.fund_id),
        "service_kind_id": str(city.kinds["duty"]),
        "name_zh": "新站",
        "name_en": "New station",
        "address": "新路 2 号",
        "organising_unit": "新社区",
        "person_in_charge": "王负责",
        **more,
    }


async def test_a_station_is_opened_once_and_its_id_is_not_for_another(town: Town, admin: Person) -> None:
    body = station_body(town, admin)
    town.watch.move(seconds=1)
    first = await admin.send("/api/v1/stations", body)
    again = await admin.send("/api/v1/stations", body)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json() == {"id": body["id"], "number": 2}
    other = await admin.send("/api/v1/stations", {**body, "name_zh": "别的站"})
    assert problem(other) == (409, "id_reused")
    listed = (await admin.get("/api/v1/stations")).json()["stations"]
    assert [row["name_zh"] for row in listed] == [town.city.station.name_zh, "新站"]


async def test_a_refusal_is_remembered_too(town: Town, admin: Person) -> None:
    body = station_body(town, admin, fund_id=admin.new_id())
    for _ in range(2):
        assert problem(await admin.send("/api/v1/stations", body)) == (404, "not_found")
    assert problem(await admin.send("/api/v1/stations", {**body, "fund_id": str(town.city.fund_id)})) == (
        409,
        "id_reused",
    )


async def test_a_station_is_changed_closed_and_opened(town: Town, admin: Person) -> None:
    path = f"/stations/{town.city.station.id}"
    town.watch.move(minutes=1)
    await do(admin, f"{path}/changes", name_zh="改名站", cap_minutes=120)
    town.watch.move(minutes=1)
    await do(admin, f"{path}/state", state="closed")
    found = (await admin.get(f"/api/v1{path}")).json()
    assert (found["name_zh"], found["cap_minutes"], found["state"]) == ("改名站", 120, "closed")
    town.watch.move(minutes=1)
    await do(admin, f"{path}/state", state="open")
    entries = await trail(admin, action="station", subject_id=str(town.city.station.id))
    assert [entry["action"] for entry in entries] == ["station.state", "station.state", "station.edit", "station.add"]
    assert entries[2]["before"] == {"cap_minutes": 240, "name_zh": "试验志愿服务站"}
    assert entries[2]["after"] == {"cap_minutes": 120, "name_zh": "改名站"}


async def test_a_new_screen_takes_the_place_of_the_old(town: Town, admin: Person) -> None:
    volunteer = await town.volunteer()
    shown = town.code()
    path = f"/stations/{town.city.station.id}"
    new = await do(admin, f"{path}/screens")
    answer = await volunteer.send("/api/v1/check-ins", {"id": volunteer.new_id(), "code": shown})
    assert problem(answer) == (403, "device_revoked")
    answer = await volunteer.send(
        "/api/v1/check-ins", {"id": volunteer.new_id(), "code": town.code(device=new["number"])}
    )
    assert answer.status_code in (201, 202)
    scanner = await do(admin, f"{path}/devices", kind="scanner", name="枪")
    await do(admin, f"/devices/{scanner['device_id']}/revocation")
    devices = (await admin.get(f"/api/v1{path}")).json()["devices"]
    assert [(each["kind"], each["revoked_at"] is None) for each in devices] == [
        ("screen", False),
        ("screen", True),
        ("scanner", False),
    ]


async def test_members_are_added_found_and_changed(town: Town, admin: Person) -> None:
    added = await do(admin, "/members", name="欧阳 小明", phone="13912340001", region_id=str(town.city.community_id))
    member_id = added["member_id"]
    for search in ({"name": "欧阳小明"}, {"phone": "139 1234 0001"}):
        found = (await admin.send("/api/v1/members/search", search)).json()["members"]
        assert [row["id"] for row in found] == [member_id]
    await do(admin, f"/members/{member_id}/changes", name="欧阳晓明", phone="13912340002", locale="en")
    member = (await admin.get(f"/api/v1/members/{member_id}")).json()
    assert (member["name"], member["phone"], member["locale"]) == ("欧阳晓明", "+8613912340002", "en")
    assert (await admin.send("/api/v1/members/search", {"name": "欧阳小明"})).json()["members"] == []
    (entry,) = await trail(admin, action="member.edit", subject_id=member_id)
    assert (entry["before"], entry["after"]) == ({"locale": "zh-CN"}, {"locale": "en"})
    assert entry["personal"] == {
        "before": {"name": "欧阳 小明", "phone": "+8613912340001"},
        "after": {"name": "欧阳晓明", "phone": "+8613912340002"},
    }
    auditor = await town.with_role("auditor")
    (entry,) = await trail(auditor, action="member.edit", subject_id=member_id)
    assert entry["personal"] is None
    assert problem(await admin.send("/api/v1/members/search", {})) == (422, "invalid")


async def test_a_household_is_begun_joined_and_left(town: Town, admin: Person) -> None:
    first, second = str(await town.join("林一")), str(await town.join("林二"))

    async def household(member_id: str) -> str | None:
        found = (await admin.get(f"/api/v1/members/{member_id}")).json()["household_id"]
        return str(found) if found else None

    await do(admin, f"/members/{first}/changes", household_of=second)
    assert await household(first) == await household(second) is not None
    await do(admin, f"/members/{first}/changes", household_of=first)
    assert await household(first) is None
    assert await household(second) is not None


async def test_a_reset_password_is_no_password_and_a_code_is_sent(town: Town, admin: Person) -> None:
    volunteer = await town.volunteer()
    body = {"id": admin.new_id()}
    path = f"/api/v1/members/{volunteer.member_id}/password-reset"
    for _ in range(2):
        assert (await admin.send(path, body)).status_code == 201
    assert problem(await volunteer.get("/api/v1/me")) == (401, "not_signed_in")
    assert volunteer.member_id is not None
    phone = town.city.phones[volunteer.member_id]
    await sms.all_sent()
    (said,) = town.said
    (digits,) = re.findall(r"(?<![0-9])[0-9]{6}(?![0-9])", said)
    again = town.stranger()
    body = {"phone": phone, "password": PASSWORD}
    assert problem(await again.send("/api/v1/sessions", body)) == (401, "sign_in_refused")
    answer = await again.send("/api/v1/phone-codes/sessions", {"phone": phone, "digits": digits})
    assert answer.status_code == 201, answer.text


async def test_two_members_become_one_over_http(town: Town, admin: Person) -> None:
    survivor, absorbed = await town.volunteer("林一"), await town.volunteer("林二")
    assert survivor.member_id
    assert absorbed.member_id
    path = f"/members/{survivor.member_id}/merger"
    await town.serve(absorbed)
    body = {"id": admin.new_id(), "absorbed_id": str(absorbed.member_id)}
    first = await admin.send(f"/api/v1{path}", body)
    assert first.json()["data"] == {"minutes": 0, "points": 0, "records": 1, "redemptions": 0}
    assert (await admin.send(f"/api/v1{path}", body)).json() == first.json()
    assert problem(await absorbed.get("/api/v1/me")) == (401, "not_signed_in")
    assert len((await survivor.get("/api/v1/records")).json()["records"]) == 1
    gone = (await admin.get(f"/api/v1/members/{absorbed.member_id}")).json()
    assert (gone["state"], gone["merged_into"]) == ("merged", str(survivor.member_id))


async def test_roles_begin_and_end(town: Town, admin: Person) -> None:
    volunteer = await town.volunteer()
    scope = {"member_id": str(volunteer.member_id), "station_id": str(town.city.station.id)}
    given = await do(admin, "/roles", role="clerk", **scope)
    answer = await volunteer.send("/api/v1/counter", {"station_id": scope["station_id"], "code": "12345678"})
    assert answer.status_code == 404
    listed = (await admin.get("/api/v1/roles", params={"member_id": scope["member_id"]})).json()["roles"]
    assert [(row["role"], row["state"], row["granted_by"]) for row in listed] == [
        ("clerk", "current", str(admin.member_id))
    ]
    await do(admin, f"/roles/{given['grant_id']}/end")
    answer = await volunteer.send("/api/v1/counter", {"station_id": scope["station_id"], "code": "12345678"})
    assert problem(answer) == (403, "role_not_allowed")
    body = {
        "id": admin.new_id(),
        "member_id": str(admin.member_id),
        "role": "auditor",
        "region_id": str(town.city.region_id),
    }
    assert problem(await admin.send("/api/v1/roles", body)) == (403, "role_not_allowed")


async def test_kinds_are_the_whole_citys(town: Town, admin: Person) -> None:
    added = await do(admin, "/service-kinds", code="reading", name_zh="伴读", name_en="Reading aloud")
    kind = added["service_kind_id"]
    await do(admin, f"/service-kinds/{kind}/changes", name_zh="朗读", position=5)
    kinds = (await admin.get("/api/v1/service-kinds")).json()["kinds"]
    assert (kinds[0]["code"], kinds[0]["name_zh"]) == ("reading", "朗读")
    national = town.city.kinds["help_elderly"]
    body = {"id": admin.new_id(), "name_zh": "别名"}
    assert problem(await admin.send(f"/api/v1/service-kinds/{national}/changes", body)) == (409, "kind_fixed")
    await do(admin, f"/service-kinds/{national}/changes", position=7)
    branch = await town.with_role("admin", region_id=town.city.community_id)
    for path in (f"/api/v1/service-kinds/{kind}/changes", f"/api/v1/service-kinds/{town.city.new_id()}/changes"):
        assert problem(await branch.send(path, {"id": branch.new_id()})) == (403, "role_not_allowed")


async def test_a_fund_is_filled_once_and_says_so(town: Town, admin: Person) -> None:
    made = await do(
        admin, "/funds", name_zh="社区基金", name_en="Community fund", region_id=str(town.city.community_id)
    )
    path = f"/api/v1/funds/{made['fund_id']}"
    body = {"id": admin.new_id(), "points": 500}
    for _ in range(2):
        assert (await admin.send(f"{path}/fillings", body)).status_code == 201
    (fund,) = (await admin.get("/api/v1/funds", params={"region_id": str(town.city.community_id)})).json()["funds"]
    assert fund["points"] == 500
    await do(admin, f"/funds/{made['fund_id']}/fillings", points=70)
    page = (await admin.get(f"{path}/statement", params={"limit": 1})).json()
    assert [(line["kind"], line["amount"], line["balance"]) for line in page["lines"]] == [("fill_fund", 70, 570)]
    page = (await admin.get(f"{path}/statement", params={"limit": 1, "cursor": page["following"]})).json()
    assert [(line["amount"], page["following"]) for line in page["lines"]] == [(500, None)]


async def test_regions_grow_below_the_branch(town: Town, admin: Person) -> None:
    top = (await admin.get("/api/v1/regions")).json()["regions"]
    assert [(row["id"], row["children"]) for row in top] == [(str(town.city.region_id), 2)]
    grid = await do(admin, "/regions", parent_id=str(town.city.community_id), level="grid", name_zh="一网格")
    await do(admin, f"/regions/{grid['region_id']}/names", name_zh="第一网格", name_en="Grid 1")
    below = (await admin.get("/api/v1/regions", params={"parent_id": str(town.city.community_id)})).json()["regions"]
    assert [(row["name_zh"], row["name_en"]) for row in below] == [("第一网格", "Grid 1")]
    wrong = {"parent_id": str(town.city.community_id), "level": "district", "name_zh": "区"}
    assert problem(await admin.send("/api/v1/regions", {"id": admin.new_id(), **wrong})) == (422, "invalid")


async def test_an_auditor_reads_and_changes_nothing(town: Town) -> None:
    auditor = await town.with_role("auditor")
    for path in ("/trail", "/figures", "/funds", f"/funds/{town.city.fund_id}/statement", "/roles", "/regions"):
        assert (await auditor.get(f"/api/v1{path}")).status_code == 200, path
    for path in ("/funds", "/regions", "/roles", "/members", "/stations", "/service-kinds"):
        assert problem(await auditor.send(f"/api/v1{path}", {})) == (403, "role_not_allowed"), path
    assert problem(await auditor.get("/api/v1/members")) == (403, "role_not_allowed")


async def test_a_branch_sees_its_own_part_of_the_trail(town: Town, admin: Person) -> None:
    elsewhere = await town.with_role("auditor", region_id=town.city.other_district_id)
    here = await town.with_role("auditor", region_id=town.city.district_id)
    await do(admin, f"/regions/{town.city.other_community_id}/names", name_zh="彼社区")
    await do(admin, f"/regions/{town.city.community_id}/names", name_zh="此社区")
    await do(admin, "/service-kinds", code="reading", name_zh="伴读", name_en="Reading aloud")
    names = [entry["after"]["name_zh"] for entry in await trail(elsewhere, action="region.rename")]
    assert names == ["彼社区"]
    names = [entry["after"]["name_zh"] for entry in await trail(here, action="region.rename")]
    assert names == ["此社区"]
    assert await trail(here, action="service_kind.add") == []
    assert len(await trail(admin, action="service_kind.add", actor_id=str(admin.member_id))) == 1
    moment = town.watch.now.isoformat()
    assert await trail(admin, until="2026-01-01T00:00:00Z") == []
    assert len(await trail(admin, since=moment, action="region.rename")) == 2


async def test_lists_come_in_pages(town: Town, admin: Person) -> None:
    for number in range(3):
        await town.join(f"林{number}")
    for path, name in (("members", "members"), ("roles", "roles"), ("trail", "entries"), ("stations", "stations")):
        seen: list[UUID] = []
        cursor = None
        while True:
            page = (
                await admin.get(f"/api/v1/{path}", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
            ).json()
            seen += [row["id"] for row in page[name]]
            cursor = page["following"]
            if cursor is None:
                break
        whole = (await admin.get(f"/api/v1/{path}", params={"limit": 100})).json()[name]
        assert seen == [row["id"] for row in whole]
        assert len(seen) == len(set(seen)) > 0
