"""Corrections on real connections at the same moment as everything else that touches the same points."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.earning import ask, assert_sound, owed, points, redeem, row_of, served, verified
from tests.factories import MORNING, City, build_city
from timebank import corrections, ending, expiry, funds, inquiries, redemptions, verification
from timebank.commit import Committer
from timebank.corrections import Correct
from timebank.ending import Cancel
from timebank.ids import uuid7
from timebank.inquiries import Decline
from timebank.keys import Keys
from timebank.redemptions import Redeem
from timebank.tables import inquiry
from timebank.verification import Verify

NOW = MORNING + timedelta(days=1)
ROUNDS = 8


@pytest.fixture
async def city(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    async with engine.begin() as connection:
        return await build_city(connection, new_book, keys)


def process(engine: AsyncEngine, city: City, verb: Any) -> Committer[Any]:
    """A committer as another serving process would have it: retried when others got in between."""
    return Committer(engine, city.book_id, verb, lambda: NOW, batch_limit=1)


def correcting(city: City, record_id: UUID, minutes: int | None) -> Correct:
    return Correct(id=uuid7(NOW), actor_id=city.manager_id, record_id=record_id, minutes=minutes, reason="left early")


async def test_a_correction_against_a_redemption_at_once(engine: AsyncEngine, city: City) -> None:
    """Whichever comes first, the points are either gone, and then owed, or too few to be spent."""
    async with engine.begin() as connection:
        reward_id = await city.add_reward(connection, price_points=100, stock=1000)
    for number in range(ROUNDS):
        async with engine.begin() as connection:
            member_id = await city.add_member(connection)
            record_id = await verified(connection, city, member_id, minutes=120)
        spend = process(engine, city, partial(redemptions.redeem, secret=city.keys.redemption))
        correct = process(engine, city, partial(corrections.correct, keys=city.keys))
        redeeming = spend.submit(Redeem(id=uuid7(NOW), actor_id=member_id, reward_id=reward_id))
        fixing = correct.submit(correcting(city, record_id, 30))
        if number % 2:
            redeemed, corrected = await asyncio.gather(redeeming, fixing)
        else:
            corrected, redeemed = await asyncio.gather(fixing, redeeming)
        assert corrected.code == "ok"
        async with engine.connect() as connection:
            standing = (await points(connection, city, member_id), await owed(connection, city, member_id))
        assert redeemed.code in ("ok", "points_short")
        assert standing == ((0, 70) if redeemed.code == "ok" else (30, 0))
    async with engine.connect() as connection:
        await assert_sound(connection, city)


async def test_two_corrections_of_one_record_at_once_leave_one_credit(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        member_id = await city.add_member(connection)
        record_id = await verified(connection, city, member_id)
    verb = partial(corrections.correct, keys=city.keys)
    answers = await asyncio.gather(
        *(process(engine, city, verb).submit(correcting(city, record_id, minutes)) for minutes in range(10, 20))
    )
    assert {answer.code for answer in answers} == {"ok"}
    async with engine.connect() as connection:
        row = await row_of(connection, city, record_id)
        assert row.credited_minutes in range(10, 20)
        assert await points(connection, city, member_id) == row.points
        assert len(await corrections.history(connection, city.book_id, record_id, city.keys)) == 11
        await assert_sound(connection, city)


async def test_a_debt_is_paid_back_once_by_everything_at_once(engine: AsyncEngine, city: City, keys: Keys) -> None:
    """Verification, what waited for its fund, a cancelled redemption and the end of points, all on one member."""
    async with engine.begin() as connection:
        member_id = await city.add_member(connection)
        reward_id = await city.add_reward(connection, price_points=100)
        spent = await verified(connection, city, member_id, minutes=100)
        held = await redeem(connection, city, member_id, reward_id)
        waiting = [await served(connection, city, member_id, MORNING + timedelta(hours=h), 40) for h in (3, 4, 5)]
    correct = process(engine, city, partial(corrections.correct, keys=keys))
    assert (await correct.submit(correcting(city, spent, None))).data["debt_points"] == 100
    give_up = Cancel(id=uuid7(NOW), actor_id=member_id, redemption_id=UUID(held.data["redemption_id"]))
    decisions = [
        Verify(id=uuid7(NOW), actor_id=city.manager_id, record_id=record_id, verdict="verify") for record_id in waiting
    ]

    async def job(verb: Any, at: Any) -> None:
        async with engine.begin() as connection:
            await verb(connection, city.book_id, at)

    await asyncio.gather(
        process(engine, city, ending.cancel).submit(give_up),
        *(process(engine, city, verification.verify).submit(decision) for decision in decisions),
        *(job(verification.pay_waiting, NOW) for _ in range(3)),
        *(job(expiry.expire, NOW) for _ in range(3)),
    )
    async with engine.connect() as connection:
        # 100 came back and are the member's to spend; of the 120 that were earned, 100 paid back.
        assert (await points(connection, city, member_id), await owed(connection, city, member_id)) == (120, 0)
        await assert_sound(connection, city)


async def test_a_refund_against_the_end_of_points_at_once_leaves_nothing_behind(
    engine: AsyncEngine, city: City
) -> None:
    over = MORNING + timedelta(days=800)
    async with engine.begin() as connection:
        reward_id = await city.add_reward(connection, price_points=100, stock=1000)
    for _ in range(ROUNDS):
        async with engine.begin() as connection:
            member_id = await city.add_member(connection)
            await verified(connection, city, member_id, minutes=120)
            held = await redeem(connection, city, member_id, reward_id)
        give_up = Cancel(id=uuid7(NOW), actor_id=member_id, redemption_id=UUID(held.data["redemption_id"]))

        async def job() -> None:
            async with engine.begin() as connection:
                await expiry.expire(connection, city.book_id, over)

        later = Committer(engine, city.book_id, ending.cancel, lambda: over, batch_limit=1)
        answer, *_ = await asyncio.gather(later.submit(give_up), job(), job())
        assert answer.code == "ok"
        await job()
        async with engine.connect() as connection:
            assert await points(connection, city, member_id) == 0
    async with engine.connect() as connection:
        await assert_sound(connection, city)


async def test_points_that_wait_are_paid_once_whoever_corrects_meanwhile(
    engine: AsyncEngine, new_book: int, keys: Keys
) -> None:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys, fund_points=0)
        members = await city.add_members(connection, ROUNDS)
        records = [await verified(connection, city, member_id, minutes=100) for member_id in members]
        await funds.fill(
            connection, new_book, fund_id=city.fund_id, points=5000, id=city.new_id(), now=NOW, actor_id=None
        )

    async def pay() -> None:
        async with engine.begin() as connection:
            await verification.pay_waiting(connection, new_book, NOW)

    verb = partial(corrections.correct, keys=keys)
    await asyncio.gather(
        pay(),
        *(process(engine, city, verb).submit(correcting(city, record_id, 60)) for record_id in records),
        pay(),
    )
    await pay()
    async with engine.connect() as connection:
        assert [await points(connection, city, member_id) for member_id in members] == [60] * ROUNDS
        await assert_sound(connection, city)


async def test_a_question_is_answered_once(engine: AsyncEngine, city: City, keys: Keys) -> None:
    async with engine.begin() as connection:
        member_id = await city.add_member(connection)
        record_id = await verified(connection, city, member_id)
        asked = await ask(connection, city, member_id, record_id, "Why?")
    inquiry_id = UUID(asked.data["inquiry_id"])
    refuse = Decline(id=uuid7(NOW), actor_id=city.manager_id, inquiry_id=inquiry_id, reason="Because.")
    fix = Correct(
        id=uuid7(NOW),
        actor_id=city.manager_id,
        record_id=record_id,
        minutes=60,
        reason="Yes.",
        inquiry_id=inquiry_id,
    )
    answers = await asyncio.gather(
        process(engine, city, partial(inquiries.decline, keys=keys)).submit(refuse),
        process(engine, city, partial(corrections.correct, keys=keys)).submit(fix),
    )
    assert sorted(answer.code for answer in answers) == ["inquiry_closed", "ok"]
    async with engine.connect() as connection:
        row = (await connection.execute(inquiry.select().where(inquiry.c.id == inquiry_id))).one()
        assert row.state == ("declined" if answers[0].code == "ok" else "corrected")
