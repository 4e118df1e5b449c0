"""A counter with rewards and volunteers who have points, for tests of handing over and undoing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.queries import balances
from tests.factories import MORNING, City
from timebank import counter, earnings, ending, purses, redemptions, undoing
from timebank.commands import Answer
from timebank.counter import Fulfil
from timebank.earnings import Earning
from timebank.ending import Cancel
from timebank.ids import uuid7
from timebank.redemptions import Redeem
from timebank.tables import redemption
from timebank.undoing import Undo


@dataclass
class Desk:
    """One city's counter. Every verb takes the time in minutes after the morning."""

    connection: AsyncConnection
    city: City

    def at(self, minutes: float) -> datetime:
        """So many minutes after the morning."""
        return MORNING + timedelta(minutes=minutes)

    async def give_points(self, member_id: UUID, points: int, expires_on: date = date(2027, 12, 31)) -> None:
        """Points as if for service."""
        record_id = uuid5(member_id, f"{points}/{expires_on}")
        earning = Earning(
            record_id=record_id,
            member_id=member_id,
            fund_id=self.city.fund_id,
            in_punch_id=record_id,
            out_punch_id=None,
            verifier_id=self.city.manager_id,
            policy_number=1,
            occurred_at=MORNING,
            minutes=0,
            points=points,
            expires_on=expires_on,
        )
        assert await earnings.earn(self.connection, self.city.book_id, [earning], MORNING) == set()

    async def redeem(self, member_id: UUID, reward_id: UUID, minutes: float = 0, **more: Any) -> Answer:
        """One redemption."""
        now = self.at(minutes)
        command = Redeem(id=more.pop("id", None) or uuid7(now), actor_id=member_id, reward_id=reward_id)
        secret = more.pop("secret", self.city.keys.redemption)
        return (await redemptions.redeem(self.connection, self.city.book_id, [command], now, secret=secret))[0]

    async def cancel(self, member_id: UUID, redemption_id: UUID, minutes: float = 0) -> Answer:
        """Give one up."""
        command = Cancel(id=uuid7(self.at(minutes)), actor_id=member_id, redemption_id=redemption_id)
        return (await ending.cancel(self.connection, self.city.book_id, [command], self.at(minutes)))[0]

    async def fulfil(self, number: int, minutes: float = 0, **more: Any) -> Answer:
        """Hand over by the number in the code; `id` is the hand-over's."""
        values = {"id": uuid7(self.at(minutes)), "actor_id": self.city.clerk_id, "station_id": self.city.station.id}
        command = Fulfil(number=number, **{**values, **more})
        return (await counter.fulfil(self.connection, self.city.book_id, [command], self.at(minutes)))[0]

    async def undo(self, fulfilment_id: UUID, minutes: float = 0, **more: Any) -> Answer:
        """Take one back."""
        values = {"id": uuid7(self.at(minutes)), "actor_id": self.city.clerk_id}
        command = Undo(fulfilment_id=fulfilment_id, **{**values, **more})
        return (await undoing.undo(self.connection, self.city.book_id, [command], self.at(minutes)))[0]

    async def stored(self, redemption_id: UUID) -> Row[Any]:
        """The redemption as it is."""
        query = select(redemption).where(redemption.c.book_id == self.city.book_id, redemption.c.id == redemption_id)
        return (await self.connection.execute(query)).one()

    async def sums(self) -> tuple[int, int]:
        """The points that are held, and those that were spent."""
        return await sums(self.connection, self.city.book_id)

    async def points(self, member_id: UUID) -> int:
        """What a member can spend."""
        return sum(each.points for each in await purses.purses_of(self.connection, self.city.book_id, [member_id]))


async def sums(connection: AsyncConnection, book_id: int) -> tuple[int, int]:
    """The points of a book that are held, and those that were spent."""
    found = await balances(connection, book_id, [purses.HELD, purses.FULFILLED])
    return found[purses.HELD], found[purses.FULFILLED]


def codes_of(answers: Sequence[Answer]) -> list[str]:
    """What each was answered."""
    return [answer.code for answer in answers]
