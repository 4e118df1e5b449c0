"""The pages on which administrators run rewards: forms, as they are filled in, and pictures that come with them."""

import re

import httpx
import pytest

from api import guards
from tests.api.people import Person, Town
from tests.api.test_reward_admin import ADMIN_REWARDS, csrf, form_of, offer, one, send_file, trail_of
from tests.timebank.test_pictures import painted


@pytest.fixture
async def admin(town: Town) -> Person:
    """The administrator of the whole city."""
    return await town.with_role("admin")


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
