"""My data, over HTTP: what a member sees and does, what an administrator does about it."""

import re

from tests.api.people import Person, Town, problem
from timebank import erasure_list


async def fill(person: Person, page: str, action: str, **fields: str) -> "str | int":
    """Send a form that stands on a page, with the ids that it came with; answers where it led, or the status."""
    text = (await person.get(page)).text
    form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', text, re.DOTALL)
    assert form, (action, text)
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0]))
    answer = await person.client.post(action, data={**hidden, **fields}, headers={"Origin": person.address})
    return answer.headers["location"] if answer.status_code == 303 else answer.status_code


async def test_a_member_asks_to_be_erased_and_an_administrator_does_it(town: Town) -> None:
    volunteer = await town.volunteer("林遗忘")
    admin = await town.with_role("admin")
    assert "林遗忘" in (await volunteer.get("/privacy")).text
    assert await fill(volunteer, "/privacy", "/privacy/erasure") == "/privacy?done=erasure"
    assert await fill(volunteer, "/privacy", "/privacy/erasure/withdrawal") == "/privacy?done=kept"
    assert "林遗忘" not in (await admin.get("/admin/erasures")).text
    assert await fill(volunteer, "/privacy", "/privacy/erasure") == "/privacy?done=erasure"
    assert "林遗忘" in (await admin.get("/admin/erasures")).text
    listed = (await admin.get("/api/v1/erasures")).json()["erasures"]
    assert [(each["name"], each["asked_by"]) for each in listed] == [("林遗忘", str(volunteer.member_id))]
    page = f"/admin/members/{volunteer.member_id}"
    # What the member asked, the member takes back.
    assert f"{page}/erasure-withdrawal" not in (await admin.get(page)).text
    assert await fill(admin, page, f"{page}/erasure") == f"{page}?saved=1"
    assert (await volunteer.get("/privacy")).headers["location"].startswith("/sign-in")
    assert "林遗忘" not in (await admin.get(page)).text
    assert (await admin.get("/api/v1/erasures")).json()["erasures"] == []
    path = town.bank.settings.data / erasure_list.NAME
    assert [line.member for line in erasure_list.read(path)] == [volunteer.member_id]


async def test_an_administrator_who_asks_needs_another(town: Town) -> None:
    member_id = await town.join("林遗忘")
    first, second = await town.with_role("admin"), await town.with_role("admin")
    page, deeds = f"/admin/members/{member_id}", f"/api/v1/members/{member_id}"
    assert await fill(first, page, f"{page}/erasure-request") == f"{page}?saved=1"
    assert f"{page}/erasure-withdrawal" in (await first.get(page)).text
    assert 'action="' + f'{page}/erasure"' not in (await first.get(page)).text
    refused = await first.send(f"{deeds}/erasure", {"id": first.new_id()})
    assert problem(refused) == (403, "second_person_needed")
    refused = await second.send(f"{deeds}/erasure-request", {"id": second.new_id()})
    assert problem(refused) == (409, "erasure_asked")
    assert await fill(second, page, f"{page}/erasure-withdrawal") == f"{page}?saved=1"
    refused = await second.send(f"{deeds}/erasure", {"id": second.new_id()})
    assert problem(refused) == (409, "erasure_not_asked")
    assert (await first.send(f"{deeds}/erasure-request", {"id": first.new_id()})).status_code == 201
    command = {"id": second.new_id()}
    for _ in range(2):
        assert (await second.send(f"{deeds}/erasure", command)).status_code == 201


async def test_a_wish_that_is_there_already_is_told_on_the_page(town: Town) -> None:
    volunteer = await town.volunteer()
    for status in (201, 409):
        answer = await volunteer.send("/api/v1/me/erasure-request", {"id": volunteer.new_id()})
        assert answer.status_code == status
    page = await volunteer.fill("/privacy/erasure", id=volunteer.new_id())
    assert page.status_code == 409
    assert "没有改动" in page.text
    answer = await volunteer.send("/api/v1/me/erasure-withdrawal", {"id": volunteer.new_id()})
    assert answer.status_code == 201
