"""One member's points beside a plain model of them: whatever is earned, spent, corrected, owed, expired and given back,
in whatever order, the purses, the debt, the fund and the ledger's own proof say the same."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.conftest import numbers
from tests.earning import assert_sound, cancel, correct, fund_points, owed, redeem, served, verify
from tests.factories import MORNING, City, build_city
from timebank import expiry, funds, purses, verification
from timebank.keys import Keys

PRICE = 40
FIRST_FILLING = 150


@dataclass
class Record:
    """A record as the model knows it: what was posted for it, and what waits for the fund."""

    id: UUID
    purse: date
    decided_at: datetime
    minutes: int
    posted: int = 0
    waiting: int = 0


@dataclass
class Model:
    """What one member has and owes, by day of expiry, and what the fund holds; no database in it."""

    fund: int = FIRST_FILLING
    owed: int = 0
    purses: dict[date, int] = field(default_factory=dict)
    expired: dict[date, list[int]] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    held: dict[UUID, list[tuple[date, int]]] = field(default_factory=dict)

    def earn(self, record: Record, points: int, repaid: int) -> None:
        """Points out of the fund, of which some pay back; or they wait."""
        if self.fund < points:
            record.waiting = points
            return
        self.fund -= points
        self.owed -= repaid
        self.purses[record.purse] = self.purses.get(record.purse, 0) + points - repaid
        record.posted, record.waiting = record.posted + points, 0

    def correct(self, record: Record, minutes: int) -> int:
        """Take back and earn anew; answers what is owed because of it."""
        old, kept = record.posted, min(record.posted, minutes)
        missing = old - self.purses.get(record.purse, 0)
        while missing > 0 and self.expired.get(record.purse):
            back = self.expired[record.purse].pop()
            self.purses[record.purse] += back
            missing -= back
        lent = max(0, missing)
        repaid = min(lent, kept)
        if old:
            self.purses[record.purse] += lent - old + kept - repaid
        self.fund += old - kept
        self.owed += lent - repaid
        record.minutes, record.posted, record.waiting = minutes, kept, 0
        if more := minutes - kept:
            self.earn(record, more, min(self.owed, more))
        return lent - repaid

    def spend(self, today: date) -> list[tuple[date, int]] | None:
        """The parts of one redemption, the first to expire first."""
        missing, parts = PRICE, []
        for day in sorted(day for day in self.purses if day >= today):
            taken = min(missing, self.purses[day])
            if taken:
                parts.append((day, taken))
                missing -= taken
        if missing:
            return None
        for day, taken in parts:
            self.purses[day] -= taken
        return parts

    def expire(self, today: date) -> None:
        """Whatever is left in what is past."""
        for day, points in self.purses.items():
            if day < today and points:
                self.expired.setdefault(day, []).append(points)
                self.purses[day] = 0

    def pay(self) -> None:
        """What waits, the longest-waiting first, of what the fund could pay one by one."""
        due = sorted((r for r in self.records if 0 < r.waiting <= self.fund), key=lambda record: record.decided_at)
        owed_still = self.owed
        for record in due:
            repaid = min(owed_still, record.waiting)
            owed_still -= repaid
            self.earn(record, record.waiting, repaid)


@dataclass
class Play:
    """The bank and the model, told the same things."""

    connection: AsyncConnection
    city: City
    member_id: UUID
    reward_id: UUID
    now: datetime = MORNING
    model: Model = field(default_factory=Model)

    @property
    def today(self) -> date:
        return (self.now + timedelta(hours=8)).date()

    async def serve(self, minutes: int) -> None:
        record_id = await served(self.connection, self.city, self.member_id, self.now, minutes)
        assert (await verify(self.connection, self.city, record_id, self.now)).code == "ok"
        record = Record(record_id, date(self.today.year + 1, 12, 31), self.now, minutes)
        self.model.records.append(record)
        self.model.earn(record, minutes, min(self.model.owed, minutes))

    async def correct(self, which: int, minutes: int | None) -> None:
        if not self.model.records:
            return
        record = self.model.records[which % len(self.model.records)]
        answer = await correct(self.connection, self.city, record.id, minutes, self.now)
        if answer.code == "nothing_to_correct":
            assert record.minutes == (minutes or 0)
            return
        record.decided_at = self.now
        assert (answer.code, answer.data["debt_points"]) == ("ok", self.model.correct(record, minutes or 0))
        assert answer.data["points_state"] == ("waiting" if record.waiting else "posted" if minutes else "none")

    async def redeem(self) -> None:
        parts = self.model.spend(self.today)
        answer = await redeem(self.connection, self.city, self.member_id, self.reward_id, self.now)
        assert answer.code == ("points_short" if parts is None else "ok")
        if parts is not None:
            self.model.held[UUID(answer.data["redemption_id"])] = parts

    async def cancel(self, which: int) -> None:
        if not self.model.held:
            return
        redemption_id = list(self.model.held)[which % len(self.model.held)]
        answer = await cancel(self.connection, self.city, self.member_id, redemption_id, self.now)
        assert answer.code == "ok"
        for day, points in self.model.held.pop(redemption_id):
            self.model.purses[day] += points

    async def fill(self, points: int) -> None:
        values: dict[str, Any] = {"fund_id": self.city.fund_id, "points": points, "id": self.city.new_id()}
        await funds.fill(self.connection, self.city.book_id, now=self.now, actor_id=None, **values)
        self.model.fund += points

    async def pay(self) -> None:
        await verification.pay_waiting(self.connection, self.city.book_id, self.now)
        self.model.pay()

    async def expire(self) -> None:
        await expiry.expire(self.connection, self.city.book_id, self.now)
        self.model.expire(self.today)

    async def wait(self, days: int) -> None:
        self.now += timedelta(days=days)

    async def compare(self) -> None:
        found = await purses.purses_of(self.connection, self.city.book_id, [self.member_id])
        kept = {purse.expires_on: purse.points for purse in found if purse.points}
        assert kept == {day: points for day, points in self.model.purses.items() if points}
        assert await owed(self.connection, self.city, self.member_id) == self.model.owed
        assert await fund_points(self.connection, self.city) == self.model.fund
        hours = await purses.hours(self.connection, self.city.book_id, self.member_id)
        assert hours == sum(record.minutes for record in self.model.records)


minutes = st.integers(1, 120)
steps = st.one_of(
    st.tuples(st.just("serve"), minutes),
    st.tuples(st.just("serve"), minutes),
    st.tuples(st.just("correct"), st.integers(0, 9), st.one_of(st.none(), st.just(0), minutes)),
    st.tuples(st.just("correct"), st.integers(0, 9), st.one_of(st.none(), minutes)),
    st.tuples(st.just("redeem")),
    st.tuples(st.just("redeem")),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("fill"), st.integers(1, 120)),
    st.tuples(st.just("pay")),
    st.tuples(st.just("expire")),
    st.tuples(st.just("wait"), st.sampled_from([1, 200, 500, 800])),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(steps, min_size=4, max_size=25))
@example([("serve", 100), ("redeem",), ("correct", 0, 20), ("serve", 30), ("serve", 50), ("cancel", 0)])
@example([("serve", 100), ("redeem",), ("wait", 800), ("expire",), ("cancel", 0), ("expire",), ("correct", 0, 30)])
@example([("serve", 120), ("serve", 60), ("redeem",), ("correct", 0, None), ("pay",), ("correct", 1, 90), ("pay",)])
@example(
    [("serve", 90), ("correct", 0, None), ("redeem",), ("correct", 0, 70), ("wait", 800), ("expire",), ("expire",)]
)
async def test_the_bank_and_the_model_agree(engine: AsyncEngine, keys: Keys, played: list[tuple[Any, ...]]) -> None:
    async with engine.connect() as connection:
        city = await build_city(connection, next(numbers), keys, fund_points=FIRST_FILLING)
        member_id = await city.add_member(connection)
        reward_id = await city.add_reward(connection, price_points=PRICE, stock=1000)
        play = Play(connection, city, member_id, reward_id)
        for name, *values in played:
            await getattr(play, name)(*values)
            # A day of its own for every step: no cap, and nothing is decided at the same moment.
            await play.wait(1)
            await play.compare()
        await assert_sound(connection, city)
