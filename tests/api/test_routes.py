"""Every route: who is let in, who is not, and that a write from elsewhere is refused."""

import re
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar, WebSocket, get, websocket

from api import admission
from api.admission import Unguarded
from api.app import create_app
from api.guards import ACCESS
from api.guards.access import CLERKS, KIOSKS, MEMBERS
from tests.api.conftest import Build
from tests.api.people import FORM_TYPE, Person, Town, problem
from timebank.tables import ROLES

NOBODY = "018f0000-0000-7000-8000-000000000000"
WRITES = [route for route in ACCESS if not route.startswith("GET ")]
EVERYBODY = ("stranger", "volunteer", *ROLES)


def address(path: str) -> str:
    """An address of a route, of things that are not there."""
    named = (
        path.replace("{number}", "999999").replace("{code}", "x").replace("{code_text}", "x").replace("{secret}", "x")
    )
    return re.sub(r"\{(digest|name)\}", "x", re.sub(r"\{\w*id\}", NOBODY, named))


async def knock(person: Person, route: str, **headers: str | None) -> httpx.Response:
    """Come to a route with nothing to say."""
    method, path = route.split()
    if method == "GET":
        return await person.get(address(path))
    if path.startswith("/api/"):
        return await person.send(address(path), {}, method=method, **headers)
    sent = {"Origin": person.address, "Content-Type": FORM_TYPE}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await person.client.request(
        method,
        address(path),
        content="csrf=" + (person.csrf or await csrf_of(person)),
        headers={name: value for name, value in sent.items() if value is not None},
    )


async def csrf_of(person: Person) -> str:
    """The token in the forms of this person's pages."""
    page = await person.get("/no-such-page")
    return re.search(r'name="csrf" value="(\w+)"', page.text)[1]


def code_of(answer: httpx.Response) -> str | None:
    """The code of a refusal, of a program's or of a page; where who is not signed in is sent to sign in, that."""
    if answer.headers.get("content-type") == "application/problem+json":
        return problem(answer)[1]
    if answer.status_code == 303 and answer.headers["location"].startswith("/sign-in"):
        return "not_signed_in"
    found = re.search(r'data-code="(\w+)"', answer.text)
    return found[1] if found else None


@pytest.fixture
async def people(town: Town) -> dict[str, Person]:
    """One of each kind."""
    found = {"stranger": town.stranger(), "volunteer": await town.volunteer()}
    for role in ROLES:
        found[role] = await town.with_role(role)
    return found


def opens(route: str, kind: str) -> str | None:
    """With which code a route is closed to a kind of person; None when it is open."""
    access = ACCESS[route]
    if access.to in ("anybody", "machine"):
        return None
    if access.to == "kiosks":
        return "credential_missing"
    if kind == "stranger":
        return "not_signed_in"
    return "role_not_allowed" if access.to == "roles" and kind not in access.roles else None


async def test_every_route_is_open_to_whom_the_table_says_and_to_nobody_else(people: dict[str, Person]) -> None:
    for number, (route, access) in enumerate(ACCESS.items()):
        # What is open without a role is knocked at by one role, each in its turn.
        one_role = ("stranger", "volunteer", ROLES[number % len(ROLES)])
        for kind in EVERYBODY if access.to == "roles" else one_role:
            if route in ("POST /sign-out", "DELETE /api/v1/session") and kind != "stranger":
                continue
            answer = await knock(people[kind], route)
            assert answer.status_code < 500, (route, kind, answer.text)
            found, closed = code_of(answer), opens(route, kind)
            if closed is None:
                assert found not in ("not_signed_in", "role_not_allowed", "cross_site", "csrf_failed"), (route, kind)
            else:
                assert found == closed, (route, kind, answer.text)


def test_the_table_is_reviewed_here_too() -> None:
    """A route that becomes open to anybody is a decision, and is made in two places."""
    assert {route for route, access in ACCESS.items() if access.to == "anybody"} == {
        "GET /",
        "GET /C/{code}",
        "GET /K/{code}",
        "GET /R/{code_text}",
        "GET /S/{code}",
        "GET /V/{code}",
        "GET /api/v1/certificate-checks/{code}",
        "GET /calendar/{secret}",
        "GET /api/v1/errors",
        "GET /api/v1/honour-roll",
        "GET /honour",
        "GET /what-is-kept",
        "GET /api/v1/errors/{code}",
        "GET /api/v1/openapi.json",
        "GET /design",
        "GET /activate",
        "GET /join",
        "GET /health/live",
        "GET /health/ready",
        "GET /kiosk",
        "GET /offline",
        "GET /outbox.json",
        "GET /service-worker.js",
        "GET /scanned",
        "GET /sign-in",
        "GET /static/{digest}/{name}",
        "GET /trust",
        "GET /trust/authority.crt",
        "POST /activate",
        "POST /api/v1/activations",
        "POST /api/v1/joins",
        "POST /api/v1/joins/codes",
        "POST /join",
        "POST /join/check",
        "POST /api/v1/passkey-challenges",
        "POST /api/v1/passkey-sessions",
        "POST /api/v1/phone-codes",
        "POST /api/v1/phone-codes/sessions",
        "POST /api/v1/sessions",
        "POST /api/v1/tickets",
        "POST /demo/clock",
        "POST /language",
        "POST /sign-in",
        "POST /sign-in/code",
        "POST /sign-in/code/check",
        "GET /sign-in/outside/{provider}/back",
        "POST /sign-in/outside/{provider}",
        "POST /sign-out",
        "POST /text-size",
    }


ELSEWHERE: tuple[dict[str, str | None], ...] = (
    {"Origin": None},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": "https://127.0.0.1:8000"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "none"},
    {"Origin": None, "Sec_Fetch_Site": "cross-site"},
)


async def test_no_write_is_taken_from_elsewhere(town: Town) -> None:
    admin = await town.with_role("admin")
    for route in WRITES:
        for headers in ELSEWHERE:
            answer = await knock(admin, route, **headers)
            assert code_of(answer) == "cross_site", (route, headers, answer.text)


async def test_no_form_is_taken_without_its_token(people: dict[str, Person]) -> None:
    other = await csrf_of(people["manager"])
    for route in [route for route in WRITES if "/api/" not in route]:
        person = people["admin" if "admin" in route else "clerk" if "counter" in route else "manager"]
        for content in ("", "csrf=", "csrf=1", f"csrf={'0' * 64}", "csrf=%F0%9F", f"csrf={other}"[:-1]):
            answer = await person.client.post(
                address(route.split()[1]),
                content=content,
                headers={"Origin": person.address, "Content-Type": FORM_TYPE},
            )
            assert code_of(answer) == "csrf_failed", (route, content, answer.text)


async def test_a_token_is_for_one_person_only(people: dict[str, Person]) -> None:
    answer = await people["volunteer"].client.post(
        "/sign-out",
        data={"csrf": await csrf_of(people["manager"])},
        headers={"Origin": people["volunteer"].address},
    )
    assert code_of(answer) == "csrf_failed"


async def test_a_program_with_a_session_sends_its_token_too(people: dict[str, Person]) -> None:
    for route in [route for route in WRITES if "/api/" in route and ACCESS[route] != KIOSKS]:
        person = people["clerk" if ACCESS[route] == CLERKS else "admin"]
        for token in (None, "", "0" * 64, people["manager"].csrf, "é"):
            answer = await knock(person, route, X_CSRF_Token=token.encode() if token else token)
            assert problem(answer) == (403, "csrf_failed"), (route, token)


async def test_a_browser_that_only_says_the_same_site_is_believed(town: Town) -> None:
    person = await town.volunteer()
    answer = await person.send("/api/v1/session", method="DELETE", Origin=None, Sec_Fetch_Site="same-origin")
    assert answer.status_code == 204


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "text/plain", "application/json", ""])
async def test_forms_come_in_one_form(town: Town, kind: str) -> None:
    person = town.stranger()
    answer = await person.client.post(
        "/sign-in",
        content=f"csrf={await csrf_of(person)}",
        headers={"Origin": person.address, "Content-Type": kind},
    )
    assert code_of(answer) == "content_type_unsupported"


async def test_unknown_addresses_and_methods_are_problems(town: Town) -> None:
    person = town.stranger()
    assert problem(await person.get("/api/v1/nothing")) == (404, "not_found")
    assert problem(await person.send("/api/v1/me", {}, method="PUT")) == (405, "method_not_allowed")
    assert problem(await person.send("/api/accounts/health", {})) == (404, "not_found")
    page = await person.get("/nothing")
    assert (page.status_code, code_of(page)) == (404, "not_found")
    answer = await person.client.options("/api/v1/me")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "GET, OPTIONS"
    assert "access-control-allow-origin" not in answer.headers


async def test_a_number_that_nothing_has_is_not_found(town: Town) -> None:
    manager = await town.member(town.city.manager_id)
    for number in ("2147483648", "9223372036854775808", "9" * 40, "-1"):
        assert problem(await manager.get(f"/api/v1/stations/{number}/codes")) == (404, "not_found")
        for path in (f"/stations/{number}/screen", f"/stations/{number}/screen.json"):
            answer = await manager.get(path)
            assert (answer.status_code, code_of(answer)) == (404, "not_found"), path


async def test_an_address_that_cannot_be_stored_is_refused(town: Town) -> None:
    volunteer = await town.volunteer()
    for path in ("/K/%00", "/api/v1/errors/%00", "/records?before=%00", "/K/%FF%FE", "/K/%ED%A0%80"):
        answer = await volunteer.get(path)
        assert (answer.status_code, code_of(answer)) == (400, "text_has_nul"), path


async def test_a_very_long_address_is_refused_as_that(town: Town) -> None:
    for path in ("/api/v1/errors/" + "x" * 4000, "/api/v1/rewards?cursor=" + "福" * 450):
        assert problem(await town.stranger().get(path)) == (414, "address_too_long")


def test_an_app_with_an_unguarded_route_does_not_start(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    @get("/api/v1/forgotten")
    async def forgotten() -> None: ...

    from api import rest

    monkeypatch.setattr(rest, "handlers", [*rest.handlers, forgotten])
    with pytest.raises(Unguarded, match="GET /api/v1/forgotten"):
        create_app(town.bank)


def test_a_table_that_names_what_is_not_there_does_not_start(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACCESS, "GET /gone", MEMBERS)
    with pytest.raises(Unguarded, match="GET /gone"):
        create_app(town.bank)


async def test_a_route_that_slipped_in_is_closed(town: Town) -> None:
    @get("/api/v1/slipped-in")
    async def slipped_in() -> None: ...

    town.app = create_app(town.bank)
    town.app.register(slipped_in)
    admin = await town.with_role("admin")
    assert problem(await admin.get("/api/v1/slipped-in")) == (403, "role_not_allowed")


def test_only_plain_routes_can_be_guarded() -> None:
    @websocket("/mounted")
    async def mounted(socket: WebSocket[Any, Any, Any]) -> None: ...

    app = Litestar([mounted], openapi_config=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "ACCESS", {})
        with pytest.raises(Unguarded, match="/mounted"):
            admission.refuse_unguarded(app)


HOSTS = (
    (None, "127.0.0.1:8000", True),
    (None, "localhost", True),
    (None, "[::1]:8000", True),
    (None, "192.0.2.7:8000", True),
    (None, "evil.example", False),
    (None, "", False),
    (None, "[bad", False),
    ("https://bank.example", "bank.example", True),
    ("https://bank.example", "BANK.example:443", True),
    ("https://bank.example", "evil.example", False),
    ("https://bank.example", "bank.example.evil.example", False),
    ("https://bank.example", "192.0.2.7", False),
    ("https://bank.example", "localhost", True),
)


@pytest.mark.parametrize("public_url", [None, "https://bank.example"])
async def test_the_bank_answers_to_its_own_names(build: Build, public_url: str | None) -> None:
    async with build(public_url=public_url) as town:
        for host, served in [(host, served) for url, host, served in HOSTS if url == public_url]:
            answer = await town.stranger().get("/api/v1/errors/unexpected", headers={"Host": host})
            assert answer.status_code == (200 if served else 421), host
            if not served:
                assert problem(answer) == (421, "host_unknown")


WITH_CAMERA = (
    "GET /scan",
    "GET /offline",
    "GET /counter",
    "GET /helpers",
    "GET /stations/{number}",
    "GET /stations/{number}/person",
    "GET /kiosk",
)


async def test_every_answer_has_the_headers_of_a_careful_service(town: Town) -> None:
    admin = await town.with_role("admin")
    for route in ACCESS:
        answer = await knock(admin, route)
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff", route
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        # Where a camera reads codes, what reads them is compiled; nothing looser anywhere.
        allowed = " 'wasm-unsafe-eval'" if route in WITH_CAMERA and answer.status_code == 200 else ""
        assert f"script-src 'self'{allowed};" in headers["content-security-policy"], route
        assert "unsafe" not in headers["content-security-policy"].replace(allowed or "-", "")
        assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])
        public = route in ("GET /api/v1/openapi.json",)
        kept = "public, max-age=3600" if public else "no-cache" if route == "GET /service-worker.js" else "no-store"
        assert headers["cache-control"] == kept, route
        assert "server" not in headers


async def test_own_files_may_be_kept_and_set_no_cookie(town: Town) -> None:
    page = await town.stranger().get("/sign-in")
    path = re.search(r'href="(/static/[^"]+\.css)"', page.text)[1]
    answer = await town.stranger().get(path)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "set-cookie" not in answer.headers
    # Packed for who takes it so, and the same for who does not.
    assert answer.headers["content-encoding"] == "gzip"
    plain = await town.stranger().get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == answer.text


async def test_things_of_others_are_not_there(town: Town) -> None:
    """Ids of another's records, redemptions, stations: known, and of no use."""
    async with town.bank.engine.begin() as connection:
        other = await town.city.add_station(connection, region_id=town.city.other_community_id)
    manager = await town.member(town.city.manager_id)
    clerk = await town.member(town.city.clerk_id)
    admin = await town.with_role("admin", region_id=town.city.other_district_id)
    volunteer = await town.volunteer()
    record_id = await town.serve(volunteer)
    assert problem(await manager.get(f"/api/v1/stations/{other.number}/codes")) == (404, "not_found")
    assert problem(await admin.get(f"/api/v1/stations/{town.city.station.number}/codes")) == (404, "not_found")
    assert problem(await admin.get(f"/api/v1/queue/{record_id}")) == (404, "not_found")
    assert (await manager.get(f"/api/v1/queue/{record_id}")).status_code == 200
    body = {"id": admin.new_id(), "record_id": record_id, "verdict": "verify"}
    assert problem(await admin.send("/api/v1/decisions", body)) == (404, "not_found")
    body = {"station_id": str(other.id), "code": "12345678"}
    assert problem(await clerk.send("/api/v1/counter", body)) == (404, "not_found")
    listed = (await admin.get(f"/api/v1/queue?station_id={town.city.station.id}")).json()
    assert listed["records"] == []
    assert [UUID(row["id"]) for row in (await admin.get("/api/v1/stations")).json()["stations"]] == [other.id]
