"""What is sent badly: each kind is refused with its code, and none makes the service fail."""

import json
from typing import Any

import httpx
import pytest

from api.app import BODY_LIMIT_BYTES
from api.bodies import DEPTH_LIMIT, complaint, read_json
from api.problems import Problem
from api.rest.operation import Body
from tests.api.people import Town, problem

ID = "018f0000-0000-7000-8000-000000000000"
WRITES = (
    "/api/v1/sessions",
    "/api/v1/phone-codes",
    "/api/v1/phone-codes/sessions",
    "/api/v1/tickets",
    "/api/v1/check-ins",
    "/api/v1/check-outs",
    "/api/v1/decisions",
    "/api/v1/decisions/bulk",
    "/api/v1/redemptions",
    f"/api/v1/redemptions/{ID}/cancellation",
    "/api/v1/counter",
    "/api/v1/fulfilments",
    "/api/v1/stations",
)

MALFORMED: list[tuple[bytes, int, str]] = [
    (b"", 400, "json_malformed"),
    (b"{", 400, "json_malformed"),
    (b"null", 422, "invalid"),
    (b"[]", 422, "invalid"),
    (b'"text"', 422, "invalid"),
    (b"{} {}", 400, "json_malformed"),
    (b"{'id': 1}", 400, "json_malformed"),
    (b'{"id": NaN}', 400, "json_malformed"),
    (b'{"id": -Infinity}', 400, "json_malformed"),
    (b'{"id": 1' + b"0" * 5000 + b"}", 400, "json_malformed"),
    (b'{"id": 1e999}', 422, "invalid"),
    (b'{"id": "\\ud800"}', 400, "text_has_nul"),
    (b'{"id": "\\u0000"}', 400, "text_has_nul"),
    (b'{"\\u0000": 1}', 400, "text_has_nul"),
    (b'{"id": ["\\u0000"]}', 400, "text_has_nul"),
    (b'{"id": "\xff"}', 400, "text_not_utf8"),
    (b'\xef\xbb\xbf{"id": 1}', 400, "json_malformed"),
    (b'{"id": 1, "id": 2}', 400, "json_duplicate_key"),
    (b'{"id": {"a": 1, "a\\u0000": 2, "a": 3}}', 400, "json_duplicate_key"),
    (b"[" * 17 + b"]" * 17, 400, "json_too_deep"),
    (b'{"a":' * 100_00 + b"1" + b"}" * 100_00, 400, "json_too_deep"),
    (b"[" * 100_000, 400, "json_too_deep"),
    (b'{"nobody_reads_this": 1}', 422, "invalid"),
    (b"{}", 422, "invalid"),
    (b"x" * (BODY_LIMIT_BYTES + 1), 413, "body_too_large"),
]


async def admin_and_clerk(town: Town) -> Any:
    """Somebody to whom every route is open."""
    member_id = await town.join("万能")
    async with town.bank.engine.begin() as connection:
        for role in ("admin", "clerk", "manager"):
            await town.city.grant(connection, member_id, role, region_id=town.city.region_id)
    return await town.member(member_id)


async def test_a_body_that_cannot_be_read_is_refused_with_its_code(town: Town) -> None:
    person = await admin_and_clerk(town)
    for path in WRITES:
        for body, status, code in MALFORMED:
            answer = await person.send(path, body)
            assert problem(answer) == (status, code), (path, body[:60], answer.text)


async def test_a_body_without_its_length_is_measured_too(town: Town) -> None:
    async def pieces() -> Any:
        for _ in range(BODY_LIMIT_BYTES // 1000 + 2):
            yield b" " * 1000

    answer = await town.stranger().client.post(
        "/api/v1/sessions",
        content=pieces(),
        headers={"Origin": "http://127.0.0.1:8000", "Content-Type": "application/json"},
    )
    assert problem(answer) == (413, "body_too_large")


async def test_a_long_honest_body_is_taken(town: Town) -> None:
    manager = await town.member(town.city.manager_id)
    ticks = [{"id": manager.new_id(), "record_id": ID} for _ in range(1000)]
    answer = await manager.send("/api/v1/decisions/bulk", {"decisions": ticks})
    assert {told["code"] for told in answer.json()["answers"]} == {"not_found"}
    answer = await manager.send("/api/v1/decisions/bulk", {"decisions": [*ticks, ticks[0]]})
    assert problem(answer) == (422, "invalid")
    assert answer.json()["data"] == {"field": "decisions", "reason": "too_long"}
    answer = await manager.send("/api/v1/decisions/bulk", {"decisions": []})
    assert answer.json()["data"] == {"field": "decisions", "reason": "empty"}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_says_that_it_is_json(town: Town, kind: str) -> None:
    body = {"phone": "+8613900000001", "password": "x"}
    answer = await town.stranger().send("/api/v1/sessions", json.dumps(body).encode(), Content_Type=kind)
    assert problem(answer) == (415, "content_type_unsupported")


FIELDS: list[tuple[str, dict[str, Any], str, str]] = [
    ("check-ins", {"id": "x", "code": "y"}, "id", "type"),
    ("check-ins", {"id": 1, "code": "y"}, "id", "type"),
    ("check-ins", {"id": "018f0000-0000-4000-8000-000000000000", "code": "y"}, "id", "uuid7"),
    ("check-ins", {"id": ID}, "code", "missing"),
    ("check-ins", {"id": ID, "code": "y" * 601}, "code", "too_long"),
    ("check-ins", {"id": ID, "code": "y", "phone_time": "2026-03-02T09:00:00"}, "phone_time", "type"),
    ("check-ins", {"id": ID, "code": "y", "phone_time": "0001-01-01T00:00:00+14:00"}, "phone_time", "range"),
    ("check-ins", {"id": ID, "code": "y", "phone_time": "9999-12-31T23:59:59-14:00"}, "phone_time", "range"),
    ("check-ins", {"id": ID, "code": "y", "phone_time": 1}, "phone_time", "type"),
    ("decisions", {"id": ID, "record_id": ID, "verdict": "forgive"}, "verdict", "unknown"),
    ("decisions", {"id": ID, "record_id": ID, "verdict": "adjust", "minutes": -1}, "minutes", "range"),
    ("decisions", {"id": ID, "record_id": ID, "verdict": "adjust", "minutes": 1441}, "minutes", "range"),
    ("decisions", {"id": ID, "record_id": ID, "verdict": "adjust", "minutes": 2**63}, "minutes", "range"),
    ("decisions", {"id": ID, "record_id": ID, "verdict": "adjust", "minutes": 1.5}, "minutes", "type"),
    ("decisions", {"id": ID, "record_id": ID, "verdict": "adjust", "minutes": "60"}, "minutes", "type"),
    ("decisions", {"id": ID, "record_id": ID, "verdict": "adjust", "minutes": True}, "minutes", "type"),
    ("decisions", {"id": ID, "record_id": ID, "verdict": "reject", "reason": "x" * 501}, "reason", "too_long"),
    ("decisions/bulk", {"decisions": [{"id": ID}]}, "decisions[0].record_id", "missing"),
]


@pytest.mark.parametrize(("path", "body", "field", "reason"), FIELDS)
async def test_a_field_that_cannot_be_taken_is_named(
    town: Town, path: str, body: dict[str, Any], field: str, reason: str
) -> None:
    manager = await town.member(town.city.manager_id)
    answer = await manager.send(f"/api/v1/{path}", body)
    assert problem(answer) == (422, "invalid")
    assert answer.json()["data"] == {"field": field, "reason": reason}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("cursor=x", "cursor_invalid"),
        ("cursor=1.2", "cursor_invalid"),
        (f"cursor=9999999999999999999.{'0' * 32}", "cursor_invalid"),
        ("cursor=%D9%A1." + "0" * 32, "cursor_invalid"),
        ("cursor=1." + "0" * 32 + "&cursor=2." + "0" * 32, "invalid"),
        ("limit=0", "invalid"),
        ("limit=101", "invalid"),
        ("limit=-1", "invalid"),
        ("limit=1e2", "invalid"),
        ("limit=%D9%A1", "invalid"),
        ("limit=" + "9" * 30, "invalid"),
        ("limit=1&limit=2", "invalid"),
    ],
)
async def test_a_page_that_cannot_be_asked_for_is_refused(town: Town, query: str, code: str) -> None:
    manager = await town.member(town.city.manager_id)
    for path in ("records", "redemptions", "queue", "statement"):
        assert problem(await manager.get(f"/api/v1/{path}?{query}")) == (422, code), path


async def test_the_ends_of_time_are_no_failure(town: Town) -> None:
    manager = await town.member(town.city.manager_id)
    for at in ("0", "9999999999999999"):
        for path in ("records", "redemptions", "queue", "statement"):
            answer = await manager.get(f"/api/v1/{path}?cursor={at}.{'0' * 32}")
            assert answer.status_code in (200, 422), (path, answer.text)


@pytest.mark.parametrize("query", ["station_id=x", "station_id=1&station_id=2"])
async def test_a_parameter_that_is_no_id_is_refused(town: Town, query: str) -> None:
    manager = await town.member(town.city.manager_id)
    answer = await manager.get(f"/api/v1/queue?{query}")
    assert problem(answer) == (422, "invalid")
    assert answer.json()["data"]["field"] == "station_id"


NAUGHTY = ["", " ", "\u202e", "<script>alert(1)</script>", "'; DROP TABLE member; --", "𝕏" * 50, "é" * 199, "\ufeff"]


@pytest.mark.parametrize("text", NAUGHTY)
async def test_strange_texts_are_stored_or_refused(town: Town, text: str) -> None:
    admin = await town.with_role("admin")
    values = dict.fromkeys(("name_zh", "name_en", "address", "organising_unit", "person_in_charge"), text)
    ids = {
        "region_id": str(town.city.community_id),
        "fund_id": str(town.city.fund_id),
        "service_kind_id": str(town.city.kinds["help_elderly"]),
    }
    answer = await admin.send("/api/v1/stations", {"id": admin.new_id(), **ids, **values})
    assert answer.status_code in (201, 422), answer.text


@pytest.mark.parametrize("text", [*NAUGHTY, "\r\nSet-Cookie: x=1", "%0d%0a", "../../etc/passwd", "1" * 600])
async def test_strange_codes_are_refused(town: Town, text: str) -> None:
    person = await admin_and_clerk(town)
    for path in ("/api/v1/tickets", "/api/v1/check-ins", "/api/v1/fulfilments", "/api/v1/counter"):
        body = {"id": person.new_id(), "station_id": str(town.city.station.id), "code": text}
        wanted = {"tickets": ("code",), "check-ins": ("id", "code"), "counter": ("station_id", "code")}
        names = wanted.get(path.rpartition("/")[2], tuple(body))
        answer = await person.send(path, {name: body[name] for name in names})
        assert answer.status_code == 422, answer.text


async def test_a_sender_who_hangs_up_in_the_middle_gets_a_problem_nobody_reads(town: Town) -> None:
    sent: list[dict[str, Any]] = []
    messages = iter([{"type": "http.request", "body": b'{"phone":', "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/sessions",
        "raw_path": b"/api/v1/sessions",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"origin", b"http://127.0.0.1:8000"),
            (b"content-type", b"application/json"),
            (b"content-length", b"100"),
        ],
    }
    await town.app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["code"] == "body_incomplete"


class Pair(Body, frozen=True):
    """Two fields."""

    one: int
    two: tuple[str, ...] = ()


def test_depth_is_counted_outside_of_texts() -> None:
    text = "[" * 40 + '\\"' + "{" * 40
    body = json.dumps({"one": 1, "two": [text]}).encode()
    assert read_json(body, Pair).two == (text,)
    shallow = b'{"one": 1, "two": [' + b",".join([b'"[]"'] * 40) + b"]}"
    assert len(read_json(shallow, Pair).two) == 40
    nested = b'{"one":' + b"[" * (DEPTH_LIMIT - 1) + b"]" * (DEPTH_LIMIT - 1) + b"}"
    with pytest.raises(Problem, match="invalid"):
        read_json(nested, Pair)
    many = b'{"one": 1, "two": [' + b",".join([b"[]"] * 40) + b"]}"
    with pytest.raises(Problem, match="invalid"):
        read_json(many, Pair)


def test_surrogate_pairs_that_are_whole_are_text() -> None:
    assert read_json(b'{"one": 1, "two": ["\\ud83d\\ude00"]}', Pair).two == ("😀",)


def test_every_complaint_has_a_reason() -> None:
    assert complaint("Expected `int`") == {"field": "", "reason": "type"}
    assert complaint("Expected `str` of length >= 1 - at `$.a.b`") == {"field": "a.b", "reason": "empty"}
    assert complaint("Integer value out of range - at `$.a`") == {"field": "a", "reason": "range"}


def test_httpx_is_what_the_tests_think_it_is() -> None:
    """A form that is sent as data is a form; else the walk over the routes would test nothing."""
    request = httpx.Request("POST", "http://x", data={"a": "b"})
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
