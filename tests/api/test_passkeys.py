"""Passkeys over HTTP, with devices made of software: who gets in, who does not, and with which word."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from tests.api.conftest import Build
from tests.api.devices import Device, add, invited, text
from tests.api.people import Person, Town, problem
from tests.api.test_privacy import fill
from timebank import members, membership, merging, passkeys, retention
from timebank.tables import audit_entry, passkey, passkey_challenge

ADDRESS = "http://localhost:8000"


async def manager_of(town: Town) -> Person:
    """The station's manager, at an address with a name."""
    return await town.member(town.city.manager_id, address=ADDRESS)


async def asked(person: Person) -> dict[str, Any]:
    """What somebody may sign in with."""
    answer = await person.send("/api/v1/passkey-challenges", {})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def sign_in(town: Town, device: Device, **more: str) -> httpx.Response:
    """Sign in by a passkey, in a browser that has never been here."""
    stranger = town.stranger(ADDRESS)
    return await stranger.send("/api/v1/passkey-sessions", {**device.signed(await asked(stranger)), **more})


async def actions(town: Town) -> list[str]:
    """What stands in the trail about passkeys."""
    async with town.bank.engine.connect() as connection:
        query = select(audit_entry.c.action).where(
            audit_entry.c.book_id == town.bank.book_id, audit_entry.c.action.startswith("passkey.")
        )
        return list(await connection.scalars(query.order_by(audit_entry.c.at, audit_entry.c.id)))


async def test_a_manager_adds_passkeys_signs_in_by_them_and_removes_one(town: Town) -> None:
    manager, phone, key = await manager_of(town), Device(counts=1), Device()
    home = (await manager.get("/")).text
    assert 'href="/passkeys"' in home
    for device, name in ((phone, "我的手机"), (key, "钥匙扣")):
        answer = await add(manager, device, name)
        assert answer.status_code == 201, answer.text
        town.watch.move(minutes=1)
    # Asked once, while there is none.
    assert 'href="/passkeys"' not in (await manager.get("/")).text
    phone.counts = 2
    stranger = town.stranger(ADDRESS)
    answer = await stranger.send("/api/v1/passkey-sessions", phone.signed(await asked(stranger)))
    assert (answer.status_code, answer.json()["member_id"]) == (201, str(town.city.manager_id))
    assert (await stranger.get("/api/v1/me")).json()["member_id"] == str(town.city.manager_id)
    # One that does not count signs in again and again.
    for _ in range(2):
        assert (await sign_in(town, key)).status_code == 201
    listed = (await manager.get("/api/v1/me/passkeys")).json()["passkeys"]
    assert [each["name"] for each in listed] == ["我的手机", "钥匙扣"]
    assert all(each["used_at"] for each in listed)
    assert "钥匙扣" in (await manager.get("/passkeys")).text
    data = (await manager.get("/api/v1/me/data")).json()["data"]
    assert [each["name"] for each in data["passkeys"]] == ["我的手机", "钥匙扣"]
    # What was removed signs nobody in.
    assert await fill(manager, "/passkeys", f"/passkeys/{listed[0]['id']}/removal") == "/passkeys?done=removed"
    phone.counts = 3
    assert problem(await sign_in(town, phone)) == (401, "passkey_unknown")
    assert await actions(town) == ["passkey.add", "passkey.add", "passkey.remove"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "https://bank.example.evil.example"},
        {"origin": "http://localhost:9000"},
        {"flags": 0x01},
        {"flags": 0x04},
        {"rp_id": "evil.example"},
        {"signature": text(b"no signature")},
        {"user": text(b"somebody else's")},
        {"user": ""},
        {"client_data": text(b"nonsense")},
        {"authenticator_data": text(b"short")},
    ],
)
async def test_what_does_not_prove_it_signs_nobody_in(town: Town, wrong: dict[str, Any]) -> None:
    device = Device()
    assert (await add(await manager_of(town), device)).status_code == 201
    for name in ("origin", "flags"):
        setattr(device, name, wrong.get(name, getattr(device, name)))
    stranger = town.stranger(ADDRESS)
    question = await asked(stranger)
    signed = device.signed({**question, "rp_id": wrong.get("rp_id", question["rp_id"])})
    signed |= {name: value for name, value in wrong.items() if name in signed}
    answer = await stranger.send("/api/v1/passkey-sessions", signed)
    assert problem(answer) == (401, "passkey_refused")
    assert "set-cookie" not in answer.headers
    # It was answered, wrong as it was.
    right = Device(credential=device.credential, key=device.key, user=device.user).signed(question)
    if "client_data" not in wrong:
        assert problem(await stranger.send("/api/v1/passkey-sessions", right)) == (410, "passkey_expired")


async def test_a_challenge_is_answered_once_soon_and_by_whom_it_was_asked_of(town: Town) -> None:
    manager, clerk = await manager_of(town), await town.member(town.city.clerk_id, address=ADDRESS)
    device = Device()
    assert (await add(manager, device)).status_code == 201
    stranger = town.stranger(ADDRESS)
    signed = device.signed(await asked(stranger))
    assert (await stranger.send("/api/v1/passkey-sessions", signed)).status_code == 201
    replayed = await town.stranger(ADDRESS).send("/api/v1/passkey-sessions", signed)
    assert problem(replayed) == (410, "passkey_expired")
    late = device.signed(await asked(town.stranger(ADDRESS)))
    town.watch.move(minutes=5)
    assert problem(await town.stranger(ADDRESS).send("/api/v1/passkey-sessions", late)) == (410, "passkey_expired")
    # Made for the manager, sent by the clerk; made to sign in, sent to be kept.
    other = Device()
    made = {"id": clerk.new_id(), "name": "别人的", **other.made(await invited(manager))}
    assert problem(await clerk.send("/api/v1/me/passkeys", made)) == (410, "passkey_expired")
    made = {"id": clerk.new_id(), "name": "别人的", **other.made({**await asked(clerk), "user": ""})}
    assert problem(await clerk.send("/api/v1/me/passkeys", made)) == (410, "passkey_expired")
    assert problem(await sign_in(town, other)) == (401, "passkey_unknown")
    async with town.bank.engine.begin() as connection:
        await retention.drop_expired(connection, town.bank.book_id, passkey_challenge, town.watch.now + passkeys.LIFE)
        query = select(passkey_challenge).where(passkey_challenge.c.book_id == town.bank.book_id)
        assert (await connection.execute(query)).all() == []


async def test_what_is_another_persons_stays_theirs(town: Town) -> None:
    manager, clerk, device = await manager_of(town), await town.member(town.city.clerk_id, address=ADDRESS), Device()
    id = (await add(manager, device)).json()["id"]
    assert problem(await add(clerk, device)) == (409, "passkey_there")
    refused = await clerk.send(f"/api/v1/me/passkeys/{id}/removal", {"id": clerk.new_id()})
    assert problem(refused) == (404, "not_found")
    page = await manager.get("/passkeys")
    assert page.status_code == 200
    # The clerk's name for whose it is does not make it the clerk's.
    theirs = Device(credential=device.credential, key=device.key, user=(await invited(clerk))["user"])
    assert problem(await sign_in(town, theirs)) == (401, "passkey_refused")


async def test_a_device_that_counts_backwards_is_refused_and_stands_in_the_trail(town: Town) -> None:
    device = Device(counts=7)
    await add(await manager_of(town), device)
    for counts in (7, 3, 0):
        device.counts = counts
        assert problem(await sign_in(town, device)) == (401, "passkey_copied")
    device.counts = 8
    assert (await sign_in(town, device)).status_code == 201
    assert sorted(await actions(town)) == ["passkey.add", *["passkey.suspect"] * 3]


async def test_who_may_add_one_and_when(town: Town) -> None:
    volunteer, manager = await town.volunteer(), await manager_of(town)
    refused = await volunteer.send("/api/v1/me/passkey-challenges", {})
    assert problem(refused) == (403, "role_not_allowed")
    assert 'id="add"' not in (await volunteer.get("/passkeys")).text
    # A name is needed, and a proof that somebody unlocked it.
    for device, name, code in (
        (Device(flags=0x01), "我的手机", "passkey_refused"),
        (Device(origin="https://evil.example"), "我的手机", "passkey_refused"),
        (Device(), " ", "invalid"),
    ):
        assert problem(await add(manager, device, name))[1] == code
    body = {"id": manager.new_id(), "name": "x", **Device().made(await invited(manager)), "attestation": "AAAA"}
    assert problem(await manager.send("/api/v1/me/passkeys", body)) == (401, "passkey_refused")
    for number in range(passkeys.MOST):
        assert (await add(manager, Device(), f"第{number}个")).status_code == 201
    assert problem(await manager.send("/api/v1/me/passkey-challenges", {})) == (422, "invalid")
    town.watch.move(minutes=11)
    assert problem(await manager.send("/api/v1/me/passkey-challenges", {})) == (403, "sign_in_again")
    # By an address of numbers nobody has passkeys.
    by_number = await town.member(town.city.manager_id)
    for path in ("me/passkey-challenges", "passkey-challenges"):
        assert problem(await by_number.send(f"/api/v1/{path}", {})) == (409, "passkey_elsewhere")
    assert "data-passkey" not in (await town.stranger().get("/sign-in")).text
    assert "data-passkey" in (await town.stranger(ADDRESS).get("/sign-in")).text


async def test_they_are_for_the_name_that_the_operator_chose(build: Build) -> None:
    async with build(public_url="https://bank.example") as town:
        for address, status in (("https://bank.example", 201), (ADDRESS, 409)):
            assert (await town.stranger(address).send("/api/v1/passkey-challenges", {})).status_code == status


async def test_where_one_is_needed_an_office_opens_to_it_alone(build: Build) -> None:
    async with build(require_passkey=True) as town:
        manager, device = await manager_of(town), Device()
        assert problem(await manager.get("/api/v1/queue")) == (403, "passkey_needed")
        assert (await manager.get("/queue")).headers["location"] == "/passkeys"
        assert (await manager.get("/records")).status_code == 200
        assert 'data-passkey="add"' in (await manager.get("/passkeys")).text
        assert (await add(manager, device)).status_code == 201
        assert (await manager.get("/queue")).status_code == 200
        # Whoever has only the password neither works nor adds a passkey.
        other = await manager_of(town)
        assert problem(await other.get("/api/v1/queue")) == (403, "passkey_needed")
        assert problem(await other.send("/api/v1/me/passkey-challenges", {})) == (403, "passkey_needed")
        assert 'data-passkey="add"' not in (await other.get("/passkeys")).text
        stranger = town.stranger(ADDRESS)
        signed = device.signed(await asked(stranger))
        stranger.csrf = (await stranger.send("/api/v1/passkey-sessions", signed)).json()["csrf"]
        assert (await stranger.get("/api/v1/queue")).status_code == 200
        assert (await add(stranger, Device(), "第二个")).status_code == 201


async def test_a_reset_an_erasure_and_a_merger_take_them_away(town: Town) -> None:
    admin = await town.with_role("admin")
    assert admin.member_id
    people, devices = [], []
    for _ in range(3):
        clerk = await town.with_role("clerk", region_id=town.city.community_id)
        devices.append(Device())
        assert (await add(clerk, devices[-1])).status_code == 201
        people.append(clerk.member_id)
    first, second, third = people
    facts = {"now": town.watch.now, "actor_id": admin.member_id}
    async with town.bank.engine.begin() as connection:
        survivor = await town.city.add_member(connection, "林留下")
        await membership.forget_password(connection, town.bank.book_id, town.bank.keys, first, **facts)
        await members.erase(connection, town.bank.book_id, second, now=town.watch.now)
        await merging.merge(
            connection,
            town.bank.book_id,
            survivor_id=survivor,
            absorbed_id=third,
            id=town.city.new_id(),
            **facts,
        )
        query = select(passkey).where(passkey.c.book_id == town.bank.book_id)
        assert (await connection.execute(query)).all() == []
    for device in devices:
        assert problem(await sign_in(town, device)) == (401, "passkey_unknown")
