"""Rewards as administrators run them, by program and by page: offered, changed, closed, restocked, with a picture."""

import re
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

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
