"""What a story needs: a machine whose commands are typed, and the bank on it that serves, by a clock of the story."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from click.testing import CliRunner
from litestar import Litestar
from sqlalchemy import select

from api.app import create_app
from api.auth import token_for
from api.cli import main
from api.state import Bank
from tests.api.people import ADDRESS, Person, Watch
from tests.stories.brought import VOLUNTEERS, phone_of
from timebank import erasure_list, members, sessions
from timebank.commit import Commits
from timebank.database import create_engine
from timebank.ids import uuid7
from timebank.jobs import Jobs
from timebank.keys import Keys
from timebank.postgres import EmbeddedPostgres, Server
from timebank.settings import Settings
from timebank.sms import LocalSender
from timebank.tables import member

PASSWORD = "four herons over the lake"
CONNECTIONS = 10


@cache
def app() -> Litestar:
    """The app, put together once; it belongs to whatever bank its state names."""
    return create_app()


def browser() -> httpx.AsyncClient:
    """What speaks to it."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url=ADDRESS, trust_env=False)


@dataclass
class Machine:
    """A data directory, and the PostgreSQL in it."""

    data: Path
    server: Server

    @classmethod
    @contextlib.contextmanager
    def start(cls, data: Path) -> "Iterator[Machine]":
        """Its PostgreSQL runs for the time of the block; commands find it."""
        with EmbeddedPostgres(data) as server:
            yield cls(data, server)

    def types(self, *words: object) -> str:
        """One command that has to succeed; answers its words."""
        return command(self.data, *words)


def command(data: Path, *words: object, status: int = 0) -> str:
    """What a command says to an operator whose bank is in `data`."""
    environment = {"TIMEBANK_DATA": str(data), "TIMEBANK_DATABASE_URL": None, "LANG": "C"}
    result = CliRunner().invoke(main, [str(word) for word in words], env=environment)
    assert result.exit_code == status, (words, result.output, result.exception)
    return result.output


@dataclass
class Week:
    """The bank as it serves, with a clock that the story moves."""

    bank: Bank
    client: httpx.AsyncClient
    watch: Watch
    jobs: Jobs
    tokens: dict[int, str] = field(default_factory=dict)

    @classmethod
    @contextlib.asynccontextmanager
    async def begin(cls, machine: Machine, monday: datetime) -> "AsyncIterator[Week]":
        """Serve from a machine's database, with its keys."""
        keys, watch = Keys.load(machine.data / "keys.json"), Watch(monday)
        settings = Settings(data=machine.data, database_url=machine.server.service_url)
        engine = create_engine(machine.server.service_url, pool_size=CONNECTIONS)
        commits = Commits(engine, settings.book_id, keys, watch)
        bank = Bank(settings, engine, keys, watch, commits, LocalSender(lambda _: None))
        app().state.bank = bank
        await commits.start()
        more = {"note_erasures": erasure_list.noting(machine.data / erasure_list.NAME)}
        try:
            async with browser() as client:
                yield cls(bank, client, watch, Jobs(engine, settings.book_id, watch, more=more))
        finally:
            bank.watching.stop()
            await commits.stop()
            await engine.dispose()

    def stranger(self) -> Person:
        """Somebody with a browser of their own."""
        return Person(self.bank, browser())

    async def sign_in(self, phone: str, password: str = PASSWORD) -> Person:
        """Somebody with a password."""
        person = self.stranger()
        answer = await person.send("/api/v1/sessions", {"phone": phone, "password": password})
        assert answer.status_code == 201, answer.text
        person.csrf = answer.json()["csrf"]
        return person

    async def members(self) -> dict[int, UUID]:
        """The volunteers' ids by their number on the list."""
        indices = {members.phone_index(self.bank.keys, phone_of(number)): number for number in range(VOLUNTEERS)}
        query = select(member.c.id, member.c.phone_index).where(member.c.phone_index.in_(indices))
        async with self.bank.engine.connect() as connection:
            return {indices[row.phone_index]: row.id for row in await connection.execute(query)}

    async def let_in(self, people: dict[int, UUID]) -> None:
        """Sign volunteers in, as their phones were before."""
        async with self.bank.engine.begin() as connection:
            for number, id in people.items():
                self.tokens[number] = await sessions.begin(connection, self.bank.book_id, id, self.watch.now)

    async def send(self, number: int, path: str, body: Any) -> httpx.Response:
        """What a volunteer sends."""
        token = self.tokens[number]
        headers = {"Origin": ADDRESS, "Cookie": f"timebank={token}", "X-CSRF-Token": token_for(token, "csrf")}
        return await self.client.post(f"/api/v1/{path}", json=body, headers=headers)

    async def scan(self, number: int, path: str, code: str) -> httpx.Response:
        """A volunteer scans what the station's screen shows."""
        return await self.send(number, path, {"id": str(uuid7(self.watch.now)), "code": code})


async def good(person: Person, path: str, body: Any = None) -> Any:
    """What an answer says that has to be one."""
    answer = await (person.get(f"/api/v1{path}") if body is None else person.send(f"/api/v1{path}", body))
    assert answer.is_success, (path, answer.text)
    return answer.json()
