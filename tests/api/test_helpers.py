"""Acting for somebody over HTTP: the bar that says so, what is open, what is not, and how it ends."""

import re
from datetime import timedelta
from typing import Any

import pytest

from api.guards import ACCESS, HELPED
from tests.api.people import Person, Town, problem
from tests.api.test_routes import code_of, knock
from tests.earning import verified

DEEDS = "/api/v1/me/helpers/deeds"
BAR = "您正在为 云奶奶 代办"


@pytest.fixture
async def elder(town: Town) -> Person:
    """Somebody with 120 points."""
    person = await town.volunteer("云奶奶")
    assert person.member_id
    async with town.bank.engine.begin() as connection:
        await verified(connection, town.city, person.member_id)
    return person


async def card_of(person: Person) -> str:
    answer = await person.send("/api/v1/card", {"id": person.new_id()})
    return str(answer.json()["code"])


async def named(town: Town, elder: Person, helper: Person) -> str:
    """The elder names a helper on the page."""
    last = (town.watch.now + timedelta(days=30)).date().isoformat()
    fields = {"id": elder.new_id(), "code": await card_of(helper), "ends_on": last}
    answer = await elder.fill("/helpers", **fields)
    assert answer.headers["location"] == "/helpers?done=granted", answer.text
    (found,) = (await elder.get("/api/v1/me/helpers")).json()["helpers"]
    assert (found["helper_name"], found["vouched"]) == ("林邻居", "self")
    return str(found["id"])


async def test_a_helper_acts_and_stops(town: Town, elder: Person) -> None:
    helper = await town.volunteer("林邻居")
    async with town.bank.engine.begin() as connection:
        reward_id = await town.city.add_reward(connection, price_points=20)
    helping_id = await named(town, elder, helper)
    page = (await helper.get("/helpers")).text
    assert "云奶奶" in page
    assert BAR not in page
    answer = await helper.fill(f"/helpers/{helping_id}/act")
    assert answer.headers["location"] == "/"

    # On every page the bar; the member's figures; nothing to check in with, and no scans that this browser could send.
    for path in ("/", "/statement", "/rewards", "/codes", "/records"):
        assert BAR in (await helper.get(path)).text, path
    home = (await helper.get("/")).text
    assert "/scan" not in home
    assert 'data-figure="points">120<' in home
    assert (await helper.get("/outbox.json")).json()["member_id"] is None

    # Redeemed, given up, and asked, with both names.
    made = await helper.fill(f"/rewards/{reward_id}", id=helper.new_id())
    place = made.headers["location"].partition("?")[0]
    assert place.startswith("/codes/"), made.headers["location"]
    assert (await helper.fill(f"{place}/cancel", id=helper.new_id())).status_code == 303
    (record,) = (await helper.get("/api/v1/records")).json()["records"]
    await helper.fill(f"/records/{record['id']}", id=helper.new_id(), question="为什么？")
    done = (await elder.get("/helpers")).text
    for words in ("林邻居", "代成员兑换", "代成员取消兑换", "代成员询问记录", "代办人开始为成员代办"):
        assert words in done, words
    # For programs too; both narrowed to who it was, and to days.
    deeds = (await elder.get(DEEDS)).json()["deeds"]
    made = ["helping.act", "inquiry.ask", "redemption.cancel", "redemption.make"]
    assert sorted(deed["action"] for deed in deeds) == made
    assert {(deed["actor_id"], deed["actor_name"]) for deed in deeds} == {(str(helper.member_id), "林邻居")}
    today, tomorrow = (f"{town.watch.now + timedelta(hours=8, days=days):%Y-%m-%d}" for days in (0, 1))
    for query, found in (
        ({"actor_id": str(helper.member_id), "since": today, "until": today}, deeds),
        ({"actor_id": str(elder.member_id)}, []),
        ({"since": tomorrow}, []),
        ({"until": "2020-01-01"}, []),
    ):
        assert (await elder.get(DEEDS, params=query)).json()["deeds"] == found, query
        on_page = {name.replace("actor_id", "by"): value for name, value in query.items()}
        page = (await elder.get("/helpers", params=on_page)).text
        assert ("代成员询问记录" in page, "没有找到" in page) == (bool(found), not found), query
    (older,) = re.findall(r'rel="next" href="([^"]+)"', (await elder.get(f"/helpers?since={today}&limit=1")).text)
    assert older.startswith(f"/helpers?since={today}&amp;before=")
    assert problem(await elder.get(DEEDS, params={"since": "x"})) == (422, "invalid")
    assert (await elder.get("/helpers?since=x")).status_code == 422
    assert "林邻居" in (await elder.get("/privacy")).text

    # One tap, and a second one changes nothing.
    for _ in range(2):
        answer = await helper.fill("/helpers/stop")
        assert answer.headers["location"] == "/helpers"
    assert BAR not in (await helper.get("/")).text
    assert problem(await helper.send("/api/v1/me/helping/stop")) == (403, "csrf_failed")

    # Another one from a later day on, and not before.
    another = await town.volunteer("程远亲")
    day = (town.watch.now + timedelta(days=5)).date()
    fields = {"code": await card_of(another), "ends_on": (day + timedelta(days=9)).isoformat()}
    assert (await elder.fill("/helpers", id=elder.new_id(), starts_on="x", **fields)).status_code == 422
    assert (await elder.fill("/helpers", id=elder.new_id(), starts_on=day.isoformat(), **fields)).status_code == 303
    (found,) = (await another.get("/api/v1/me/helpers")).json()["helpers"]
    assert found["starts_at"] == f"{day - timedelta(days=1)}T16:00:00Z"
    assert f"/helpers/{found['id']}/act" not in (await another.get("/helpers")).text
    assert (await another.fill(f"/helpers/{found['id']}/act")).status_code == 404


async def test_whatever_is_not_in_the_list_is_closed(town: Town, elder: Person) -> None:
    helper = await town.with_role("manager", station_id=town.city.station.id)
    other = await town.volunteer("林邻居")
    body: dict[str, Any] = {"id": elder.new_id(), "ends_at": (town.watch.now + timedelta(days=9)).isoformat()}
    assert problem(await elder.send("/api/v1/me/helpers", body)) == (422, "invalid")
    answer = await elder.send("/api/v1/me/helpers", {**body, "id": elder.new_id(), "card": await card_of(helper)})
    assert answer.status_code == 201, answer.text
    (found,) = (await helper.get("/api/v1/me/helpers")).json()["helpers"]
    begun = await helper.send(f"/api/v1/me/helpers/{found['id']}/sessions")
    assert begun.json()["member_id"] == str(elder.member_id)
    helper.csrf = begun.json()["csrf"]
    for route, access in ACCESS.items():
        # A kiosk is nobody's session; and these end the one that is looked at.
        if access.to in ("anybody", "machine", "kiosks") or route.startswith("DELETE") or route.endswith("stop"):
            continue
        closed = code_of(await knock(helper, route))
        if access.to == "roles":
            assert closed == "role_not_allowed", route
        else:
            assert (closed == "helper_not_allowed") == (route not in HELPED), (route, closed)
    stopped = await helper.send("/api/v1/me/helping/stop")
    assert stopped.json()["member_id"] == str(helper.member_id)
    helper.csrf = stopped.json()["csrf"]
    assert problem(await helper.send("/api/v1/me/helping/stop")) == (409, "conflict")
    assert (await helper.get("/stations")).status_code == 200

    # Ended by the member, whoever acts is signed out of it.
    begun = await helper.send(f"/api/v1/me/helpers/{found['id']}/sessions")
    ended = await elder.send(f"/api/v1/me/helpers/{found['id']}/end", {"id": elder.new_id()})
    assert ended.status_code == 201, ended.text
    town.bank.recognition.seen.clear()
    assert problem(await helper.get("/api/v1/balance")) == (401, "not_signed_in")
    assert problem(await other.send(f"/api/v1/me/helpers/{found['id']}/sessions")) == (404, "not_found")


async def test_a_manager_assigns_one_at_the_desk(town: Town, elder: Person) -> None:
    manager, helper = await town.member(town.city.manager_id), await town.volunteer("林邻居")
    card, page = await card_of(elder), f"/stations/{town.city.station.number}/person"
    last = (town.watch.now + timedelta(days=30)).date().isoformat()
    fields = {"code": card, "helper": town.city.phones[helper.member_id], "ends_on": last}
    for wrong in ({"ends_on": "soon"}, {"ends_on": "2025-01-01"}, {"helper": "13900000000"}):
        answer = await manager.fill(f"{page}/helpers", id=manager.new_id(), **{**fields, **wrong})
        assert answer.status_code == 422, (wrong, answer.text)
    answer = await manager.fill(f"{page}/helpers", id=manager.new_id(), **fields)
    shown = (await manager.get(answer.headers["location"])).text
    assert "林邻居" in shown
    found = re.search(r"/person/helpers/([0-9a-f-]{36})/end", shown)
    assert found
    answer = await manager.fill(f"{page}/helpers/{found[1]}/end", code=card)
    assert "该成员没有代办人" in (await manager.get(answer.headers["location"])).text
    assert (await elder.get("/api/v1/me/helpers")).json() == {"helpers": []}
    # On the member's own page: a day that is none, one too far, and a card that is none.
    for wrong in ({"ends_on": "soon"}, {"ends_on": "2199-12-31"}, {"ends_on": "9000-01-01"}, {"helper": "x"}):
        answer = await elder.fill("/helpers", **{"id": elder.new_id(), "code": card, "ends_on": last, **wrong})
        assert answer.status_code == 422, wrong
    body = {"id": manager.new_id(), "code": card, "helper": str(helper.member_id), "ends_at": f"{last}T00:00:00Z"}
    for _ in range(2):
        answer = await manager.send(f"/api/v1/stations/{town.city.station.number}/helpers", body)
        assert answer.status_code == 201, answer.text
    (row,) = (await elder.get("/api/v1/me/helpers")).json()["helpers"]
    assert row["vouched"] == "card"
    assert (await elder.fill(f"/helpers/{row['id']}/end")).headers["location"] == "/helpers?done=ended"
