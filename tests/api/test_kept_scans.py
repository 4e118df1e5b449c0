"""Scans that a phone kept for want of a network: whose they are, when they count from, and that they count once."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.people import Person, Town, problem
from tests.api.test_ways_in import desk, kept

JSON = dict[str, Any]


@pytest.fixture
async def person(town: Town) -> Person:
    return await town.volunteer("林一")


async def ticket(town: Town, person: Person) -> str:
    answer = await person.send("/api/v1/tickets", {"code": town.code()})
    return str(answer.json()["ticket"])


def scan(person: Person, code: str, **more: Any) -> JSON:
    """What a phone's outbox sends."""
    return {"id": person.new_id(), "code": code, "late": True, "member_id": str(person.member_id), **more}


async def test_a_ticket_that_arrives_in_time_counts_from_its_moment(town: Town, person: Person) -> None:
    scanned_at = town.watch.now
    sent = scan(person, await ticket(town, person))
    town.watch.move(minutes=9)
    answers = [await person.send("/api/v1/check-ins", sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    row = await kept(town, sent["id"])
    assert (row.source, row.occurred_at, row.phone_time) == ("live", scanned_at, None)
    # It came from a browser, and is known by it as a form would be.
    assert row.phone_id is not None


async def test_a_ticket_that_arrives_later_counts_like_its_code(town: Town, person: Person) -> None:
    scanned_at = town.watch.now
    text = await ticket(town, person)
    town.watch.move(minutes=10)
    assert problem(await person.send("/api/v1/check-ins", scan(person, text, late=False))) == (410, "code_expired")
    sent = scan(person, text)
    assert (await person.send("/api/v1/check-ins", sent)).status_code == 201
    row = await kept(town, sent["id"])
    assert row.source == "late"
    assert scanned_at - timedelta(seconds=20) < row.occurred_at <= scanned_at
    town.watch.move(hours=72)
    assert problem(await person.send("/api/v1/check-outs", scan(person, text))) == (410, "code_expired")
    # Sent again, the first answer stands.
    assert (await person.send("/api/v1/check-ins", sent)).status_code == 201


async def test_what_was_kept_for_one_is_sent_by_nobody_else(town: Town, person: Person) -> None:
    sent = scan(person, town.code())
    other = await town.volunteer("林二")
    assert problem(await other.send("/api/v1/check-ins", sent)) == (403, "other_member")
    assert problem(await other.send("/api/v1/check-outs", sent)) == (403, "other_member")
    # Nothing of it is remembered: it still is its owner's.
    assert (await person.send("/api/v1/check-ins", sent)).status_code == 201


async def test_a_card_that_was_scanned_without_a_network(town: Town, person: Person) -> None:
    manager = await town.member(town.city.manager_id)
    card = (await person.send("/api/v1/card", {"id": person.new_id()})).json()["code"]
    begun_at = town.watch.now

    async def send(kind: str, at: Any, by: Person = manager) -> Any:
        body = {"id": by.new_id(), "kind": kind, "code": card, "scanned_at": at.isoformat()}
        answer = await manager.send(desk(town, "/card-scans"), {**body, "member_id": str(by.member_id)})
        return answer if answer.status_code >= 400 else await kept(town, body["id"])

    assert problem(await send("in", begun_at, by=person)) == (403, "other_member")
    town.watch.move(hours=2)
    row = await send("in", begun_at)
    assert (row.occurred_at, row.phone_time, row.holds) == (begun_at, begun_at, ["clock_doubt"])
    # What has only just been scanned counts as scanned now, whatever the clock of the desk says.
    row = await send("out", town.watch.now - timedelta(seconds=90))
    assert (row.occurred_at, row.holds) == (town.watch.now, [])
    row = await send("in", town.watch.now + timedelta(hours=1))
    assert (row.occurred_at, row.holds) == (town.watch.now, ["clock_doubt"])
    assert problem(await send("out", town.watch.now - timedelta(hours=73))) == (410, "code_expired")


async def test_who_a_browser_is_signed_in_as(town: Town, person: Person) -> None:
    answer = await person.get("/outbox.json")
    assert answer.json() == {"member_id": str(person.member_id), "csrf": person.csrf}
    assert answer.headers["cache-control"] == "no-store"
    assert (await town.stranger().get("/outbox.json")).json()["member_id"] is None


@pytest.mark.parametrize(("tag", "language"), [("en", "en"), ("zh-CN", "zh-CN"), ("de", "zh-CN")])
async def test_the_page_without_a_network_is_nobodys(town: Town, person: Person, tag: str, language: str) -> None:
    page, plain = [await each.get(f"/offline?language={tag}") for each in (person, town.stranger())]
    assert page.text == plain.text
    assert f'<html lang="{language}" ' in page.text
    assert "csrf" not in page.text
    assert "set-cookie" not in plain.headers
    worker = await person.get("/service-worker.js")
    assert worker.headers["content-type"].startswith("text/javascript")
    assert worker.headers["cache-control"] == "no-cache"
