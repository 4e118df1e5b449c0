"""The other ways in as pages without JavaScript: posters, digits, late codes, cards, home visits and the desk."""

import re
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from tests.api.people import Person, Town
from tests.api.test_ways_in import PIN, card_of, desk, digits
from timebank import attendances, codes
from timebank.tables import punch


@pytest.fixture
async def manager(town: Town) -> Person:
    return await town.member(town.city.manager_id)


@pytest.fixture
async def person(town: Town) -> Person:
    return await town.volunteer("林一")


# Pages.


def field(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1]


async def post(person: Person, page_path: str, path: str, **fields: Any) -> Any:
    """Fill the form of a page of ours, as a browser without JavaScript does."""
    page = await person.get(page_path)
    assert page.status_code == 200, page.text
    sent = {"csrf": field(page.text, "csrf"), "id": field(page.text, "id"), **fields}
    return await person.client.post(path, data=sent, headers={"Origin": person.address})


async def test_posters_and_cards_tell_a_stranger_nothing(town: Town, manager: Person, person: Person) -> None:
    poster = (await manager.send(desk(town, "/posters"), {"id": manager.new_id()})).json()["code"]
    card = await card_of(person)
    stranger = town.stranger()
    for code in (poster, card):
        page = await stranger.get(code, follow_redirects=True)
        assert (page.status_code, page.url.path) == (200, "/scanned")
        assert not is_shown(code, page)
        for secret in ("林", town.city.station.name_zh, town.city.station.name_en):
            assert secret not in page.text
        assert (await stranger.get(code[:-1] + ("0" if code[-1] != "0" else "1"))).status_code == 422
        assert (await stranger.get(code[:5])).status_code == 422
    # Reading changes nothing.
    async with town.bank.engine.connect() as connection:
        query = select(punch.c.id).where(punch.c.book_id == town.bank.book_id)
        assert (await connection.execute(query)).all() == []


async def test_a_poster_and_digits_on_pages(town: Town, manager: Person, person: Person) -> None:
    poster = (await manager.send(desk(town, "/posters"), {"id": manager.new_id()})).json()["code"]
    opened = await person.get(poster)
    assert opened.status_code == 303
    path = opened.headers["location"]
    page = await person.get(path)
    assert town.city.station.name_zh in page.text
    code = field(page.text, "code")
    done = await post(person, path, "/check-in", kind="in", code=code, digits=digits(town))
    assert done.status_code == 303
    assert "签到成功" in (await person.get(done.headers["location"])).text
    # And by number, out again; wrong digits are said in words.
    path, number = "/check-in/digits", town.city.station.number
    wrong = await post(person, path, "/check-in", kind="out", digits="000000", station_number=number)
    page = (await person.get(wrong.headers["location"])).text
    assert "数字不正确" in page
    # And are typed again without the station's number.
    assert f'href="{path}?station={number}">重新输入' in page
    assert f'value="{number}"' in (await person.get(f"{path}?station={number}")).text
    done = await post(person, path, "/check-in", kind="out", digits=digits(town), station_number=number)
    assert "签退成功" in (await person.get(done.headers["location"])).text


async def test_a_poster_alone_on_pages(town: Town, manager: Person, person: Person) -> None:
    poster = (await manager.send(desk(town, "/posters"), {"id": manager.new_id()})).json()["code"]
    path = (await person.get(poster)).headers["location"]
    code = field((await person.get(path)).text, "code")
    done = await post(person, path, "/check-in", kind="in", code=code, digits="")
    page = (await person.get(done.headers["location"])).text
    assert "已开始计时" in page
    assert "只扫了海报" in page


async def test_a_late_code_on_pages(town: Town, person: Person) -> None:
    code = town.code()
    town.watch.move(hours=1)
    opened = await person.get(f"/K/{code}")
    assert opened.headers["location"] == "/check-in/late?scanned=1"
    done = await post(person, opened.headers["location"], "/check-in", kind="in", code=code, late="1")
    page = (await person.get(done.headers["location"])).text
    assert "签到成功" in page
    assert (await town.stranger().get(f"/K/{code}")).status_code == 410
    town.watch.move(hours=72)
    assert (await person.get(f"/K/{code}")).status_code == 410


def is_shown(code: str, answer: Any) -> bool:
    """Whether a code, whole or bare, stands in the address that it led to."""
    return code.rpartition("/")[2].upper() in str(answer.url).upper()


async def test_no_code_stays_in_the_address(town: Town, manager: Person, person: Person) -> None:
    poster = (await manager.send(desk(town, "/posters"), {"id": manager.new_id()})).json()["code"]
    card, rotating = await card_of(await town.volunteer()), f"/K/{town.code()}"
    clerk = await town.member(town.city.clerk_id)
    redemption = f"/R/{codes.redemption_code(town.bank.keys.redemption, 7)}"
    for who, code, path in (
        (person, poster, "/check-in/digits"),
        (person, card, "/check-in/door"),
        (person, rotating, "/check-in"),
        (person, redemption, "/scanned"),
        (clerk, redemption, "/counter"),
        (clerk, f"/counter?code={redemption}", "/counter"),
    ):
        page = await who.get(code, follow_redirects=True)
        assert (page.status_code, page.url.path) == (200, path), code
        assert not is_shown(code, page)
        # Who comes by another way finds nothing that was scanned before.
        assert code.rpartition("/")[2] not in (await who.get(path)).text
    # Who signs in afterwards goes on with what was scanned before.
    stranger = town.stranger()
    for code, path in ((poster, "/check-in/digits"), (card, "/check-in/door"), (redemption, "/counter")):
        await stranger.get(code)
        if stranger.member_id is None:
            await stranger.sign_in(town.city, town.city.clerk_id)
        page = await stranger.get("/scanned", follow_redirects=True)
        assert page.url.path == path
    stranger.client.cookies.set("scanned", "card:%00%FF")
    assert (await stranger.get("/check-in/door?scanned=1")).status_code == 200
    stranger.client.cookies.set("scanned", "nothing")
    assert (await stranger.get("/scanned")).headers["location"] == "/"


async def test_the_desk_on_pages(town: Town, manager: Person, person: Person) -> None:
    number = town.city.station.number
    path, phone = f"/stations/{number}", town.city.phones[person.member_id or UUID(int=0)]
    card = await card_of(person)
    done = await post(manager, path, f"{path}/cards", kind="in", code=card, pin="")
    page = (await manager.get(done.headers["location"])).text
    assert "已签到" in page
    assert "林*" in page
    assert "林一" not in page
    done = await post(manager, path, f"{path}/cards", kind="in", code="nonsense", pin="")
    assert "这不是时间银行的二维码" in (await manager.get(done.headers["location"])).text
    # Home: the volunteer is asked, confirms, and is thanked.
    assert "这是您本人吗" in (await person.get("/")).text
    scan = re.search(r'name="punch" value="([^"]+)"', (await person.get("/card")).text)
    assert scan
    done = await post(person, "/card", "/card/confirm", punch=scan[1])
    assert "谢谢" in (await person.get(done.headers["location"])).text

    made = await post(manager, path, f"{path}/members", member=phone, deed="issue")
    assert made.status_code == 303, made.text
    assert (await manager.get(made.headers["location"])).headers["content-type"] == "application/pdf"
    done = await post(manager, path, f"{path}/members", member=phone, deed="reset")
    assert "密码已清除" in done.text
    resident = town.city.phones[await town.join("甘老人")]
    made = await post(manager, path, f"{path}/doors", member=resident)
    assert re.search(r"data-door>\d{4} \d{4}<", made.text)
    for name in ("doors", "members", "entries"):
        refused = await post(manager, path, f"{path}/{name}", member="+8613999999999", reason="x")
        assert refused.status_code == 422
    done = await post(manager, path, f"{path}/shifts", day="2026-03-02", start="09:00", end="11:00", capacity="1")
    assert done.status_code == 303, done.text
    page = (await manager.get(path)).text
    assert "需要 1 人" in page
    shift_id = re.search(r"/shifts/([0-9a-f-]{36})", page)
    assert shift_id
    done = await post(manager, path, f"{path}/shifts/{shift_id[1]}")
    assert "需要 1 人" not in (await manager.get(path)).text
    refused = await post(manager, path, f"{path}/shifts", day="2026-03-02", start="11:00", end="09:00")
    assert refused.status_code == 422
    done = await post(manager, f"{path}/paper", f"{path}/poster")
    assert "第 1 版" in (await manager.get(done.headers["location"])).text


async def test_an_entry_and_a_scan_that_led_to_nothing_on_pages(town: Town, manager: Person, person: Person) -> None:
    town.watch.move(hours=6)
    path = f"/stations/{town.city.station.number}"
    phone = town.city.phones[person.member_id or UUID(int=0)]
    fields = {"member": phone, "day": "2026-03-02", "start": "09:00", "end": "10:30", "reason": "手机没电"}
    done = await post(manager, path, f"{path}/entries", **fields)
    assert "1小时30分钟" in (await manager.get(done.headers["location"])).text
    await person.send("/api/v1/check-outs", {"id": person.new_id(), "code": town.code()})
    page = (await manager.get("/queue")).text
    assert "1 次没有结果的扫码" in page
    scan = re.search(r"/queue/scans/[0-9a-f-]{36}", page)
    assert scan
    refused = await post(manager, scan[0], scan[0], verdict="enter", day="2026-03-02", time="", reason="x")
    assert refused.status_code == 422
    refused = await post(manager, scan[0], scan[0], verdict="dismiss", reason="")
    assert (refused.status_code, "请填写理由" in refused.text) == (422, True)
    done = await post(manager, scan[0], scan[0], verdict="enter", day="2026-03-02", time="14:00", reason="两点到的")
    assert done.status_code == 303
    assert "没有结果的扫码" not in (await manager.get("/queue")).text


async def test_a_pin_is_chosen_and_refused_in_words(town: Town, person: Person) -> None:
    await card_of(person)
    refused = await post(person, "/card", "/card/pin", pin="123456")
    assert "不能过于简单" in refused.text
    done = await post(person, "/card", "/card/pin", pin=PIN)
    assert "新的卡片密码即刻生效" in (await person.get(done.headers["location"])).text
    refused = await post(person, "/card", "/card/pin", pin="604913", present="604913")
    assert "这不是" in refused.text or "卡片密码不正确" in refused.text
    done = await post(person, "/card", "/card")
    assert "新卡已生成" in (await person.get(done.headers["location"])).text


async def test_a_home_visit_on_pages(town: Town, manager: Person, person: Person) -> None:
    resident = await town.volunteer("甘老人")
    card = await card_of(resident)
    assert (await resident.get(card)).headers["location"] == "/card"
    path = (await person.get(card)).headers["location"]
    page = await person.get(path)
    assert "甘老人" not in page.text
    fields = {"code": field(page.text, "code"), "station": str(town.city.station.id)}
    done = await post(person, path, "/check-in", kind="in", **fields)
    assert "签到成功" in (await person.get(done.headers["location"])).text
    assert (await person.get("/check-in/door")).status_code == 200


async def test_a_forgotten_check_out_is_told_on_the_home_page(town: Town, person: Person) -> None:
    await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": town.code()})
    town.watch.move(minutes=town.city.station.cap_minutes)
    async with town.bank.engine.begin() as connection:
        assert await attendances.close_forgotten(connection, town.bank.book_id, town.watch.now) == 1
    page = (await person.get("/")).text
    assert "您没有签退" in page
    assert "没有签退" in (await person.get("/records")).text


async def test_a_check_out_that_arrives_after_that_says_so_to_the_manager(
    town: Town, manager: Person, person: Person
) -> None:
    begun = await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": town.code()})
    town.watch.move(minutes=60)
    left = town.code()
    town.watch.move(minutes=town.city.station.cap_minutes)
    async with town.bank.engine.begin() as connection:
        assert await attendances.close_forgotten(connection, town.bank.book_id, town.watch.now) == 1
    town.watch.move(minutes=30)
    ended = await person.send("/api/v1/check-outs", {"id": person.new_id(), "code": left, "late": True})
    id = begun.json()["data"]["attendance_id"]
    assert (ended.status_code, ended.json()["data"]["attendance_id"]) == (201, id)
    assert "您没有签退" not in (await person.get("/")).text
    page = (await manager.get(f"/queue/{id}")).text
    assert "当时系统已按未签退自动结束" in page
    assert "现场扫码，事后上传" in page
