"""Joining from a poster, with a code on paper, and by a guardian; and what nobody gets in by."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select, update

from tests.api.people import Person, Town, problem
from timebank import activations, codes, consents, guardians, members, merging, posters, sessions, sms
from timebank.activations import LIFE
from timebank.tables import activation, audit_entry, guardian, member

PHONE = "+8613944440001"
PASSWORD = "quite a long password"


@pytest.fixture
async def poster(town: Town) -> str:
    """What hangs at the station."""
    async with town.bank.engine.begin() as connection:
        row = await posters.replace(
            connection,
            town.bank.book_id,
            town.city.station.id,
            id=town.city.new_id(),
            now=town.watch.now,
            actor_id=town.city.manager_id,
        )
    return codes.poster_code(town.bank.keys.poster, town.city.station.number, row.number)


def said(poster: str, /, **more: Any) -> dict[str, Any]:
    """What somebody says who joins."""
    facts = {"name": "林新来", "phone": PHONE, "born": "1990-05-01", "agreed": ["service", "honour"]}
    return {"poster": poster, **facts, **more}


async def digits(town: Town) -> str:
    """The digits that were sent last."""
    await sms.all_sent()
    return town.said[-1][-6:]


async def test_a_stranger_joins_from_a_poster(town: Town, poster: str) -> None:
    person = town.stranger()
    page = await person.get(f"/S/{poster}")
    page = await person.get(page.headers["location"])
    assert "/join?scanned=1" in page.text
    assert town.city.station.name_zh in (await person.get("/join?scanned=1")).text
    # Before anything is asked for, whoever wants to know reads what becomes of it.
    assert 'href="/what-is-kept"' in (await person.get("/join?scanned=1")).text.split("<footer")[0]
    kept = (await person.get("/what-is-kept")).text
    for words in (
        "浏览器的编号：12 个月",
        "能再次识别同一证件的标记",
        "通行密钥",
        "监护人看到",
        "管理员按证件登记的手机号保留",
    ):
        assert words in kept
    form = {"code": poster, "name": "林新来", "phone": PHONE, "born": "1990-05-01", "agreed": ["service", "honour"]}
    assert "验证码" in (await person.fill("/join", **form)).text
    wrong = await person.fill("/join/check", **form, digits="000000" if await digits(town) != "000000" else "1" * 6)
    assert wrong.status_code == 401
    # The digits sign nobody in.
    refused = await person.send("/api/v1/phone-codes/sessions", {"phone": PHONE, "digits": await digits(town)})
    assert problem(refused) == (401, "sign_in_refused")
    assert (await person.fill("/join/check", **form, digits=await digits(town))).headers["location"] == "/"
    me = (await person.get("/api/v1/me")).json()
    assert (me["name"], me["roles"]) == ("林新来", [])
    data = (await person.get("/api/v1/me/data")).json()["data"]
    assert data["person"]["region_id"] == str(town.city.station.region_id)
    assert data["person"]["born"] == "1990-05-01"
    assert {each["purpose"]: each["agreed"] for each in data["consents"]} == {
        "service": True,
        "location": False,
        "honour": True,
    }
    assert "member.join" in {each["action"] for each in data["changes"]}
    assert (await person.get("/join")).headers["location"] == "/"


async def test_who_has_the_number_is_signed_in_and_nothing_is_changed(town: Town, poster: str) -> None:
    member_id = await town.join("林老友", phone=PHONE)
    person = town.stranger()
    assert (await person.send("/api/v1/joins/codes", said(poster))).status_code == 202
    answer = await person.send("/api/v1/joins", said(poster, digits=await digits(town)))
    assert (answer.status_code, answer.json()["member_id"]) == (201, str(member_id))
    assert (await person.get("/api/v1/me")).json()["name"] == "林老友"


async def test_what_nobody_joins_with(town: Town, poster: str) -> None:
    person = town.stranger()
    cases = [
        ({"poster": "x"}, 422, "code_malformed"),
        ({"poster": poster[:-1] + ("0" if poster[-1] != "0" else "1")}, 422, "code_forged"),
        ({"phone": "12"}, 422, "invalid"),
        ({"name": "\u202e"}, 422, "invalid"),
        ({"born": "1800-01-01"}, 422, "invalid"),
        ({"born": "2027-01-01"}, 422, "invalid"),
        ({"agreed": ["honour"]}, 422, "invalid"),
        # Eighteen tomorrow.
        ({"born": "2008-03-03"}, 403, "guardian_needed"),
    ]
    for more, status, code in cases:
        for path, extra in (("/api/v1/joins/codes", {}), ("/api/v1/joins", {"digits": "123456"})):
            answer = await person.send(path, said(poster, **more, **extra))
            assert problem(answer) == (status, code), (more, path)
    form = {"code": poster, "name": "小林", "phone": PHONE, "born": "2015-02-29", "agreed": "service"}
    assert (await person.fill("/join", **form)).status_code == 422
    page = await person.fill("/join", **{**form, "born": "2016-02-29"})
    assert page.status_code == 403
    assert "监护人" in page.text
    assert town.said == []
    async with town.bank.engine.begin() as connection:
        await posters.revoke(
            connection,
            town.bank.book_id,
            town.city.station.id,
            now=town.watch.now,
            actor_id=town.city.manager_id,
        )
    assert problem(await person.send("/api/v1/joins/codes", said(poster))) == (403, "poster_revoked")


async def test_one_address_does_not_join_a_crowd(town: Town, poster: str) -> None:
    person = town.stranger()
    for number in range(21):
        phone = f"+86139333300{number:02d}"
        assert (await person.send("/api/v1/joins/codes", said(poster, phone=phone))).status_code == 202
        answer = await person.send("/api/v1/joins", said(poster, phone=phone, digits=await digits(town)))
        await person.client.aclose()
        person = town.stranger()
        assert answer.status_code == (201 if number < 20 else 429), answer.text


async def code_for(town: Town, manager: Person, member_id: UUID) -> str:
    """A code on paper for a member."""
    answer = await manager.send(f"/api/v1/members/{member_id}/activation-codes", None)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["text"])


async def test_a_code_on_paper_sets_the_first_password_once(town: Town) -> None:
    manager = await town.member(town.city.manager_id)
    async with town.bank.engine.begin() as connection:
        member_id = await town.city.add_member(connection, "林无信", phone=PHONE)
    page = await manager.fill(f"/stations/{town.city.station.number}/activations", member=PHONE)
    assert page.status_code == 200
    assert "林无信" in page.text
    text = page.text.split("data-activation>")[1].split("<")[0]
    person = town.stranger()
    weak = await person.fill("/activate", phone=PHONE, code=text, password="short")
    assert (weak.status_code, text in weak.text) == (422, False)
    assert (await person.fill("/activate", phone=PHONE, code="0" * 12, password=PASSWORD)).status_code == 401
    done = await person.fill("/activate", phone=PHONE, code=text.lower(), password=PASSWORD)
    assert done.headers["location"] == "/"
    assert (await person.get("/api/v1/me")).json()["member_id"] == str(member_id)
    assert (await person.get("/activate")).headers["location"] == "/"
    again = {"phone": PHONE, "paper": text, "password": PASSWORD}
    assert problem(await town.stranger().send("/api/v1/activations", again)) == (401, "sign_in_refused")
    town.city.phones[member_id] = PHONE
    await town.stranger().sign_in(town.city, member_id, PASSWORD)
    refused = await manager.send(f"/api/v1/members/{member_id}/activation-codes", None)
    assert problem(refused) == (409, "conflict")
    nobody = await manager.fill(f"/stations/{town.city.station.number}/activations", member="13999999999")
    assert nobody.status_code == 422
    async with town.bank.engine.connect() as connection:
        query = select(audit_entry.c.actor_id).where(audit_entry.c.action == "member.activation")
        assert await connection.scalar(query.where(audit_entry.c.subject_id == member_id)) == manager.member_id


async def test_a_code_on_paper_is_for_volunteers_without_a_way_in(town: Town) -> None:
    manager = await town.member(town.city.manager_id)
    async with town.bank.engine.begin() as connection:
        clerk = await town.city.add_member(connection, "核销")
        await town.city.grant(connection, clerk, "clerk", station_id=town.city.station.id)
        household = town.city.new_id()
        kin = await town.city.add_member(connection, "家人", household_id=household)
        await connection.execute(member.update().where(member.c.id == manager.member_id).values(household_id=household))
        bare = await members.add(
            connection,
            town.bank.book_id,
            town.bank.keys,
            name="没有电话",
            phone=None,
            region_id=town.city.community_id,
            id=town.city.new_id(),
            now=town.watch.now,
        )
        plain = await town.city.add_member(connection, "林无信")
    for member_id, status, code in (
        (clerk, 403, "role_not_allowed"),
        (kin, 403, "role_not_allowed"),
        (manager.member_id, 403, "role_not_allowed"),
        (bare, 422, "invalid"),
    ):
        answer = await manager.send(f"/api/v1/members/{member_id}/activation-codes", None)
        assert problem(answer) == (status, code)
    # Five wrong tries, a fortnight, or a newer print end it.
    first, second = await code_for(town, manager, plain), await code_for(town, manager, plain)
    phone = town.city.phones[plain]
    body = {"phone": phone, "password": PASSWORD}
    for _ in range(activations.TRIES):
        refused = await town.stranger().send("/api/v1/activations", {**body, "paper": first})
        assert problem(refused) == (401, "sign_in_refused")
    assert problem(await town.stranger().send("/api/v1/activations", {**body, "paper": second}))[1] == "sign_in_refused"
    third = await code_for(town, manager, plain)
    town.watch.now += LIFE
    assert problem(await town.stranger().send("/api/v1/activations", {**body, "paper": third}))[1] == "sign_in_refused"
    async with town.bank.engine.begin() as connection:
        await sessions.drop_past(connection, town.bank.book_id, town.watch.now)
        left = await connection.scalars(select(activation.c.member_id).where(activation.c.book_id == town.bank.book_id))
        assert list(left) == []


async def test_a_guardian_joins_a_child_and_acts_for_it(town: Town) -> None:
    parent, other = await town.volunteer("林妈妈"), await town.volunteer("别人")
    body = {"id": parent.new_id(), "name": "小林", "born": "2015-06-01", "agreed": ["service"]}
    assert (await parent.send("/api/v1/me/children", body)).status_code == 201
    child_id = body["id"]
    for more in ({"born": "1990-01-01"}, {"agreed": []}, {"born": "1700-01-01"}):
        refused = await parent.send("/api/v1/me/children", {**body, "id": parent.new_id(), **more})
        assert problem(refused) == (422, "invalid")
    assert "小林" in (await parent.get("/privacy")).text
    listed = (await parent.get("/api/v1/me/children")).json()["children"]
    assert [(each["id"], each["until"]) for each in listed] == [(child_id, "2033-05-31T16:00:00Z")]
    for stranger in (other, await town.member(town.city.manager_id)):
        assert problem(await stranger.send(f"/api/v1/me/children/{child_id}/sessions", None)) == (404, "not_found")
    form = {"id": parent.new_id(), "name": "小小林", "born": "2018-06-01", "agreed": "service"}
    assert (await parent.fill("/privacy/children", **form)).headers["location"] == "/privacy?done=child"
    assert (await parent.fill("/privacy/children", **{**form, "born": "x", "id": parent.new_id()})).status_code == 422
    adult = {**form, "born": "1980-01-01", "id": parent.new_id()}
    assert (await parent.fill("/privacy/children", **adult)).status_code == 422
    async with town.bank.engine.connect() as connection:
        child = await members.by_id(connection, town.bank.book_id, UUID(child_id))
        mother = await members.by_id(connection, town.bank.book_id, parent.member_id)
        assert child.household_id == mother.household_id is not None
    answer = await parent.send(f"/api/v1/me/children/{child_id}/sessions", None)
    assert answer.status_code == 201
    parent.csrf = answer.json()["csrf"]
    assert (await parent.get("/api/v1/me")).json()["name"] == "小林"
    assert await town.serve(parent)
    # A child does not join another.
    refused = await parent.send("/api/v1/me/children", {**body, "id": parent.new_id()})
    assert problem(refused) == (403, "role_not_allowed")

    # On every page it says for whom, also after the child's password changed; and it is stopped, once.
    fields = {"present": "", "password": "a willow for the child"}
    assert (await parent.fill("/privacy/password", **fields)).headers["location"] == "/privacy?done=password"
    for path in ("/", "/records", "/privacy", "/card"):
        assert "您正在为 小林 代办" in (await parent.get(path)).text, path
    for _ in range(2):
        stopped = await parent.fill("/helpers/stop")
    assert stopped.headers["location"] == "/helpers"
    assert "您正在为" not in (await parent.get("/")).text
    assert (await parent.get("/api/v1/me")).json()["name"] == "林妈妈"
    assert (await parent.fill(f"/privacy/children/{child_id}")).headers["location"] == "/"
    # Whoever is suspended acts for nobody.
    async with town.bank.engine.begin() as connection:
        await members.suspend(connection, town.bank.book_id, parent.member_id, now=town.watch.now)
    assert problem(await parent.get("/api/v1/me")) == (401, "not_signed_in")
    async with town.bank.engine.begin() as connection:
        await members.reinstate(connection, town.bank.book_id, parent.member_id, now=town.watch.now)
    assert (await parent.get("/api/v1/me")).json()["name"] == "小林"
    # Of age, the child alone goes on.
    async with town.bank.engine.begin() as connection:
        known = update(guardian).where(guardian.c.book_id == town.bank.book_id, guardian.c.child_id == UUID(child_id))
        await connection.execute(known.values(until=town.watch.now))
    assert problem(await parent.get("/api/v1/me")) == (401, "not_signed_in")


async def test_of_age_is_of_age_and_guardians_go_over_when_accounts_are_merged(town: Town) -> None:
    parent, again = await town.volunteer("林妈妈"), await town.join("林妈妈")
    body = {"id": parent.new_id(), "name": "小林", "born": "2008-03-04", "agreed": ["service"]}
    assert (await parent.send("/api/v1/me/children", body)).status_code == 201
    bank = town.bank
    async with bank.engine.begin() as connection:
        # The other account acted once, and does no longer.
        ended = town.watch.now - timedelta(days=1)
        past = {"child_id": UUID(body["id"]), "guardian_id": again, "since": ended - timedelta(days=1), "until": ended}
        await connection.execute(insert(guardian).values(book_id=bank.book_id, **past))
        await merging.merge(
            connection,
            bank.book_id,
            survivor_id=again,
            absorbed_id=parent.member_id,
            id=town.city.new_id(),
            now=town.watch.now,
            actor_id=None,
        )
        rows = await guardians.children(connection, bank.book_id, again, town.watch.now)
        assert [str(row.id) for row in rows] == [body["id"]]
        later = town.watch.now + timedelta(days=3)
        assert await guardians.children(connection, bank.book_id, again, later) == []
        kept = select(guardian.c.until).where(guardian.c.book_id == bank.book_id, guardian.c.guardian_id == again)
        assert (await connection.scalars(kept)).one() > town.watch.now


async def test_an_administrator_enters_a_birth_date_and_a_guardian(town: Town) -> None:
    admin, child, parent = await town.with_role("admin"), await town.volunteer("林小"), await town.volunteer("林大")
    clerk, other, far = await town.join("核销"), await town.join("林别"), await town.join("林远")
    async with town.bank.engine.begin() as connection:
        await town.city.grant(connection, clerk, "clerk", station_id=town.city.station.id)
        await members.suspend(connection, town.bank.book_id, far, now=town.watch.now)
    place = f"/api/v1/members/{child.member_id}/birth"

    async def enter(born: str, guardian_id: UUID | None = None, of: UUID = child.member_id) -> tuple[int, Any]:
        town.watch.move(seconds=1)
        body = {"id": admin.new_id(), "born": born, "guardian_id": str(guardian_id) if guardian_id else None}
        answer = await admin.send(f"/api/v1/members/{of}/birth", body)
        return answer.status_code, answer.json()["data"].get("reason", answer.json()["code"])

    assert await enter("2010-05-01") == (422, "missing")
    assert await enter("2010-05-01", child.member_id) == (422, "same")
    assert await enter("2010-05-01", far) == (422, "not_active")
    assert await enter("1990-05-01", parent.member_id) == (422, "of_age")
    assert await enter("2031-05-01", parent.member_id) == (422, "range")
    assert await enter("2010-05-01", admin.member_id) == (403, "role_not_allowed")
    assert await enter("2010-05-01", UUID(town.city.new_id().hex)) == (404, "not_found")
    assert await enter("2010-05-01", parent.member_id, of=clerk) == (422, "has_role")
    assert await enter("1990-05-01", of=admin.member_id) == (403, "role_not_allowed")
    assert (await child.get(place)).status_code == (await parent.send(place, None)).status_code == 403

    # Under 14 a guardian agrees; to say no takes nobody.
    assert await enter("2012-03-03", parent.member_id) == (201, "ok")
    answer: dict[str, Any] = {"purpose": "service", "number": 1}
    own, no = {**answer, "id": child.new_id(), "agreed": True}, {**answer, "id": child.new_id(), "agreed": False}
    assert problem(await child.send("/api/v1/me/consents", own)) == (403, "guardian_answers")
    assert (await child.send("/api/v1/me/consents", no)).status_code == 201
    assert "由监护人代您同意" in (await child.get("/privacy")).text
    begun = await parent.send(f"/api/v1/me/children/{child.member_id}/sessions", None)
    parent.csrf = begun.json()["csrf"]
    town.watch.move(seconds=1)
    theirs = {**answer, "id": parent.new_id(), "agreed": True}
    assert (await parent.send("/api/v1/me/consents", theirs)).status_code == 201
    assert "由监护人代您同意" not in (await parent.get("/privacy")).text
    await parent.fill("/helpers/stop")
    async with town.bank.engine.connect() as connection:
        standing = (await consents.standing(connection, town.bank.book_id, child.member_id))[0]
    assert (standing.agreed, standing.by) == (True, parent.member_id)
    assert await enter("2012-03-02", parent.member_id) == (201, "ok")
    assert (await child.send("/api/v1/me/consents", {**own, "id": child.new_id()})).status_code == 201

    assert await enter("2010-05-01", parent.member_id) == (201, "ok")
    found = (await admin.get(place)).json()
    assert (found["born"], [each["name"] for each in found["guardians"]]) == ("2010-05-01", ["林大"])
    assert found["guardians"][0]["until"] == "2028-04-30T16:00:00Z"
    # What follows: the guardian acts for the child, who is of the household, holds no role and is nobody's guardian.
    assert [each["name"] for each in (await parent.get("/api/v1/me/children")).json()["children"]] == ["林小"]
    assert await enter("2012-05-01", child.member_id, of=other) == (422, "under_age")
    assert await enter("2010-05-01", other, of=parent.member_id) == (422, "has_role")
    role = {"id": admin.new_id(), "member_id": str(child.member_id), "role": "clerk"}
    refused = await admin.send("/api/v1/roles", {**role, "station_id": str(town.city.station.id)})
    assert refused.json()["data"]["reason"] == "under_age"
    async with town.bank.engine.connect() as connection:
        homes = await connection.execute(
            select(member.c.household_id).where(member.c.id.in_([child.member_id, parent.member_id]))
        )
        assert len({row.household_id for row in homes}) == 1
    # By form: another guardian in place of this one, what was wrong beside what was typed, and of age at last. What the
    # first could have left as a way in is closed.
    assert (await child.get("/api/v1/me")).status_code == 200
    form, page = f"/admin/members/{child.member_id}/birth", f"/admin/members/{child.member_id}"
    sent = {"id": admin.new_id(), "born": "2010-05-02", "guardian_id": str(other)}
    assert (await admin.fill(form, **sent)).headers["location"] == f"{page}?saved=1"
    shown = (await admin.get(page)).text
    assert "林别" in shown
    assert "林大" not in shown
    assert problem(await child.get("/api/v1/me")) == (401, "not_signed_in")
    async with town.bank.engine.connect() as connection:
        left = await members.by_id(connection, town.bank.book_id, child.member_id)
    assert (left.password_hash, left.phone_index) == (None, None)
    wrong = await admin.fill(form, id=admin.new_id(), born="2010-05-02", guardian_id=str(child.member_id))
    assert wrong.status_code == 422
    assert "2010-05-02" in wrong.text
    assert (await parent.get("/api/v1/me/children")).json()["children"] == []
    assert await enter("2000-02-29") == (201, "ok")
    assert (await admin.get(place)).json() == {"born": "2000-02-29", "guardians": []}
    # The day of birth is in no clear field of the trail.
    async with town.bank.engine.connect() as connection:
        query = select(audit_entry).where(audit_entry.c.action == "member.birth").order_by(audit_entry.c.id)
        rows = (await connection.execute(query)).all()
    first = rows[0]
    assert (first.before["guardian_id"], first.after["guardian_id"]) == ([], [str(parent.member_id)])
    assert all(row.personal and "born" not in row.after for row in rows)
    entries = (await admin.get("/api/v1/trail?action=member.birth")).json()["entries"]
    assert entries[0]["personal"] == {"before": {"born": "2010-05-02"}, "after": {"born": "2000-02-29"}}
