"""Signing in by an account elsewhere, against an issuer of this machine: who gets in, and who never does."""

import asyncio
import html
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from api import doctor_words
from api.auth import BROWSER
from api.language import COOKIE
from tests.api.conftest import Build
from tests.api.issuers import CLIENT, SECRET, Issuer
from tests.api.people import Person, Town, Watch, problem
from tests.api.test_privacy import fill
from tests.factories import MORNING
from tests.timebank.test_gateways import served
from timebank import doctor, issuers, outside, retention
from timebank.tables import audit_entry, outside_account, outside_errand

WECHAT = {"user-agent": "Mozilla/5.0 MicroMessenger/8.0"}


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """Who knows people."""
    found = Issuer(Watch(MORNING))
    async with served(found.talk) as port:
        found.address = f"http://127.0.0.1:{port}"
        yield found


@pytest.fixture
async def town(build: Build, issuer: Issuer) -> AsyncIterator[Town]:
    """A town whose people may sign in by both."""
    async with build(
        oidc_issuer=issuer.address,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
        wechat_app_id="wx1",
        wechat_app_secret=SECRET,
        wechat_page_url=f"{issuer.address}/connect",
        wechat_api_url=issuer.address,
    ) as town:
        town.watch = town.bank.clock = issuer.watch
        for provider in town.bank.outside.values():
            assert isinstance(provider, issuers.OpenId | issuers.WeChat)
            provider.answer_seconds = 1.0
        yield town


async def sent(
    person: Person, name: str = "oidc", following: str = "/", path: str = "/sign-in/outside"
) -> httpx.Response:
    """Press the button."""
    return await person.fill(f"{path}/{name}", next=following)


def leads_to(page: httpx.Response) -> str:
    """Where the page leads to that leads outside."""
    found = re.search(r'href="([^"]+)"[^>]*data-outside', page.text)
    assert found, page.text
    return html.unescape(found[1])


async def came_back(person: Person, issuer: Issuer, name: str = "oidc", **more: Any) -> httpx.Response:
    """Sign in there and come back."""
    query = issuer.visited(leads_to(await sent(person, name, **more)))
    return await person.get(f"/sign-in/outside/{name}/back?{query}")


def code_of(page: httpx.Response) -> str:
    """Which refusal a page shows, by its English."""
    words = {
        "does not answer": "outside_down",
        "did not confirm": "outside_refused",
        "took too long": "outside_expired",
        "Nobody here is linked": "outside_unknown",
        "linked to another member": "outside_taken",
    }
    found = [code for part, code in words.items() if part in page.text]
    assert len(found) == 1, page.text
    return found[0]


def english(town: Town, **headers: str) -> Person:
    """Somebody who reads English."""
    return reads_english(town.stranger(), **headers)


def reads_english(person: Person, **headers: str) -> Person:
    """The same person, who has chosen English."""
    person.client.cookies.set(COOKIE, "en")
    person.client.headers.update(headers)
    return person


async def linked(town: Town, issuer: Issuer, name: str = "oidc") -> Person:
    """A member who has linked an account."""
    volunteer = await town.volunteer()
    answer = await came_back(volunteer, issuer, name, path="/accounts/link")
    assert answer.headers["location"] == "/accounts?done=linked"
    return volunteer


@pytest.mark.parametrize("name", ["oidc", "wechat"])
async def test_a_member_links_an_account_signs_in_by_it_and_unlinks_it(town: Town, issuer: Issuer, name: str) -> None:
    volunteer = await linked(town, issuer, name)
    stranger = english(town, **WECHAT)
    assert f'action="/sign-in/outside/{name}"' in (await stranger.get("/sign-in")).text
    answer = await came_back(stranger, issuer, name, following="/records?state=waiting")
    assert (answer.status_code, answer.headers["location"]) == (303, "/records?state=waiting")
    me = (await stranger.get("/api/v1/me")).json()
    assert (me["member_id"], me["roles"]) == (str(volunteer.member_id), [])
    (account,) = (await volunteer.get("/api/v1/me/outside-accounts")).json()["accounts"]
    assert account["used_at"]
    assert account["issuer"] == town.bank.outside[name].issuer
    data = (await volunteer.get("/api/v1/me/data")).json()["data"]
    assert [each["id"] for each in data["outside_accounts"]] == [account["id"]]
    # Again: nothing changes. Another member: it is taken.
    assert (await came_back(volunteer, issuer, name, path="/accounts/link")).status_code == 303
    other = await town.volunteer("林二")
    reads_english(other)
    taken = await came_back(other, issuer, name, path="/accounts/link")
    assert (taken.status_code, code_of(taken)) == (409, "outside_taken")
    refused = await other.send(f"/api/v1/me/outside-accounts/{account['id']}/removal", {"id": other.new_id()})
    assert problem(refused) == (404, "not_found")
    assert await fill(volunteer, "/accounts", f"/accounts/{account['id']}/removal") == "/accounts?done=removed"
    assert code_of(await came_back(english(town), issuer, name)) == "outside_unknown"
    async with town.bank.engine.connect() as connection:
        query = select(audit_entry.c.action).where(
            audit_entry.c.book_id == town.bank.book_id, audit_entry.c.action.startswith("outside.")
        )
        assert sorted(await connection.scalars(query)) == ["outside.link", "outside.unlink"]


async def test_nothing_that_it_is_called_there_is_stored(town: Town, issuer: Issuer) -> None:
    issuer.claims = {"sub": "Subject-4711"}
    await linked(town, issuer)
    async with town.bank.engine.connect() as connection:
        rows = (await connection.execute(select(outside_account))).all()
    assert rows
    assert "4711" not in str([tuple(row) for row in rows])


async def test_a_verified_number_finds_its_member_and_an_unverified_one_or_a_mail_address_nobody(
    town: Town, issuer: Issuer
) -> None:
    member_id = await town.join("林有号")
    phone = town.city.phones[member_id]
    for claims in (
        {"phone_number": phone, "phone_number_verified": False},
        {"phone_number": phone},
        {"phone_number": phone, "phone_number_verified": "true"},
        {"phone_number": "nonsense", "phone_number_verified": True},
        {"email": "lin@example.org", "email_verified": True},
    ):
        issuer.claims = claims
        assert code_of(await came_back(english(town), issuer)) == "outside_unknown", claims
    issuer.claims = {"phone_number": phone, "phone_number_verified": True}
    stranger = english(town)
    assert (await came_back(stranger, issuer)).status_code == 303
    assert (await stranger.get("/api/v1/me")).json()["member_id"] == str(member_id)
    # From then on without the number.
    issuer.claims = {}
    assert (await came_back(english(town), issuer)).status_code == 303


HOUR = 3600
NOW = int(MORNING.timestamp())


# What is wrong with a token: its claims, its algorithm, its header.
WRONG: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"nonce": "another"}, "RS256", {}),
    ({"nonce": None}, "RS256", {}),
    ({"iss": "https://evil.example"}, "RS256", {}),
    ({"aud": "another bank"}, "RS256", {}),
    ({"aud": [CLIENT, "another bank"]}, "RS256", {}),
    ({"azp": "another bank"}, "RS256", {}),
    ({"exp": NOW - HOUR}, "RS256", {}),
    ({"exp": None}, "RS256", {}),
    ({"exp": "soon"}, "RS256", {}),
    ({"iat": NOW + HOUR, "exp": NOW + 2 * HOUR}, "RS256", {}),
    ({"sub": ""}, "RS256", {}),
    ({"sub": "x" * 256}, "RS256", {}),
    ({}, "none", {}),
    ({}, "HS256", {}),
    ({}, "RS256", {"kid": "unknown"}),
    ({}, "RS256", {"kid": "other"}),
]


async def test_what_does_not_prove_it_signs_nobody_in(town: Town, issuer: Issuer) -> None:
    await linked(town, issuer)
    for issuer.claims, issuer.algorithm, issuer.header in WRONG:
        stranger = english(town)
        answer = await came_back(stranger, issuer)
        assert (answer.status_code, code_of(answer)) == (401, "outside_refused"), (issuer.claims, issuer.algorithm)
        assert problem(await stranger.get("/api/v1/me")) == (401, "not_signed_in")


async def test_a_key_that_is_new_is_fetched_and_one_that_was_taken_back_is_not_believed(
    town: Town, issuer: Issuer
) -> None:
    await linked(town, issuer)
    assert issuer.asked.count("/keys") == 1
    former = issuer.key
    issuer.rotate()
    assert (await came_back(english(town), issuer)).status_code == 303
    assert issuer.asked.count("/keys") == 2
    assert (await came_back(english(town), issuer)).status_code == 303
    assert issuer.asked.count("/keys") == 2
    issuer.key, issuer.header = former, {"kid": "second"}
    assert code_of(await came_back(english(town), issuer)) == "outside_refused"


async def test_only_the_browser_that_was_sent_comes_back_once_and_soon(town: Town, issuer: Issuer) -> None:
    await linked(town, issuer)
    person = english(town)
    query = issuer.visited(leads_to(await sent(person)))
    back = "/sign-in/outside/oidc/back"
    for wrong, code in (
        (await english(town).get(f"{back}?{query}"), "outside_expired"),
        (await person.get(f"{back}?state=wrong&code=good"), "outside_expired"),
        (await person.get(f"{back}?code=good"), "outside_expired"),
        (await person.get(f"/sign-in/outside/wechat/back?{query}"), "outside_expired"),
    ):
        assert (wrong.status_code, code_of(wrong)) == (410, code)
    assert (await person.get(f"{back}?{query}")).status_code == 303
    again = english(town)
    again.client.cookies.set(BROWSER, person.client.cookies[BROWSER])
    assert code_of(await again.get(f"{back}?{query}")) == "outside_expired"
    late = english(town)
    query = issuer.visited(leads_to(await sent(late)))
    town.watch.move(minutes=10)
    assert code_of(await late.get(f"{back}?{query}")) == "outside_expired"
    # Whoever said no there comes back without a code.
    query = issuer.visited(leads_to(await sent(late))).replace("code=good", "error=access_denied")
    assert code_of(await late.get(f"{back}?{query}")) == "outside_refused"
    query = issuer.visited(leads_to(await sent(late))).replace("code=good", "code=stolen")
    assert code_of(await late.get(f"{back}?{query}")) == "outside_refused"
    async with town.bank.engine.begin() as connection:
        await retention.drop_expired(connection, town.bank.book_id, outside_errand, town.watch.now + outside.LIFE)
        query_left = select(outside_errand).where(outside_errand.c.book_id == town.bank.book_id)
        assert (await connection.execute(query_left)).all() == []


async def test_whoever_links_has_just_signed_in_and_is_the_one_who_comes_back(town: Town, issuer: Issuer) -> None:
    volunteer = await town.volunteer()
    reads_english(volunteer)
    query = issuer.visited(leads_to(await sent(volunteer, path="/accounts/link")))
    signed_out = (await volunteer.send("/api/v1/session", method="DELETE")).status_code
    assert signed_out == 204
    assert code_of(await volunteer.get(f"/sign-in/outside/oidc/back?{query}")) == "outside_expired"
    later = await town.volunteer("林三")
    reads_english(later)
    assert "/accounts/link/oidc" in (await later.get("/accounts")).text
    town.watch.move(minutes=11)
    assert "/accounts/link/oidc" not in (await later.get("/accounts")).text
    refused = await sent(later, path="/accounts/link")
    assert (refused.status_code, "sign in again" in refused.text) == (403, True)


async def test_an_issuer_that_fails_is_told_from_one_that_refuses(town: Town, issuer: Issuer) -> None:
    provider = town.bank.outside["oidc"]
    assert isinstance(provider, issuers.OpenId)
    start, token, keys = "/.well-known/openid-configuration", "/token", "/keys"
    failing: list[tuple[str, int | str | bytes]] = [
        (path, will) for path in (start, token, keys) for will in (500, "hang")
    ]
    failing += [(token, will) for will in (302, "drop", b"no JSON", b"[]", b" " * (300 * 1024))]
    for path, will in failing:
        provider.document_since = provider.keys_since = -issuers.BELIEVED_SECONDS
        issuer.will = {path: will}
        person = english(town)
        # Who never answers is not waited for longer than it takes to see that.
        waited = 0.2 if will == "hang" else 1.0
        provider.answer_seconds = waited if path == start else 1.0
        page = await sent(person)
        provider.answer_seconds = waited
        if path != start:
            page = await person.get(f"/sign-in/outside/oidc/back?{issuer.visited(leads_to(page))}")
        assert (page.status_code, code_of(page)) == (503, "outside_down"), (path, will)


async def test_an_issuer_that_calls_itself_otherwise_is_not_believed(town: Town, issuer: Issuer) -> None:
    for document in (
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": None},
    ):
        issuer.document = document
        assert code_of(await sent(english(town))) == "outside_down"
    # One that reads the secret from the form only.
    issuer.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"], "scopes_supported": None}
    await linked(town, issuer)
    assert issuer.sent["scope"] == ["openid"]


async def test_wechat_opens_in_wechat_and_says_no_in_its_own_way(town: Town, issuer: Issuer) -> None:
    assert "/sign-in/outside/wechat" not in (await english(town).get("/sign-in")).text
    volunteer = await town.volunteer()
    assert "/accounts/link/wechat" not in (await volunteer.get("/accounts")).text
    address = leads_to(await sent(english(town, **WECHAT), "wechat"))
    assert address.startswith(f"{issuer.address}/connect?appid=wx1&redirect_uri=http%3A%2F%2F127.0.0.1%3A8000%2F")
    assert address.endswith("#wechat_redirect")
    for openid, code in (
        ({"errcode": 40163, "errmsg": "code been used"}, "outside_refused"),
        ({"errcode": -1, "errmsg": "system error"}, "outside_down"),
        ({"openid": ""}, "outside_refused"),
        ({"openid": 1}, "outside_refused"),
        ({"openid": "o-nobody"}, "outside_unknown"),
    ):
        issuer.openid = openid
        assert code_of(await came_back(english(town), issuer, "wechat")) == code, openid
    assert (await english(town).fill("/sign-in/outside/nobody", next="/")).status_code == 404


async def test_the_doctor_looks_at_both(town: Town, issuer: Issuer) -> None:
    async def look() -> list[str]:
        found = await asyncio.to_thread(doctor.check_sign_in, town.bank.settings)
        assert all(each.code in doctor_words.WORDS for each in found)
        return [each.code for each in found]

    assert await look() == ["oidc_ok", "wechat_reached"]
    issuer.document = {"issuer": f"{issuer.address}/"}
    assert await look() == ["oidc_unfit", "wechat_reached"]
    issuer.will = {"/.well-known/openid-configuration": 500}
    assert await look() == ["oidc_unreachable", "wechat_reached"]
