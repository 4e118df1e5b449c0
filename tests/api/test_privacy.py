"""My data, over HTTP: what a member sees and does, what an administrator does about it."""

import html
import re
from datetime import timedelta

from sqlalchemy import insert

from tests.api.people import Person, Town, problem
from tests.factories import PASSWORD
from tests.paper import characters
from timebank import erasure_list, readings, sms
from timebank.tables import consent, member


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


async def test_my_data_are_whole_and_mine(town: Town) -> None:
    volunteer, manager = await town.volunteer("林有数"), await town.member(town.city.manager_id)
    other = await town.volunteer("别人")
    record = await town.serve(volunteer)
    await town.serve(other)
    command = {"id": manager.new_id(), "record_id": record, "verdict": "adjust", "minutes": 60, "reason": "早退的原因"}
    assert (await manager.send("/api/v1/decisions", command)).status_code == 201
    command = {"id": volunteer.new_id(), "record_id": record, "question": "为什么少了"}
    assert (await volunteer.send("/api/v1/inquiries", command)).status_code == 201
    command = {"id": manager.new_id(), "record_id": record, "minutes": 90, "reason": "更正的原因"}
    assert (await manager.send("/api/v1/corrections", command)).status_code == 201
    assert (await manager.get(f"/api/v1/queue/{record}")).status_code == 200
    assert (await manager.get(f"/queue/{record}")).status_code == 200
    assert (await manager.get(f"/api/v1/queue/{record}/statement")).status_code == 200
    paper = await volunteer.get("/privacy/data.pdf")
    assert paper.headers["content-type"] == "application/pdf"
    for words in ("林有数", "周站长", "您的答复", "1 小时 30 分钟", "谁查看过"):
        assert set(words.replace(" ", "")) <= characters(paper.content), words
    answer = await volunteer.get("/privacy/data.json")
    assert answer.headers["content-disposition"] == 'attachment; filename="my-data.json"'
    found = answer.json()
    assert found["person"]["name"] == "林有数"
    assert found["person"]["phone"] == town.city.phones[volunteer.member_id]
    assert found["balance"]["minutes"] == 90
    assert [row["credited_minutes"] for row in found["records"]] == [90]
    assert len(found["scans"]) == 2
    assert "早退的原因" in {row["reason"] for row in found["decisions"]}
    assert [row["reason"] for row in found["corrections"]] == ["更正的原因"]
    assert [row["question"] for row in found["questions"]] == ["为什么少了"]
    assert sorted(line["amount"] for line in found["statement_minutes"]) == [-60, 60, 90]
    assert {(look["reader"], look["what"]) for look in found["looks"]} == {
        ("周站长", "record"),
        ("周站长", "statement"),
    }
    assert "token" not in answer.text
    assert "argon2" not in answer.text
    assert str(other.member_id) not in answer.text
    assert (await volunteer.get("/api/v1/me/data")).json()["data"].keys() == found.keys()


async def test_who_looked_is_told(town: Town) -> None:
    volunteer, admin = await town.volunteer("林被看"), await town.with_role("admin")
    assert "还没有工作人员查看过" in (await volunteer.get("/privacy")).text
    assert (await admin.get(f"/admin/members/{volunteer.member_id}")).status_code == 200
    assert (await admin.get(f"/api/v1/members/{volunteer.member_id}")).status_code == 200
    assert (await admin.send("/api/v1/members/search", {"name": "林被看"})).status_code == 200
    assert (await admin.fill("/admin/members", text="林被看")).status_code == 200
    looks = (await volunteer.get("/api/v1/me/looks")).json()["looks"]
    assert {(look["reader"], look["what"]) for look in looks} == {("角色admin", "file"), ("角色admin", "search")}
    assert len(looks) == 2
    found = (await volunteer.get("/api/v1/me/looks?look=search")).json()["looks"]
    assert [look["what"] for look in found] == ["search"]
    assert "没有找到" in (await volunteer.get("/privacy?look=record")).text
    page = (await volunteer.get("/privacy")).text
    assert "角色admin" in page
    assert "查看了您的档案" in page
    # One look a page, by program; older ones than a page holds, by a link.
    first = (await volunteer.get("/api/v1/me/looks?limit=1")).json()
    second = (await volunteer.get(f"/api/v1/me/looks?limit=1&cursor={first['following']}")).json()
    assert (first["looks"] + second["looks"], second["following"]) == (looks, None)
    assert problem(await volunteer.get("/api/v1/me/looks?cursor=1.2")) == (422, "cursor_invalid")
    assert "更早的" not in page
    async with town.bank.engine.begin() as connection:
        for days in range(1, 20):
            at = town.watch.now - timedelta(days=days)
            await readings.note(connection, town.city.book_id, admin.member_id, [volunteer.member_id], "statement", at)
    older = re.search(r'href="(/privacy\?before=[^"#]+)#looks"', (await volunteer.get("/privacy")).text)
    assert older
    page = (await volunteer.get(html.unescape(older[1]))).text
    assert page.count("角色admin") == 1
    assert 'href="/privacy#looks"' in page
    assert (await volunteer.get("/privacy?before=nonsense")).status_code == 422


async def test_consents_are_answered_on_the_page(town: Town) -> None:
    volunteer, admin = await town.volunteer(), await town.with_role("admin")
    body = {"purpose": "service", "number": 1, "agreed": False}
    answer = await volunteer.send("/api/v1/me/consents", {"id": volunteer.new_id(), **body})
    assert answer.status_code == 201
    refused = await volunteer.send("/api/v1/check-ins", {"id": volunteer.new_id(), "code": town.code()})
    assert problem(refused) == (403, "consent_withdrawn")
    town.watch.move(seconds=1)
    form = {"purpose": "service", "number": "1", "agreed": "true", "id": volunteer.new_id()}
    assert (await volunteer.fill("/privacy/consents", **form)).headers["location"] == "/privacy?done=consent"
    page = f"/admin/members/{volunteer.member_id}"
    # Who agreed to an earlier text is asked anew, and nobody agrees to a text without saying which.
    facts = {"book_id": town.city.book_id, "member_id": volunteer.member_id, "purpose": "honour", "number": 1}
    async with town.bank.engine.begin() as connection:
        await connection.execute(
            insert(consent).values(**facts, id=town.city.new_id(), agreed=True, answered_at=town.watch.now)
        )
    assert 'href="/privacy#consents"' in (await volunteer.get("/")).text
    for person, path in ((volunteer, "/privacy"), (admin, page)):
        assert "同意的是旧版文本" in (await person.get(path)).text
    town.watch.move(seconds=1)
    form = {"purpose": "honour", "agreed": "true", "id": admin.new_id()}
    assert (await admin.fill(f"{page}/consents", **form)).status_code == 422
    form = {"purpose": "honour", "number": "2", "agreed": "true", "id": admin.new_id()}
    assert (await admin.fill(f"{page}/consents", **form)).headers["location"] == f"{page}?saved=1"
    assert 'href="/privacy#consents"' not in (await volunteer.get("/")).text
    nameless = await volunteer.send(
        "/api/v1/me/consents", {"id": volunteer.new_id(), "purpose": "location", "agreed": True}
    )
    assert problem(nameless) == (422, "invalid")
    assert (nameless.json()["data"]["field"], nameless.json()["data"]["reason"]) == ("number", "missing")
    assert "未列入荣誉榜：出生日期未登记" in (await admin.get(page)).text
    found = (await volunteer.get("/api/v1/me/consents")).json()["consents"]
    assert [(each["purpose"], each["agreed"]) for each in found] == [
        ("service", True),
        ("location", None),
        ("honour", True),
    ]
    assert "不同意" in (await volunteer.get("/privacy")).text


async def test_one_corrects_ones_name_number_and_password(town: Town) -> None:
    volunteer, other = await town.volunteer("林写错"), await town.volunteer("别人")
    assert await fill(volunteer, "/privacy", "/privacy/name", name="林写对") == "/privacy?done=name"
    assert (await volunteer.get("/api/v1/me")).json()["name"] == "林写对"
    assert (await volunteer.fill("/privacy/name", id=volunteer.new_id(), name="\u202e")).status_code == 422

    phone = "+8613955550001"
    assert (await volunteer.fill("/privacy/address", phone="12")).status_code == 422
    assert (await volunteer.fill("/privacy/address", phone=phone)).status_code == 200
    await sms.all_sent()
    digits = town.said[-1][-6:]
    wrong = f"{(int(digits) + 1) % 10**6:06d}"
    assert (await volunteer.fill("/privacy/address/proof", phone=phone, digits=wrong)).status_code == 401
    # The digits are of use to nobody else, nor to sign in.
    assert (await other.fill("/privacy/address/proof", phone=phone, digits=digits)).status_code == 401
    stranger = town.stranger()
    refused = await stranger.send("/api/v1/phone-codes/sessions", {"phone": phone, "digits": digits})
    assert problem(refused) == (401, "sign_in_refused")
    changed = await volunteer.fill("/privacy/address/proof", phone=phone, digits=digits)
    assert changed.headers["location"] == "/privacy?done=phone"
    assert "<dd>139 5555 0001</dd>" in (await volunteer.get("/privacy")).text
    volunteer.csrf = (await volunteer.get("/api/v1/me")).json()["csrf"]
    # Somebody else's number, even with the digits.
    taken = town.city.phones[other.member_id]
    assert (await volunteer.send("/api/v1/me/address-proofs", {"phone": taken})).status_code == 202
    await sms.all_sent()
    body = {"phone": taken, "digits": town.said[-1][-6:]}
    assert problem(await volunteer.send("/api/v1/me/address", body)) == (409, "phone_taken")

    body = {"present": "not it", "password": "another long password"}
    assert problem(await volunteer.send("/api/v1/me/password", body)) == (401, "sign_in_refused")
    form = {"present": PASSWORD, "password": "1234567890"}
    assert (await volunteer.fill("/privacy/password", **form)).status_code == 303
    form = {"present": "1234567890", "password": "another long password"}
    assert (await volunteer.fill("/privacy/password", **form)).headers["location"] == "/privacy?done=password"
    assert (await volunteer.fill("/privacy/password", present="x", password="short")).status_code == 401
    form = {"present": "another long password", "password": "short"}
    assert (await volunteer.fill("/privacy/password", **form)).status_code == 422
    town.city.phones[volunteer.member_id] = phone
    again = await town.stranger().sign_in(town.city, volunteer.member_id, "another long password")
    assert (await again.get("/api/v1/me")).status_code == 200


async def test_who_has_no_password_chooses_one(town: Town) -> None:
    volunteer = await town.volunteer()
    async with town.bank.engine.begin() as connection:
        await connection.execute(member.update().where(member.c.id == volunteer.member_id).values(password_hash=None))
    answer = await volunteer.send("/api/v1/me/password", {"password": "a quite long password"})
    assert answer.status_code == 201, answer.text
    assert await town.stranger().sign_in(town.city, volunteer.member_id, "a quite long password")


async def test_codes_come_by_mail_to_who_gave_an_address(town: Town) -> None:
    volunteer = await town.volunteer()
    for wrong in ("nobody", "a@b", "a b@bank.example"):
        answer = await volunteer.send("/api/v1/me/address-proofs", {"mail": wrong})
        assert problem(answer) == (422, "invalid")
    assert problem(await volunteer.send("/api/v1/me/address-proofs", {})) == (422, "invalid")
    assert (await volunteer.fill("/privacy/address", mail="lin@bank.example")).status_code == 200
    await sms.all_sent()
    assert town.said[-1].startswith("sign-in code for lin@bank.example: ")
    digits = town.said[-1][-6:]
    changed = await volunteer.fill("/privacy/address/proof", mail="lin@bank.example", digits=digits)
    assert changed.headers["location"] == "/privacy?done=mail"
    volunteer.csrf = (await volunteer.get("/api/v1/me")).json()["csrf"]
    assert (await volunteer.get("/api/v1/me/data")).json()["data"]["person"]["mail"] == "lin@bank.example"
    # The name can be corrected, and the address stays.
    assert (await volunteer.send("/api/v1/me/name", {"id": volunteer.new_id(), "name": "林邮"})).status_code == 201

    class Kept:
        async def send(self, phone: str, code: str, locale: str, mail: str | None = None) -> None:
            town.said.append(f"{phone} {mail}")

    town.bank.sender = Kept()
    phone = town.city.phones[volunteer.member_id]
    assert (await town.stranger().send("/api/v1/phone-codes", {"phone": phone})).status_code == 202
    await sms.all_sent()
    assert town.said[-1] == f"{phone} lin@bank.example"
    form = await volunteer.fill("/privacy/mail/removal", id=volunteer.new_id())
    assert form.headers["location"] == "/privacy?done=no-mail"
    assert (await volunteer.get("/api/v1/me/data")).json()["data"]["person"]["mail"] is None
