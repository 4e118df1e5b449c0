"""The first day over HTTP: from a scanned code to a reward that is handed over, and everything sent twice."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from tests.api.people import Person, Town, problem
from timebank import codes, devices
from timebank.tables import command, punch, record


async def count(town: Town, table: Any) -> int:
    """How many rows of this book a table has."""
    async with town.bank.engine.connect() as connection:
        query = select(func.count()).select_from(table).where(table.c.book_id == town.bank.book_id)
        return int(await connection.scalar(query) or 0)


async def verified(town: Town, manager: Person, person: Person, hours: int = 2) -> str:
    """Serve and be verified; answers the record's id."""
    record_id = await town.serve(person, hours * 60)
    body = {"id": manager.new_id(), "record_id": record_id, "verdict": "verify"}
    answer = await manager.send("/api/v1/decisions", body)
    assert answer.status_code == 201, answer.text
    return record_id


async def test_from_a_scan_to_a_reward(town: Town) -> None:
    async with town.bank.engine.begin() as connection:
        reward_id = await town.city.add_reward(connection, price_points=100)
    manager, clerk = await town.member(town.city.manager_id), await town.member(town.city.clerk_id)
    person = await town.volunteer("林一")

    # The screen shows what a phone scans.
    shown = (await manager.get(f"/api/v1/stations/{town.city.station.number}/codes")).json()
    assert shown["slot_seconds"] == codes.SLOT_SECONDS
    assert datetime.fromisoformat(shown["now"]) == town.watch.now
    assert [code["slot"] for code in shown["codes"]] == list(
        range(shown["codes"][0]["slot"], shown["codes"][0]["slot"] + 15)
    )
    code = shown["codes"][0]["code"]
    assert code == f"/K/{town.code()}"

    body = {"id": person.new_id(), "code": f"http://127.0.0.1:8000{code}"}
    answer = await person.send("/api/v1/check-ins", body)
    assert answer.status_code == 201
    found = answer.json()
    assert found["id"] == body["id"]
    assert found["code"] == "ok"
    assert found["data"]["station_id"] == str(town.city.station.id)
    stay = (await person.get("/api/v1/me")).json()["stay"]
    assert stay["station_number"] == town.city.station.number

    town.watch.move(hours=2)
    answer = await person.send("/api/v1/check-outs", {"id": person.new_id(), "code": town.code()})
    assert answer.json()["data"]["minutes"] == 120
    record_id = answer.json()["data"]["attendance_id"]

    queue = (await manager.get("/api/v1/queue")).json()
    (waiting,) = queue["records"]
    assert (waiting["id"], waiting["member_name"], waiting["state"]) == (record_id, "林一", "waiting")
    assert queue["following"] is None
    evidence = (await manager.get(f"/api/v1/queue/{record_id}")).json()
    assert [scan["kind"] for scan in evidence["punches"]] == ["in", "out"]

    answer = await manager.send(
        "/api/v1/decisions", {"id": manager.new_id(), "record_id": record_id, "verdict": "verify"}
    )
    assert answer.json()["data"]["credited_minutes"] == 120
    points = answer.json()["data"]["points"]

    balance = (await person.get("/api/v1/balance")).json()
    assert (balance["minutes"], balance["points"]) == (120, points)
    mine = (await person.get("/api/v1/records")).json()["records"]
    assert [(row["id"], row["state"]) for row in mine] == [(record_id, "verified")]
    for unit, amount in (("point", points), ("minute", 120)):
        (line,) = (await person.get(f"/api/v1/statement?unit={unit}")).json()["lines"]
        assert line["amount"] == amount
        assert line["record"]["id"] == record_id
        assert line["verified_by"] == "周站长"
        assert [scan["kind"] for scan in line["punches"]] == ["in", "out"]

    offers = (await person.get("/api/v1/rewards")).json()
    (offer,) = offers["rewards"]
    assert (offers["points"], offer["id"], offer["refusal"]) == (points, str(reward_id), None)
    assert [place["id"] for place in offer["places"]] == [str(town.city.station.id)]
    assert (await person.get(f"/api/v1/rewards/{reward_id}")).json() == offer

    answer = await person.send("/api/v1/redemptions", {"id": person.new_id(), "reward_id": str(reward_id)})
    assert answer.status_code == 201, answer.text
    redemption_id = answer.json()["data"]["redemption_id"]
    (redemption,) = (await person.get("/api/v1/redemptions")).json()["redemptions"]
    assert redemption == (await person.get(f"/api/v1/redemptions/{redemption_id}")).json()
    assert redemption["state"] == "held"
    assert (await person.get("/api/v1/balance")).json()["held_points"] == 100

    counter = {"station_id": str(town.city.station.id), "code": redemption["code"]}
    seen = (await clerk.send("/api/v1/counter", counter)).json()
    assert (seen["redemption_id"], seen["name"], seen["refusal"]) == (redemption_id, "林*", None)
    by_digits = (await clerk.send("/api/v1/counter", {**counter, "code": redemption["digits"]})).json()
    assert by_digits == seen

    answer = await clerk.send("/api/v1/fulfilments", {"id": clerk.new_id(), **counter})
    assert (answer.status_code, answer.json()["data"]["redemption_id"]) == (201, redemption_id)
    answer = await clerk.send("/api/v1/fulfilments", {"id": clerk.new_id(), **counter})
    assert problem(answer) == (409, "already_fulfilled")
    assert (await clerk.send("/api/v1/counter", counter)).json()["refusal"] == "already_fulfilled"
    assert (await person.get(f"/api/v1/redemptions/{redemption_id}")).json()["state"] == "fulfilled"
    body = {"id": person.new_id()}
    answer = await person.send(f"/api/v1/redemptions/{redemption_id}/cancellation", body)
    assert problem(answer) == (409, "already_fulfilled")


async def test_a_cancelled_redemption_gives_its_points_back(town: Town) -> None:
    async with town.bank.engine.begin() as connection:
        reward_id = await town.city.add_reward(connection)
    person = await town.volunteer()
    await verified(town, await town.member(town.city.manager_id), person)
    before = (await person.get("/api/v1/balance")).json()
    answer = await person.send("/api/v1/redemptions", {"id": person.new_id(), "reward_id": str(reward_id)})
    redemption_id = answer.json()["data"]["redemption_id"]
    body = {"id": person.new_id()}
    for _ in range(2):
        answer = await person.send(f"/api/v1/redemptions/{redemption_id}/cancellation", body)
        assert answer.status_code == 201
    assert (await person.get("/api/v1/balance")).json() == before


async def test_a_command_sent_again_gets_its_first_answer(town: Town) -> None:
    person = await town.volunteer()
    body = {"id": person.new_id(), "code": town.code()}
    first = await person.send("/api/v1/check-ins", body)
    town.watch.move(minutes=30)
    # The code has long expired; the answer has not.
    again = await person.send("/api/v1/check-ins", body)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert await count(town, punch) == 1

    fresh = await person.send("/api/v1/check-ins", {**body, "id": person.new_id()})
    assert problem(fresh) == (410, "code_expired")


async def test_a_refusal_is_remembered_too(town: Town) -> None:
    person = await town.volunteer()
    body = {"id": person.new_id(), "code": town.code(device=4711)}
    answers = [await person.send("/api/v1/check-ins", body) for _ in range(2)]
    assert {problem(answer) for answer in answers} == {(403, "device_revoked")}
    assert await count(town, command) == 1


async def test_an_id_belongs_to_its_sender_and_to_what_was_sent(town: Town) -> None:
    person, other = await town.volunteer(), await town.volunteer("林二")
    body = {"id": person.new_id(), "code": town.code()}
    assert (await person.send("/api/v1/check-ins", body)).status_code == 201
    for sender, path, sent in (
        (other, "check-ins", body),
        (person, "check-outs", body),
        (person, "check-ins", {**body, "code": town.code().lower()}),
        (person, "check-ins", {**body, "phone_id": "018f0000-0000-4000-8000-000000000000"}),
    ):
        answer = await sender.send(f"/api/v1/{path}", sent)
        assert problem(answer) == (409, "id_reused")
        # Nothing of the first comes out.
        assert answer.json()["data"] == {}


async def test_a_second_check_in_is_kept_for_a_person(town: Town) -> None:
    person = await town.volunteer()
    await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": town.code()})
    town.watch.move(minutes=5)
    answer = await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": town.code()})
    assert answer.status_code == 202
    assert answer.json()["code"] == "held"
    assert answer.json()["data"]["holds"] == ["already_in"]


async def test_what_the_phone_adds_is_kept(town: Town) -> None:
    person = await town.volunteer()
    phone_id = UUID("018f0000-0000-4000-8000-000000000001")
    body = {
        "id": person.new_id(),
        "code": town.code(),
        "service_kind_id": str(town.city.kinds["help_young"]),
        "phone_id": str(phone_id),
        "phone_time": "2026-03-02T09:00:01+08:00",
    }
    assert (await person.send("/api/v1/check-ins", body)).status_code == 201
    async with town.bank.engine.connect() as connection:
        row = (await connection.execute(select(punch).where(punch.c.book_id == town.bank.book_id))).one()
    assert row.phone_id == phone_id
    assert row.phone_time == datetime.fromisoformat("2026-03-02T01:00:01+00:00")
    assert (await person.get("/api/v1/me")).json()["stay"]["kind_zh"] != "助老"


async def test_many_are_verified_together_and_one_refusal_leaves_the_others(town: Town) -> None:
    manager = await town.member(town.city.manager_id)
    volunteers = [await town.volunteer(f"林{number}") for number in range(6)]
    ids = [await town.serve(person, 60) for person in volunteers]
    queue = (await manager.get("/api/v1/queue?limit=4")).json()
    assert [row["id"] for row in queue["records"]] == ids[:4]
    rest = (await manager.get(f"/api/v1/queue?limit=4&cursor={queue['following']}")).json()
    assert ([row["id"] for row in rest["records"]], rest["following"]) == (ids[4:], None)

    clear = [row["id"] for row in queue["records"] + rest["records"] if row["clear"]]
    ticks = [{"id": manager.new_id(), "record_id": record_id} for record_id in ids]
    ticks.append({"id": manager.new_id(), "record_id": manager.new_id()})
    answers = [(await manager.send("/api/v1/decisions/bulk", {"decisions": ticks})).json() for _ in range(2)]
    assert answers[0] == answers[1]
    told = {tick["record_id"]: answer for tick, answer in zip(ticks, answers[0]["answers"], strict=True)}
    assert told[ticks[-1]["record_id"]]["code"] == "not_found"
    for record_id in ids:
        assert told[record_id]["code"] == ("ok" if record_id in clear else "needs_single_decision")


async def test_decisions_are_refused_with_their_codes(town: Town) -> None:
    manager, person = await town.member(town.city.manager_id), await town.volunteer()
    record_id = await town.serve(person)

    async def decide(**body: Any) -> tuple[int, str]:
        sent = {"id": manager.new_id(), "record_id": record_id, **body}
        return problem(await manager.send("/api/v1/decisions", sent))

    assert await decide(verdict="reject") == (422, "reason_missing")
    assert await decide(verdict="adjust", minutes=90) == (422, "reason_missing")
    assert await decide(verdict="adjust", reason="left early") == (422, "minutes_invalid")
    assert await decide(verdict="verify", record_id=manager.new_id()) == (404, "not_found")
    own = await town.serve(manager)
    assert (await decide(verdict="verify", record_id=own))[1] in ("own_record", "not_found")
    body = {"id": manager.new_id(), "record_id": record_id, "verdict": "adjust", "minutes": 90, "reason": "left early"}
    assert (await manager.send("/api/v1/decisions", body)).json()["data"]["credited_minutes"] == 90
    assert await decide(verdict="verify") == (409, "already_decided")
    (mine,) = (await person.get("/api/v1/records")).json()["records"]
    assert (mine["credited_minutes"], mine["reason"]) == (90, "left early")


async def test_redeeming_is_refused_with_its_codes(town: Town) -> None:
    async with town.bank.engine.begin() as connection:
        dear = await town.city.add_reward(connection, price_points=100_000)
        gone = await town.city.add_reward(connection, price_points=1, stock=0)
        once = await town.city.add_reward(connection, price_points=1, limit_pieces=1, limit_period="month")
        there = await town.city.add_station(connection, region_id=town.city.other_community_id)
        elsewhere = await town.city.add_reward(
            connection, price_points=1, region_id=town.city.other_district_id, places=[there.id]
        )
    person = await town.volunteer()
    await verified(town, await town.member(town.city.manager_id), person)

    async def redeem(reward_id: Any) -> tuple[int, str] | int:
        answer = await person.send("/api/v1/redemptions", {"id": person.new_id(), "reward_id": str(reward_id)})
        return problem(answer) if answer.status_code >= 400 else answer.status_code

    assert await redeem(dear) == (409, "points_short")
    assert await redeem(gone) == (409, "out_of_stock")
    assert await redeem(once) == 201
    assert await redeem(once) == (409, "limit_reached")
    assert await redeem(elsewhere) == (404, "not_found")
    assert await redeem(person.new_id()) == (404, "not_found")
    refusals = {row["id"]: row["refusal"] for row in (await person.get("/api/v1/rewards")).json()["rewards"]}
    assert refusals == {str(dear): "points_short", str(gone): "out_of_stock", str(once): "limit_reached"}
    assert problem(await person.get(f"/api/v1/rewards/{elsewhere}")) == (404, "not_found")


async def test_another_member_sees_nothing_of_a_redemption(town: Town) -> None:
    async with town.bank.engine.begin() as connection:
        reward_id = await town.city.add_reward(connection)
    person, other = await town.volunteer(), await town.volunteer("林二")
    await verified(town, await town.member(town.city.manager_id), person)
    answer = await person.send("/api/v1/redemptions", {"id": person.new_id(), "reward_id": str(reward_id)})
    redemption_id = answer.json()["data"]["redemption_id"]
    assert problem(await other.get(f"/api/v1/redemptions/{redemption_id}")) == (404, "not_found")
    body = {"id": other.new_id()}
    answer = await other.send(f"/api/v1/redemptions/{redemption_id}/cancellation", body)
    assert problem(answer) == (404, "not_found")


async def test_pages_of_redemptions_and_statements_follow_one_another(town: Town) -> None:
    async with town.bank.engine.begin() as connection:
        reward_id = await town.city.add_reward(connection, price_points=1)
    person = await town.volunteer()
    await verified(town, await town.member(town.city.manager_id), person)
    for _ in range(5):
        town.watch.move(seconds=1)
        answer = await person.send("/api/v1/redemptions", {"id": person.new_id(), "reward_id": str(reward_id)})
        assert answer.status_code == 201
    for path, name, key in (("redemptions", "redemptions", "id"), ("statement", "lines", "transfer_id")):
        whole = [row[key] for row in (await person.get(f"/api/v1/{path}?limit=100")).json()[name]]
        assert len(whole) >= 5
        found: list[str] = []
        cursor = ""
        while cursor is not None:
            page = (await person.get(f"/api/v1/{path}?limit=2" + (f"&cursor={cursor}" if cursor else ""))).json()
            assert len(page[name]) <= 2
            found += [row[key] for row in page[name]]
            cursor = page["following"]
        assert found == whole


async def test_a_station_is_opened_once_and_only_inside_the_branch(town: Town) -> None:
    admin = await town.with_role("admin", region_id=town.city.district_id)
    body = {
        "id": admin.new_id(),
        "region_id": str(town.city.community_id),
        "fund_id": str(town.city.fund_id),
        "service_kind_id": str(town.city.kinds["help_elderly"]),
        **dict.fromkeys(("name_zh", "name_en", "address", "organising_unit", "person_in_charge"), "Harbour"),
    }
    first = await admin.send("/api/v1/stations", body)
    assert first.status_code == 201, first.text
    again = await admin.send("/api/v1/stations", body)
    assert again.json() == first.json()
    names = [row["name_zh"] for row in (await admin.get("/api/v1/stations")).json()["stations"]]
    assert names.count("Harbour") == 1
    outside = {**body, "id": admin.new_id(), "region_id": str(town.city.other_community_id)}
    assert problem(await admin.send("/api/v1/stations", outside)) == (404, "not_found")
    taken = {**body, "id": admin.new_id(), "number": first.json()["number"]}
    assert problem(await admin.send("/api/v1/stations", taken)) == (409, "conflict")
    # An id that is another administrator's station's is not told apart from any other that is taken.
    other = await town.with_role("admin", region_id=town.city.other_district_id)
    stolen = {**body, "region_id": str(town.city.other_community_id)}
    assert problem(await other.send("/api/v1/stations", stolen)) == (409, "id_reused")


async def test_a_station_without_a_screen_shows_nothing(town: Town) -> None:

    async with town.bank.engine.begin() as connection:
        await devices.revoke(connection, town.bank.book_id, town.city.screen.id, now=town.watch.now)
    manager = await town.member(town.city.manager_id)
    answer = await manager.get(f"/api/v1/stations/{town.city.station.number}/codes")
    assert problem(answer) == (404, "not_found")
    person = await town.volunteer()
    answer = await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": town.code()})
    assert problem(answer) == (403, "device_revoked")


async def test_a_suspended_member_sees_what_is_theirs_and_does_nothing(town: Town) -> None:
    from timebank import members

    person = await town.volunteer()
    async with town.bank.engine.begin() as connection:
        await members.suspend(connection, town.bank.book_id, person.member_id, now=town.watch.now)
    answer = await person.send("/api/v1/check-ins", {"id": person.new_id(), "code": town.code()})
    assert problem(answer) == (403, "member_suspended")
    assert (await person.get("/api/v1/me")).json()["state"] == "suspended"


@pytest.mark.parametrize("callers", [64])
async def test_everybody_at_once_and_twice_is_everybody_once(town: Town, callers: int) -> None:
    """Every request is sent twice, and every fifth caller hangs up."""
    async with town.bank.engine.begin() as connection:
        member_ids = await town.city.add_members(connection, callers)
        from timebank import sessions

        tokens = [await sessions.begin(connection, town.bank.book_id, id, town.watch.now) for id in member_ids]
    people = []
    for member_id, token in zip(member_ids, tokens, strict=True):
        person = town.stranger()
        person.client.cookies.set("timebank", token)
        person.member_id = member_id
        person.csrf = (await person.get("/api/v1/me")).json()["csrf"]
        people.append(person)

    async def send(person: Person, path: str, body: dict[str, str], hangs_up: bool) -> None:
        task = asyncio.create_task(person.send(path, body))
        if hangs_up:
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            assert (await task).status_code == 201

    for path, minutes in (("/api/v1/check-ins", 60), ("/api/v1/check-outs", 0)):
        bodies = [{"id": person.new_id(), "code": town.code()} for person in people]
        await asyncio.gather(
            *(
                send(person, path, body, hangs_up=number % 5 == 0 and turn == 0)
                for number, (person, body) in enumerate(zip(people, bodies, strict=True))
                for turn in range(2)
            )
        )
        town.watch.move(minutes=minutes)
    assert await count(town, record) == callers
    assert await count(town, punch) == 2 * callers
    assert await count(town, command) == 2 * callers
