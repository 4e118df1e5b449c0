"""Webhooks: what happens is told once it is committed, signed, and tried again whatever the far side does."""

import asyncio
import json
import re
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from api.delivering import Deliveries
from tests.api.conftest import Build
from tests.api.people import Person, Town, problem
from tests.timebank.test_gateways import served
from timebank import certificates, outbox, webhooks
from timebank.tables import EVENTS, webhook_message

ROOT = "/api/v1"
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "webhooks.md"


def checked_as_documented() -> Any:
    """The function of the reference page, as whoever copies it has it."""
    (source,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(source, "webhooks.md", "exec"), names)  # noqa: S102  our own page
    return names["verified"]


@dataclass
class Listener:
    """A far side that checks signatures, and does what it is told to do with each message in turn."""

    will: list[int | str] = field(default_factory=list)
    secret: str = ""
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value for name, value in headers.items()}
        body = await reader.readexactly(int(headers["content-length"]))
        self.heard.append((headers, body))
        what = self.will.pop(0) if self.will else 200
        if what == "hang":
            await reader.read()
        elif what != "drop":
            more = "Location: /elsewhere\r\n" if what == 302 else ""
            writer.write(f"HTTP/1.1 {what} x\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()


async def add(person: Person, region_id: UUID, url: str, *events: str) -> Any:
    """The answer to adding a webhook."""
    body = {"id": person.new_id(), "region_id": str(region_id), "url": url, "events": list(events or EVENTS)}
    return await person.send(f"{ROOT}/webhooks", body)


async def added(person: Person, region_id: UUID, url: str, *events: str) -> dict[str, Any]:
    """The new webhook, as the list has it."""
    answer = await add(person, region_id, url, *events)
    assert answer.status_code == 201, answer.text
    found = (await person.get(f"{ROOT}/webhooks")).json()["webhooks"]
    return dict(next(each for each in found if each["id"] == answer.json()["id"]))


async def tell(town: Town) -> UUID:
    """Something that happens: a shift is planned."""
    begins = town.watch.now
    manager = await town.member(town.city.manager_id)
    ends = begins + timedelta(hours=2)
    body = {"id": manager.new_id(), "starts_at": begins.isoformat(), "ends_at": ends.isoformat()}
    answer = await manager.send(f"{ROOT}/stations/{town.city.station.number}/shifts", body)
    assert answer.status_code == 201, answer.text
    return UUID(body["id"])


async def messages(person: Person, **asked: str) -> list[dict[str, Any]]:
    """What the webhooks were told, the latest first."""
    return list((await person.get(f"{ROOT}/webhook-messages", params=asked)).json()["messages"])


def deliveries(town: Town, seconds: float = 2) -> Deliveries:
    """What sends, at the town's clock."""
    return Deliveries(town.bank.engine, town.bank.settings, town.bank.keys, town.watch, answer_seconds=seconds)


async def test_all_that_happens_in_a_branch_is_told_with_ids_alone(build: Build) -> None:
    async with build(demo=True) as town:
        listener, city = Listener(), town.city
        boss, volunteer, manager = (
            await town.with_role("admin"),
            await town.volunteer("林一"),
            await town.member(city.manager_id),
        )
        async with town.bank.engine.begin() as connection:
            reward_id = await city.add_reward(connection, price_points=1)
        async with served(listener.talk) as port:
            url = f"http://127.0.0.1:{port}/hook?x=1"
            hook = await added(boss, city.region_id, url)
            # Elsewhere, nothing happens.
            await added(boss, city.other_district_id, url)
            only = await added(boss, city.region_id, url, "redemption.fulfilled")
            record_id = await town.serve(volunteer)
            body = {"id": manager.new_id(), "record_id": record_id, "verdict": "verify"}
            assert (await manager.send(f"{ROOT}/decisions", body)).status_code == 201
            body = {"id": volunteer.new_id(), "reward_id": str(reward_id)}
            redemption_id = (await volunteer.send(f"{ROOT}/redemptions", body)).json()["data"]["redemption_id"]
            (held,) = (await volunteer.get(f"{ROOT}/redemptions")).json()["redemptions"]
            clerk = await town.member(city.clerk_id)
            body = {"id": clerk.new_id(), "station_id": str(city.station.id), "code": held["code"]}
            assert (await clerk.send(f"{ROOT}/fulfilments", body)).status_code == 201
            certificate = {"id": volunteer.new_id()}
            assert (await volunteer.send(f"{ROOT}/certificates", certificate)).status_code == 201
            body = {"id": manager.new_id(), "record_id": record_id, "minutes": 60, "reason": "x"}
            assert (await manager.send(f"{ROOT}/corrections", body)).status_code == 201
            shift_id = await tell(town)
            answer = await manager.send(f"{ROOT}/shifts/{shift_id}/cancellation", {})
            assert answer.status_code == 201, answer.text
            sending = deliveries(town)
            while await sending.turn():
                pass
        told = {
            (json.loads(body)["type"], json.loads(body)["data"]["kind"], json.loads(body)["data"]["id"])
            for headers, body in listener.heard
        }
        assert told == {
            ("record.verified", "record", record_id),
            ("record.corrected", "record", record_id),
            ("redemption.fulfilled", "redemption", redemption_id),
            ("certificate.issued", "certificate", certificate["id"]),
            ("shift.planned", "shift", str(shift_id)),
            ("shift.cancelled", "shift", str(shift_id)),
        }
        assert len(listener.heard) == len(told) + 1
        verified, of_secret = checked_as_documented(), {hook["secret"]: 0, only["secret"]: 0}
        for headers, body in listener.heard:
            assert set(json.loads(body)) == {"type", "timestamp", "data"}
            assert set(json.loads(body)["data"]) == {"kind", "id"}
            for secret in of_secret:
                of_secret[secret] += verified(secret, headers, body, now=town.watch.now.timestamp())
            # Changed, or old, it is nobody's.
            assert not verified(hook["secret"], headers, body + b" ", now=town.watch.now.timestamp())
            assert not verified(hook["secret"], headers, body, now=town.watch.now.timestamp() + 600)
        assert of_secret == {hook["secret"]: len(told), only["secret"]: 1}
        assert {each["state"] for each in await messages(boss)} == {"sent"}


async def test_what_is_not_taken_is_tried_again_then_dead_then_sent_again_by_hand(build: Build) -> None:
    async with build(demo=True) as town:
        listener, boss = Listener([500, "hang", "drop", 302, 410, 503, 429, 404]), await town.with_role("admin")
        async with served(listener.talk) as port:
            await added(boss, town.city.region_id, f"http://127.0.0.1:{port}/", "shift.planned")
            await tell(town)
            sending = deliveries(town)
            for number, pause in enumerate((*webhooks.PAUSES, None), 1):
                assert await sending.turn() == 1
                # Not before its time, and not from two processes at once.
                assert await sending.turn() == 0
                (message,) = await messages(boss)
                assert message["tries"] == number
                if pause is not None:
                    assert message["state"] == "waiting"
                    town.watch.now += pause
            assert (message["state"], message["status"]) == ("dead", 404)
            assert len(listener.heard) == len(webhooks.PAUSES) + 1
            ids = {headers["webhook-id"] for headers, _ in listener.heard}
            assert ids == {message["id"]}
            assert {body for _, body in listener.heard} == {listener.heard[0][1]}
            town.watch.move(days=1)
            assert await sending.turn() == 0
            boss = await town.member(boss.member_id)
            page = await boss.get("/admin/webhooks?state=dead")
            assert f'action="/admin/webhooks/messages/{message["id"]}"' in page.text
            again = await boss.fill(f"/admin/webhooks/messages/{message['id']}", id=boss.new_id())
            assert again.status_code == 303
            assert await sending.turn() == 1
            (message,) = await messages(boss)
            assert (message["state"], message["status"], message["tries"]) == ("sent", 200, 1)
            # Of what was taken nothing changes.
            answer = await boss.send(f"{ROOT}/webhook-messages/{message['id']}/sending", {"id": boss.new_id()})
            assert answer.status_code == 201
            assert await sending.turn() == 0
        # Nobody listens there any more.
        await tell(town)
        assert await sending.turn() == 1
        latest = (await messages(boss))[0]
        assert (latest["state"], latest["failure"]) == ("waiting", "ConnectError")
        # A process that died with a message in hand leaves it to the next.
        town.watch.now += webhooks.PAUSES[0]
        async with town.bank.engine.begin() as connection:
            assert len(await webhooks.claim(connection, town.bank.book_id, town.watch.now, 10)) == 1
        assert await sending.turn() == 0
        town.watch.now += webhooks.LEASE
        assert await sending.turn() == 1
        town.watch.move(days=62)
        async with town.bank.engine.begin() as connection:
            assert await webhooks.drop_past(connection, town.bank.book_id, town.watch.now) == 1
        boss = await town.member(boss.member_id)
        (hook,) = (await boss.get(f"{ROOT}/webhooks")).json()["webhooks"]
        removed = await boss.fill(f"/admin/webhooks/{hook['id']}/removal", id=boss.new_id())
        assert removed.status_code == 303
        assert await messages(boss) == (await boss.get(f"{ROOT}/webhooks")).json()["webhooks"] == []


async def test_a_line_that_is_not_trusted_is_not_spoken_on(build: Build, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    certificates.ensure(tmp_path / "far", ["localhost", "127.0.0.1"], datetime.now(UTC))
    pair = certificates.own_of(tmp_path / "far")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    async with build(demo=True, webhooks_private=True) as town:
        listener, boss = Listener(), await town.with_role("admin")
        server = await asyncio.start_server(listener.talk, "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await added(boss, town.city.region_id, f"https://127.0.0.1:{port}/", "shift.planned")
            await tell(town)
            sending = deliveries(town)
            assert await sending.turn() == 1
            (message,) = await messages(boss)
            assert (message["state"], message["failure"], listener.heard) == ("waiting", "ConnectError", [])
            # The same place, to somebody who trusts it.
            sending.trust = ssl.create_default_context(cafile=certificates.authority_of(tmp_path / "far").certificate)
            town.watch.now += webhooks.PAUSES[0]
            assert await sending.turn() == 1
        (message,) = await messages(boss)
        assert (message["state"], message["failure"], len(listener.heard)) == ("sent", None, 1)


async def test_no_message_goes_where_it_must_not(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    async with build() as town:
        boss, region = await town.with_role("admin"), town.city.region_id
        for url in (
            "http://example.org/",
            "http://127.0.0.1:8000/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://10.0.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://user:word@example.org/",
            "https://example.org/#x",
            "https://exa mple.org/",
            "https://example.org:99999/",
            "ftp://example.org/",
            "https:///x",
            "例子",
        ):
            assert problem(await add(boss, region, url)) == (422, "invalid"), url
        assert problem(await add(boss, region, "https://example.org/", "record.made"))[1] == "invalid"
        assert problem(await add(boss, uuid4(), "https://example.org/"))[1] == "not_found"
        await added(boss, region, "https://hook.example.org/x", "shift.planned")
        await tell(town)

        # A name that was of the internet when it was added, and leads inside now.
        async def inside(*_: Any, **__: Any) -> list[Any]:
            return [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", inside)
        assert await deliveries(town).turn() == 1
        (message,) = await messages(boss)
        assert (message["state"], message["failure"]) == ("waiting", "no_such_place")


async def test_what_did_not_happen_is_not_told(town: Town) -> None:
    boss = await town.with_role("admin")
    await added(boss, town.city.region_id, "https://hook.example.org/")
    count = select(func.count()).select_from(webhook_message).where(webhook_message.c.book_id == town.bank.book_id)
    async with town.bank.engine.connect() as connection:
        record_id = UUID(await town.serve(await town.volunteer()))
        await outbox.tell(connection, town.bank.book_id, "record.verified", [record_id], town.watch.now)
        assert await connection.scalar(count) == 1
        await connection.rollback()
    async with town.bank.engine.connect() as connection:
        assert await connection.scalar(count) == 0
