"""Documents seen at a desk: what is kept of them, what is not, and whose a document is that two members show."""

import asyncio
import gc
import hmac
import json
from collections.abc import Iterator
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from tests.api.conftest import Build
from tests.api.people import Person, Town, problem
from tests.api.test_privacy import fill
from tests.timebank.test_gateways import served
from timebank import doctor, identities, members
from timebank.errors import Invalid
from timebank.gateways import signature
from timebank.tables import audit_entry, identity_check, metadata

# From the standard itself, and made for this test.
NUMBER, SECOND = "11010519491231002X", "440524188001010014"


@pytest.fixture(scope="module", autouse=True)
def swept() -> Iterator[None]:
    """What refused transactions leave behind is collected here, and not while something else is parsed."""
    yield
    gc.collect()


async def see(manager: Person, member_id: UUID, number: str = NUMBER, kind: str = "id_card") -> Any:
    """Say that one has seen a document."""
    body = {"kind": kind, "number": number}
    return await manager.send(f"/api/v1/members/{member_id}/identity-checks", body)


@pytest.mark.parametrize(
    ("kind", "number", "found"),
    [
        ("id_card", NUMBER, NUMBER),
        ("id_card", " １１０１０５ 19491231-002x ", NUMBER),
        ("passport", "e1234 5678", "E12345678"),
        ("permit", "H12345678", "H12345678"),
        ("id_card", "110105194912310021", None),
        ("id_card", "110105491231002", None),
        # The day is no day, has not been yet, or nobody lives that was born then.
        ("id_card", SECOND, None),
        ("id_card", "110105202613310011", None),
        ("id_card", "11010520300101001X", None),
        ("id_card", "١١٠١٠٥١٩٤٩١٢٣١٠٠٢X", None),
        ("passport", "护照一二三四五", None),
        ("passport", "1234", None),
        ("library card", "12345", None),
        ("id_card", f"{NUMBER}{' ' * 80}", None),
    ],
)
def test_numbers_are_read_as_people_type_them_and_checked(kind: str, number: str, found: str | None) -> None:
    today = date(2026, 11, 30)
    if found is not None:
        assert identities.plain(kind, number, today) == found
        return
    with pytest.raises(Invalid) as caught:
        identities.plain(kind, number, today)
    assert number not in str(caught.value.data)


async def test_a_document_is_seen_at_the_desk_and_its_number_kept_nowhere(town: Town) -> None:
    member_id, manager = await town.join("林有证"), await town.member(town.city.manager_id)
    path = f"/stations/{town.city.station.number}/identity"
    typed = {"member": town.city.phones[member_id], "kind": "id_card", "number": NUMBER}
    with capture_logs() as said:
        refused = await manager.fill(path, **typed)
        assert (refused.status_code, NUMBER in refused.text) == (422, False)
        refused = await manager.fill(path, **{**typed, "number": "110105194912310021"}, seen="yes")
        assert (refused.status_code, "110105194912310021" in refused.text) == (422, False)
        page = await manager.fill(path, **typed, seen="yes")
        assert (page.status_code, "林有证" in page.text, NUMBER in page.text) == (200, True, False)
    assert said
    assert NUMBER not in str(said)
    volunteer = await town.member(member_id)
    assert "002X" in (await volunteer.get("/privacy")).text
    data = (await volunteer.get("/api/v1/me/data")).json()["data"]
    assert (data["identity_check"]["ending"], data["identity_check"]["state"]) == ("002X", "checked")
    admin = await town.with_role("admin")
    assert "002X" in (await admin.get(f"/admin/members/{member_id}")).text
    async with town.bank.engine.begin() as connection:
        everything = [
            str([tuple(row) for row in await connection.execute(text(f"SELECT * FROM {table}"))])
            for table in metadata.tables
        ]
        assert not [found for found in everything if NUMBER in found or NUMBER[6:14] in found]
        await members.erase(connection, town.bank.book_id, member_id, now=town.watch.now)
        query = select(identity_check).where(identity_check.c.book_id == town.bank.book_id)
        assert (await connection.execute(query)).all() == []


async def test_nobody_sees_their_own_or_somebody_elsewhere(town: Town) -> None:
    manager = await town.member(town.city.manager_id)
    assert problem(await see(manager, town.city.manager_id)) == (403, "role_not_allowed")
    elsewhere = await town.join("林远", region_id=town.city.other_community_id)
    assert problem(await see(manager, elsewhere)) == (404, "not_found")
    assert problem(await see(await town.volunteer(), elsewhere)) == (403, "role_not_allowed")


async def test_a_document_that_two_show_is_held_until_an_administrator_has_looked(town: Town) -> None:
    first, second = await town.join("林甲"), await town.join("林乙")
    manager, admin = await town.member(town.city.manager_id), await town.with_role("admin")
    assert (await see(manager, first)).json() == {"state": "checked"}
    # The same one again changes nothing.
    assert (await see(manager, first)).json() == {"state": "checked"}
    assert (await see(manager, second, NUMBER.lower())).json() == {"state": "held"}
    third = await town.join("林丙")
    town.watch.move(seconds=1)
    assert (await see(manager, third)).json() == {"state": "held"}
    # Page by page, the latest first, and of a region.
    newest = (await admin.get("/api/v1/held-documents?limit=1")).json()
    older = (await admin.get(f"/api/v1/held-documents?limit=1&cursor={newest['following']}")).json()
    assert [each["name"] for listed in (newest, older) for each in listed["documents"]] == ["林丙", "林乙"]
    assert older["following"] is None
    for region_id, found in ((town.city.street_id, True), (town.city.other_district_id, False)):
        listed = await admin.get(f"/api/v1/held-documents?region_id={region_id}")
        assert [each["kind"] for each in listed.json()["documents"]] == ["id_card"] * 2 * found
        assert ("林乙" in (await admin.get(f"/admin/identities?region_id={region_id}")).text) == found
    shown = (await admin.get("/admin/identities?limit=1")).text
    assert "林丙" in shown
    assert f"/admin/identities?cursor={newest['following']}" in shown
    refused = {"id": admin.new_id(), "verdict": "refuse"}
    assert (await admin.send(f"/api/v1/members/{third}/identity-decision", refused)).status_code == 201
    page = f"/admin/members/{second}"
    assert f"/admin/members/{first}" in (await admin.get(page)).text
    # Who is held serves as before.
    assert await town.serve(await town.member(second))
    assert await fill(admin, page, f"{page}/identity", verdict="refuse") == f"{page}?saved=1"
    again = await admin.send(f"/api/v1/members/{second}/identity-decision", {"id": admin.new_id(), "verdict": "accept"})
    assert problem(again) == (409, "conflict")
    assert (await see(manager, second)).json() == {"state": "held"}
    accepted = await admin.send(
        f"/api/v1/members/{second}/identity-decision", {"id": admin.new_id(), "verdict": "accept"}
    )
    assert accepted.status_code == 201
    async with town.bank.engine.connect() as connection:
        query = select(identity_check.c.member_id, identity_check.c.state).where(
            identity_check.c.book_id == town.bank.book_id
        )
        assert [tuple(row) for row in await connection.execute(query)] == [(second, "checked")]
        trail = select(audit_entry.c.action).where(
            audit_entry.c.book_id == town.bank.book_id, audit_entry.c.action.startswith("identity.")
        )
        found = sorted(await connection.scalars(trail))
    assert found == ["identity.accept", *["identity.check"] * 5, "identity.refuse", "identity.refuse", "identity.void"]
    assert "林乙" not in (await admin.get("/admin/identities")).text


async def test_two_who_show_it_at_once_are_not_both_its_owner(town: Town) -> None:
    people = [await town.join(f"林{number}") for number in range(4)]
    manager = await town.member(town.city.manager_id)
    answers = await asyncio.gather(*(see(manager, member_id) for member_id in people))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert [answer.json().get("state") for answer in answers].count("checked") == 1


async def test_a_register_is_asked_first_and_signed_and_may_be_away(build: Build) -> None:
    asked: list[dict[str, Any]] = []
    will: list[tuple[int, bytes] | None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        right = signature("register key", headers["x-timebank-timestamp"], body)
        assert hmac.compare_digest(right, headers["x-timebank-signature"])
        asked.append(json.loads(body))
        what = will.pop(0)
        if what is None:
            await reader.read()
            return
        status, said = what
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n".encode() + said)
        await writer.drain()

    async with served(talk) as port:
        url = f"http://127.0.0.1:{port}/names"
        async with build(identity_url=url, identity_key="register key") as town:
            assert town.bank.register
            town.bank.register = identities.Register(url, "register key", answer_seconds=2.0)
            member_id, manager = await town.join("林核验"), await town.member(town.city.manager_id)
            for what, code in (
                ((200, b'{"match": false}'), (422, "identity_mismatch")),
                ((500, b""), (503, "identity_down")),
                ((200, b"yes"), (503, "identity_down")),
                ((200, b'{"match": "yes"}'), (503, "identity_down")),
                (None, (503, "identity_down")),
            ):
                will.append(what)
                assert problem(await see(manager, member_id)) == code, what
            will.append((200, b'{"match": true}'))
            assert (await see(manager, member_id)).json() == {"state": "checked"}
            assert {(each["name"], each["kind"], each["number"]) for each in asked} == {("林核验", "id_card", NUMBER)}
            found = await asyncio.to_thread(doctor.check_register, town.bank.settings)
            assert [each.code for each in found] == ["register_reached"]
    found = await asyncio.to_thread(doctor.check_register, town.bank.settings)
    assert [each.code for each in found] == ["register_unreachable"]
