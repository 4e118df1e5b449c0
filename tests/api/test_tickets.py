"""Tickets: for one browser, for ten minutes, for the moment of the scan, signed with one algorithm."""

import re
from datetime import datetime
from typing import Any

import jwt
import pytest

from api import tickets
from api.auth import BROWSER
from tests.api.conftest import Build
from tests.api.people import Person, Town, problem


async def ticket_for(town: Town, person: Person) -> str:
    """A ticket for the code on the screen."""
    answer = await person.send("/api/v1/tickets", {"code": town.code()})
    assert answer.status_code == 201, answer.text
    assert answer.json()["seconds"] == 600
    return str(answer.json()["ticket"])


async def use(person: Person, ticket: str) -> Any:
    """Check in with a ticket."""
    return await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": ticket})


async def test_a_stranger_scans_signs_in_slowly_and_is_in_from_the_scan_on(town: Town) -> None:
    member_id = await town.join()
    person, scanned_at = town.stranger(), town.watch.now
    ticket = await ticket_for(town, person)
    town.watch.move(minutes=9, seconds=59)
    await person.sign_in(town.city, member_id)
    answer = await use(person, ticket)
    assert answer.status_code == 201
    assert datetime.fromisoformat(answer.json()["data"]["at"]) == scanned_at


async def test_a_ticket_ends_after_ten_minutes(town: Town) -> None:
    person = await town.volunteer()
    ticket = await ticket_for(town, person)
    town.watch.move(minutes=10)
    assert problem(await use(person, ticket)) == (410, "code_expired")


async def test_a_ticket_is_of_no_use_in_another_browser(town: Town) -> None:
    person, other = await town.volunteer(), await town.volunteer("林二")
    ticket = await ticket_for(town, person)
    assert problem(await use(other, ticket)) == (422, "code_forged")
    await ticket_for(town, other)
    assert problem(await use(other, ticket)) == (422, "code_forged")
    assert (await use(person, ticket)).status_code == 201


@pytest.mark.parametrize("code", ["", "nonsense", "1" * 32, "https://evil.example/K/" + "1" * 32])
async def test_only_a_live_code_gives_a_ticket(town: Town, code: str) -> None:
    answer = await town.stranger().send("/api/v1/tickets", {"code": code})
    assert problem(answer)[1] in ("code_malformed", "code_forged")
    town.watch.move(minutes=0)
    old = town.code()
    town.watch.move(minutes=2)
    answer = await town.stranger().send("/api/v1/tickets", {"code": old})
    assert problem(answer) == (410, "code_expired")


def signed(town: Town, ticket: str, **changed: Any) -> str:
    """The ticket with other claims, rightly signed; None takes a claim away."""
    keys = town.bank.keys
    claims = jwt.decode(ticket, options={"verify_signature": False}) | changed
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, keys.ticket[keys.ticket_kid], "HS256", headers={"kid": keys.ticket_kid})


async def test_a_ticket_that_says_anything_else_is_forged(town: Town) -> None:
    person = await town.volunteer()
    ticket = await ticket_for(town, person)
    key, kid = town.bank.keys.ticket[town.bank.keys.ticket_kid], town.bank.keys.ticket_kid
    claims = jwt.decode(ticket, options={"verify_signature": False})
    head, body, mac = ticket.split(".")
    forged = [
        signed(town, ticket, aud="certificate"),
        signed(town, ticket, aud=None),
        signed(town, ticket, iss="elsewhere"),
        signed(town, ticket, iss=None),
        signed(town, ticket, exp=None),
        signed(town, ticket, exp="soon"),
        signed(town, ticket, at=None),
        signed(town, ticket, browser="0" * 32),
        f"{head}.{body}.{mac[:-2]}AA",
        f"{head}.{body}.",
        f"..{mac}",
        "..",
        "é.é.é",
        jwt.encode(claims, None, "none", headers={"kid": kid}),
        jwt.encode(claims, key, "HS256"),
        jwt.encode(claims, key, "HS256", headers={"kid": "999"}),
        jwt.encode(claims, "x" * 32, "HS256", headers={"kid": kid}),
        jwt.encode(claims, key * 2, "HS512", headers={"kid": kid}),
    ]
    for each in forged:
        assert problem(await use(person, each)) == (422, "code_forged"), each
    assert problem(await use(person, "x" * 598 + "..")) == (422, "code_forged")
    assert (await use(person, signed(town, ticket))).status_code == 201


async def test_without_a_browser_of_its_own_nobody_has_a_ticket(town: Town) -> None:
    person = await town.volunteer()
    ticket = await ticket_for(town, person)
    person.client.cookies.delete(BROWSER)
    assert problem(await use(person, ticket)) == (422, "code_forged")


async def test_a_scan_over_an_open_line_is_sent_to_https(build: Build) -> None:
    async with build(public_url="https://bank.example") as town:
        person = town.stranger("http://bank.example", "192.0.2.1")
        page = await person.get(f"/K/{town.code()}")
        assert page.status_code == 400
        assert 'data-code="https_required"' in page.text


async def test_pages_carry_the_ticket_through_signing_in(town: Town) -> None:
    member_id = await town.join("林一")
    person, scanned_at = town.stranger(), town.watch.now
    page = await person.get(f"/K/{town.code()}", follow_redirects=True)
    assert (page.status_code, str(page.url)) == (200, f"{person.address}/scanned?scanned=1")
    # A stranger learns nothing of the station.
    assert town.city.station.name_zh not in page.text
    assert town.city.station.name_en not in page.text
    ticket = re.search(r"ticket=([\w.%-]+)", page.text)[1]
    answer = await person.get(f"/check-in?ticket={ticket}")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=%2Fcheck-in")
    await person.sign_in(town.city, member_id)
    town.watch.move(minutes=3)
    page = await person.get(f"/check-in?ticket={ticket}")
    assert page.status_code == 200, page.text
    command_id = re.search(r'name="id" value="([\w-]+)"', page.text)[1]
    fields = {"id": command_id, "ticket": ticket, "kind": "in"}
    for _ in range(2):
        answer = await person.fill("/check-in", **fields)
        assert answer.headers["location"] == f"/check-in/{command_id}?kind=in"
    stay = (await person.get("/api/v1/me")).json()["stay"]
    assert datetime.fromisoformat(stay["started_at"]) == scanned_at


def test_what_looks_like_a_ticket() -> None:
    assert tickets.looks_like_one("a.b.c")
    assert not tickets.looks_like_one("https://bank.example.org/K/111")
    assert not tickets.looks_like_one("1" * 32)
