"""Tokens that read: each by its own scope, what its maker sees and nothing more, and never a write."""

import re
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select, update

from api import guards, reading
from api.rest import handlers
from tests.api.people import Person, Town, problem
from tests.api.test_routes import address
from timebank import read_tokens
from timebank.tables import READ_SCOPES, audit_entry, member, read_token

ROOT = "/api/v1"


async def made(person: Person, scope: str, name: str = "统计系统", life_days: int = 30) -> str:
    """A new token's secret."""
    body = {"id": person.new_id(), "name": name, "scope": scope, "life_days": life_days}
    answer = await person.send(f"{ROOT}/me/read-tokens", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


async def read(program: Person, secret: str, path: str, method: str = "GET") -> httpx.Response:
    """What a program without any cookie gets."""
    headers = {"Authorization": f"Bearer {secret}", "Origin": program.address}
    return await program.client.request(method, path, headers=headers, json=None if method == "GET" else {})


def code_of(answer: httpx.Response) -> str | None:
    """The code of a refusal."""
    return problem(answer)[1] if answer.headers.get("content-type") == "application/problem+json" else None


async def test_a_token_opens_the_routes_of_its_scope_and_writes_nowhere(town: Town) -> None:
    boss = await town.with_role("admin")
    async with town.bank.engine.begin() as connection:
        for role in ("manager", "clerk"):
            await town.city.grant(connection, boss.member_id, role, region_id=town.city.region_id)
    program = town.stranger()
    for scope in READ_SCOPES:
        secret = await made(boss, scope)
        for route in guards.ACCESS:
            method, path = route.split()
            # Whatever the scope, no write is looked at any further.
            if not path.startswith("/api/") or (method != "GET" and scope != "people"):
                continue
            code = code_of(await read(program, secret, address(path), method))
            if method != "GET":
                assert code == "read_token_writes", route
            elif route in reading.ROUTES[scope]:
                assert code in (None, "not_found", "invalid"), (route, code)
            else:
                assert code == "read_token_scope", (route, code)


def test_every_list_of_a_branch_is_read_by_exactly_one_scope() -> None:
    named = [route for routes in reading.ROUTES.values() for route in routes]
    assert len(named) == len(set(named))
    assert set(reading.ROUTES) == set(READ_SCOPES)
    # The rules are the same for every member; what is one's own is read by nobody else's program.
    assert {route for route in named if guards.ACCESS[route].to != "roles"} == {"GET /api/v1/policy-versions"}
    lists = {
        re.sub(r":\w+\}", "}", f"GET {path}")
        for handler in handlers
        if handler.opt["operation"].is_list
        for path in handler.paths
    }
    of_branch = {route for route in lists if guards.ACCESS[route].to == "roles"}
    assert of_branch == {route for route in named if route in lists and guards.ACCESS[route].to == "roles"}


async def test_a_token_reads_what_its_maker_sees_until_it_ends(town: Town) -> None:
    boss, bank, city, program = await town.with_role("admin"), town.bank, town.city, town.stranger()
    everybody = (await boss.get(f"{ROOT}/members")).json()
    secret = await made(boss, "people", life_days=3)
    assert secret.startswith("timebank-read-")
    assert (await read(program, secret, f"{ROOT}/members")).json() == everybody
    table = await read(program, secret, f"{ROOT}/members?format=csv")
    assert table.text.count("\n") == len(everybody["members"]) + 1
    # A page is no program's.
    assert (await read(program, secret, "/admin/members")).status_code == 303
    assert code_of(await read(program, secret[:-1], f"{ROOT}/members")) == "read_token_unknown"
    (token,) = (await boss.get(f"{ROOT}/me/read-tokens")).json()["tokens"]
    assert (token["name"], token["scope"]) == ("统计系统", "people")
    assert token["used_at"] == token["made_at"]
    assert secret not in str(token)
    # The bank itself could not show it again.
    async with bank.engine.connect() as connection:
        rows = (await connection.execute(select(read_token).where(read_token.c.book_id == bank.book_id))).all()
    assert secret not in str(rows)
    assert "统计系统".encode() not in rows[0].name

    other = await made(boss, "people", "别的")
    answer = await boss.send(f"{ROOT}/me/read-tokens/{token['id']}/revocation", {"id": boss.new_id()})
    assert answer.status_code == 201
    assert code_of(await read(program, secret, f"{ROOT}/members")) == "read_token_unknown"
    assert (await read(program, other, f"{ROOT}/members")).status_code == 200
    town.watch.move(days=29, hours=23)
    assert (await read(program, other, f"{ROOT}/members")).status_code == 200
    town.watch.move(hours=2)
    assert code_of(await read(program, other, f"{ROOT}/members")) == "read_token_unknown"

    third = await made(await town.member(city.manager_id), "people", "站点")
    queue = f"{ROOT}/queue"
    assert (await read(program, third, queue)).status_code == 200
    assert code_of(await read(program, third, f"{ROOT}/members")) == "role_not_allowed"
    async with bank.engine.begin() as connection:
        maker = (member.c.book_id == bank.book_id, member.c.id == city.manager_id)
        await connection.execute(update(member).where(*maker).values(state="suspended"))
    assert code_of(await read(program, third, queue)) == "read_token_unknown"
    async with bank.engine.connect() as connection:
        actions = await connection.scalars(
            select(audit_entry.c.action)
            .where(audit_entry.c.book_id == bank.book_id, audit_entry.c.action.startswith("read_token."))
            .order_by(audit_entry.c.at, audit_entry.c.id)
        )
        assert sorted(actions) == ["read_token.make"] * 3 + ["read_token.revoke"]


async def test_what_is_asked_for_strangely_is_refused(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    boss = await town.with_role("admin")
    right = {"name": "x", "scope": "things", "life_days": 366}
    for wrong in ({"name": " "}, {"name": "x" * 61}, {"scope": "all"}, {"life_days": 0}, {"life_days": 367}):
        answer = await boss.send(f"{ROOT}/me/read-tokens", {"id": boss.new_id(), **right, **wrong})
        assert problem(answer) == (422, "invalid"), wrong
    id = boss.new_id()
    assert (await boss.send(f"{ROOT}/me/read-tokens", {"id": id, **right})).status_code == 201
    assert problem(await boss.send(f"{ROOT}/me/read-tokens", {"id": id, **right}))[1] == "conflict"
    monkeypatch.setattr(read_tokens, "MOST", 1)
    answer = await boss.send(f"{ROOT}/me/read-tokens", {"id": boss.new_id(), **right})
    assert answer.json()["data"] == {"field": "read_tokens", "reason": "too_large"}
    # What has ended makes room.
    town.watch.now += timedelta(days=367)
    boss = await town.member(boss.member_id)
    assert await made(boss, "things")


async def test_a_manager_makes_a_token_on_a_page_that_shows_it_once(town: Town) -> None:
    manager, program = await town.member(town.city.manager_id), town.stranger()
    assert 'href="/tokens"' in (await manager.get("/privacy")).text
    assert 'href="/tokens"' not in (await (await town.volunteer()).get("/privacy")).text
    page = await manager.fill("/tokens", id=manager.new_id(), name="看板", scope="figures", life_days="30")
    assert page.status_code == 200, page.text
    secret = re.search(r"data-secret>(timebank-read-[\w-]{43})<", page.text)[1]
    assert (await read(program, secret, f"{ROOT}/stations/{town.city.station.number}/report")).status_code == 200
    page = await manager.get("/tokens")
    assert "看板" in page.text
    assert secret not in page.text
    refused = await manager.fill("/tokens", id=manager.new_id(), name="", scope="figures", life_days="30")
    assert refused.status_code == 422
    token_id = re.search(r"/tokens/([\w-]{36})/revocation", page.text)[1]
    done = await manager.fill(f"/tokens/{token_id}/revocation", id=manager.new_id())
    assert done.status_code == 303
    assert "看板" not in (await manager.get(done.headers["location"])).text
    again = await manager.fill(f"/tokens/{token_id}/revocation", id=manager.new_id())
    assert again.status_code == 404
