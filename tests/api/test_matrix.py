"""Every role, every operation, every thing of another branch: what is not yours looks exactly like what is not there.

The operations come from the bank's own description, `/api/v1/openapi.json`. A new one with an id in its path or its
body has to say here which thing that id is, or this test fails.
"""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.guards import ACCESS
from tests.api import everything
from tests.api.people import Person, Town
from timebank.tables import ROLES

WHO = ("volunteer", *ROLES)

# Which thing the id in a field or parameter is. In a field that is not named after its thing, by operation and field.
THINGS = {
    "station_id": "station",
    "number": "station number",
    "region_id": "region",
    "parent_id": "region",
    "fund_id": "fund",
    "service_kind_id": "kind",
    "device_id": "device",
    "member_id": "member",
    "absorbed_id": "member",
    "guardian_id": "member",
    "child_id": "member",
    "household_of": "member",
    "helper_id": "member",
    "helping_id": "helping",
    "record_id": "record",
    "reward_id": "reward",
    "redemption_id": "redemption",
    "grant_id": "grant",
    "fulfilment_id": "fulfilment",
    "inquiry_id": "inquiry",
    "punch_id": "punch",
    "shift_id": "shift",
    "actor_id": "member",
    "certificate_id": "certificate",
    "passkey_id": "passkey",
    "account_id": "account",
    "token_id": "token",
    "webhook_id": "webhook",
    "message_id": "message",
    "subject_id": "member",
    "code": "code",
}
# Made by the sender, and nobody's thing: a command's own id, a phone's own number.
OWN = {"id", "phone_id"}
# Text that is no id, though its name is like one: codes that are read, and codes of errors.
TEXTS = {
    ("POST /api/v1/tickets", "code"),
    ("POST /api/v1/check-ins", "code"),
    ("POST /api/v1/check-outs", "code"),
    ("POST /api/v1/stations/{number}/helpers", "code"),
    ("POST /api/v1/stations/{number}/pins", "code"),
    ("POST /api/v1/stations/{number}/redemptions", "code"),
    ("POST /api/v1/regions", "code"),
    ("POST /api/v1/service-kinds", "code"),
    ("GET /api/v1/errors/{code}", "code"),
    ("GET /api/v1/certificate-checks/{code}", "code"),
}
# What a place's public page says, it says to everybody, by the place's id.
PUBLIC = ("GET /api/v1/honour-roll",)
# The catalogue belongs to everybody: its kinds are the same for all, and who may change them is asked before.
SHARED = {"kind"}


def body_at(body: Any, way: tuple[Any, ...]) -> dict[str, Any]:
    """What stands at the end of a way."""
    for step in way:
        body = body[step]
    return dict(body)


@dataclass(frozen=True)
class Operation:
    """One operation of the description."""

    name: str
    body: dict[str, Any] | None
    path: list[str]
    query: list[str]

    @property
    def method(self) -> str:
        return self.name.split()[0]

    @property
    def address(self) -> str:
        return self.name.split()[1]


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Every operation of the bank for programs."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            parameters = operation["parameters"]
            yield Operation(
                f"{method.upper()} {path}",
                resolve(document, content["schema"]) if content else None,
                [each["name"] for each in parameters if each["in"] == "path"],
                [each["name"] for each in parameters if each["in"] == "query"],
            )


def is_id(document: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether a field holds an id, or is left out or null."""
    schema = resolve(document, schema)
    kinds = [schema, *schema.get("anyOf", ())]
    return any(resolve(document, kind).get("format") == "uuid" for kind in kinds)


def fields(document: dict[str, Any], schema: dict[str, Any], prefix: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every field of a body that holds an id or a code."""
    for name, inner in resolve(document, schema).get("properties", {}).items():
        plain = resolve(document, inner)
        if plain.get("type") == "array":
            yield from fields(document, plain["items"], (*prefix, name, 0))
        elif is_id(document, inner) or name == "code" or name.endswith("_id"):
            yield (*prefix, name)


def sample(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value that fits a schema: what every required field needs, and no more."""
    schema = resolve(document, schema)
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return sample(document, choice)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: sample(document, schema["properties"][name]) for name in schema.get("required", ())}
    if kind == "array":
        return [sample(document, schema["items"])]
    if kind in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    if kind == "boolean":
        return True
    if schema.get("format") == "uuid":
        return str(uuid4())
    if schema.get("format") == "date-time":
        return "2026-03-02T09:00:00+08:00"
    if schema.get("format") == "date":
        return "2026-04-01"
    if "pattern" in schema:
        return "000000"
    return "13912345678"


def put(body: Any, way: tuple[Any, ...], value: Any) -> Any:
    """A copy of `body` with a value at the end of a way."""
    made = copy.deepcopy(body)
    inner = made
    for step in way[:-1]:
        inner = inner[step]
    inner[way[-1]] = value
    return made


def targets(document: dict[str, Any]) -> Iterator[tuple[Operation, str, Any, str]]:
    """(operation, "path", "query" or "body", where in it, which thing) for every id in every operation."""
    for operation in operations(document):
        places = [("path", name) for name in operation.path]
        places += [("query", name) for name in operation.query if name.endswith("_id")]
        if operation.body:
            places += [("body", way) for way in fields(document, operation.body)]
        for where, way in places:
            name = way if isinstance(way, str) else way[-1]
            if name in OWN or (operation.name, name) in TEXTS:
                continue
            assert name in THINGS, f"{operation.name}: say in THINGS what {name} is"
            yield operation, where, way, THINGS[name]


@pytest.fixture
async def foreign(town: Town) -> dict[str, Any]:
    """Things of the city's first district. All of them exist."""
    return await everything.things(town)


@pytest.fixture
async def own(town: Town) -> dict[str, Any]:
    """Things of the second district: they stand in every place but the one that is looked at."""
    city, bank = town.city, town.bank
    async with bank.engine.begin() as connection:
        station = await city.add_station(connection, region_id=city.other_community_id)
        member_id = await city.add_member(connection, region_id=city.other_community_id)
    return {
        "station": station.id,
        "station number": station.number,
        "region": city.other_community_id,
        "fund": city.fund_id,
        "kind": city.kinds["duty"],
        "member": member_id,
        "code": "12345678",
    }


@pytest.fixture
async def people(town: Town) -> dict[str, Person]:
    """One of each role, all in the second district."""
    elsewhere = {"region_id": town.city.other_district_id}
    found = {"volunteer": await town.volunteer("林二", region_id=town.city.other_community_id)}
    for role in ROLES:
        member_id = await town.join(f"他{role}", region_id=town.city.other_community_id)
        async with town.bank.engine.begin() as connection:
            await town.city.grant(connection, member_id, role, **elsewhere)
        found[role] = await town.member(member_id)
    return found


def nothing(thing: str) -> Any:
    """The id of nothing of this kind."""
    if thing == "station number":
        return 999_999
    return "87654321" if thing == "code" else str(uuid4())


async def ask(
    person: Person,
    document: dict[str, Any],
    operation: Operation,
    where: str,
    way: Any,
    value: Any,
    own: dict[str, Any],
) -> httpx.Response:
    """Send an operation with `value` in one place, and everywhere else what the sender may name."""
    filled = {name: str(own.get(THINGS.get(name, ""), uuid4())) for name in operation.path}
    if where == "path":
        filled[way] = str(value)
    address = re.sub(r"\{(\w+)\}", lambda match: filled[match[1]], operation.address)
    if operation.method == "GET":
        return await person.get(address, params={way: str(value)} if where == "query" else None)
    body = sample(document, operation.body) if operation.body else {}
    ids = [each for each in fields(document, operation.body or {}) if each[-1] == "id"]
    for each in ids:
        body = put(body, each, person.new_id())
        for other in fields(document, operation.body or {}):
            if other[:-1] == each[:-1] and other[-1] in body_at(body, other[:-1]) and THINGS.get(other[-1]) in own:
                body = put(body, other, str(own[THINGS[other[-1]]]))
    # One scope of the two that a role may have.
    if operation.name == "POST /api/v1/roles" and way != ("station_id",):
        body["region_id"] = str(own["region"])
    if where == "body":
        body = put(body, way, value if isinstance(value, int) else str(value))
    return await person.send(address, body, method=operation.method)


def told(answer: httpx.Response) -> Any:
    """All that an answer tells: its status and its body, but for the request's id and the sender's own."""
    found = answer.json() if answer.content else None
    if isinstance(found, dict):
        found.pop("instance", None)
        found.pop("id", None)
        for each in found.get("answers", []):
            each.pop("id", None)
    return answer.status_code, found


async def test_what_is_elsewhere_looks_like_what_is_not_there(
    town: Town, foreign: dict[str, Any], own: dict[str, Any], people: dict[str, Person]
) -> None:
    document = (await town.stranger().get("/api/v1/openapi.json")).json()
    compared = reached = 0
    for operation, where, way, thing in targets(document):
        access = ACCESS[operation.name]
        for role in WHO:
            if access.to == "machine" or thing in SHARED or operation.name in PUBLIC:
                continue
            there = told(await ask(people[role], document, operation, where, way, foreign[thing], own))
            not_there = told(await ask(people[role], document, operation, where, way, nothing(thing), own))
            assert there == not_there, (operation.name, where, way, role, there)
            reached += there[0] == 404
            assert there[0] < 500
            if access.to == "roles" and role not in access.roles:
                assert there[1]["code"] == "role_not_allowed", (operation.name, role, there)
            compared += 1
    assert compared > 200
    # Not refused for something else before the thing was looked at.
    assert reached > 40


async def test_the_same_things_are_found_by_whose_they_are(town: Town, foreign: dict[str, Any]) -> None:
    """Or the comparison would compare two ways of finding nothing."""
    admin, volunteer = await town.with_role("admin"), foreign["member"]
    for path in (
        f"stations/{foreign['station']}",
        f"stations/{foreign['station number']}/codes",
        f"members/{volunteer}",
        f"funds/{foreign['fund']}/statement",
        f"queue/{foreign['record']}",
    ):
        assert (await admin.get(f"/api/v1/{path}")).status_code == 200, path
    owner = await town.member(volunteer)
    assert (await owner.get(f"/api/v1/rewards/{foreign['reward']}")).status_code == 200
    assert (await owner.get(f"/api/v1/redemptions/{foreign['redemption']}")).status_code == 200
    for path, body in (
        (f"roles/{foreign['grant']}/end", {}),
        (f"devices/{foreign['device']}/revocation", {}),
        (f"regions/{foreign['region']}/names", {"name_zh": "名"}),
    ):
        answer = await admin.send(f"/api/v1/{path}", {"id": admin.new_id(), **body})
        assert answer.status_code == 201, (path, answer.text)


async def test_nobody_without_the_role_gets_as_far_as_the_thing(
    town: Town, foreign: dict[str, Any], people: dict[str, Person]
) -> None:
    """Not even with a body that nobody could read."""
    document = (await town.stranger().get("/api/v1/openapi.json")).json()
    for operation in operations(document):
        access = ACCESS[operation.name]
        if access.to != "roles":
            continue
        address = re.sub(r"\{(\w+)\}", lambda match: str(foreign[THINGS[match[1]]]), operation.address)
        for role in set(WHO) - set(access.roles):
            if operation.method == "GET":
                answer = await people[role].get(address)
            else:
                answer = await people[role].send(address, b"{", method=operation.method)
            assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed"), (operation.name, role)


def test_an_operation_with_a_thing_that_is_not_known_here_fails() -> None:
    schema = {"type": "object", "properties": {"wish_id": {"type": "string", "format": "uuid"}}, "required": []}
    body = {"content": {"application/json": {"schema": schema}}}
    document = {"paths": {"/api/v1/wishes": {"post": {"parameters": [], "requestBody": body}}}}
    with pytest.raises(AssertionError, match="wish_id"):
        list(targets(document))
