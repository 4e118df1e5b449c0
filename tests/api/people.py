"""People who use a bank over HTTP, each with a client and cookies of their own."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from litestar import Litestar

from api.state import Bank
from tests.api.described import Heard
from tests.factories import PASSWORD, City
from timebank import codes
from timebank.ids import uuid7

ADDRESS = "http://127.0.0.1:8000"
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass
class Watch:
    """A clock that a test moves."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        """Let time pass, as `timedelta` counts it."""
        self.now += timedelta(**by)


@dataclass
class Person:
    """One browser or program at `address`."""

    bank: Bank
    client: httpx.AsyncClient
    address: str = ADDRESS
    member_id: UUID | None = None
    csrf: str | None = None

    async def get(self, path: str, **more: Any) -> httpx.Response:
        """Ask for a page or for JSON."""
        return await self.client.get(path, **more)

    async def send(self, path: str, body: Any = None, *, method: str = "POST", **headers: str | None) -> httpx.Response:
        """Write as a program does. Headers go by their name with underscores; None leaves one out."""
        content = body if isinstance(body, bytes) else None
        sent = {"Origin": self.address, "Content-Type": "application/json", "X-CSRF-Token": self.csrf}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(
            method,
            path,
            content=content,
            json=body if content is None else None,
            headers={name: value for name, value in sent.items() if value is not None},
        )

    async def fill(self, path: str, **fields: Any) -> httpx.Response:
        """Send a form of ours, with its token from a page of ours."""
        page = await self.get("/language-is-no-page" if self.member_id else "/sign-in")
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
        assert token, page.text
        return await self.client.post(path, data={"csrf": token[1], **fields}, headers={"Origin": self.address})

    async def sign_in(self, city: City, member_id: UUID, password: str = PASSWORD) -> "Person":
        """Sign in with a member's phone and password."""
        answer = await self.send("/api/v1/sessions", {"phone": city.phones[member_id], "password": password})
        assert answer.status_code == 201, answer.text
        self.member_id, self.csrf = member_id, answer.json()["csrf"]
        return self

    def new_id(self) -> str:
        """An id for a command."""
        return str(uuid7(self.bank.clock()))


@dataclass
class Town:
    """A bank that serves, the city in its book, and the people who come."""

    app: Litestar
    bank: Bank
    city: City
    watch: Watch
    said: list[str]
    """What was sent to phones."""
    people: list[Person] = field(default_factory=list)

    def stranger(self, address: str = ADDRESS, peer: str = "127.0.0.1") -> Person:
        """Somebody who has never been here."""
        transport = httpx.ASGITransport(self.answer, client=(peer, 40_000))
        person = Person(self.bank, httpx.AsyncClient(transport=transport, base_url=address), address)
        self.people.append(person)
        return person

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer for this town: others may be open on the same app."""
        self.app.state.bank = self.bank
        heard = Heard(send)
        await self.app(scope, receive, heard.send)
        heard.prove(scope)

    async def member(self, member_id: UUID, password: str = PASSWORD, **where: str) -> Person:
        """A member, signed in."""
        return await self.stranger(**where).sign_in(self.city, member_id, password)

    async def volunteer(self, name: str = "林一", **more: Any) -> Person:
        """A new member, signed in."""
        return await self.member(await self.join(name, **more))

    async def join(self, name: str = "林一", **more: Any) -> UUID:
        """A new member with a password."""
        async with self.bank.engine.begin() as connection:
            return await self.city.add_member(connection, name, password=PASSWORD, **more)

    async def with_role(self, role: str, **scope: UUID) -> Person:
        """A new member with a role, signed in."""
        member_id = await self.join(f"角色{role}")
        async with self.bank.engine.begin() as connection:
            await self.city.grant(connection, member_id, role, **(scope or {"region_id": self.city.region_id}))
        return await self.member(member_id)

    def code(self, *, number: int | None = None, device: int | None = None, at: datetime | None = None) -> str:
        """What the screen of the station shows now."""
        return codes.station_code(
            self.bank.keys.station,
            number or self.city.station.number,
            device or self.city.screen.number,
            codes.slot_at(at or self.watch.now),
        )

    async def serve(self, person: Person, minutes: int = 120) -> str:
        """Check in, stay, check out; answers the record's id."""
        for path, stay in (("check-ins", minutes), ("check-outs", 0)):
            body = {"id": person.new_id(), "code": self.code()}
            answer = await person.send(f"/api/v1/{path}", body)
            assert answer.status_code in (201, 202), answer.text
            self.watch.move(minutes=stay)
        return str(answer.json()["data"]["attendance_id"])


def problem(answer: httpx.Response) -> tuple[int, str]:
    """The status and code of a refusal, which has to be a whole problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found = answer.json()
    assert set(found) == {"type", "title", "status", "detail", "code", "instance", "data"}
    assert found["status"] == answer.status_code
    assert found["instance"] == answer.headers["x-request-id"]
    assert found["detail"]
    return found["status"], found["code"]
