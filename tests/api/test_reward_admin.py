"""Rewards as administrators run them, by program and by page: offered, changed, closed, restocked, with a picture."""

import re
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from api import guards
from tests.api.people import Person, Town, problem
from tests.timebank.test_pictures import painted, png
from timebank import pictures
from timebank.tables import audit_entry, reward

ADMIN_REWARDS = "/api/v1/admin/rewards"


@pytest.fixture
async def admin(town: Town) -> Person:
    """The administrator of the whole city."""
    return await town.with_role("admin")


def new_reward(town: Town, person: Person, **more: Any) -> dict[str, Any]:
    """What is sent to offer a reward."""
    return {
        "id": person.new_id(),
        "region_id": str(town.city.region_id),
        "kind": "goods",
        "name_zh": "大米",
        "name_en": "Rice",
        "price_points": 100,
        "stock": 10,
        "places": [str(town.city.station.id)],
        **more,
    }


async def offer(town: Town, person: Person, **more: Any) -> str:
    """Offer a reward; its id."""
    body = new_reward(town, person, **more)
    answer = await person.send(ADMIN_REWARDS, body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"] == {"reward_id": body["id"]}
    return str(body["id"])


async def one(person: Person, reward_id: str) -> dict[str, Any]:
    """A reward as its administrator sees it."""
    answer = await person.get(f"{ADMIN_REWARDS}/{reward_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def trail_of(town: Town, reward_id: str) -> list[tuple[str, Any, Any]]:
    """What the audit trail says of a reward."""
    async with town.bank.engine.connect() as connection:
        query = (
            select(audit_entry.c.action, audit_entry.c.before, audit_entry.c.after)
            .where(audit_entry.c.book_id == town.bank.book_id, audit_entry.c.subject_id == reward_id)
            .order_by(audit_entry.c.at)
        )
        return [tuple(row) for row in await connection.execute(query)]


async def test_a_reward_from_its_offer_to_its_end(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin, limit_pieces=2, limit_period="week")
    seen = await one(admin, reward_id)
    assert (seen["stock"], seen["limit_pieces"], seen["limit_period"], seen["state"]) == (10, 2, "week", "open")
    assert [place["number"] for place in seen["places"]] == [town.city.station.number]
    town.watch.move(minutes=1)
    body = {"id": admin.new_id(), "price_points": 120, "limit_pieces": None, "limit_period": None}
    assert (await admin.send(f"{ADMIN_REWARDS}/{reward_id}", body)).status_code == 201
    town.watch.move(minutes=1)
    body = {"id": admin.new_id(), "pieces": -3}
    assert (await admin.send(f"{ADMIN_REWARDS}/{reward_id}/stock", body)).json()["data"]["stock"] == 7
    for state in ("closed", "open", "closed"):
        town.watch.move(minutes=1)
        body = {"id": admin.new_id(), "state": state}
        assert (await admin.send(f"{ADMIN_REWARDS}/{reward_id}", body)).status_code == 201
    seen = await one(admin, reward_id)
    assert (seen["stock"], seen["price_points"], seen["limit_pieces"], seen["state"]) == (7, 120, None, "closed")
    assert [(action, before) for action, before, _ in await trail_of(town, reward_id)] == [
        ("reward.add", None),
        ("reward.edit", {"price_points": 100, "limit_pieces": 2, "limit_period": "week"}),
        ("reward.restock", {"stock": 10}),
        ("reward.edit", {"state": "open"}),
        ("reward.edit", {"state": "closed"}),
        ("reward.edit", {"state": "open"}),
    ]


async def test_sent_again_is_done_once(town: Town, admin: Person) -> None:
    body = new_reward(town, admin)
    answers = [await admin.send(ADMIN_REWARDS, body) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    reward_id = body["id"]
    more = {"id": admin.new_id(), "pieces": 5}
    answers = [await admin.send(f"{ADMIN_REWARDS}/{reward_id}/stock", more) for _ in range(3)]
    assert [answer.json()["data"]["stock"] for answer in answers] == [15] * 3
    assert (await one(admin, reward_id))["stock"] == 15
    assert problem(await admin.send(f"{ADMIN_REWARDS}/{reward_id}/stock", {**more, "pieces": 6})) == (409, "id_reused")
    assert problem(await admin.send(ADMIN_REWARDS, {**body, "stock": 99})) == (409, "id_reused")
    less = {"id": admin.new_id(), "pieces": -16}
    for _ in range(2):
        answer = await admin.send(f"{ADMIN_REWARDS}/{reward_id}/stock", less)
        assert problem(answer) == (422, "invalid")
        # A refusal is remembered too, whatever came since.
        await admin.send(f"{ADMIN_REWARDS}/{reward_id}/stock", {"id": admin.new_id(), "pieces": 10})
    assert (await one(admin, reward_id))["stock"] == 35


WRONG_REWARDS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "cash"}, "kind"),
    ({"name_zh": " "}, "name_zh"),
    ({"name_en": "x" * 61}, "name_en"),
    ({"name_en": "x" * 1000}, "name_en"),
    ({"price_points": 0}, "price_points"),
    ({"price_points": 10**30}, "price_points"),
    ({"stock": -1}, "stock"),
    ({"places": []}, "places"),
    ({"limit_pieces": 1}, "limit_period"),
    ({"limit_pieces": 1, "limit_period": "hour"}, "limit_period"),
    ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at"),
    ({"ends_at": "0001-01-01T00:00:00Z"}, "ends_at"),
    ({"hold_minutes": 0}, "hold_minutes"),
]


async def test_what_a_reward_cannot_be(town: Town, admin: Person) -> None:
    for wrong, field in WRONG_REWARDS:
        answer = await admin.send(ADMIN_REWARDS, new_reward(town, admin, **wrong))
        assert problem(answer) == (422, "invalid"), wrong
        assert answer.json()["data"]["field"] == field, wrong


async def test_a_refused_offer_leaves_nothing_behind(town: Town, admin: Person) -> None:
    body = new_reward(town, admin, places=[admin.new_id()])
    assert problem(await admin.send(ADMIN_REWARDS, body)) == (404, "not_found")
    async with town.bank.engine.connect() as connection:
        there = select(func.count()).where(reward.c.book_id == town.bank.book_id)
        assert await connection.scalar(there) == 0


async def test_lists_have_filters_and_pages(town: Town, admin: Person) -> None:
    made = []
    for kind, region_id in (("goods", "region_id"), ("service", "district_id"), ("goods", "district_id")):
        town.watch.move(minutes=1)
        made.append(await offer(town, admin, kind=kind, region_id=str(getattr(town.city, region_id))))
    await admin.send(f"{ADMIN_REWARDS}/{made[0]}", {"id": admin.new_id(), "state": "closed"})

    async def listed(query: str = "") -> list[str]:
        return [row["id"] for row in (await admin.get(f"{ADMIN_REWARDS}{query}")).json()["rewards"]]

    assert await listed() == made[::-1]
    assert await listed("?reward_kind=goods") == [made[2], made[0]]
    assert await listed("?reward_state=closed") == [made[0]]
    assert await listed(f"?region_id={town.city.district_id}") == [made[2], made[1]]
    assert await listed(f"?region_id={town.city.other_district_id}") == []
    first = (await admin.get(f"{ADMIN_REWARDS}?limit=2")).json()
    rest = (await admin.get(f"{ADMIN_REWARDS}?limit=2&cursor={first['following']}")).json()
    assert [row["id"] for row in first["rewards"] + rest["rewards"]] == made[::-1]
    assert rest["following"] is None
    assert problem(await admin.get(f"{ADMIN_REWARDS}?reward_kind=cash")) == (422, "invalid")
    assert problem(await admin.get(f"{ADMIN_REWARDS}?reward_state=sold")) == (422, "invalid")
    assert problem(await admin.get(f"{ADMIN_REWARDS}?region_id=here")) == (422, "invalid")


async def test_another_branch_sees_and_changes_nothing(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    other = await town.with_role("admin", region_id=town.city.other_district_id)
    below = await town.with_role("admin", region_id=town.city.community_id)
    for person in (other, below):
        assert (await person.get(ADMIN_REWARDS)).json()["rewards"] == []
        assert problem(await person.get(f"{ADMIN_REWARDS}/{reward_id}")) == (404, "not_found")
        body: dict[str, Any] = {"id": person.new_id(), "state": "closed"}
        assert problem(await person.send(f"{ADMIN_REWARDS}/{reward_id}", body)) == (404, "not_found")
        body = {"id": person.new_id(), "pieces": 1}
        assert problem(await person.send(f"{ADMIN_REWARDS}/{reward_id}/stock", body)) == (404, "not_found")
        answer = await upload(person, reward_id, painted())
        assert problem(answer) == (404, "not_found")
        answer = await person.send(f"{ADMIN_REWARDS}/{reward_id}/picture", method="DELETE")
        assert problem(answer) == (404, "not_found")
        body = new_reward(town, person)
        assert problem(await person.send(ADMIN_REWARDS, body)) == (404, "not_found")
        assert (await person.get(f"/admin/rewards/{reward_id}")).status_code == 404
        for path in ("", "/state", "/stock", "/picture/removal"):
            fields = {**form_of(person, id=person.new_id()), "state": "closed", "pieces": "1"}
            assert (await person.fill(f"/admin/rewards/{reward_id}{path}", **fields)).status_code == 404, path
        assert (await send_file(person, reward_id, painted())).status_code == 404
    seen = await one(admin, reward_id)
    assert (seen["state"], seen["stock"], seen["picture"]) == ("open", 10, None)


async def upload(person: Person, reward_id: str, content: bytes, kind: str = "image/jpeg") -> httpx.Response:
    """Send a picture as a program does."""
    return await person.send(f"{ADMIN_REWARDS}/{reward_id}/picture", content, Content_Type=kind)


async def test_a_picture_is_kept_shown_and_taken_away(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    answer = await upload(admin, reward_id, painted(size=(3000, 2000)))
    assert answer.status_code == 201, answer.text
    kept = answer.json()
    assert (kept["width"], kept["height"]) == (960, 640)
    assert (await upload(admin, reward_id, painted(size=(3000, 2000)))).json() == kept
    person = await town.volunteer()
    (shown,) = (await person.get("/api/v1/rewards")).json()["rewards"]
    assert shown["picture"] == kept["digest"]
    address = f"/rewards/{reward_id}/picture/{kept['digest']}"
    assert address in (await person.get("/rewards")).text
    answer = await person.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    far = await town.volunteer("远方", region_id=town.city.other_community_id)
    assert (await far.get(address)).status_code == 200  # The whole city is offered it.
    assert (await town.stranger().get(address)).status_code == 303
    answer = await admin.send(f"{ADMIN_REWARDS}/{reward_id}/picture", method="DELETE")
    assert answer.status_code == 204
    answer = await person.get(address)
    assert (answer.status_code, answer.headers["cache-control"]) == (404, "no-store")
    assert "picture/" not in (await person.get("/rewards")).text


async def test_a_picture_of_another_region_is_not_there(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin, region_id=str(town.city.district_id))
    digest = (await upload(admin, reward_id, painted())).json()["digest"]
    far = await town.volunteer("远方", region_id=town.city.other_community_id)
    assert (await far.get(f"/rewards/{reward_id}/picture/{digest}")).status_code == 404


BAD = {
    "text": (b"a picture of rice", (422, "picture_unreadable")),
    "nothing": (b"", (422, "picture_unreadable")),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", (422, "picture_unreadable")),
    "html": (b"<!doctype html><script>alert(1)</script>", (422, "picture_unreadable")),
    "bomb": (png(60_000, 60_000), (413, "picture_too_large")),
    "many bytes": (painted() + b"\0" * (8 * 1024 * 1024 - 1024), (413, "picture_too_large")),
}


async def test_what_is_no_picture_is_refused_with_a_code(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    for name, (content, code) in BAD.items():
        # What it says it is does not matter.
        for kind in ("image/jpeg", "image/png", "application/octet-stream"):
            assert problem(await upload(admin, reward_id, content, kind)) == code, name
        assert (await send_file(admin, reward_id, content)).status_code == code[0], name
    answer = await upload(admin, reward_id, b"\0" * (pictures.SIZE_LIMIT_BYTES + 2048))
    assert problem(answer) == (413, "body_too_large")
    assert (await one(admin, reward_id))["picture"] is None


async def test_a_picture_says_that_it_is_one_or_something(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    for kind in ("application/json", "text/html", "multipart/form-data; boundary=x", "image/svg+xml"):
        assert problem(await upload(admin, reward_id, painted(), kind)) == (415, "content_type_unsupported")


def form_of(person: Person, **more: str) -> dict[str, str]:
    """The fields of a reward's form."""
    return {
        "name_zh": "鸡蛋",
        "name_en": "Eggs",
        "description_zh": "一盒",
        "description_en": "a box",
        "kind": "goods",
        "price_points": "150",
        "places": "1",
        "limit_pieces": "2",
        "limit_period": "day",
        "starts_at": "",
        "ends_at": "",
        "hold_hours": "48",
        **more,
    }


async def csrf(person: Person) -> str:
    """The token in this person's forms."""
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', (await person.get("/nothing-here")).text)
    assert found
    return found[1]


async def send_file(person: Person, reward_id: str, content: bytes, **fields: str) -> httpx.Response:
    """Send the form that brings a picture."""
    return await person.client.post(
        f"/admin/rewards/{reward_id}/picture",
        data={"csrf": await csrf(person), **fields},
        files={"picture": ("../../rice.jpg", content, "image/jpeg")},
        headers={"Origin": person.address},
    )


def shown_code(answer: httpx.Response) -> str | None:
    """The code of a page that refuses."""
    found = re.search(r'data-code="(\w+)"', answer.text)
    return found[1] if found else None


async def test_the_pages_offer_change_and_close(town: Town, admin: Person) -> None:
    id = admin.new_id()
    fields = form_of(admin, id=id, region_id=str(town.city.region_id), stock="7", ends_at="2026-12-31T18:00")
    for _ in range(2):
        answer = await admin.fill("/admin/rewards/new", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/admin/rewards/{id}?answer={id}")
    seen = await one(admin, id)
    assert (seen["name_en"], seen["stock"], seen["limit_period"], seen["hold_minutes"]) == ("Eggs", 7, "day", 2880)
    assert seen["ends_at"] == "2026-12-31T10:00:00Z"
    page = (await admin.get(f"/admin/rewards/{id}")).text
    assert 'value="2026-12-31T18:00"' in page
    was = {f"was_{name}": value for name, value in re.findall(r'name="was_(\w+)" value="([^"]*)"', page)}
    changed = {name.removeprefix("was_"): value for name, value in was.items()}
    edit = {**changed, **was, "id": admin.new_id(), "price_points": "90", "limit_pieces": ""}
    town.watch.move(minutes=1)
    for _ in range(2):
        answer = await admin.fill(f"/admin/rewards/{id}", **edit)
        assert answer.status_code == 303
    assert "notice-good" in (await admin.get(answer.headers["location"])).text
    assert (await trail_of(town, id))[1:] == [
        (
            "reward.edit",
            {"price_points": 150, "limit_pieces": 2, "limit_period": "day"},
            {"price_points": 90, "limit_pieces": None, "limit_period": None},
        )
    ]
    for state in ("closed", "open"):
        answer = await admin.fill(f"/admin/rewards/{id}/state", id=admin.new_id(), state=state)
        assert answer.status_code == 303
        assert (await one(admin, id))["state"] == state
    await admin.fill(f"/admin/rewards/{id}/stock", id=admin.new_id(), pieces="-2")
    assert (await one(admin, id))["stock"] == 5


async def test_two_administrators_who_change_different_fields_keep_both(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    page = (await admin.get(f"/admin/rewards/{reward_id}")).text
    was = {f"was_{name}": value for name, value in re.findall(r'name="was_(\w+)" value="([^"]*)"', page)}
    shown = {name.removeprefix("was_"): value for name, value in was.items()}
    for change in ({"price_points": "5"}, {"name_en": "Good rice"}):
        fields = {**shown, **was, "id": admin.new_id(), **change}
        answer = await admin.fill(f"/admin/rewards/{reward_id}", **fields)
        assert answer.status_code == 303
    seen = await one(admin, reward_id)
    assert (seen["price_points"], seen["name_en"]) == (5, "Good rice")


WRONG_FORMS: list[tuple[dict[str, str], int]] = [
    ({"price_points": ""}, 422),
    ({"price_points": "many"}, 422),
    ({"places": ""}, 422),
    ({"places": "one"}, 422),
    ({"places": "1, 99999"}, 404),
    ({"places": "9" * 40}, 422),
    ({"places": "٣"}, 422),
    ({"ends_at": "tomorrow"}, 422),
    ({"ends_at": "0001-01-01T00:00"}, 422),
    ({"limit_period": "decade"}, 422),
    ({"hold_hours": "0"}, 422),
    ({"name_zh": ""}, 422),
    ({"region_id": "nowhere"}, 422),
]


async def test_a_form_that_cannot_be_taken_comes_back_as_it_was_filled_in(town: Town, admin: Person) -> None:
    fields = form_of(admin, region_id=str(town.city.region_id), stock="7", name_en="Red eggs")
    for wrong, status in WRONG_FORMS:
        answer = await admin.fill("/admin/rewards/new", **{**fields, **wrong, "id": admin.new_id()})
        assert answer.status_code == status, wrong
        assert 'role="alert"' in answer.text
        assert 'value="Red eggs"' in answer.text
    assert (await admin.get(ADMIN_REWARDS)).json()["rewards"] == []
    reward_id = await offer(town, admin)
    for wrong, status in WRONG_FORMS[:-1]:
        answer = await admin.fill(f"/admin/rewards/{reward_id}", **{**fields, **wrong, "id": admin.new_id()})
        assert (answer.status_code, 'value="Red eggs"' in answer.text) == (status, True), wrong
    assert (await one(admin, reward_id))["name_en"] == "Rice"


async def test_the_list_page_filters(town: Town, admin: Person) -> None:
    await offer(town, admin, name_zh="大米")
    await offer(town, admin, kind="service", name_zh="理发")
    page = (await admin.get("/admin/rewards")).text
    assert ("大米" in page, "理发" in page) == (True, True)
    page = (await admin.get(f"/admin/rewards?kind=goods&offer=open&region={town.city.region_id}")).text
    assert ("大米" in page, "理发" in page) == (True, False)
    assert (await admin.get("/admin/rewards?kind=x&offer=y&region=z")).status_code == 200


async def test_a_picture_by_form(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    answer = await send_file(admin, reward_id, painted("PNG"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/admin/rewards/{reward_id}?done=picture")
    digest = (await one(admin, reward_id))["picture"]
    assert f"/rewards/{reward_id}/picture/{digest}" in (await admin.get(f"/admin/rewards/{reward_id}")).text
    assert (await admin.fill(f"/admin/rewards/{reward_id}/picture/removal")).status_code == 303
    assert (await one(admin, reward_id))["picture"] is None


async def test_a_form_with_a_file_needs_its_token_too(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    manager = await town.member(town.city.manager_id)
    address = f"/admin/rewards/{reward_id}/picture"
    files = {"picture": ("rice.jpg", painted(), "image/jpeg")}
    for data in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": await csrf(manager)}):
        answer = await admin.client.post(address, data=data, files=files, headers={"Origin": admin.address})
        assert shown_code(answer) == "csrf_failed"
    # A token that comes as a file is none.
    answer = await admin.client.post(
        address, files={**files, "csrf": ("csrf", await csrf(admin), "text/plain")}, headers={"Origin": admin.address}
    )
    assert shown_code(answer) == "csrf_failed"
    for origin in ("https://evil.example", None):
        headers = {"Origin": origin} if origin else {}
        data = {"csrf": await csrf(admin)}
        answer = await admin.client.post(address, data=data, files=files, headers=headers)
        assert shown_code(answer) == "cross_site"
    assert (await one(admin, reward_id))["picture"] is None


async def test_only_the_form_for_pictures_brings_files(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    token = await csrf(admin)
    for route in guards.ACCESS:
        method, path = route.split()
        if method != "POST" or path.startswith("/api/") or route in guards.UPLOADS:
            continue
        address = re.sub(r"\{(\w*id)\}", reward_id, path).replace("{number}", str(town.city.station.number))
        answer = await admin.client.post(
            address,
            data={"csrf": token},
            files={"picture": ("x.jpg", painted(), "image/jpeg")},
            headers={"Origin": admin.address},
        )
        assert shown_code(answer) in ("content_type_unsupported", "role_not_allowed"), route


MALFORMED = {
    "no boundary": ("multipart/form-data", b"--x\r\n"),
    "empty": ("multipart/form-data; boundary=x", b""),
    "nothing of it": ("multipart/form-data; boundary=x", b"hello"),
    "cut off": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\nabc',
    ),
    "bad utf-8": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n\xff\xfe\r\n--x--\r\n',
    ),
    "no such charset": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="csrf"\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n'
        b"1\r\n--x--\r\n",
    ),
    "no name": ("multipart/form-data; boundary=x", b"--x\r\nContent-Type: text/plain\r\n\r\n1\r\n--x--\r\n"),
    "two thousand parts": (
        "multipart/form-data; boundary=x",
        b"".join(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' for _ in range(2000)) + b"--x--\r\n",
    ),
    "long boundary": ("multipart/form-data; boundary=" + "x" * 5000, b"--x\r\n"),
    "odd boundary": ('multipart/form-data; boundary=""', b"--\r\n"),
}


async def test_a_malformed_form_is_refused_and_never_crashes(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    for name, (kind, content) in MALFORMED.items():
        answer = await admin.client.post(
            f"/admin/rewards/{reward_id}/picture",
            content=content,
            headers={"Origin": admin.address, "Content-Type": kind},
        )
        assert shown_code(answer) in ("request_malformed", "csrf_failed"), name


async def test_a_form_without_its_file_says_so(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    for files in (None, {"picture": ("", b"", "application/octet-stream")}, {"other": ("a.jpg", painted())}):
        answer = await admin.client.post(
            f"/admin/rewards/{reward_id}/picture",
            data={"csrf": await csrf(admin), "picture": "text"} if files is None else {"csrf": await csrf(admin)},
            files=files,
            headers={"Origin": admin.address},
        )
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text


async def test_a_form_with_far_too_many_bytes_is_refused(town: Town, admin: Person) -> None:
    reward_id = await offer(town, admin)
    answer = await send_file(admin, reward_id, b"\0" * (9 * 1024 * 1024))
    assert (answer.status_code, shown_code(answer)) == (413, "picture_too_large")
