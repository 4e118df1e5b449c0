"""A kiosk over HTTP: who makes one, how it is known afterwards, what it is refused, and what it scans and hears."""

import asyncio
import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from api import watching
from tests.api.people import Person, Town, problem
from tests.api.tablets import Tablet, public_text
from tests.timebank.ways import undrawn
from timebank import codes, presence
from timebank.hourly import SLOTS_PER_HOUR
from timebank.tables import audit_entry, punch, record

PIN = "604918"
BOARD, KEYS, EVENTS, SCANS = (f"/api/v1/kiosk{path}" for path in ("", "/keys", "/events", "/card-scans"))


@pytest.fixture
async def manager(town: Town) -> Person:
    return await town.member(town.city.manager_id)


@pytest.fixture
async def tablet(town: Town, manager: Person) -> Tablet:
    return await Tablet(town, town.stranger()).enrol(manager)


async def card_of(person: Person, pin: str | None = None) -> str:
    """A member's card, as it is scanned, and its PIN."""
    answer = await person.send("/api/v1/card", {"id": person.new_id()})
    if pin:
        assert (await person.send("/api/v1/card/pin", {"pin": pin})).status_code == 201
    return str(answer.json()["code"])


def scan(town: Town, card: str, kind: str = "in", **more: Any) -> dict[str, Any]:
    """What a kiosk sends of a card."""
    return {"id": str(undrawn(town.watch.now)), "kind": kind, "code": card, **more}


async def test_a_manager_makes_a_kiosk_that_needs_nobody_afterwards(town: Town, manager: Person) -> None:
    tablet = Tablet(town, town.stranger())
    path = f"/api/v1/stations/{town.city.station.number}/kiosks"
    body = {"id": manager.new_id(), "name": "门口", "public_key": public_text(tablet.key)}
    answer = await manager.send(path, body)
    assert answer.status_code == 201
    assert (await manager.send(path, body)).json() == answer.json()
    other = {**body, "public_key": public_text(Tablet(town, manager).key)}
    assert problem(await manager.send(path, other)) == (409, "conflict")
    tablet.number = answer.json()["number"]
    assert (await tablet.ask(BOARD)).json() | {"people": [], "shifts": []} == {
        "now": town.watch.now.isoformat().replace("+00:00", "Z"),
        "device_number": tablet.number,
        "station_number": town.city.station.number,
        "name_zh": town.city.station.name_zh,
        "name_en": town.city.station.name_en,
        "state": "open",
        "address": town.bank.settings.address,
        "people": [],
        "shifts": [],
    }
    async with town.bank.engine.connect() as connection:
        query = select(audit_entry.c.action).where(audit_entry.c.subject_id == UUID(body["id"]))
        assert (await connection.execute(query)).scalars().all() == ["device.enrol"]


async def test_only_who_looks_after_the_station_makes_or_ends_its_kiosks(
    town: Town, manager: Person, tablet: Tablet
) -> None:
    elsewhere = await town.with_role("manager", region_id=town.city.other_district_id)
    path = f"/api/v1/stations/{town.city.station.number}/kiosks"
    body = {"id": elsewhere.new_id(), "name": "x", "public_key": public_text(tablet.key)}
    assert problem(await elsewhere.send(path, body)) == (404, "not_found")
    end = f"/api/v1/kiosks/{tablet.id}/revocation"
    assert problem(await elsewhere.send(end, {"id": elsewhere.new_id()})) == (404, "not_found")
    # A screen is no kiosk.
    screen = f"/api/v1/kiosks/{town.city.screen.id}/revocation"
    assert problem(await manager.send(screen, {"id": manager.new_id()})) == (404, "not_found")


@pytest.mark.parametrize(
    ("public_key", "reason"),
    [
        ("not base64!", "type"),
        ("AAAA", "type"),
        (public_text(generate_private_key(SECP384R1())), "unknown"),
        (public_text(Ed25519PrivateKey.generate()), "unknown"),
    ],
    # A key that is made anew each time is no name for a test: every worker has to know it by the same.
    ids=["no base64", "no key", "another curve", "another kind"],
)
async def test_another_kind_of_key_is_refused(town: Town, manager: Person, public_key: str, reason: str) -> None:
    path = f"/api/v1/stations/{town.city.station.number}/kiosks"
    answer = await manager.send(path, {"id": manager.new_id(), "name": "x", "public_key": public_key})
    assert problem(answer) == (422, "invalid")
    assert answer.json()["data"] == {"field": "public_key", "reason": reason}


async def test_every_credential_that_is_not_one_is_refused(town: Town, tablet: Tablet) -> None:
    async def refused(**changes: Any) -> str:
        status, code = problem(await tablet.ask(KEYS, token=tablet.credential("GET", KEYS, **changes)))
        assert status == 401
        return code

    bare = await town.stranger().get(KEYS)
    assert problem(bare) == (401, "credential_missing")
    basic = await town.stranger().get(KEYS, headers={"Authorization": "Basic eDp4"})
    assert problem(basic) == (401, "credential_missing")
    for nonsense in ("x", "a.b.c", "é" * 10, "x" * 5000):
        answer = await town.stranger().get(KEYS, headers={"Authorization": f"Bearer {nonsense}".encode()})
        assert problem(answer) == (401, "credential_malformed")
    assert await refused(header={"typ": "JWT"}) == "credential_malformed"
    assert await refused(header={"kid": "-1"}) == "credential_malformed"
    assert await refused(header={"kid": "٣"}) == "credential_malformed"
    for name in ("iss", "aud", "iat", "exp", "htm", "htu", "body"):
        assert await refused(without=(name,)) == "credential_malformed", name
    assert await refused(iat="x") == "credential_malformed"
    now = int(town.watch.now.timestamp())
    # A life of its own choice is not its to choose.
    assert await refused(exp=now + 61) == "credential_malformed"
    assert await refused(exp=now) == "credential_malformed"
    # Whatever a token says, there is one algorithm; a public key is no secret to sign with.
    assert await refused(key=b"0" * 32, algorithm="HS256") == "credential_malformed"
    assert await refused(key=None, algorithm="none") == "credential_malformed"
    assert await refused(key=Tablet(town, tablet.person).key) == "credential_forged"
    assert await refused(header={"kid": "999999"}) == "credential_forged"
    assert await refused(header={"kid": str(town.city.screen.number)}) == "credential_forged"
    assert await refused(iss="somebody") == "credential_forged"
    assert await refused(aud="https://other.example") == "credential_forged"
    # Signed for one request, it is good for no other.
    for claim in ({"htm": "POST"}, {"htu": BOARD}, {"htu": f"{KEYS}?x=1"}, {"body": "x"}):
        assert await refused(**claim) == "credential_forged", claim


async def test_a_credential_is_good_for_a_minute_of_the_banks_time(town: Town, tablet: Tablet) -> None:
    token = tablet.credential("GET", KEYS)
    assert (await tablet.ask(KEYS, token=token)).status_code == 200
    town.watch.move(seconds=89)
    assert (await tablet.ask(KEYS, token=token)).status_code == 200
    town.watch.move(seconds=1)
    late = await tablet.ask(KEYS, token=token)
    assert problem(late) == (401, "credential_expired")
    # By which a kiosk whose clock is off sets it.
    assert late.json()["data"] == {"now": town.watch.now.isoformat()}
    now = int(town.watch.now.timestamp())
    early = tablet.credential("GET", KEYS, iat=now + 31, exp=now + 91)
    assert problem(await tablet.ask(KEYS, token=early)) == (401, "credential_expired")


async def test_a_revoked_kiosk_is_refused_everything(town: Town, manager: Person, tablet: Tablet) -> None:
    keys = (await tablet.ask(KEYS)).json()["keys"]
    slot = codes.slot_at(town.watch.now)
    shown = code_under(keys, town, tablet, slot)
    for _ in range(2):
        end = await manager.send(f"/api/v1/kiosks/{tablet.id}/revocation", {"id": manager.new_id()})
        assert end.status_code == 201
    card = await card_of(await town.volunteer())
    for path, body in ((BOARD, None), (KEYS, None), (EVENTS, None), (SCANS, scan(town, card))):
        assert problem(await tablet.ask(path, body)) == (403, "device_revoked")
    # And so are the codes that it goes on showing.
    volunteer = await town.volunteer("林二")
    answer = await volunteer.send("/api/v1/check-ins", {"id": volunteer.new_id(), "code": shown})
    assert problem(answer) == (403, "device_revoked")


def code_under(keys: list[dict[str, Any]], town: Town, tablet: Tablet, slot: int) -> str:
    """The code that a kiosk makes by itself, with nothing but its hourly keys."""
    key = next(base64.b64decode(each["key"]) for each in keys if each["hour"] == slot // SLOTS_PER_HOUR)
    body = "1" + codes.encode(town.city.station.number, 4) + codes.encode(tablet.number, 5) + codes.encode(slot, 6)
    return body + codes.mac(key, "station", body)


async def test_the_keys_of_a_day_make_codes_that_are_taken(town: Town, tablet: Tablet) -> None:
    handed = (await tablet.ask(KEYS)).json()
    assert len(handed["keys"]) == 24
    volunteer = await town.volunteer()
    # The network has been away for 23 hours.
    town.watch.move(hours=23)
    code = code_under(handed["keys"], town, tablet, codes.slot_at(town.watch.now))
    answer = await volunteer.send("/api/v1/check-ins", {"id": volunteer.new_id(), "code": code})
    assert (answer.status_code, answer.json()["code"]) == (201, "ok")
    again = (await tablet.ask(KEYS)).json()["keys"]
    assert again[0] == handed["keys"][23]


async def test_a_card_with_its_pin_is_of_grade_a_and_nobody_vouches(town: Town, tablet: Tablet) -> None:
    volunteer = await town.volunteer()
    card = await card_of(volunteer, PIN)
    first = scan(town, card, scanned_at=town.watch.now.isoformat())
    answer = await tablet.ask(SCANS, {**first, "pin": PIN})
    assert (answer.status_code, answer.json()["code"]) == (201, "ok")
    # The answer was lost: the same again gets the same, also without the PIN, which no kiosk keeps.
    town.watch.move(minutes=5)
    assert (await tablet.ask(SCANS, first)).json() == answer.json()
    people = (await tablet.ask(BOARD)).json()["people"]
    assert [person["name"] for person in people] == ["林*"]
    town.watch.move(hours=1)
    left = await tablet.ask(SCANS, scan(town, card, "out", pin=PIN))
    assert left.json()["data"]["grade"] == "A"
    async with town.bank.engine.connect() as connection:
        rows = (await connection.execute(select(punch).where(punch.c.member_id == volunteer.member_id))).all()
    assert {(row.source, str(row.device_id), row.entered_by, row.vouched_by) for row in rows} == {
        ("card", tablet.id, None, "pin")
    }


async def test_what_is_wrong_with_a_card_is_said(town: Town, tablet: Tablet) -> None:
    volunteer = await town.volunteer()
    card = await card_of(volunteer, PIN)
    assert problem(await tablet.ask(SCANS, scan(town, card, pin="604913"))) == (422, "pin_wrong")
    assert problem(await tablet.ask(SCANS, scan(town, "x"))) == (422, "code_malformed")
    assert problem(await tablet.ask(SCANS, scan(town, card[:-1] + ("0" if card[-1] != "0" else "1")))) == (
        422,
        "code_forged",
    )
    unknown = codes.card_code(town.bank.keys.card, 12345)
    assert problem(await tablet.ask(SCANS, scan(town, unknown))) == (403, "card_revoked")
    await card_of(volunteer)
    assert problem(await tablet.ask(SCANS, scan(town, card))) == (403, "card_revoked")


async def test_cards_scanned_without_a_network_count_from_then(town: Town, tablet: Tablet) -> None:
    volunteer = await town.volunteer()
    card = await card_of(volunteer)
    came = town.watch.now + timedelta(minutes=1)
    town.watch.move(hours=3)
    left = came + timedelta(hours=2)
    answers = [
        await tablet.ask(SCANS, scan(town, card, kind, scanned_at=at.isoformat()))
        for kind, at in (("in", came), ("out", left))
    ]
    assert [answer.json()["code"] for answer in answers] == ["ok", "ok"]
    async with town.bank.engine.connect() as connection:
        row = (await connection.execute(select(record).where(record.c.member_id == volunteer.member_id))).one()
    assert (row.started_at, row.ended_at, row.grade) == (came, left, "B")
    # One that comes later still does not end what began after it.
    assert (await tablet.ask(SCANS, scan(town, card))).json()["code"] == "ok"
    held = await tablet.ask(SCANS, scan(town, card, "out", scanned_at=left.isoformat()))
    assert (held.status_code, held.json()["data"]["holds"]) == (202, ["nothing_open"])
    future = (town.watch.now + timedelta(minutes=2)).isoformat()
    assert problem(await tablet.ask(SCANS, scan(town, card, scanned_at=future))) == (422, "invalid")
    before_it_was = (came - timedelta(hours=1)).isoformat()
    assert problem(await tablet.ask(SCANS, scan(town, card, scanned_at=before_it_was))) == (410, "code_expired")
    town.watch.move(hours=73)
    assert problem(await tablet.ask(SCANS, scan(town, card, scanned_at=left.isoformat()))) == (410, "code_expired")


async def test_a_kiosk_hears_of_who_comes_and_the_line_ends_when_the_service_does(
    town: Town, tablet: Tablet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "TURN_SECONDS", 0.02)
    heard: list[bytes] = []
    events = town.bank.watching.changes(town.city.station.id)
    assert await anext(events) == b": open\n\n"
    heard.append(await anext(events))
    listening = asyncio.ensure_future(anext(events))
    volunteer = await town.volunteer()
    answer = await volunteer.send("/api/v1/check-ins", {"id": volunteer.new_id(), "code": town.code()})
    assert answer.status_code == 201
    heard.append(await asyncio.wait_for(listening, 10))
    assert heard == [b"event: change\ndata: {}\n\n"] * 2
    # No connection is held while it waits.
    assert town.bank.engine.pool.checkedout() <= 1  # type: ignore[attr-defined]
    ended = asyncio.ensure_future(anext(events, None))
    town.bank.watching.stop()
    assert await asyncio.wait_for(ended, 10) is None
    # Over HTTP it is the same, and it has ended already.
    answer = await tablet.ask(EVENTS)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == ": open\n\n"


async def test_the_description_says_how_a_kiosk_is_known(town: Town) -> None:
    document = (await town.stranger().get("/api/v1/openapi.json")).json()
    assert document["paths"][EVENTS]["get"]["security"] == [{"kiosk": []}]
    assert "text/event-stream" in document["paths"][EVENTS]["get"]["responses"]["200"]["content"]
    assert document["components"]["securitySchemes"]["kiosk"]["scheme"] == "bearer"
    refused = document["paths"][BOARD]["get"]["responses"]["401"]["description"]
    assert "credential_forged" in refused
    assert "not_signed_in" not in refused


async def test_a_manager_sees_the_kiosks_of_a_station_and_ends_one(town: Town, manager: Person, tablet: Tablet) -> None:
    path = f"/stations/{town.city.station.number}/kiosk"
    page = await manager.get(path)
    assert "门口的平板" in page.text
    assert (await manager.fill(f"/stations/{town.city.station.number}/kiosks/{tablet.id}")).status_code == 303
    assert "门口的平板" not in (await manager.get(path)).text
    assert problem(await tablet.ask(BOARD)) == (403, "device_revoked")


async def test_the_page_that_tablets_keep_is_the_same_for_everybody(town: Town, manager: Person) -> None:
    pages = [await person.get("/kiosk", headers={"Accept-Language": "zh-CN"}) for person in (town.stranger(), manager)]
    assert pages[0].text == pages[1].text
    assert "csrf" not in pages[0].text


async def test_a_kiosk_goes_on_listening_when_the_database_is_away(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "TURN_SECONDS", 0.02)
    asked = presence.marks
    fails = iter([True, True])

    async def away(*arguments: Any) -> dict[UUID, str]:
        if next(fails, False):
            raise ConnectionError
        return await asked(*arguments)

    monkeypatch.setattr(presence, "marks", away)
    events = town.bank.watching.changes(town.city.station.id)
    assert await anext(events) == b": open\n\n"
    assert await asyncio.wait_for(anext(events), 10) == b"event: change\ndata: {}\n\n"
    await events.aclose()
