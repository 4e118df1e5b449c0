"""Signing in and out over HTTP: cookies, limits, codes, and who is never told what."""

import re
from datetime import timedelta

import pytest

from api.auth import BROWSER, SESSION
from tests.api.conftest import Build
from tests.api.people import Town, problem
from tests.factories import PASSWORD, new_phone
from timebank import members, sms
from timebank.signing_in import PASSWORD_TRIES

PUBLIC = "https://bank.example"


async def test_password_begins_a_session_and_signing_out_ends_it(town: Town) -> None:
    member_id = await town.join("林一")
    person = await town.member(member_id)
    found = (await person.get("/api/v1/me")).json()
    assert found["member_id"] == str(member_id)
    assert found["name"] == "林一"
    assert found["roles"] == []
    assert found["csrf"] == person.csrf

    token = person.client.cookies[SESSION]
    answer = await person.send("/api/v1/session", method="DELETE")
    assert answer.status_code == 204
    assert SESSION not in person.client.cookies
    # Not the cookie alone is gone: the token is worth nothing.
    person.client.cookies.set(SESSION, token)
    assert problem(await person.get("/api/v1/me")) == (401, "not_signed_in")


async def test_wrong_password_unknown_number_and_no_password_are_answered_alike(town: Town) -> None:
    with_password = await town.join()
    async with town.bank.engine.begin() as connection:
        without = await town.city.add_member(connection, "林二")
    seen = set()
    for phone in (town.city.phones[with_password], town.city.phones[without], new_phone()):
        answer = await town.stranger().send("/api/v1/sessions", {"phone": phone, "password": "not this one"})
        assert problem(answer) == (401, "sign_in_refused")
        body = answer.json() | {"instance": ""}
        seen.add(str(body))
        assert "set-cookie" not in answer.headers
    assert len(seen) == 1


async def test_tries_are_counted_by_phone(town: Town) -> None:
    member_id = await town.join()
    phone = town.city.phones[member_id]
    for _ in range(PASSWORD_TRIES.count):
        answer = await town.stranger().send("/api/v1/sessions", {"phone": phone, "password": "guess"})
        assert problem(answer) == (401, "sign_in_refused")
    answer = await town.stranger().send("/api/v1/sessions", {"phone": phone, "password": PASSWORD})
    assert problem(answer) == (429, "try_later")
    assert 0 < int(answer.headers["retry-after"]) <= 600
    assert str(answer.json()["data"]["seconds"]) == answer.headers["retry-after"]
    town.watch.move(minutes=11)
    await town.member(member_id)


async def test_tries_from_one_address_are_counted_behind_a_trusted_proxy(build: Build) -> None:
    async with build(trusted_proxies=_networks("10.0.0.0/8"), public_url=PUBLIC) as town:
        visitor = town.stranger("https://bank.example", peer="10.1.2.3")

        async def guess(address: str) -> int:
            body = {"phone": new_phone(), "password": "guess"}
            headers = {"X_Forwarded_For": f"203.0.113.9, {address}, 10.9.9.9", "X_Forwarded_Proto": "https"}
            return (await visitor.send("/api/v1/sessions", body, **headers)).status_code

        answers = [await guess("198.51.100.7") for _ in range(61)]
        assert answers[:60] == [401] * 60
        assert answers[60] == 429
        assert await guess("198.51.100.8") == 401


async def test_an_untrusted_peer_cannot_choose_its_address(town: Town) -> None:
    visitor = town.stranger(peer="127.0.0.1")
    for number in range(60):
        body = {"phone": new_phone(), "password": "guess"}
        await visitor.send("/api/v1/sessions", body, X_Forwarded_For=f"198.51.100.{number}")
    answer = await visitor.send(
        "/api/v1/sessions", {"phone": new_phone(), "password": "guess"}, X_Forwarded_For="198.51.100.200"
    )
    assert problem(answer) == (429, "try_later")


async def test_phone_code_signs_in_once(town: Town) -> None:
    member_id = await town.join()
    phone = town.city.phones[member_id]
    person = town.stranger()
    answer = await person.send("/api/v1/phone-codes", {"phone": phone})
    assert (answer.status_code, answer.json()) == (202, {"seconds": 300})
    await sms.all_sent()
    digits = re.search(r": (\d{6})$", town.said[-1])[1]
    wrong = f"{(int(digits) + 1) % 10**6:06d}"
    body = {"phone": phone, "digits": wrong}
    assert problem(await person.send("/api/v1/phone-codes/sessions", body)) == (401, "sign_in_refused")
    body = {"phone": phone, "digits": digits}
    answer = await person.send("/api/v1/phone-codes/sessions", body)
    assert answer.status_code == 201
    assert answer.json()["member_id"] == str(member_id)
    assert problem(await town.stranger().send("/api/v1/phone-codes/sessions", body)) == (401, "sign_in_refused")


async def test_phone_code_dies_after_five_minutes_and_five_tries(town: Town) -> None:
    member_id = await town.join()
    phone = town.city.phones[member_id]
    for spoil in ("time", "tries"):
        person = town.stranger()
        await person.send("/api/v1/phone-codes", {"phone": phone})
        await sms.all_sent()
        digits = town.said[-1][-6:]
        if spoil == "time":
            town.watch.move(minutes=5)
        else:
            for number in range(5):
                wrong = f"{(int(digits) + 1 + number) % 10**6:06d}"
                await person.send("/api/v1/phone-codes/sessions", {"phone": phone, "digits": wrong})
        answer = await person.send("/api/v1/phone-codes/sessions", {"phone": phone, "digits": digits})
        assert problem(answer)[1] == "sign_in_refused"


async def test_a_number_of_nobody_gets_the_same_answer_and_no_message(town: Town) -> None:
    answer = await town.stranger().send("/api/v1/phone-codes", {"phone": new_phone()})
    assert (answer.status_code, answer.json()) == (202, {"seconds": 300})
    await sms.all_sent()
    assert town.said == []


async def test_phone_codes_are_capped_by_phone(town: Town) -> None:
    phone = new_phone()
    answers = [(await town.stranger().send("/api/v1/phone-codes", {"phone": phone})).status_code for _ in range(6)]
    assert answers == [202] * 5 + [429]


@pytest.mark.parametrize("phone", ["", "123", "not a number", "+86139" + "0" * 30])
async def test_what_is_no_phone_number_is_said_so(town: Town, phone: str) -> None:
    answer = await town.stranger().send("/api/v1/sessions", {"phone": phone, "password": "x"})
    assert problem(answer) == (422, "invalid")
    assert answer.json()["data"] == {"field": "phone", "reason": "phone"}


async def test_over_https_the_cookie_is_for_this_host_alone(build: Build) -> None:
    async with build(public_url=PUBLIC) as town:
        member_id = await town.join()
        person = town.stranger(PUBLIC, peer="192.0.2.1")
        body = {"phone": town.city.phones[member_id], "password": PASSWORD}
        answer = await person.send("/api/v1/sessions", body)
        (cookie,) = answer.headers.get_list("set-cookie")
        name, *words = cookie.split("; ")
        assert name.startswith(f"__Host-{SESSION}=")
        assert {word.lower() for word in words} >= {"secure", "httponly", "samesite=lax", "path=/"}
        assert not [word for word in words if word.lower().startswith("domain")]
        assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
        assert (await person.get("/api/v1/me")).status_code == 200
        # The plain name is for plain http, and worth nothing here.
        token = name.partition("=")[2]
        other = town.stranger(PUBLIC, peer="192.0.2.1")
        other.client.cookies.set(SESSION, token)
        assert problem(await other.get("/api/v1/me")) == (401, "not_signed_in")


@pytest.mark.parametrize(
    ("address", "peer"),
    [("http://bank.example", "192.0.2.1"), ("http://bank.example", "127.0.0.1"), ("http://127.0.0.1", "192.0.2.1")],
)
async def test_over_an_open_line_nobody_signs_in(build: Build, address: str, peer: str) -> None:
    async with build(public_url=PUBLIC) as town:
        member_id = await town.join()
        person = town.stranger(address, peer)
        body = {"phone": town.city.phones[member_id], "password": PASSWORD}
        answer = await person.send("/api/v1/sessions", body)
        assert problem(answer) == (400, "https_required")
        page = await person.get("/sign-in")
        assert page.status_code == 200
        for given in (answer, page):
            assert "set-cookie" not in given.headers
            assert "strict-transport-security" not in given.headers
        # A session from elsewhere is not believed either.
        safe = await town.member(member_id, address="http://127.0.0.1:8000")
        person.client.cookies.set(SESSION, safe.client.cookies[SESSION])
        assert problem(await person.get("/api/v1/me")) == (401, "not_signed_in")


async def test_a_proxy_says_that_it_spoke_https(build: Build) -> None:
    async with build(trusted_proxies=_networks("10.0.0.1"), public_url=PUBLIC) as town:
        member_id = await town.join()
        body = {"phone": town.city.phones[member_id], "password": PASSWORD}
        for peer, status in (("10.0.0.1", 201), ("10.0.0.2", 400)):
            person = town.stranger("http://bank.example", peer)
            answer = await person.send("/api/v1/sessions", body, X_Forwarded_Proto="https", Origin=PUBLIC)
            assert answer.status_code == status


async def test_a_role_that_ends_ends_for_a_session_that_is_open(town: Town) -> None:
    manager = await town.member(town.city.manager_id)
    assert (await manager.get("/api/v1/queue")).status_code == 200
    town.bank.recognition.seconds = 3600
    assert (await manager.get("/api/v1/queue")).status_code == 200
    async with town.bank.engine.begin() as connection:
        await members.set_password(
            connection, town.bank.book_id, town.city.manager_id, password_hash="x", now=town.watch.now
        )
    # A session is believed for a moment without asking the database.
    assert (await manager.get("/api/v1/queue")).status_code == 200
    town.bank.recognition.seen.clear()
    assert problem(await manager.get("/api/v1/queue")) == (401, "not_signed_in")


async def test_remembered_sessions_do_not_grow_without_end(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.recognition.SEEN_LIMIT", 2)
    town.bank.recognition.seconds = 3600
    member_id = await town.join()
    for _ in range(3):
        person = await town.member(member_id)
        assert (await person.get("/api/v1/me")).status_code == 200
    assert len(town.bank.recognition.seen) == 1


async def test_a_session_ends_two_weeks_after_it_was_last_used(town: Town) -> None:
    person = await town.volunteer()
    town.watch.move(days=13)
    assert (await person.get("/api/v1/me")).status_code == 200
    town.watch.now += timedelta(days=14)
    assert problem(await person.get("/api/v1/me")) == (401, "not_signed_in")


@pytest.mark.parametrize("cookie", ["", "x", "y" * 500, "%00"])
async def test_a_cookie_that_is_none_of_ours_is_nobody(town: Town, cookie: str) -> None:
    person = town.stranger()
    person.client.cookies.set(SESSION, cookie)
    person.client.cookies.set(BROWSER, cookie)
    assert problem(await person.get("/api/v1/me")) == (401, "not_signed_in")
    assert (await person.get("/sign-in")).status_code == 200


async def test_pages_sign_in_and_out_with_forms(town: Town) -> None:
    member_id = await town.join("林一")
    person = town.stranger()
    fields = {"phone": town.city.phones[member_id], "password": PASSWORD, "next": "/rewards"}
    answer = await person.fill("/sign-in", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rewards")
    person.member_id = member_id
    assert "林一" in (await person.get("/")).text
    assert (await person.fill("/sign-out")).status_code == 303
    assert SESSION not in person.client.cookies


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1"])
async def test_signing_in_leads_nowhere_else(town: Town, elsewhere: str) -> None:
    member_id = await town.join()
    fields = {"phone": town.city.phones[member_id], "password": PASSWORD, "next": elsewhere}
    answer = await town.stranger().fill("/sign-in", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def _networks(text: str) -> object:
    from timebank.settings import read_networks

    return read_networks(text)
