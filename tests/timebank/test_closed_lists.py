"""The closed list of the refusals, read out of the code: what a scan is refused with, and which of two is said.

Each line has a case here that comes to it by the real commands, so that a line that is added without one fails. A scan
that is wrong in two ways is refused with the code that stands first.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.app import create_app
from api.guards import ACCESS
from api.sentences import SENTENCES
from api.state import Bank
from tests.factories import MORNING, City, build_city
from tests.timebank.ways import Doorway
from tests.unit.test_docs_facts import refusals
from timebank import (
    cards,
    codes,
    consents,
    devices,
    members,
    posters,
    stations,
)
from timebank.commit import Commits
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.punches import Punch
from timebank.scans import Sent
from timebank.settings import Settings
from timebank.sms import LocalSender
from timebank.tables import member

# In order: what reading finds, then what the bank's own judgement does. Who is not signed in gets nowhere near it.
READING = [kind.code for kind in (codes.CodeMalformed, codes.CodeForged, codes.CodeExpired)]
REFUSALS = list(dict.fromkeys(["id_reused", *READING, *refusals("timebank/grounds.py", "judge")]))
EVENING = MORNING + timedelta(hours=12)
HOUR = timedelta(hours=1)
UNKNOWN = UUID("00000000-0000-7000-8000-000000000000")


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


@pytest.fixture
def door(connection: AsyncConnection, city: City) -> Doorway:
    return Doorway(connection, city)


@dataclass
class Attempt:
    """A check-in that is good until something is wrong with it. `way`: a screen's code, digits with the station's
    number or with its poster, a card at the desk, a resident's card at home."""

    door: Doorway
    way: str
    member_id: UUID
    holder_id: UUID
    card: str
    poster: str
    actor_id: UUID
    id: UUID
    cut: bool = False
    altered: bool = False
    wrong_digits: bool = False
    shown_at: datetime = MORNING
    more: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The code as it is sent."""
        good = {"screen": self.door.code(self.shown_at), "number": "", "poster": self.poster}.get(self.way, self.card)
        good = good[:-1] + ("0" if good[-1] != "0" else "1") if self.altered and good else good
        return good[:-1] if self.cut else good

    def digits(self) -> str | None:
        """And the digits, where they belong to it."""
        if self.way not in ("number", "poster"):
            return None
        right = self.door.digits(MORNING)
        typed = f"{(int(right) + 1) % 10**6:06d}" if self.wrong_digits else right
        return typed[:-1] if self.cut and self.way == "number" else typed

    def command(self) -> Punch:
        """What is sent."""
        if self.way == "card":
            facts = {"actor_id": self.actor_id, "id": self.id, **self.more}
            return self.door.shown("in", MORNING, self.text(), **facts)
        number = self.door.station.number if self.way == "number" else None
        sent = Sent(code=self.text(), digits=self.digits(), station_number=number)
        place = {"station_id": self.door.station.id} if self.way == "home" else {}
        return self.door.sent(self.actor_id, "in", MORNING, sent, **{"id": self.id, **place, **self.more})


async def attempt(door: Doorway, way: str) -> Attempt:
    """A good one, of somebody new."""
    one, resident = await door.city.add_members(door.connection, 2)
    holder, actor = (resident, one) if way == "home" else (one, door.city.manager_id if way == "card" else one)
    return Attempt(
        door,
        way,
        member_id=one,
        holder_id=holder,
        card=await door.card(holder, MORNING),
        poster=await door.poster(MORNING),
        actor_id=actor,
        id=uuid7(MORNING),
    )


Fault = Callable[[Attempt], Awaitable[None]]
# By code: the ways in which a scan can be wrong like that, and how it becomes so.
FAULTS: dict[str, tuple[tuple[str, ...], Fault]] = {}
EVERY = ("screen", "number", "poster", "card", "home")
PINS = ("pin_missing", "pin_wrong", "pin_locked")
# No scan is wrong in both.
EXCLUSIVE = [set(pair) for pair in combinations(PINS, 2)] + [{"station_closed", "not_found"}]


def fault(code: str, *ways: str) -> Callable[[Fault], Fault]:
    """Names the case of a code."""

    def named(case: Fault) -> Fault:
        FAULTS[code] = (ways, case)
        return case

    return named


@fault("id_reused", *EVERY)
async def id_reused(scan: Attempt) -> None:
    other = await scan.door.city.add_member(scan.door.connection)
    await scan.door.one(scan.door.sent(other, "in", MORNING, Sent(code="?"), id=scan.id), MORNING)


@fault("code_malformed", *EVERY)
async def code_malformed(scan: Attempt) -> None:
    scan.cut = True


@fault("code_forged", "screen", "poster", "card", "home")
async def code_forged(scan: Attempt) -> None:
    scan.altered = True


@fault("code_expired", "screen")
async def code_expired(scan: Attempt) -> None:
    scan.shown_at = MORNING - timedelta(minutes=2)


@fault("device_revoked", "screen")
async def device_revoked(scan: Attempt) -> None:
    await devices.revoke(scan.door.connection, scan.door.city.book_id, scan.door.screen.id, now=MORNING)


@fault("card_revoked", "card", "home")
async def card_revoked(scan: Attempt) -> None:
    city = scan.door.city
    who = {"now": MORNING, "actor_id": city.manager_id}
    await cards.revoke(scan.door.connection, city.book_id, scan.holder_id, **who)


@fault("poster_revoked", "poster")
async def poster_revoked(scan: Attempt) -> None:
    door, who = scan.door, scan.door.city.manager_id
    await posters.revoke(door.connection, door.city.book_id, door.station.id, now=MORNING, actor_id=who)


@fault("station_closed", *EVERY)
async def station_closed(scan: Attempt) -> None:
    door = scan.door
    await stations.set_state(door.connection, door.city.book_id, door.station.id, state="closed", now=MORNING)


@fault("member_suspended", *EVERY)
async def member_suspended(scan: Attempt) -> None:
    await members.suspend(scan.door.connection, scan.door.city.book_id, scan.member_id, now=MORNING)


@fault("consent_withdrawn", *EVERY)
async def consent_withdrawn(scan: Attempt) -> None:
    await consents.answer(
        scan.door.connection,
        scan.door.city.book_id,
        scan.member_id,
        purpose="service",
        number=1,
        agreed=False,
        id=scan.door.city.new_id(),
        actor_id=scan.member_id,
        now=MORNING,
    )


@fault("role_not_allowed", "card")
async def role_not_allowed(scan: Attempt) -> None:
    scan.actor_id = scan.door.city.clerk_id


@fault("try_later", "number", "poster")
async def try_later(scan: Attempt) -> None:
    wrong = f"{(int(scan.door.digits(MORNING)) + 1) % 10**6:06d}"
    sent = Sent(digits=wrong, station_number=scan.door.station.number)
    await scan.door.run(*(scan.door.sent(scan.member_id, "in", MORNING, sent) for _ in range(5)))


@fault("digits_wrong", "number", "poster")
async def digits_wrong(scan: Attempt) -> None:
    scan.wrong_digits = True


@fault("pin_missing", "card")
async def pin_missing(scan: Attempt) -> None:
    scan.more["vouch_refusal"] = "pin_missing"


@fault("pin_wrong", "card")
async def pin_wrong(scan: Attempt) -> None:
    scan.more["vouch_refusal"] = "pin_wrong"


@fault("pin_locked", "card")
async def pin_locked(scan: Attempt) -> None:
    scan.more["vouch_refusal"] = "pin_locked"


@fault("not_found", "home")
async def not_found(scan: Attempt) -> None:
    scan.more["station_id"] = UNKNOWN


@fault("own_record", "card", "home")
async def own_record(scan: Attempt) -> None:
    """Everybody lives in one household."""
    city = scan.door.city
    together = update(member).where(member.c.book_id == city.book_id).values(household_id=UNKNOWN)
    await scan.door.connection.execute(together)


def both(earlier: str, later: str) -> list[str]:
    """The ways in which one scan can be wrong in both."""
    if {earlier, later} in EXCLUSIVE:
        return []
    return [way for way in FAULTS[earlier][0] if way in FAULTS[later][0]]


async def refused(door: Doorway, way: str, *faults: str) -> str:
    """What a scan with these faults is answered; nothing of it stays, not even in the city."""
    before = await door.connection.begin_nested()
    scan = await attempt(door, way)
    for code in faults:
        await FAULTS[code][1](scan)
    command = scan.command()
    answer = await door.one(command, MORNING)
    if answer.code not in ("ok", "held"):
        assert await door.punch(command.id) is None
    await before.rollback()
    return answer.code


@pytest.mark.parametrize("way", EVERY)
async def test_without_a_fault_it_is_taken(door: Doorway, way: str) -> None:
    assert await refused(door, way) == "ok"


@pytest.mark.parametrize("code", REFUSALS)
async def test_every_line_of_the_refusals_and_before_which_others_it_is_said(door: Doorway, code: str) -> None:
    ways, _ = FAULTS[code]
    for way in ways:
        assert await refused(door, way, code) == code, way
    for later in REFUSALS[REFUSALS.index(code) + 1 :]:
        for way in both(code, later):
            # The later one first: five wrong digits are typed at a station that is open still.
            assert await refused(door, way, later, code) == code, (way, later)
    status, zh, en = SENTENCES[code]
    assert 400 <= status < 500
    assert zh
    assert en
    assert zh != en


async def test_who_is_not_signed_in_is_refused_before_anything_is_read(
    engine: AsyncEngine, keys: Keys, new_book: int, tmp_path: Any
) -> None:
    settings = Settings(data=tmp_path, database_url=engine.url.render_as_string(hide_password=False), book_id=new_book)
    commits = Commits(engine, new_book, keys, lambda: MORNING)
    bank = Bank(settings, engine, keys, lambda: MORNING, commits, LocalSender([].append, demo=False))
    transport = httpx.ASGITransport(create_app(bank), client=("127.0.0.1", 40_000))
    origin = "http://127.0.0.1:8000"
    async with httpx.AsyncClient(transport=transport, base_url=origin, headers={"Origin": origin}) as stranger:
        for path in ("/api/v1/check-ins", "/api/v1/check-outs"):
            assert ACCESS[f"POST {path}"].to == "members"
            answer = await stranger.post(path, json={"code": "?"})
            assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    assert SENTENCES["not_signed_in"].zh != SENTENCES["not_signed_in"].en
