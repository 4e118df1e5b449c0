"""A month of one station, played on the bank and on the model of it at once."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.queries import balances
from tests.conftest import numbers
from tests.earning import ask, cancel, correct, decline, redeem
from tests.factories import build_city
from tests.timebank.acting import rows, set_rules
from tests.timebank.month_model import Month
from tests.timebank.month_scans import START, Scans
from tests.timebank.month_words import Redemption, day_of
from tests.timebank.ways import DRAW, Doorway
from timebank import (
    counter,
    devices,
    ending,
    expiry,
    funds,
    members,
    merging,
    policies,
    purses,
    undoing,
    verification,
)
from timebank.counter import Fulfil
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.merging import CheckedIn
from timebank.policies import Draft
from timebank.policy import Rules
from timebank.tables import attendance, punch_decision, record, redemption
from timebank.undoing import Undo
from timebank.verification import Verify

# Entries and late codes reach back.
BEFORE = day_of(START) - timedelta(days=40)
PRICE, FILLING = 60, 400
RULES = Rules(
    rate_points_per_hour={},
    draw_percent=25,
    daily_cap_minutes=400,
    long_day_minutes=360,
    late_per_month=2,
    manual_minutes_per_month=240,
    mass_checkout_people=3,
)
NEXT_RULES = [
    replace(RULES, life_years=0, default_rate=90),
    replace(RULES, rounding_minutes=15, fast_track_grades="AB"),
    replace(RULES, point_grades="A", life_years=0, draw_percent=0),
]
ENDED = {"fulfilled": "already_fulfilled", "cancelled": "already_cancelled", "timed_out": "redemption_timed_out"}


def plain(rules: Rules) -> dict[str, Any]:
    """The rules as the model reads them."""
    return {name: getattr(rules, name) for name in Rules.__slots__}


class Play(Scans):
    """The rest of the month, told to both: decisions, points and people."""

    # Decisions.

    def decider(self, own: bool) -> UUID:
        return self.city.manager_id if own else self.second_id

    async def decide(self, which: int, own: bool, verdict: Any, minutes: int) -> None:
        if (stay := self.record(which)) is None:
            return
        chosen = minutes if verdict == "adjust" else None
        expected = self.model.refusal(stay, own=own, verdict=verdict, minutes=chosen, bulk=False)
        more = {"minutes": chosen, "reason": None if verdict == "verify" else "早退"}
        command = Verify(id=uuid7(self.now), actor_id=self.decider(own), record_id=stay.id, verdict=verdict, **more)
        if expected is None:
            self.model.decide([(stay, verdict, chosen)], self.now)
        (answer,) = await verification.verify(*self.shared(), [command], self.now)
        assert answer.code == (expected or "ok")

    async def decide_together(self, own: bool) -> None:
        """All that waits, in bulk."""
        found = [stay for stay in self.model.stays.values() if stay.verdict == "waiting"]
        if not found:
            return
        facts = {"own": own, "verdict": "verify", "minutes": None, "bulk": True}
        expected = [self.model.refusal(stay, **facts) for stay in found]  # type: ignore[arg-type]  # as named
        commands = [
            Verify(id=uuid7(self.now), actor_id=self.decider(own), record_id=stay.id, verdict="verify", bulk=True)
            for stay in found
        ]
        good = [(stay, "verify", None) for stay, code in zip(found, expected, strict=True) if code is None]
        self.model.decide(good, self.now)  # type: ignore[arg-type]  # no minutes
        answers = await verification.verify(*self.shared(), commands, self.now)
        assert [answer.code for answer in answers] == [code or "ok" for code in expected]

    async def correct(self, which: int, own: bool, minutes: int | None) -> None:
        if (stay := self.record(which)) is None:
            return
        asked, expected = stay.asked, self.model.correct(stay, minutes, self.now, own=own)
        more = {"actor_id": self.decider(own), "inquiry_id": asked}
        answer = await correct(self.connection, self.city, stay.id, minutes, self.now, **more)
        assert (answer.code, answer.data.get("debt_points", 0)) == expected

    async def ask(self, which: int) -> None:
        if (stay := self.record(which)) is None:
            return
        answer = await ask(self.connection, self.city, self.model.who(stay.member), stay.id, "为什么", self.now)
        assert answer.code == ("inquiry_open" if stay.asked else "ok")
        stay.asked = stay.asked or UUID(answer.data["inquiry_id"])

    async def decline(self, which: int) -> None:
        asked = [stay for stay in self.model.stays.values() if stay.asked]
        if not asked:
            return
        stay = asked[which % len(asked)]
        who = {"actor_id": self.second_id}
        assert stay.asked
        answer = await decline(self.connection, self.city, stay.asked, "没有错", self.now, **who)
        assert answer.code == "ok"
        stay.asked = None

    async def draft(self, which: int, days: int) -> None:
        """Other rules from some day on."""
        rules = NEXT_RULES[which % len(NEXT_RULES)]
        starts_on = day_of(self.now) + timedelta(days=days)
        command = Draft(id=uuid7(self.now), actor_id=self.second_id, starts_on=starts_on, rules=rules)
        (answer,) = await policies.draft(*self.shared(), [command], self.now)
        assert answer.code == "ok"
        self.model.versions.append((starts_on, answer.data["number"], plain(rules)))

    # Points.

    async def fill(self, points: int) -> None:
        values: dict[str, Any] = {"fund_id": self.city.fund_id, "points": points, "id": uuid7(self.now)}
        await funds.fill(*self.shared(), now=self.now, actor_id=None, **values)
        self.model.fund += points

    async def pay_waiting(self) -> None:
        await verification.pay_waiting(*self.shared(), self.now)
        self.model.pay_waiting()

    async def expire(self) -> None:
        await expiry.expire(*self.shared(), self.now)
        self.model.expire(self.now)

    async def redeem(self, which: int) -> None:
        member = self.one(which)
        parts = self.model.redeem(member, self.now)
        answer = await redeem(self.connection, self.city, member, self.reward_id, self.now)
        assert answer.code == (parts if isinstance(parts, str) else "ok")
        if not isinstance(parts, str):
            id, expires_at = UUID(answer.data["redemption_id"]), datetime.fromisoformat(answer.data["expires_at"])
            self.model.redemptions[id] = Redemption(id, member, parts, expires_at, answer.data["number"])

    def redemption(self, which: int) -> Redemption | None:
        found = list(self.model.redemptions.values())
        return found[-1 - which % len(found)] if found else None

    async def cancel(self, which: int) -> None:
        if (found := self.redemption(which)) is None:
            return
        answer = await cancel(self.connection, self.city, self.model.who(found.member), found.id, self.now)
        assert answer.code == ENDED.get(found.state, "ok")
        if found.state == "held":
            self.model.release(found, "cancelled")

    async def time_out(self) -> None:
        await ending.time_out(*self.shared(), self.now)
        for found in self.model.redemptions.values():
            if found.state == "held" and found.expires_at <= self.now:
                self.model.release(found, "timed_out")

    async def fulfil(self, which: int) -> None:
        if (found := self.redemption(which)) is None:
            return
        expected = ENDED.get(found.state) or ("redemption_timed_out" if found.expires_at <= self.now else "ok")
        where = {"actor_id": self.city.clerk_id, "station_id": self.city.station.id}
        command = Fulfil(id=uuid7(self.now), number=found.number, **where)
        (answer,) = await counter.fulfil(*self.shared(), [command], self.now)
        assert answer.code == expected
        if expected == "ok":
            found.state = "fulfilled"
            found.handed.append((command.id, self.now))

    async def undo(self, which: int) -> None:
        found = self.redemption(which)
        if found is None or not found.handed:
            return
        id, at = found.handed[-1]
        late = self.now - at > timedelta(minutes=10)
        expected = "already_undone" if id in found.undone else "undo_too_late" if late else "ok"
        command = Undo(id=uuid7(self.now), actor_id=self.city.clerk_id, fulfilment_id=id)
        (answer,) = await undoing.undo(*self.shared(), [command], self.now)
        assert answer.code == expected
        if expected == "ok":
            found.undone.add(id)
            found.state, found.expires_at = "held", max(found.expires_at, self.now + timedelta(minutes=10))

    # People.

    async def merge(self, which: int, other: int) -> None:
        survivor, absorbed = self.one(which), self.one(other)
        if survivor == absorbed or len(self.alive) < 3:
            return
        ids = {"survivor_id": survivor, "absorbed_id": absorbed, "id": uuid7(self.now)}
        expected = self.model.merge(survivor, absorbed)
        try:
            await merging.merge(*self.shared(), now=self.now, actor_id=None, **ids)
        except CheckedIn:
            assert expected == "checked_in"
            return
        assert expected == "ok"
        self.visits.pop(absorbed, None)

    async def suspend(self, which: int) -> None:
        """Or let somebody in again."""
        member = self.one(which)
        if self.model.states[member] == "active":
            await members.suspend(*self.shared(), member, now=self.now)
            self.model.states[member] = "suspended"
        else:
            await members.reinstate(*self.shared(), member, now=self.now)
            self.model.states[member] = "active"

    async def wait(self, minutes: float) -> None:
        """Time passes, and the job that ends forgotten stays comes by, as it does twice a minute."""
        self.now += timedelta(minutes=minutes)
        await self.close_forgotten()

    # Everything, compared.

    async def compare(self) -> None:
        found = await purses.purses_of(*self.shared(), self.people)
        held = {(each.member_id, each.expires_on): each.points for each in found if each.points}
        assert held == {key: points for key, points in self.model.purses.items() if points}
        owed = await purses.owed(*self.shared(), self.people)
        assert owed == {member: self.model.debts.get(member, 0) for member in self.people}
        for member in self.people:
            assert await purses.hours(*self.shared(), member) == self.model.hours.get(member, 0)
        accounts = (purses.fund_account(self.city.fund_id), purses.HELD, purses.FULFILLED)
        sums = await balances(*self.shared(), list(accounts))
        by_state = {
            state: PRICE * sum(each.state == state for each in self.model.redemptions.values())
            for state in ("held", "fulfilled")
        }
        assert [sums[id] for id in accounts] == [self.model.fund, by_state["held"], by_state["fulfilled"]]
        await self.compare_rows()

    async def compare_rows(self) -> None:
        stays = self.model.stays
        kept = {
            row.id: (row.member_id, row.started_at, row.ended_at, row.measured_minutes, row.grade, row.holds, row.state)
            for row in await rows(self.connection, self.city, record)
        }
        said = {
            id: (self.model.who(each.member), each.start, each.end, each.minutes, each.grade, each.held, each.verdict)
            for id, each in stays.items()
            if each.end
        }
        assert kept == said
        worth = {
            row.id: (row.credited_minutes, row.points, row.points_state)
            for row in await rows(self.connection, self.city, record)
            if row.state in ("verified", "reversed")
        }
        decided = {id: each for id, each in stays.items() if each.verdict in ("verified", "reversed")}
        assert worth == {id: (each.credited, each.points, each.points_state) for id, each in decided.items()}
        states = {row.id: row.state for row in await rows(self.connection, self.city, attendance)}
        assert states == {id: each.state for id, each in stays.items()}
        made = {row.id: (row.state, row.member_id) for row in await rows(self.connection, self.city, redemption)}
        ours = self.model.redemptions
        assert made == {id: (each.state, self.model.who(each.member)) for id, each in ours.items()}
        settled = await self.connection.scalars(
            select(punch_decision.c.punch_id).where(punch_decision.c.book_id == self.city.book_id)
        )
        assert not set(settled) & set(self.model.astray)


async def opened(connection: AsyncConnection, keys: Keys) -> Play:
    """The station on its first morning."""
    city = await build_city(connection, next(numbers), keys, START, fund_points=FILLING)
    await set_rules(connection, city, 2, BEFORE, **plain(RULES))
    elsewhere = await city.add_station(connection)
    (screen,) = await devices.of_station(connection, city.book_id, elsewhere.id)
    people = await city.add_members(connection, 5)
    second_id = await city.add_member(connection)
    await city.grant(connection, second_id, "admin", region_id=city.region_id)
    return Play(
        connection,
        city,
        [Doorway(connection, city), Doorway(connection, city, elsewhere, screen)],
        people,
        resident_id=await city.add_member(connection),
        second_id=second_id,
        reward_id=await city.add_reward(connection, price_points=PRICE, stock=1000),
        model=Month(DRAW, PRICE, FILLING, [(BEFORE, 2, plain(RULES))], dict.fromkeys(people, "active")),
    )
