"""One of everything in the city's first district, made as people make it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.api.devices import Device, add
from tests.api.people import Person, Town
from tests.earning import verified
from timebank import funds, outside, shifts


async def things(town: Town) -> dict[str, Any]:
    """One of everything that an operation may name, all of the city's first district. They exist."""
    city, bank = town.city, town.bank
    volunteer = await town.volunteer("外人")
    record = await town.serve(volunteer)
    async with bank.engine.begin() as connection:
        reward = await city.add_reward(connection, region_id=city.district_id)
        fund_id = await add_fund(town, connection)
        grant = await city.grant(connection, await city.add_member(connection), "clerk", region_id=city.community_id)
    return {
        "station": city.station.id,
        "station number": city.station.number,
        "region": city.community_id,
        "fund": fund_id,
        "kind": city.kinds["duty"],
        "device": city.screen.id,
        "member": volunteer.member_id,
        "record": record,
        "reward": reward,
        "redemption": await redeemed(town, volunteer, reward),
        "grant": grant,
        "fulfilment": await fulfilled(town, volunteer),
        "helping": await helped(town, volunteer),
        "inquiry": await asked(volunteer, record),
        "punch": await astray(town, volunteer),
        "shift": await planned(town),
        "certificate": await certified(town, volunteer),
        "passkey": await passkey_of(town),
        "account": await account_of(town, volunteer),
        "token": await token_of(town),
        **await webhook_of(town),
        "code": "12345678",
    }


async def webhook_of(town: Town) -> dict[str, str]:
    """A webhook of the first district, and a message of it."""
    boss = await town.with_role("admin")
    body = {"id": boss.new_id(), "region_id": str(town.city.district_id), "url": "https://hook.example.org/"}
    answer = await boss.send("/api/v1/webhooks", {**body, "events": ["shift.planned"]})
    assert answer.status_code == 201, answer.text
    await planned(town)
    (message,) = (await boss.get("/api/v1/webhook-messages")).json()["messages"]
    return {"webhook": str(body["id"]), "message": message["id"]}


async def token_of(town: Town) -> str:
    """A token of the station's manager."""
    manager = await town.member(town.city.manager_id)
    body = {"id": manager.new_id(), "name": "x", "scope": "people", "life_days": 30}
    return str((await manager.send("/api/v1/me/read-tokens", body)).json()["id"])


async def passkey_of(town: Town) -> str:
    """A passkey of the station's manager."""
    manager = await town.member(town.city.manager_id)
    return (await add(manager, Device())).json()["id"]


async def account_of(town: Town, volunteer: Person) -> UUID:
    """An account elsewhere of the volunteer."""
    assert volunteer.member_id
    async with town.bank.engine.begin() as connection:
        facts = (town.bank.book_id, "https://id.example", b"hashed", volunteer.member_id, town.watch.now)
        await outside.link(connection, *facts)
        (row,) = await outside.of(connection, town.bank.book_id, volunteer.member_id)
    return UUID(str(row.id))


async def fulfilled(town: Town, volunteer: Person) -> str:
    """A hand-over that can still be undone."""
    clerk = await town.member(town.city.clerk_id)
    async with town.bank.engine.begin() as connection:
        reward = await town.city.add_reward(connection, region_id=town.city.district_id, price_points=1)
    await volunteer.send("/api/v1/redemptions", {"id": volunteer.new_id(), "reward_id": str(reward)})
    held = (await volunteer.get("/api/v1/redemptions")).json()["redemptions"]
    code = next(each["code"] for each in held if each["reward_id"] == str(reward))
    command = {"id": clerk.new_id(), "station_id": str(town.city.station.id), "code": code}
    assert (await clerk.send("/api/v1/fulfilments", command)).status_code == 201
    return str(command["id"])


async def helped(town: Town, volunteer: Person) -> str:
    """Somebody may act for the volunteer."""
    helper = await town.volunteer("邻居")
    card = (await helper.send("/api/v1/card", {"id": helper.new_id()})).json()["code"]
    command = {"id": volunteer.new_id(), "card": card, "ends_at": (town.watch.now + timedelta(days=9)).isoformat()}
    assert (await volunteer.send("/api/v1/me/helpers", command)).status_code == 201
    return str(command["id"])


async def asked(volunteer: Person, record_id: str) -> str:
    """A question that waits for its answer."""
    command = {"id": volunteer.new_id(), "record_id": record_id, "question": "Why?"}
    assert (await volunteer.send("/api/v1/inquiries", command)).status_code == 201
    return str(command["id"])


async def astray(town: Town, volunteer: Person) -> str:
    """A scan that led to nothing: out without in."""
    command = {"id": volunteer.new_id(), "code": town.code()}
    assert (await volunteer.send("/api/v1/check-outs", command)).status_code == 202
    return str(command["id"])


async def certified(town: Town, volunteer: Person) -> str:
    """A certificate of the volunteer's own."""
    assert volunteer.member_id
    async with town.bank.engine.begin() as connection:
        await verified(connection, town.city, volunteer.member_id)
    command = {"id": volunteer.new_id()}
    assert (await volunteer.send("/api/v1/certificates", command)).status_code == 201
    return str(command["id"])


async def planned(town: Town) -> UUID:
    """A shift of the station."""
    begins = town.watch.now + timedelta(days=1)
    facts = {"starts_at": begins, "ends_at": begins + timedelta(hours=2), "actor_id": town.city.manager_id}
    async with town.bank.engine.begin() as connection:
        return await shifts.add(
            connection,
            town.bank.book_id,
            station_id=town.city.station.id,
            id=town.city.new_id(),
            now=town.watch.now,
            **facts,
        )


async def add_fund(town: Town, connection: Any) -> UUID:
    """A fund of the first district."""
    city = town.city
    facts = {"name_zh": "外", "name_en": "Out", "region_id": city.district_id, "id": city.new_id(), "now": city.now}
    return await funds.add(connection, city.book_id, **facts)


async def redeemed(town: Town, volunteer: Person, reward_id: UUID) -> str:
    """A redemption that is held."""
    manager = await town.member(town.city.manager_id)
    for _ in range(3):
        record_id = await town.serve(volunteer)
        body = {"id": manager.new_id(), "record_id": record_id, "verdict": "verify"}
        assert (await manager.send("/api/v1/decisions", body)).status_code == 201
    answer = await volunteer.send("/api/v1/redemptions", {"id": volunteer.new_id(), "reward_id": str(reward_id)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["redemption_id"])
