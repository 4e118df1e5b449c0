"""The counter for programs and by its pages: what was handed over today, and taking it back."""

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.api.people import Person, Town, problem
from tests.timebank.counter_desk import Desk
from timebank.ids import uuid7


@pytest.fixture
async def clerk(town: Town) -> Person:
    return await town.member(town.city.clerk_id)


async def held(town: Town, **reward_values: Any) -> dict[str, Any]:
    """A redemption of somebody's that waits at the counter."""
    async with town.bank.engine.begin() as connection:
        desk = Desk(connection, town.city)
        member_id = await town.city.add_member(connection, "甘小荷")
        await desk.give_points(member_id, 1000)
        reward_id = await town.city.add_reward(connection, **reward_values)
        answer = await desk.redeem(member_id, reward_id, id=uuid7(town.watch.now))
        return answer.data


async def hand_over(town: Town, clerk: Person, digits: str) -> str:
    """Hand over by digits; the id of the hand-over."""
    body = {"id": clerk.new_id(), "station_id": str(town.city.station.id), "code": digits}
    answer = await clerk.send("/api/v1/fulfilments", body)
    assert answer.status_code == 201, answer.text
    return body["id"]


async def today(town: Town, person: Person) -> Any:
    """What a program is told of today."""
    return await person.get(f"/api/v1/fulfilments?station_id={town.city.station.id}")


async def test_what_was_handed_over_today_is_listed_and_undone(town: Town, clerk: Person) -> None:
    made = await held(town)
    id = await hand_over(town, clerk, made["digits"])
    (row,) = (await today(town, clerk)).json()["fulfilments"]
    assert (row["id"], row["name"], row["can_undo"], row["undone_at"]) == (id, "甘**", True, None)
    assert (row["digits"], row["redemption_id"]) == (made["digits"], made["redemption_id"])
    town.watch.move(minutes=9)
    body = {"id": clerk.new_id()}
    answers = [await clerk.send(f"/api/v1/fulfilments/{id}/undo", body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["data"]["redemption_id"] == made["redemption_id"]
    again = await clerk.send(f"/api/v1/fulfilments/{id}/undo", {"id": clerk.new_id()})
    assert problem(again) == (409, "already_undone")
    (row,) = (await today(town, clerk)).json()["fulfilments"]
    assert (row["can_undo"], row["undone_at"] is None) == (False, False)
    body = {"station_id": str(town.city.station.id), "code": made["digits"]}
    assert (await clerk.send("/api/v1/counter", body)).json()["refusal"] is None
    await hand_over(town, clerk, made["digits"])


async def test_an_undo_is_refused_with_its_codes(town: Town, clerk: Person) -> None:
    made = await held(town)
    id = await hand_over(town, clerk, made["digits"])
    other = await town.with_role("clerk", region_id=town.city.other_district_id)
    assert problem(await other.send(f"/api/v1/fulfilments/{id}/undo", {"id": other.new_id()})) == (404, "not_found")
    assert problem(await today(town, other)) == (404, "not_found")
    missing = await clerk.send(f"/api/v1/fulfilments/{clerk.new_id()}/undo", {"id": clerk.new_id()})
    assert problem(missing) == (404, "not_found")
    assert problem(await clerk.get("/api/v1/fulfilments")) == (422, "invalid")
    town.watch.move(minutes=11)
    late = await clerk.send(f"/api/v1/fulfilments/{id}/undo", {"id": clerk.new_id()})
    assert problem(late) == (409, "undo_too_late")
    town.watch.move(days=1)
    assert (await today(town, clerk)).json()["fulfilments"] == []


async def follow(clerk: Person, answer: Any) -> str:
    """The page that a form leads to."""
    assert answer.status_code == 303
    return (await clerk.get(answer.headers["location"])).text


async def test_the_pages_hand_over_and_undo(town: Town, clerk: Person) -> None:
    made = await held(town)
    station = str(town.city.station.id)
    page = await follow(clerk, await clerk.fill("/counter", station=station, next=made["digits"]))
    assert 'data-counter="found"' in page
    assert "甘**" in page
    assert "甘小荷" not in page
    command = {"id": clerk.new_id(), "station": station, "code": made["digits"]}
    for _ in range(2):
        page = await follow(clerk, await clerk.fill("/counter", **command, next=""))
        assert 'data-counter="done"' in page
    form = re.search(r'action="/counter/undo">(.*?)</form>', page, re.DOTALL)
    assert form
    undo = dict(re.findall(r'name="(id|station|fulfilment)" value="([^"]+)"', form[1]))
    for _ in range(2):
        page = await follow(clerk, await clerk.fill("/counter/undo", **undo))
        assert 'data-counter="undone"' in page
    page = await follow(clerk, await clerk.fill("/counter/undo", **{**undo, "id": clerk.new_id()}))
    assert 'data-counter="stop"' in page


async def test_what_was_handed_over_before_the_last_ten_can_be_undone_too(town: Town, clerk: Person) -> None:
    made = await held(town)
    oldest = await hand_over(town, clerk, made["digits"])
    for _ in range(10):
        town.watch.move(seconds=1)
        await hand_over(town, clerk, (await held(town))["digits"])
    page = (await clerk.get(f"/counter?station={town.city.station.id}")).text
    assert page.count('action="/counter/undo"') == 10
    assert oldest not in page
    older = re.search(r'href="(/counter\?station=[^"]+before=[^"#]+)#today"', page)
    assert older
    page = (await clerk.get(html.unescape(older[1]))).text
    assert re.findall(r'name="fulfilment" value="([^"]+)"', page) == [oldest]
    assert f'href="/counter?station={town.city.station.id}"' in page
    assert (await clerk.get(f"/counter?station={town.city.station.id}&before=nonsense")).status_code == 422


async def test_what_is_scanned_over_a_confirmation_is_looked_up_and_nothing_is_handed_over(
    town: Town, clerk: Person
) -> None:
    first, second = await held(town), await held(town)
    station = str(town.city.station.id)
    answer = await clerk.fill(
        "/counter", id=clerk.new_id(), station=station, code=first["digits"], next=f" {second['digits']} "
    )
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query) == {"station": [station], "scanned": ["1"]}
    assert (await today(town, clerk)).json()["fulfilments"] == []


@pytest.mark.parametrize("change", [str.upper, str.lower, str.title, lambda text: f"  {text} "])
async def test_a_scanner_may_type_in_any_case(town: Town, clerk: Person, change: Any) -> None:
    made = await held(town)
    person_code = (await read_code(town, made["number"])).removeprefix("/R/")
    text = change(f"HTTP://127.0.0.1:8000/R/{person_code}")
    body = {"station_id": str(town.city.station.id), "code": text}
    answer = await clerk.send("/api/v1/counter", body)
    assert answer.json()["redemption_id"] == made["redemption_id"]


async def read_code(town: Town, number: int) -> str:
    """The path in the QR of a redemption."""
    from timebank import catalogue

    return catalogue.code_text(town.bank.keys, number)


async def test_only_our_own_codes_and_eight_digits_are_taken(town: Town, clerk: Person) -> None:
    made = await held(town)
    real = await read_code(town, made["number"])
    for text, code in (
        ("", "code_malformed"),
        ("1234567", "code_malformed"),
        ("123456789", "code_malformed"),
        ("１２３４５６７８", "code_malformed"),
        ("https://pay.example/q?12345678", "code_malformed"),
        (town.code(), "code_malformed"),
        (real[:-1] + ("0" if real[-1] != "0" else "1"), "code_forged"),
        ("00000000", "not_found"),
    ):
        body = {"station_id": str(town.city.station.id), "code": text}
        assert problem(await clerk.send("/api/v1/counter", body))[1] == code, text


async def test_an_honour_without_places_is_redeemed_and_done(town: Town) -> None:
    async with town.bank.engine.begin() as connection:
        reward_id = await town.city.add_reward(connection, kind="honour", places=[])
        member_id = await town.join()
    person = await town.member(member_id)
    async with town.bank.engine.begin() as connection:
        await Desk(connection, town.city).give_points(member_id, 1000)
    page = (await person.get(f"/rewards/{reward_id}")).text
    assert "领取地点" not in page
    answer = await person.fill(f"/rewards/{reward_id}", id=person.new_id())
    page = (await person.get(answer.headers["location"])).text
    assert 'data-state="fulfilled"' in page
    assert "data-digits" not in page
    (row,) = (await person.get("/api/v1/redemptions")).json()["redemptions"]
    assert (row["state"], row["station_id"]) == ("fulfilled", None)
