"""Who comes and goes in a month of one station, on the bank and on the model of it at once."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import City
from tests.timebank.month_model import Month
from tests.timebank.month_words import Scan, Stay
from tests.timebank.ways import Doorway
from timebank import (
    astray,
    attendances,
    codes,
    doors,
    manual,
)
from timebank.astray import Settle
from timebank.ids import uuid7
from timebank.manual import Enter
from timebank.punches import Punch
from timebank.scans import Sent

# The tenth of December, a Thursday, at nine: the year ends within the month.
START = datetime.fromisoformat("2026-12-10T01:00:00+00:00")


@dataclass
class Scans:
    """The bank and the model of a month, told the same scans and entries."""

    connection: AsyncConnection
    city: City
    doorways: list[Doorway]
    people: list[UUID]
    resident_id: UUID
    second_id: UUID
    reward_id: UUID
    model: Month
    now: datetime = START
    # The door codes that a member came by and has not left by.
    visits: dict[UUID, str] = field(default_factory=dict)

    @property
    def alive(self) -> list[UUID]:
        """Those who were not merged into another."""
        return [each for each in self.people if each not in self.model.into]

    def one(self, which: int) -> UUID:
        return self.alive[which % len(self.alive)]

    def record(self, which: int) -> Stay | None:
        """Some record, the later ones first."""
        found = [stay for stay in self.model.stays.values() if stay.end]
        return found[-1 - which % len(found)] if found else None

    def shared(self) -> tuple[AsyncConnection, int]:
        return self.connection, self.city.book_id

    # Ways in and out.

    async def door_code(self) -> str:
        values = {"station_id": self.city.station.id, "resident_id": self.resident_id, "id": uuid7(self.now)}
        actor = {"now": self.now, "actor_id": self.city.manager_id}
        digits, _ = await doors.issue(*self.shared(), self.city.keys, **values, **actor)
        return digits

    async def scanned(self, member: UUID, kind: str, way: str, station: int, ago: int) -> tuple[Punch, Scan]:
        """The command, and what the model is told of it."""
        door, at = self.doorways[station], self.now
        own = {"id": uuid7(self.now)}
        scan = Scan(own["id"], member, station, kind, way, at, self.now)
        if way == "live":
            scan.slot = codes.slot_at(at)
            return door.sent(member, kind, at, **own), scan
        if way == "late":
            scan.at = codes.slot_start(codes.slot_at(at - timedelta(minutes=ago)))
            scan.slot = codes.slot_at(scan.at)
            return door.sent(member, kind, at, Sent(code=door.code(scan.at), late=True), **own), scan
        if way in ("card", "pin"):
            vouched = {"vouched_by": "pin"} if way == "pin" else {}
            return door.shown(kind, at, await door.card(member, at), **vouched, **own), scan
        if way == "door":
            digits = self.visits.get(member) if kind == "out" else None
            sent = Sent(door_code=digits or await self.door_code())
            return door.sent(member, kind, at, sent, **own), scan
        poster = await door.poster(at)
        scan.slot = codes.slot_at(at) if way == "digits" else None
        sent = Sent(code=poster, digits=door.digits(at) if way == "digits" else None)
        return door.sent(member, kind, at, sent, **own), scan

    async def arrive(self, which: int, way: str, elsewhere: bool, ago: int) -> None:
        member, station = self.one(which), int(elsewhere and way in ("live", "late"))
        command, scan = await self.scanned(member, "in", way, station, ago)
        expected = self.model.judge(member, self.now, digits=way in ("digits", "door"), wrong=False)
        expected = expected or self.model.arrive(scan)
        answer = await self.doorways[station].one(command, self.now)
        assert answer.code == expected
        if way == "door" and expected == "ok" and command.scan:
            self.visits[member] = str(command.scan.digits)

    async def leave(self, which: int, way: str, elsewhere: bool, ago: int) -> None:
        member, station = self.one(which), int(elsewhere and way in ("live", "late"))
        unused = way == "door" and member not in self.visits
        command, scan = await self.scanned(member, "out", way, station, ago)
        # A door code that nobody came by opens no way out.
        expected = "code_expired" if unused else None
        expected = expected or self.model.judge(member, self.now, digits=way in ("digits", "door"), wrong=False)
        if expected is None:
            crowd = way not in ("door", "late") and self.model.is_crowd(station, 1, self.now)
            expected = self.model.leave(scan, crowd=crowd)
            if crowd and expected == "ok":
                self.model.mark_crowd(station, self.now)
            if way == "door" and expected == "ok":
                del self.visits[member]
        answer = await self.doorways[station].one(command, self.now)
        assert answer.code == expected

    async def leave_all(self) -> None:
        """Everybody who is in at the station, in one moment."""
        leaving = [member for member, stay in self.model.present.items() if stay.station == 0]
        if not leaving:
            return
        commands = [await self.scanned(member, "out", "live", 0, 0) for member in leaving]
        crowd, expected = self.model.is_crowd(0, len(leaving), self.now), []
        for member, (_, scan) in zip(leaving, commands, strict=True):
            refused = self.model.judge(member, self.now, digits=False, wrong=False)
            expected.append(refused or self.model.leave(scan, crowd=crowd))
        if crowd and "ok" in expected:
            self.model.mark_crowd(0, self.now)
        answers = await self.doorways[0].run(*(command for command, _ in commands), now=self.now)
        assert [answer.code for answer in answers] == expected

    async def arrive_all(self) -> None:
        for which in range(len(self.alive)):
            await self.arrive(which, "live", False, 0)

    async def guess(self, which: int, times: int) -> None:
        """Digits that are none."""
        member, door = self.one(which), self.doorways[0]
        wrong = f"{(int(door.digits(self.now)) + 1) % 10**6:06d}"
        for _ in range(times):
            command = door.sent(member, "in", self.now, Sent(digits=wrong, station_number=door.station.number))
            expected = self.model.judge(member, self.now, digits=True, wrong=True)
            assert (await door.one(command, self.now)).code == expected

    async def close_forgotten(self) -> None:
        assert await attendances.close_forgotten(*self.shared(), self.now) == self.model.close_forgotten(self.now)

    async def enter(self, which: int, ago: int, minutes: int) -> None:
        end = self.now - timedelta(minutes=ago)
        times = {"started_at": end - timedelta(minutes=minutes), "ended_at": end}
        who = {"actor_id": self.city.manager_id, "station_id": self.city.station.id, "member_id": self.one(which)}
        command = Enter(id=uuid7(self.now), reason="在场", **who, **times)
        expected = self.model.enter(command.id, command.member_id, *times.values(), self.now)
        (answer,) = await manual.enter(*self.shared(), [command], self.now, keys=self.city.keys)
        assert answer.code == expected

    async def settle(self, which: int, minutes: int | None) -> None:
        if not self.model.astray:
            return
        scan = list(self.model.astray.values())[which % len(self.model.astray)]
        away = None if minutes is None else timedelta(minutes=minutes if scan.kind == "in" else -minutes)
        other = None if away is None else scan.at + away
        verdict: Any = "dismiss" if other is None else "enter"
        who = {"actor_id": self.second_id, "punch_id": scan.id}
        command = Settle(id=uuid7(self.now), verdict=verdict, reason="问过本人", other_at=other, **who)
        expected = self.model.settle(command.id, scan, other, self.now)
        (answer,) = await astray.settle_astray(*self.shared(), [command], self.now, keys=self.city.keys)
        assert answer.code == expected
