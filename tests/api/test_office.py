"""The pages of administrators and auditors: what is changed there, without JavaScript, in both languages."""

import re
from typing import Any

import httpx
import pytest

from api.language import COOKIE
from tests.api.filled import lost, unnamed
from tests.api.people import Person, Town

PAGES = (
    "/admin",
    "/admin/stations",
    "/admin/stations/new",
    "/admin/stations/{station}",
    "/admin/members",
    "/admin/members/new",
    "/admin/members/{member}",
    "/admin/members/{member}/merge",
    "/admin/members/{member}/merge?absorbed={other}",
    "/admin/roles",
    "/admin/regions",
    "/admin/regions?at={region}",
    "/admin/kinds",
    "/admin/funds",
    "/admin/funds/{fund}",
    "/admin/identities",
    "/admin/policy/new",
    "/admin/rewards/new",
    "/admin/imports",
    "/admin/webhooks",
    "/admin/trail",
    "/more",
)
OF_AUDITORS = ("/admin", "/admin/roles", "/admin/funds", "/admin/funds/{fund}", "/admin/trail", "/more")


@pytest.fixture
async def admin(town: Town) -> Person:
    """Who administers the whole city."""
    return await town.with_role("admin")


async def things(town: Town) -> dict[str, Any]:
    """The ids that stand in addresses."""
    return {
        "station": town.city.station.id,
        "member": await town.join("林一"),
        "other": await town.join("林二"),
        "region": town.city.community_id,
        "fund": town.city.fund_id,
    }


async def submit(person: Person, page: str, action: str, **typed: Any) -> httpx.Response:
    """Fill the form of a page that goes to `action` and send it, with what stands in it already."""
    text = (await person.get(page)).text
    form = re.search(rf'<form[^>]*method="post"[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', text, re.DOTALL)
    assert form, text
    fields = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', form[1]))
    for name, options in re.findall(r'<select[^>]*name="(\w+)"[^>]*>(.*?)</select>', form[1], re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        fields[name] = chosen[1] if chosen else ""
    return await person.client.post(action, data={**fields, **typed}, headers={"Origin": person.address})


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_every_page_opens(town: Town, admin: Person, language: str) -> None:
    ids = await things(town)
    admin.client.cookies.set(COOKIE, language)
    for page in PAGES:
        answer = await admin.get(page.format(**ids))
        assert answer.status_code == 200, (page, answer.text)
        assert "<h1>" in answer.text
        # What a form is sent with stands in it again when it is refused.
        assert not list(lost(answer.text)), page
        assert not unnamed(answer.text), page


async def test_an_auditor_sees_forms_nowhere(town: Town) -> None:
    auditor, ids = await town.with_role("auditor"), await things(town)
    for page in PAGES:
        answer = await auditor.get(page.format(**ids))
        assert answer.status_code == (200 if page in OF_AUDITORS else 403), page
        if page in OF_AUDITORS:
            assert not re.findall(r'method="post" action="/admin', answer.text), page


async def test_a_station_is_added_changed_and_given_a_new_screen(town: Town, admin: Person) -> None:
    words = {
        "name_zh": "新站",
        "name_en": "New",
        "address": "路 1",
        "organising_unit": "社区",
        "person_in_charge": "王",
    }
    answer = await submit(admin, "/admin/stations/new", "/admin/stations/new", **{**words, "name_zh": " "})
    assert answer.status_code == 422
    assert 'value="路 1"' in answer.text
    answer = await submit(admin, "/admin/stations/new", "/admin/stations/new", **words)
    assert answer.status_code == 303, answer.text
    page = answer.headers["location"].partition("?")[0]
    answer = await submit(admin, page, page, name_zh="改名站")
    assert answer.status_code == 303
    assert "改名站" in (await admin.get(page)).text
    assert (await submit(admin, page, f"{page}/screen")).status_code == 303
    assert (await submit(admin, page, f"{page}/devices", kind="scanner", name="枪")).status_code == 303
    assert (await submit(admin, page, f"{page}/state")).status_code == 303
    text = (await admin.get(page)).text
    revoke = re.findall(r'action="(/admin/devices/[^"]+)"', text)
    assert len(revoke) == 2
    assert (await submit(admin, page, revoke[0])).status_code == 303
    assert len(re.findall(r'action="/admin/devices/', (await admin.get(page)).text)) == 1


async def test_a_form_sent_twice_does_it_once(town: Town, admin: Person) -> None:
    text = (await admin.get("/admin/funds")).text
    csrf = re.search(r'name="csrf" value="(\w+)"', text)
    assert csrf
    fields = {
        "csrf": csrf[1],
        "id": admin.new_id(),
        "name_zh": "基金",
        "name_en": "Fund",
        "region_id": str(town.city.region_id),
    }
    for _ in range(2):
        answer = await admin.client.post("/admin/funds", data=fields, headers={"Origin": admin.address})
        assert answer.status_code == 303
    other = await admin.client.post(
        "/admin/funds", data={**fields, "name_zh": "别的"}, headers={"Origin": admin.address}
    )
    assert other.status_code == 409
    assert (await admin.get("/admin/funds")).text.count("/admin/funds/0") == 2


async def test_members_are_looked_up_changed_and_merged(town: Town, admin: Person) -> None:
    member, other = await town.join("林一"), await town.join("林二")
    for text in ("林 一", town.city.phones[member], str(member)):
        answer = await submit(admin, "/admin/members", "/admin/members", text=text)
        assert f'href="/admin/members/{member}"' in answer.text
        assert f'href="/admin/members/{other}"' not in answer.text
    page = f"/admin/members/{member}"
    assert (await submit(admin, page, page, name="林壹")).status_code == 303
    assert "林壹" in (await admin.get(page)).text
    answer = await submit(admin, page, page, phone="12")
    assert answer.status_code == 422
    assert (await submit(admin, page, f"{page}/suspend")).status_code == 303
    assert (await submit(admin, page, f"{page}/reinstate")).status_code == 303
    assert (await submit(admin, page, f"{page}/password")).status_code == 303
    answer = await submit(admin, page, f"{page}/roles", role="manager", starts_at="2026-03-03T09:00")
    assert answer.status_code == 303, answer.text
    (end,) = re.findall(r'action="(/admin/roles/[^"]+)"', (await admin.get(page)).text)
    assert (await submit(admin, page, end)).status_code == 303
    answer = await submit(admin, f"{page}/merge", f"{page}/merge/find", text="nobody")
    assert answer.status_code == 404
    answer = await submit(admin, f"{page}/merge", f"{page}/merge/find", text=town.city.phones[other])
    assert answer.headers["location"] == f"{page}/merge?absorbed={other}"
    assert (await submit(admin, answer.headers["location"], f"{page}/merge")).status_code == 303
    assert "merged" in (await admin.get(f"/api/v1/members/{other}")).text


async def test_nobody_changes_who_he_is_himself(town: Town, admin: Person) -> None:
    page = f"/admin/members/{admin.member_id}"
    text = (await admin.get(page)).text
    assert 'method="post" action="/admin/members' not in text
    body = {"id": admin.new_id(), "household_of": str(admin.member_id)}
    assert (await admin.send(f"/api/v1/members/{admin.member_id}/changes", body)).status_code == 403


async def test_regions_kinds_and_funds_by_form(town: Town, admin: Person) -> None:
    page = f"/admin/regions?at={town.city.community_id}"
    answer = await submit(admin, page, "/admin/regions", level="grid", name_zh="一网格", name_en="", code="")
    assert answer.status_code == 303, answer.text
    assert "一网格" in (await admin.get(page)).text
    answer = await submit(admin, page, f"/admin/regions/{town.city.community_id}", name_zh="新名")
    assert answer.status_code == 303
    assert (await submit(admin, "/admin/kinds", "/admin/kinds", code="x", name_zh="伴", name_en="x")).status_code == 422
    words = {"code": "reading", "name_zh": "伴读", "name_en": "Reading"}
    assert (await submit(admin, "/admin/kinds", "/admin/kinds", **words)).status_code == 303
    text = (await admin.get("/admin/kinds")).text
    change = re.findall(r'action="(/admin/kinds/[^"]+)"', text)[-1]
    assert (await submit(admin, "/admin/kinds", change, active="false")).status_code == 303
    page = f"/admin/funds/{town.city.fund_id}"
    assert (await submit(admin, page, page, points="70")).status_code == 303
    assert "+70" in (await admin.get(page)).text


async def test_the_trail_speaks_in_words(town: Town, admin: Person) -> None:
    page = f"/admin/stations/{town.city.station.id}"
    await submit(admin, page, page, name_en="Renamed")
    admin.client.cookies.set(COOKIE, "en")
    await submit(admin, page, f"{page}/devices", kind="scanner", name="Door")
    assert ">Renamed · 2</a>" in (await admin.get("/admin/trail?action=device")).text
    text = (await admin.get("/admin/trail?action=station")).text
    assert "Station changed" in text
    assert "<del>Test station</del> → <ins>Renamed</ins>" in text
    assert "角色admin" in text
    text = (await admin.get("/admin/trail?since=2030-01-01")).text
    assert "Renamed" not in text
    assert (await admin.get("/admin/trail?actor=nonsense&since=nonsense")).status_code == 200


async def test_what_lies_elsewhere_has_no_page(town: Town) -> None:
    ids = await things(town)
    admin = await town.with_role("admin", region_id=town.city.other_district_id)
    for page in PAGES:
        if "{" in page:
            assert (await admin.get(page.format(**ids))).status_code == 404, page
    for page in ("/admin/members", "/admin/stations", "/admin/roles", "/admin/funds"):
        text = (await admin.get(page)).text
        assert not any(str(id) in text for id in ids.values()), page


@pytest.mark.parametrize("role", ["manager", "clerk", "admin", "auditor"])
async def test_every_role_reaches_everything_from_the_bar(town: Town, role: str) -> None:
    person = await town.with_role(role)
    home = (await person.get("/")).text
    bar = re.search(r'<nav class="ways".*?</nav>', home, re.DOTALL)
    assert bar
    narrow = [
        href for where, href in re.findall(r'<li(?: class="(\w+)-way")?><a href="([^"]+)"', bar[0]) if where != "wide"
    ]
    assert len(narrow) <= 5
    more = (await person.get("/more")).text if "/more" in narrow else home
    wanted = {
        "manager": ["/queue", "/stations", "/statement", "/codes", "/rewards"],
        "clerk": ["/counter", "/statement", "/codes", "/rewards"],
        "admin": ["/admin", "/queue", "/stations", "/statement", "/admin/members", "/admin/trail"],
        "auditor": ["/admin", "/admin/trail", "/admin/funds", "/statement"],
    }[role]
    for href in wanted:
        assert f'href="{href}"' in more + bar[0], href
        assert (await person.get(href)).status_code == 200, href
