"""What goes wrong in a real city: crowds, hung-up calls, killed processes, lost answers, a database that is away.

The short form; `python -m tests.torture` is the long one.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from tests.directories import short_directory
from tests.service.processes import Service, copy_data, wait_until
from tests.torture.crowd import come_and_go
from tests.torture.killing import Killed, kill_in_the_middle
from tests.torture.proxy import Proxy, proxy_to, to_socket, to_tcp
from tests.torture.town import Town, Volunteer, look, new_id, prove, settle
from tests.torture.wire import Reply, send
from timebank import postgres
from timebank.keys import Keys
from timebank.postgres import EmbeddedPostgres, Server


def town_in(data: Path, volunteers: int) -> Town:
    """A town in the database of `data`."""
    keys = Keys.load_or_create(data / "keys.json")
    with postgres.reach(data) as server:
        return asyncio.run(settle(server.service_url, keys, volunteers))


def test_64_at_once_who_send_everything_twice_are_recorded_64_times(own_data: Path) -> None:
    town = town_in(own_data, 64)
    # Two processes, so that the same command arrives at both.
    with Service.start(own_data, workers=2, log_level="error") as service, postgres.reach(own_data) as server:
        done = asyncio.run(come_and_go(service.port, town))
        assert done == {"check-ins": 64, "redemptions": 64, "check-outs": 64}
        found = asyncio.run(look(server.service_url, town))
        # The one that everybody had before, and one more for each.
        assert found.records == 2 * 64
        assert len(found.redemptions) == len(found.parts) == 64
        assert len(found.punches) == 4 * 64
        asyncio.run(prove(server.service_url, town))


def test_whoever_is_killed_nothing_acknowledged_is_lost_and_nothing_is_doubled(own_data: Path) -> None:
    town = town_in(own_data, 16)
    killed = Killed(own_data)
    killed.start_again()
    try:
        said: list[str] = []
        stream = asyncio.run(kill_in_the_middle(town, killed, 6, said.append))
    finally:
        killed.stop()
    assert len(said) == 6
    assert stream.strange == []
    # Every command has its answer, and a good part of them succeeded.
    answered = Counter(each.reply is not None for each in stream.sent)
    assert answered[False] == 0
    assert sum(each.reply is not None and each.reply.status < 300 for each in stream.sent) > 300


# Networks: behind the bank, and before it.


@dataclass
class Line:
    """A bank whose database is reached through a proxy."""

    service: Service
    proxy: Proxy
    server: Server
    town: Town

    async def send(self, path: str, body: object, volunteer: Volunteer | None = None) -> Reply:
        """Send a command that gets an answer."""
        reply = await send(self.service.port, volunteer or self.town.volunteers[0], f"/api/v1{path}", body)
        assert reply is not None
        return reply

    async def get(self, path: str, volunteer: Volunteer | None = None) -> Reply:
        """Read something."""
        reply = await send(self.service.port, volunteer or self.town.volunteers[0], path, method="GET")
        assert reply is not None
        return reply


@pytest.fixture(scope="module")
def far(made: Path) -> Iterator[tuple[Path, Server, Town]]:
    """A town in a database of its operator's own, and a directory for a bank that serves it."""
    with short_directory() as directory:
        data = copy_data(made, directory / "data")
        town = town_in(data, 32)
        with EmbeddedPostgres(data, options={"shared_buffers": "32MB"}) as server:
            elsewhere = directory / "elsewhere"
            elsewhere.mkdir()
            town.keys.save(elsewhere / "keys.json")
            yield elsewhere, server, town


@contextlib.asynccontextmanager
async def line(far: tuple[Path, Server, Town]) -> AsyncIterator[Line]:
    """The bank, for the time of the block."""
    data, server, town = far
    socket = server.socket_directory / f".s.PGSQL.{server.port}"
    async with proxy_to(to_socket(str(socket))) as proxy:
        password = server.passwords["timebank"]
        url = f"postgresql://timebank:{password}@127.0.0.1:{proxy.port}/timebank?sslmode=disable"
        service = await asyncio.to_thread(Service.begin, data, database_url=url, log_level="error")
        try:
            await asyncio.to_thread(service.wait_ready)
            yield Line(service, proxy, server, town)
        finally:
            await asyncio.to_thread(service.end)


async def test_an_answer_that_is_lost_behind_the_bank_is_found_again(far: tuple[Path, Server, Town]) -> None:
    async with line(far) as bank:
        before = await look(bank.server.service_url, bank.town)
        bodies = [{"id": new_id(), "reward_id": str(bank.town.reward_id)} for _ in range(6)]
        replies = []
        for body in bodies:
            # The COMMIT arrives and is carried out; that it was is never heard of.
            bank.proxy.swallow = b"COMMIT"
            replies.append(await bank.send("/redemptions", body))
        assert bank.proxy.swallowed == 6
        assert {reply.status for reply in replies} == {201}
        assert [await bank.send("/redemptions", body) for body in bodies] == replies
        after = await look(bank.server.service_url, bank.town)
        assert len(after.redemptions) - len(before.redemptions) == 6
        await prove(bank.server.service_url, bank.town)


async def test_an_answer_that_is_lost_before_the_bank_is_given_again(far: tuple[Path, Server, Town]) -> None:
    async with line(far) as bank, proxy_to(to_tcp(bank.service.port)) as network:
        before = await look(bank.server.service_url, bank.town)
        volunteer = bank.town.volunteers[1]
        bodies = [{"id": new_id(), "reward_id": str(bank.town.reward_id)} for _ in range(6)]
        for body in bodies:
            network.swallow = b"/api/v1/redemptions"
            assert await send(network.port, volunteer, "/api/v1/redemptions", body) is None
        assert network.swallowed == 6
        between = await look(bank.server.service_url, bank.town)
        assert len(between.redemptions) - len(before.redemptions) == 6
        # Who heard nothing sends again, and gets what there was to say.
        replies = [await send(network.port, volunteer, "/api/v1/redemptions", body) for body in bodies]
        assert {reply.status for reply in replies if reply} == {201}
        assert [await bank.send("/redemptions", body, volunteer) for body in bodies] == replies
        after = await look(bank.server.service_url, bank.town)
        assert after.redemptions == between.redemptions


async def test_while_the_database_is_away_everybody_is_told_that_the_bank_is_busy(
    far: tuple[Path, Server, Town],
) -> None:
    async with line(far) as bank:
        crowd = bank.town.volunteers
        bodies = [{"id": new_id(), "reward_id": str(bank.town.reward_id)} for _ in crowd]
        bank.proxy.go_away()
        sends = [bank.send("/redemptions", body, each) for body, each in zip(bodies, crowd, strict=True)]
        reads = [bank.get("/api/v1/me", each) for each in crowd]
        told = await asyncio.gather(*sends, *reads)
        assert {(reply.status, reply.body["code"]) for reply in told} == {(503, "busy")}
        assert (await bank.get("/health/live")).status == 200
        assert (await bank.get("/health/ready")).status == 503
        page = await bank.get("/")
        assert page.status == 503
        assert 'data-code="busy"' in page.body

        # It comes back by itself.
        bank.proxy.come_back()
        await asyncio.to_thread(wait_until, bank.service.is_ready, "the bank is ready again")
        for _ in range(20):
            replies = await asyncio.gather(
                *(bank.send("/redemptions", body, each) for body, each in zip(bodies, crowd, strict=True))
            )
            if {reply.status for reply in replies} == {201}:
                break
            assert all(reply.is_busy or reply.status == 201 for reply in replies), replies
            await asyncio.sleep(0.1)
        assert {reply.status for reply in replies} == {201}
        await prove(bank.server.service_url, bank.town)


async def test_a_server_that_takes_no_more_connections_is_busy_too(far: tuple[Path, Server, Town]) -> None:
    async with line(far) as bank:
        superuser = await asyncpg.connect(bank.server.superuser_url)
        try:
            await superuser.execute("ALTER ROLE timebank CONNECTION LIMIT 0")
            bank.proxy.go_away()
            bank.proxy.come_back()
            body = {"id": new_id(), "reward_id": str(bank.town.reward_id)}
            for reply in (await bank.send("/redemptions", body), await bank.get("/api/v1/me")):
                assert (reply.status, reply.body["code"]) == (503, "busy")
        finally:
            await superuser.execute("ALTER ROLE timebank CONNECTION LIMIT -1")
            await superuser.close()
        assert (await bank.send("/redemptions", body)).status == 201


async def test_readers_who_take_every_connection_keep_no_command_waiting(far: tuple[Path, Server, Town]) -> None:
    async with line(far) as bank:
        crowd = bank.town.volunteers
        for each in crowd:
            assert (await bank.get("/api/v1/me", each)).status == 200
        owner = await asyncpg.connect(bank.server.owner_url)
        locked = owner.transaction()
        await locked.start()
        try:
            # Whoever wants to read their redemptions waits, three times as many as there are connections.
            await owner.execute("LOCK TABLE timebank.redemption IN ACCESS EXCLUSIVE MODE")
            readers = [asyncio.create_task(bank.get("/api/v1/redemptions", each)) for each in crowd]
            body = {"id": new_id(), "code": bank.town.code()}
            waiting = asyncio.create_task(bank.send("/check-ins", body, crowd[0]))
            reply = await waiting
            assert reply.status == 201, reply
            assert not any(reader.done() for reader in readers)
            told = await asyncio.gather(*readers)
            assert {(reply.status, reply.body["code"]) for reply in told} == {(503, "busy")}
        finally:
            await locked.rollback()
            await owner.close()
        assert {(await bank.get("/api/v1/redemptions", each)).status for each in crowd} == {200}
