"""Every change that an administrator makes leaves its row in the trail: who, what, how it was and how it is."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import insert

from api import guards
from api.guards.access import ADMINS
from api.pages import trail_words
from tests.api.people import Person, Town
from timebank.tables import webhook, webhook_message

ROOT = "/api/v1"
# Commands that change nothing.
LOOKING = {"POST /api/v1/policy-versions/preview", "POST /api/v1/members/search"}
NAMES = {"name_zh": "新名", "name_en": "New name"}


@dataclass(frozen=True)
class Case:
    """A command, as a body made from the names of things; and the fields that its row shows as they were and are."""

    action: str
    body: Callable[[dict[str, Any]], Any]
    before: set[str] | None
    after: set[str]


def changed(action: str, body: Callable[[dict[str, Any]], Any], *fields: str) -> Case:
    """A change of something that was there."""
    return Case(action, body, set(fields), set(fields))


def made(action: str, body: Callable[[dict[str, Any]], Any], *fields: str) -> Case:
    """Something new: there is nothing that it was before."""
    return Case(action, body, None, set(fields))


CASES = {
    "POST /api/v1/stations": made(
        "station.add",
        lambda to: {
            **NAMES,
            **{name: to[name] for name in ("region_id", "fund_id", "service_kind_id")},
            "address": "新路 2 号",
            "organising_unit": "新社区",
            "person_in_charge": "王负责",
            "latitude": 28.68,
            "longitude": 115.86,
        },
        "number",
        "name_zh",
        "region_id",
        "fund_id",
        "address",
        "latitude",
        "longitude",
    ),
    "POST /api/v1/stations/{station_id}/changes": changed(
        "station.edit", lambda to: {"cap_minutes": 99, "latitude": 1, "longitude": 2.5}, "cap_minutes", "latitude"
    ),
    "POST /api/v1/stations/{station_id}/state": changed("station.state", lambda to: {"state": "closed"}, "state"),
    "POST /api/v1/stations/{station_id}/devices": made(
        "device.enrol", lambda to: {"kind": "kiosk", "name": "Door"}, "number", "kind", "station_id"
    ),
    "POST /api/v1/devices/{device_id}/revocation": changed("device.revoke", lambda to: {}, "revoked_at"),
    "POST /api/v1/stations/{station_id}/screens": made("device.enrol", lambda to: {}, "number", "kind", "station_id"),
    "POST /api/v1/policy-versions": changed(
        "policy.draft", lambda to: {"starts_on": "2026-05-01", "rules": to["rules"]}, "number", "daily_cap_minutes"
    ),
    "POST /api/v1/admin/rewards": made(
        "reward.add",
        lambda to: {
            **NAMES,
            "kind": "goods",
            "description_zh": "好",
            "description_en": "Good",
            "region_id": to["region_id"],
            "price_points": 5,
            "stock": 3,
            "places": [to["station_id"]],
        },
        "price_points",
        "stock",
        "places",
    ),
    "POST /api/v1/admin/rewards/{reward_id}": changed("reward.edit", lambda to: {"price_points": 7}, "price_points"),
    "POST /api/v1/admin/rewards/{reward_id}/stock": changed("reward.restock", lambda to: {"pieces": 4}, "stock"),
    "POST /api/v1/admin/rewards/{reward_id}/picture": changed("reward.picture", lambda to: picture(), "picture"),
    "DELETE /api/v1/admin/rewards/{reward_id}/picture": changed("reward.picture", lambda to: None, "picture"),
    "POST /api/v1/members": made(
        "member.add",
        lambda to: {"name": "新人", "phone": "13955550123", "region_id": to["region_id"]},
        "region_id",
        "state",
    ),
    "POST /api/v1/members/{member_id}/changes": changed(
        "member.edit", lambda to: {"locale": "en", "name": "改名"}, "locale"
    ),
    "POST /api/v1/members/{member_id}/suspension": changed("member.suspended", lambda to: {}, "state"),
    "POST /api/v1/members/{member_id}/reinstatement": changed("member.active", lambda to: {}, "state"),
    "POST /api/v1/members/{member_id}/password-reset": changed("member.password_reset", lambda to: {}, "password"),
    "POST /api/v1/members/{member_id}/birth": changed(
        "member.birth",
        lambda to: {"born": "2010-05-01", "guardian_id": to["absorbed_id"]},
        "guardian_id",
        "household_id",
    ),
    "POST /api/v1/members/{member_id}/consents": made(
        "consent.give", lambda to: {"purpose": "honour", "number": 2, "agreed": True}, "purpose", "number"
    ),
    "POST /api/v1/members/{member_id}/merger": Case(
        "member.absorb", lambda to: {"absorbed_id": to["absorbed_id"]}, {"state"}, {"absorbed_id", "minutes", "points"}
    ),
    "POST /api/v1/roles": made(
        "role.grant",
        lambda to: {"member_id": to["member_id"], "role": "clerk", "station_id": to["station_id"]},
        "role",
        "station_id",
        "starts_at",
        "ends_at",
    ),
    "POST /api/v1/roles/{grant_id}/end": changed("role.revoke", lambda to: {}, "ends_at"),
    "POST /api/v1/regions": made(
        "region.add", lambda to: {**NAMES, "parent_id": to["region_id"], "level": "grid"}, "name_zh", "level"
    ),
    "POST /api/v1/regions/{region_id}/names": changed("region.rename", lambda to: NAMES, "name_zh", "name_en"),
    "POST /api/v1/service-kinds": made("service_kind.add", lambda to: {**NAMES, "code": "tea"}, "code", "name_zh"),
    "POST /api/v1/service-kinds/{service_kind_id}/changes": changed(
        "service_kind.edit", lambda to: {"active": False}, "active"
    ),
    "POST /api/v1/funds": made("fund.add", lambda to: {**NAMES, "region_id": to["region_id"]}, "name_zh", "region_id"),
    "POST /api/v1/funds/{fund_id}/fillings": made("fund.fill", lambda to: {"points": 9}, "points", "transfer_id"),
    "POST /api/v1/webhooks": made(
        "webhook.add",
        lambda to: {"url": "https://hook.example.org/", "region_id": to["region_id"], "events": ["shift.planned"]},
        "url",
        "events",
    ),
    "POST /api/v1/webhook-messages/{message_id}/sending": changed("webhook.again", lambda to: {}, "state"),
    "POST /api/v1/webhooks/{webhook_id}/removal": Case("webhook.remove", lambda to: {}, {"url", "events"}, set()),
    "POST /api/v1/members/{member_id}/identity-decision": changed(
        "identity.accept", lambda to: {"verdict": "accept"}, "state"
    ),
    "POST /api/v1/members/{member_id}/erasure-request": made("erasure.ask", lambda to: {}),
    "POST /api/v1/members/{member_id}/erasure-withdrawal": made("erasure.withdraw", lambda to: {}),
    # The last one: nothing of the member is left to look at, and it takes another administrator than who asked.
    "POST /api/v1/members/{member_id}/erasure": changed("member.erase", lambda to: {}, "state"),
}


def picture() -> bytes:
    """A small picture as a file."""
    kept = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(kept, "PNG")
    return kept.getvalue()


@pytest.fixture
async def things(town: Town) -> dict[str, Any]:
    """Something of every kind, by the names that addresses and bodies have for it."""
    city = town.city
    async with town.bank.engine.begin() as connection:
        reward_id = await city.add_reward(connection)
        grant_id = await city.grant(connection, city.clerk_id, "manager", station_id=city.station.id)
    versions = (await (await town.with_role("admin")).get(f"{ROOT}/policy-versions")).json()["versions"]
    return {
        "region_id": str(city.community_id),
        "fund_id": str(city.fund_id),
        "service_kind_id": str(city.kinds["other"]),
        "station_id": str(city.station.id),
        "device_id": str(city.screen.id),
        "reward_id": str(reward_id),
        "grant_id": str(grant_id),
        "member_id": str(await town.join("林一")),
        "absorbed_id": str(await town.join("林二")),
        "child_id": str(await town.join("林小")),
        **await dead_message(town),
        "rules": {**versions[0]["rules"], "daily_cap_minutes": 333},
    }


async def dead_message(town: Town) -> dict[str, str]:
    """A webhook, and a message of it that nobody took."""
    city, hook_id, message_id = town.city, town.city.new_id(), town.city.new_id()
    async with town.bank.engine.begin() as connection:
        facts = {"book_id": city.book_id, "added_by": city.manager_id, "added_at": city.now}
        await connection.execute(
            insert(webhook).values(
                **facts, id=hook_id, region_id=city.community_id, url="https://x.example.org/", events=["shift.planned"]
            )
        )
        await connection.execute(
            insert(webhook_message).values(
                book_id=city.book_id,
                id=message_id,
                webhook_id=hook_id,
                event="shift.planned",
                subject_id=city.new_id(),
                at=city.now,
                state="dead",
                tries=8,
                due_at=city.now,
            )
        )
    return {"webhook_id": str(hook_id), "message_id": str(message_id)}


async def show_a_document_twice(town: Town, member_id: str) -> None:
    """Two members show one document, so that the second has to be decided upon."""
    manager = await town.member(town.city.manager_id)
    for shown_by in (await town.join("林三"), member_id):
        body = {"kind": "passport", "number": "E12345678"}
        await manager.send(f"{ROOT}/members/{shown_by}/identity-checks", body)


def commands() -> list[str]:
    """What administrators alone may send and what changes something, in the order of the cases."""
    writing = {
        name
        for name, access in guards.ACCESS.items()
        if access == ADMINS and f" {ROOT}/" in name and not name.startswith("GET ")
    }
    assert writing - LOOKING == CASES.keys(), "say in CASES which row of the trail a command leaves"
    return list(CASES)


async def carry_out(town: Town, person: Person, name: str, things: dict[str, Any]) -> None:
    """Send one command."""
    method, path = name.split()
    address = re.sub(r"\{(\w+)\}", lambda match: things[match[1]], path)
    body = CASES[name].body(things)
    if isinstance(body, bytes):
        answer = await person.send(address, body, Content_Type="image/png")
    else:
        sent = None if body is None else {"id": person.new_id(), **body}
        answer = await person.send(address, sent, method=method)
    assert answer.status_code in (200, 201, 204), (name, answer.text)


async def test_every_command_of_an_administrator_leaves_its_row(town: Town, things: dict[str, Any]) -> None:
    admin, second = await town.with_role("admin"), await town.with_role("admin")
    for name in commands():
        if name.endswith("/merger"):
            town.watch.move(minutes=1)
        if name.endswith("/identity-decision"):
            await show_a_document_twice(town, things["member_id"])
        if name.endswith("/erasure"):
            await second.send(f"{ROOT}/members/{things['member_id']}/erasure-request", {"id": second.new_id()})
        town.watch.move(seconds=1)
        about = {**things, "member_id": things["child_id"]} if name.endswith("/birth") else things
        await carry_out(town, admin, name, about)
        case = CASES[name]
        query = {"action": case.action, "actor_id": str(admin.member_id), "limit": "1"}
        (row,) = (await admin.get(f"{ROOT}/trail", params=query)).json()["entries"]
        assert row["at"] == town.watch.now.isoformat().replace("+00:00", "Z"), (name, row)
        assert case.after <= set(row["after"] or {}), (name, row)
        if case.before is None:
            assert row["before"] is None, (name, row)
        else:
            assert case.before <= set(row["before"]), (name, row)
            assert row["before"] != row["after"], (name, row)
        assert {
            *(row["before"] or {}),
            *(row["after"] or {}),
        } <= trail_words.FIELDS.keys() | trail_words.words.RULES.keys()


async def test_nothing_is_written_for_what_is_refused(town: Town, things: dict[str, Any]) -> None:
    admin = await town.with_role("admin")
    for body in ({"latitude": 1}, {"latitude": 91, "longitude": 0}, {"latitude": 1, "longitude": "x"}):
        answer = await admin.send(f"{ROOT}/stations/{things['station_id']}/changes", {"id": admin.new_id(), **body})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), body
    assert (await admin.get(f"{ROOT}/trail", params={"action": "station.edit"})).json()["entries"] == []
