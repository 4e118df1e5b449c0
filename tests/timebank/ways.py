"""Every way to a station's door, for tests: what is scanned or typed, and the command that it becomes."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import City
from timebank import cards, checkins, codes, policy, posters, scans
from timebank.commands import Answer
from timebank.ids import uuid7
from timebank.punches import Punch
from timebank.scans import Sent
from timebank.tables import punch, record

DRAW = b"the draw of these tests"


def undrawn(at: datetime) -> UUID:
    """An id whose record is not drawn for a closer look, which is not what these tests are about."""
    while policy.drawn(DRAW, id := uuid7(at), policy.Rules(rate_points_per_hour={}).draw_percent):
        pass
    return id


class Doorway:
    """The station of a city, and everybody who comes to it."""

    def __init__(self, connection: AsyncConnection, city: City, station: Any = None, screen: Any = None) -> None:
        self.connection, self.city = connection, city
        self.station, self.screen = station or city.station, screen or city.screen

    def code(self, at: datetime) -> str:
        """What the screen shows."""
        return codes.station_code(self.city.keys.station, self.station.number, self.screen.number, codes.slot_at(at))

    def digits(self, at: datetime) -> str:
        """The six beside it."""
        key, slot = self.city.keys.station, codes.slot_at(at)
        return codes.station_digits(key, self.station.number, self.screen.number, slot)

    async def poster(self, at: datetime) -> str:
        """The code of the poster that hangs now, printed if there is none."""
        book_id = self.city.book_id
        row = await posters.live(self.connection, book_id, self.station.id)
        row = row or await posters.replace(
            self.connection, book_id, self.station.id, id=uuid7(at), now=at, actor_id=self.city.manager_id
        )
        return codes.poster_code(self.city.keys.poster, self.station.number, row.number)

    async def card(self, member_id: UUID, at: datetime) -> str:
        """The code of a member's card, issued if there is none."""
        row = await cards.live(self.connection, self.city.book_id, member_id)
        row = row or await cards.issue(
            self.connection, self.city.book_id, member_id, id=uuid7(at), now=at, actor_id=member_id
        )
        return codes.card_code(self.city.keys.card, row.number)

    def sent(self, actor_id: UUID, kind: Any, at: datetime, sent: Sent | None = None, **more: Any) -> Punch:
        """What a phone sends at a moment; a live scan unless `sent` says otherwise."""
        sent = sent or Sent(code=self.code(at))
        scan, refusal = scans.try_read(self.city.keys, sent, at)
        return Punch(
            **{
                "id": undrawn(at),
                "actor_id": actor_id,
                "kind": kind,
                "code": sent.code,
                "scan": scan,
                "refusal": refusal,
                "beside": sent.beside(),
                **more,
            }
        )

    def shown(self, kind: Any, at: datetime, card: str, **more: Any) -> Punch:
        """A card that the manager scans."""
        try:
            scan, refusal = codes.read_card_code(self.city.keys.card, card, at), None
        except codes.CodeRefused as refused:
            scan, refusal = None, refused.code
        values = {
            "id": undrawn(at),
            "actor_id": self.city.manager_id,
            "kind": kind,
            "code": card,
            "scan": scan,
            "refusal": refusal,
            "station_id": self.station.id,
        }
        return Punch(**{**values, **more})

    async def run(self, *commands: Punch, now: datetime | None = None, draw: bytes = DRAW) -> list[Answer]:
        """Send commands of one kind, all at once, at the moment of the last one's id unless `now` says otherwise."""
        verb = checkins.check_in if commands[0].kind == "in" else checkins.check_out
        now = now or max(command.scan.occurred_at for command in commands if command.scan)
        keys = self.city.keys
        return await verb(
            self.connection, self.city.book_id, commands, now, draw=draw, station=keys.station, door=keys.door
        )

    async def one(self, command: Punch, now: datetime | None = None) -> Answer:
        """Send one."""
        (answer,) = await self.run(command, now=now)
        return answer

    async def serve(self, member_id: UUID, at: datetime, minutes: int = 120, **more: Any) -> Answer:
        """A whole service scanned live; answers the check-out."""
        answer = await self.one(self.sent(member_id, "in", at, **more))
        assert answer.code == "ok", answer
        end = at + timedelta(minutes=minutes)
        return await self.one(self.sent(member_id, "out", end, **more))

    async def record(self, record_id: Any) -> Any:
        """A record as it is."""
        query = select(record).where(record.c.book_id == self.city.book_id, record.c.id == UUID(str(record_id)))
        return (await self.connection.execute(query)).one()

    async def punch(self, punch_id: Any) -> Any:
        """A punch as it was kept; None when it was not."""
        query = select(punch).where(punch.c.book_id == self.city.book_id, punch.c.id == UUID(str(punch_id)))
        return (await self.connection.execute(query)).one_or_none()
