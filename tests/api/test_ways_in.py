"""The other ways in over HTTP, as programs and as pages without JavaScript."""

import re
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from tests.api.people import Person, Town, problem
from tests.earning import verified
from tests.factories import MORNING
from tests.paper import codes_on, pages_of
from timebank import catalogue, codes, policy
from timebank.ids import uuid7
from timebank.tables import punch, record

PIN = "830417"


def digits(town: Town) -> str:
    """The six that the screen shows now."""
    number, device = town.city.station.number, town.city.screen.number
    return codes.station_digits(town.bank.keys.station, number, device, codes.slot_at(town.watch.now))


def desk(town: Town, rest: str = "") -> str:
    return f"/api/v1/stations/{town.city.station.number}{rest}"


def undrawn(town: Town) -> str:
    """An id whose record is not drawn for a closer look."""
    while policy.drawn(town.bank.keys.draw, id := uuid7(town.watch.now), 5):
        pass
    return str(id)


@pytest.fixture
async def manager(town: Town) -> Person:
    return await town.member(town.city.manager_id)


@pytest.fixture
async def person(town: Town) -> Person:
    return await town.volunteer("林一")


async def kept(town: Town, id: str) -> Any:
    async with town.bank.engine.connect() as connection:
        return (await connection.execute(select(punch).where(punch.c.id == UUID(id)))).one()


async def graded(town: Town, id: str) -> str:
    async with town.bank.engine.connect() as connection:
        return str(await connection.scalar(select(record.c.grade).where(record.c.id == UUID(id))))


async def test_digits_of_the_screen_with_a_poster_and_with_a_number(
    town: Town, manager: Person, person: Person
) -> None:
    shown = (await manager.get(desk(town, "/codes"))).json()["codes"][0]
    assert shown["digits"] == digits(town)
    body = {"id": manager.new_id()}
    poster = (await manager.send(desk(town, "/posters"), body)).json()
    assert (poster["number"], (await manager.send(desk(town, "/posters"), body)).json()) == (1, poster)
    body = {"id": undrawn(town), "code": f"https://bank.example{poster['code']}", "digits": digits(town)}
    answer = await person.send("/api/v1/check-ins", body)
    assert answer.status_code == 201, answer.text
    town.watch.move(hours=2)
    body = {"id": person.new_id(), "code": "", "digits": "000000", "station_number": town.city.station.number}
    assert problem(await person.send("/api/v1/check-outs", body)) == (422, "digits_wrong")
    shown = digits(town)
    body |= {"id": person.new_id(), "digits": f"{shown[:3]} {shown[3:]}"}
    answer = await person.send("/api/v1/check-outs", body)
    assert (answer.json()["data"]["minutes"], answer.json()["data"]["grade"]) == (120, "A")


async def test_a_poster_alone_is_kept_for_the_manager(town: Town, manager: Person, person: Person) -> None:
    poster = (await manager.send(desk(town, "/posters"), {"id": manager.new_id()})).json()["code"]
    answer = await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": poster})
    assert (answer.status_code, answer.json()["data"]["holds"]) == (202, ["poster_alone"])
    await manager.send(desk(town, "/posters"), {"id": manager.new_id()})
    answer = await person.send("/api/v1/check-outs", {"id": person.new_id(), "code": poster})
    assert problem(answer) == (403, "poster_revoked")


async def test_a_late_code_is_sent_as_one(town: Town, person: Person) -> None:
    scanned = town.code()
    town.watch.move(hours=3)
    body = {"id": person.new_id(), "code": scanned}
    assert problem(await person.send("/api/v1/check-ins", body)) == (410, "code_expired")
    body = {"id": person.new_id(), "code": scanned, "late": True}
    answer = await person.send("/api/v1/check-ins", body)
    assert (answer.status_code, answer.json()["data"]["at"]) == (201, MORNING.isoformat())
    assert (await kept(town, body["id"])).source == "late"


async def card_of(person: Person) -> str:
    """A new card of somebody's own."""
    answer = await person.send("/api/v1/card", {"id": person.new_id()})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["code"])


async def test_a_card_with_its_pin(town: Town, manager: Person, person: Person) -> None:
    assert (await person.get("/api/v1/card")).json() == {"code": None, "issued_at": None, "pin": "none"}
    card = await card_of(person)
    weak = await person.send("/api/v1/card/pin", {"pin": "123456"})
    assert problem(weak) == (422, "pin_weak")
    assert (await person.send("/api/v1/card/pin", {"pin": PIN})).status_code == 201
    assert (await person.get("/api/v1/card")).json()["pin"] == "set"
    scan = {"id": undrawn(town), "kind": "in", "code": card, "pin": PIN}
    for _ in range(2):
        answer = await manager.send(desk(town, "/card-scans"), scan)
        assert answer.status_code == 201, answer.text
    (present,) = (await manager.get(desk(town, "/people"))).json()["people"]
    assert (await manager.get(desk(town, f"/people?shift_id={manager.new_id()}"))).json()["people"] == []
    assert (present["name"], present["source"]) == ("林*", "card")
    town.watch.move(hours=1)
    answer = await manager.send(desk(town, "/card-scans"), {**scan, "id": manager.new_id(), "kind": "out"})
    assert answer.json()["data"]["grade"] == "A"


async def test_five_wrong_pins_lock_it_until_a_second_manager_resets_it(
    town: Town, manager: Person, person: Person
) -> None:
    card = await card_of(person)
    await person.send("/api/v1/card/pin", {"pin": PIN})
    scan = {"kind": "in", "code": card, "pin": "604913"}
    first = {**scan, "id": manager.new_id()}
    # The same scan, sent again, is one try.
    for _ in range(3):
        assert problem(await manager.send(desk(town, "/card-scans"), first)) == (422, "pin_wrong")
    for _ in range(3):
        answer = await manager.send(desk(town, "/card-scans"), {**scan, "id": manager.new_id()})
        assert problem(answer) == (422, "pin_wrong")
    for pin in ("604913", PIN):
        answer = await manager.send(desk(town, "/card-scans"), {**scan, "id": manager.new_id(), "pin": pin})
        assert problem(answer) == (403, "pin_locked")
    # Without it the scan counts, and the member confirms it.
    assert (await person.get("/api/v1/card")).json()["pin"] == "locked"
    phone = town.city.phones[person.member_id or UUID(int=0)]
    reset = {"id": manager.new_id(), "member": phone}
    assert problem(await manager.send("/api/v1/pin-resets", reset)) == (403, "role_not_allowed")
    second = await town.with_role("manager", station_id=town.city.station.id)
    assert (await second.send("/api/v1/pin-resets", {**reset, "id": second.new_id()})).status_code == 201
    assert (await person.send("/api/v1/card/pin", {"pin": "604913"})).status_code == 201


async def test_the_member_confirms_a_scan_without_a_pin(town: Town, manager: Person, person: Person) -> None:
    card = await card_of(person)
    ids = [undrawn(town)]
    await manager.send(desk(town, "/card-scans"), {"id": ids[0], "kind": "in", "code": card})
    town.watch.move(hours=1)
    ids.append(manager.new_id())
    answer = await manager.send(desk(town, "/card-scans"), {"id": ids[1], "kind": "out", "code": card})
    assert answer.json()["data"]["grade"] == "B"
    waiting = (await person.get("/api/v1/confirmations")).json()["scans"]
    assert [scan["id"] for scan in waiting] == ids
    for stranger in (manager, await town.volunteer()):
        answer = await stranger.send("/api/v1/confirmations", {"punch_id": ids[0]})
        assert problem(answer) == (404, "not_found")
    for id in ids:
        assert (await person.send("/api/v1/confirmations", {"punch_id": id})).status_code == 201
    assert await graded(town, ids[0]) == "A"
    assert (await person.get("/api/v1/confirmations")).json()["scans"] == []


async def test_a_lost_card_is_replaced_in_one_step(town: Town, manager: Person, person: Person) -> None:
    lost = await card_of(person)
    phone = town.city.phones[person.member_id or UUID(int=0)]
    body = {"id": manager.new_id(), "member": phone}
    new = (await manager.send("/api/v1/cards", body)).json()["code"]
    assert new != lost
    scan = {"kind": "in", "code": lost, "id": manager.new_id()}
    assert problem(await manager.send(desk(town, "/card-scans"), scan)) == (403, "card_revoked")
    answer = await manager.send(desk(town, "/card-scans"), {**scan, "code": new, "id": manager.new_id()})
    assert answer.status_code == 201
    far = await town.join("远方", region_id=town.city.other_community_id)
    answer = await manager.send("/api/v1/cards", {"id": manager.new_id(), "member": town.city.phones[far]})
    assert problem(answer) == (404, "not_found")


async def test_a_home_visit_by_code_and_by_card(town: Town, manager: Person, person: Person) -> None:
    resident = await town.volunteer("甘老人")
    phone = town.city.phones[resident.member_id or UUID(int=0)]
    answer = await manager.send(desk(town, "/door-codes"), {"id": manager.new_id(), "resident": phone})
    door = answer.json()["digits"]
    start = {"id": person.new_id(), "code": "", "door_code": door}
    assert (await person.send("/api/v1/check-ins", start)).status_code == 201
    assert (await kept(town, start["id"])).resident_id == resident.member_id
    town.watch.move(hours=1)
    card, station_id = await card_of(resident), str(town.city.station.id)
    body = {"id": person.new_id(), "code": card, "station_id": station_id}
    answer = await person.send("/api/v1/check-outs", body)
    assert answer.json()["data"]["grade"] == "B"
    own = {"id": resident.new_id(), "code": card, "station_id": station_id}
    assert problem(await resident.send("/api/v1/check-ins", own)) == (403, "own_record")


async def test_a_manager_enters_a_service(town: Town, manager: Person, person: Person) -> None:
    town.watch.move(hours=4)
    phone = town.city.phones[person.member_id or UUID(int=0)]
    body = {
        "id": manager.new_id(),
        "member": phone,
        "started_at": MORNING.isoformat(),
        "ended_at": (MORNING + timedelta(hours=2)).isoformat(),
        "reason": "手机没电",
    }
    answer = await manager.send(desk(town, "/entries"), body)
    assert (answer.status_code, answer.json()["data"]["grade"]) == (201, "C")
    for more, code in (
        ({"reason": " "}, (422, "reason_missing")),
        ({"ended_at": MORNING.isoformat()}, (422, "minutes_invalid")),
        ({"member": town.city.phones[town.city.manager_id]}, (403, "own_record")),
        ({"member": "+8613999999999"}, (404, "not_found")),
    ):
        answer = await manager.send(desk(town, "/entries"), {**body, "id": manager.new_id(), **more})
        assert problem(answer) == code


async def test_shifts_are_planned_and_taken_back(town: Town, manager: Person, person: Person) -> None:
    body = {
        "id": manager.new_id(),
        "starts_at": town.watch.now.isoformat(),
        "ends_at": (town.watch.now + timedelta(hours=2)).isoformat(),
        "grace_minutes": 5,
        "capacity": 1,
    }
    for _ in range(2):
        assert (await manager.send(desk(town, "/shifts"), body)).status_code == 201
    answer = await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": town.code()})
    assert answer.json()["data"]["arrival"] == "on_time"
    (shift,) = (await manager.get(desk(town, "/shifts"))).json()["shifts"]
    # Narrowed to a kind of service and to days, for programs and on the page; the one without a kind is the station's.
    usual, other, here = (
        town.city.station.service_kind_id,
        town.city.kinds["other"],
        f"/stations/{town.city.station.number}",
    )
    for query, found in (
        ({"service_kind_id": usual}, 1),
        ({"service_kind_id": other}, 0),
        ({"since": "2026-03-02", "until": "2026-03-02"}, 1),
        ({"since": "2026-03-03"}, 0),
        ({"until": "2026-03-01"}, 0),
    ):
        asked = {name: str(value) for name, value in query.items()}
        assert len((await manager.get(desk(town, "/shifts"), params=asked)).json()["shifts"]) == found, query
        on_page = {name.replace("service_kind_id", "service"): value for name, value in asked.items()}
        assert (await manager.get(here, params=on_page)).text.count("取消班次") == found, query
    for id, found in ((shift["id"], 1), (manager.new_id(), 0)):
        assert len((await manager.get(desk(town, f"/people?shift_id={id}"))).json()["people"]) == found
        assert (await manager.get(f"{here}?shift={id}")).text.count("<h3>林*</h3>") == found
    for query in ({"since": "x"}, {"since": "2026-03-02", "until": "2026-03-01"}):
        assert problem(await manager.get(desk(town, "/shifts"), params=query)) == (422, "invalid")
        assert (await manager.get(here, params=query)).status_code == 422
    assert (shift["people"], shift["capacity"], datetime.fromisoformat(shift["starts_at"])) == (1, 1, town.watch.now)
    answer = await manager.send(f"/api/v1/shifts/{shift['id']}/cancellation", {})
    assert answer.status_code == 201
    assert (await manager.get(desk(town, "/shifts"))).json()["shifts"] == []


async def test_a_scan_that_led_to_nothing_is_decided(town: Town, manager: Person, person: Person) -> None:
    town.watch.move(hours=2)
    answer = await person.send("/api/v1/check-outs", {"id": person.new_id(), "code": town.code()})
    assert answer.status_code == 202
    (scan,) = (await manager.get("/api/v1/astray-scans")).json()["scans"]
    assert (scan["member_name"], scan["holds"]) == ("林一", ["nothing_open"])
    body = {
        "id": manager.new_id(),
        "verdict": "enter",
        "reason": "九点到的",
        "other_at": MORNING.isoformat(),
    }
    answer = await manager.send(f"/api/v1/astray-scans/{scan['id']}/decision", body)
    assert answer.json()["data"]["minutes"] == 120
    assert (await manager.get("/api/v1/astray-scans")).json()["scans"] == []
    answer = await manager.send(
        f"/api/v1/astray-scans/{scan['id']}/decision", {**body, "id": manager.new_id(), "verdict": "dismiss"}
    )
    assert problem(answer) == (409, "already_decided")


async def test_other_stations_are_not_there(town: Town, manager: Person) -> None:
    async with town.bank.engine.begin() as connection:
        far = await town.city.add_station(connection, region_id=town.city.other_community_id)
    path = f"/api/v1/stations/{far.number}"
    for rest in ("/people", "/shifts"):
        assert problem(await manager.get(path + rest)) == (404, "not_found")
    assert problem(await manager.send(path + "/posters", {"id": manager.new_id()})) == (404, "not_found")
    assert (await manager.get(f"/stations/{far.number}")).status_code == 404


async def test_the_desk_of_a_person_with_nothing_but_a_card(
    town: Town, manager: Person, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, other = await card_of(person), await town.with_role("manager", station_id=town.city.station.id)
    async with town.bank.engine.begin() as connection:
        await verified(connection, town.city, person.member_id)
        reward_id, *others = [str(await town.city.add_reward(connection, price_points=20 + more)) for more in range(3)]
    page = f"/stations/{town.city.station.number}/person"
    # The card stands in no address, and a bad one says so.
    for text, status, words in (("nonsense", 422, "不是时间银行的二维码"), (card, 200, "林*")):
        found = await manager.fill(page, code=text)
        assert found.headers["location"] == f"{page}?scanned=1"
        shown = await manager.get(found.headers["location"])
        assert (shown.status_code, words in shown.text) == (status, True), shown.text
    for pin, answered in (("123456", 422), (PIN, 303)):
        assert (await manager.fill(f"{page}/pin", code=card, pin=pin)).status_code == answered
    assert problem(await other.send(desk(town, "/pins"), {"code": card, "pin": PIN})) == (409, "pin_missing")
    # What can be redeemed is read page by page, to the last that the points suffice for.
    monkeypatch.setattr(catalogue, "offers", partial(catalogue.offers, limit=1))
    found = await other.fill(page, code=card)
    offered = re.findall(r'<option value="([^"]+)">[^<]*积分', (await other.get(found.headers["location"])).text)
    assert offered == [reward_id, *others]
    monkeypatch.setattr("api.pages.person.OFFERS_SHOWN", 2)
    text = (await other.get(found.headers["location"])).text
    assert re.findall(r'<option value="([^"]+)">[^<]*积分', text) == [reward_id, others[0]]
    assert "此处只列出所需积分最少的 2 种" in text
    # The manager at whose desk it was chosen does not redeem with it; another does, for the right PIN, once.
    wish = {"id": manager.new_id(), "code": card, "pin": PIN, "reward_id": reward_id}
    assert problem(await manager.send(desk(town, "/redemptions"), wish)) == (403, "pin_witnessed")
    assert problem(await other.send(desk(town, "/redemptions"), {**wish, "pin": "604913"})) == (422, "pin_wrong")
    made = await other.send(desk(town, "/redemptions"), wish)
    assert made.status_code == 201, made.text
    # Sent again it is the same, and no PIN is tried.
    assert (await other.send(desk(town, "/redemptions"), {**wish, "pin": ""})).json() == made.json()
    (held,) = (await person.get("/api/v1/redemptions")).json()["redemptions"]
    assert held["digits"] == made.json()["data"]["digits"]
    slip = await other.get(f"/stations/{town.city.station.number}/redemptions/{held['id']}/slip.pdf")
    (paper,) = pages_of(slip.content)
    (text,) = codes_on(paper)
    assert text.endswith(held["code"])
    assert (await manager.get(slip.url.path)).status_code == 404
    # On the page: redeemed, or why not; and what no purse can pay is refused.
    id = other.new_id()
    fields = {"code": card, "pin": PIN, "reward": reward_id}
    found = await other.fill(f"{page}/redemptions", id=id, **fields)
    shown = await other.get(found.headers["location"])
    assert "data-made" in shown.text
    assert (
        await other.fill(f"{page}/redemptions", id=other.new_id(), **{**fields, "pin": "604913"})
    ).status_code == 422
    async with town.bank.engine.begin() as connection:
        dear = str(await town.city.add_reward(connection, price_points=5000))
    found = await other.fill(f"{page}/redemptions", id=other.new_id(), **{**fields, "reward": dear})
    assert "积分不足" in (await other.get(found.headers["location"])).text
    # In, and who looks without a card sees nothing of it.
    found = await other.fill(f"{page}/scans", id=undrawn(town), code=card, pin=PIN, kind="in")
    assert "正在服务" in (await other.get(found.headers["location"])).text
    assert "林*" not in (await other.get(page)).text


async def test_the_desk_of_another_place_lets_come_and_go_and_nothing_else(town: Town, person: Person) -> None:
    card = await card_of(person)
    async with town.bank.engine.begin() as connection:
        far = await town.city.add_station(connection, region_id=town.city.other_community_id)
    stranger = await town.with_role("manager", station_id=far.id)
    page = f"/stations/{far.number}/person"
    shown = await stranger.get((await stranger.fill(page, code=card)).headers["location"])
    assert "属于其他区域" in shown.text
    found = await stranger.fill(f"{page}/scans", id=stranger.new_id(), code=card, kind="out")
    assert "待核实" in (await stranger.get(found.headers["location"])).text
    # Nor does anybody serve himself.
    shown = await stranger.get((await stranger.fill(page, code=await card_of(stranger))).headers["location"])
    assert "请由其他人为您办理" in shown.text
