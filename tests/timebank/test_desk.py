"""The desk and who has nothing but a card: a first PIN, a redemption with it, and nobody doing it all alone."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories import MORNING, City, build_city
from tests.timebank.acting import done, earn, fulfil, no_draw, one, points_of, the_redemption
from timebank import cards, codes, desk, pins, policy
from timebank.errors import NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.pins import PinLocked, PinMissing, PinWitnessed, PinWrong
from timebank.redemptions import Redeem
from timebank.tables import audit_entry, member, reading

PIN, WRONG = "830417", "604913"


@pytest.fixture
async def city(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        await no_draw(connection, city)
        return city


@pytest.fixture
async def elder(engine: AsyncEngine, city: City) -> UUID:
    """Somebody without a phone, with 200 points."""
    async with engine.begin() as connection:
        found = await city.add_member(connection, "云奶奶")
        await earn(connection, city, found, 200)
        return found


async def card_of(engine: AsyncEngine, city: City, who: UUID) -> str:
    async with engine.begin() as connection:
        number = (await cards.find(connection, city.book_id, city.keys, str(who), MORNING)).id
        row = await cards.issue(
            connection, city.book_id, number, id=uuid7(MORNING), now=MORNING, actor_id=city.manager_id
        )
        return codes.card_code(city.keys.card, row.number)


async def manager(engine: AsyncEngine, city: City, **where: Any) -> UUID:
    async with engine.begin() as connection:
        found = await city.add_member(connection)
        await city.grant(connection, found, "manager", **(where or {"station_id": city.station.id}))
        return found


async def test_a_pin_of_the_desk_spends_at_another_desk(engine: AsyncEngine, city: City, elder: UUID) -> None:
    card, other = await card_of(engine, city, elder), await manager(engine, city)
    at_desk: dict[str, Any] = {"card_text": card, "now": MORNING}
    mine, theirs = {**at_desk, "actor_id": city.manager_id}, {**at_desk, "actor_id": other}
    with pytest.raises(PinMissing):
        await desk.agreed(engine, city.book_id, city.keys, digits=PIN, **theirs)
    assert await desk.choose_pin(engine, city.book_id, city.keys, digits=PIN, **mine) == elder
    # There is one now: whoever wants another resets it, as ever.
    with pytest.raises(PinMissing):
        await desk.choose_pin(engine, city.book_id, city.keys, digits=WRONG, **theirs)
    with pytest.raises(PinWitnessed):
        await desk.agreed(engine, city.book_id, city.keys, digits=PIN, **mine)
    with pytest.raises(PinMissing):
        await desk.agreed(engine, city.book_id, city.keys, digits="", **theirs)
    assert await desk.agreed(engine, city.book_id, city.keys, digits=PIN, **theirs) == elder
    # Nor does it prove at that desk that the member was there.
    for actor_id, vouched_by in ((city.manager_id, None), (other, "pin"), (elder, "pin")):
        vouched = await pins.vouch(engine, city.book_id, city.keys, digits=PIN, **{**at_desk, "actor_id": actor_id})
        assert (vouched.vouched_by, vouched.vouch_refusal) == (vouched_by, None)
    for _ in range(4):
        with pytest.raises(PinWrong):
            await desk.agreed(engine, city.book_id, city.keys, digits=WRONG, **theirs)
    for digits in (WRONG, PIN):
        with pytest.raises(PinLocked):
            await desk.agreed(engine, city.book_id, city.keys, digits=digits, **theirs)
    async with engine.connect() as connection:
        query = select(audit_entry.c.action, audit_entry.c.actor_id).where(
            audit_entry.c.book_id == city.book_id, audit_entry.c.action.startswith("pin")
        )
        assert set(await connection.execute(query)) == {("pin.set", city.manager_id), ("pin.lock", other)}
        assert await pins.witnessed_by(connection, city.book_id, elder) == city.manager_id
        assert await pins.witnessed_by(connection, city.book_id, other) is None


async def test_nobody_serves_himself_his_household_or_another_branch(
    engine: AsyncEngine, city: City, elder: UUID
) -> None:
    card = await card_of(engine, city, elder)
    far = await manager(engine, city, region_id=city.other_district_id)
    near = await manager(engine, city)
    async with engine.begin() as connection:
        await connection.execute(
            update(member)
            .where(member.c.book_id == city.book_id, member.c.id.in_([elder, city.manager_id]))
            .values(household_id=uuid7(MORNING))
        )
    for actor_id, refusal in ((far, NotFound), (city.manager_id, desk.OwnRedemption)):
        facts: dict[str, Any] = {"actor_id": actor_id, "now": MORNING}
        for verb in (desk.choose_pin, desk.agreed):
            with pytest.raises(refusal):
                await verb(engine, city.book_id, city.keys, card_text=card, digits=PIN, **facts)
        async with engine.connect() as connection:
            with pytest.raises(refusal):
                await desk.balance(connection, city.book_id, elder, **facts)
    async with engine.begin() as connection:
        with pytest.raises(desk.OwnRedemption):
            await desk.require_other(connection, city.book_id, near, actor_id=near, now=MORNING)
        found = await desk.balance(connection, city.book_id, elder, actor_id=near, now=MORNING)
        assert found.points == 200
        query = select(reading.c.reader_id, reading.c.what).where(reading.c.book_id == city.book_id)
        assert (await connection.execute(query)).all() == [(near, "statement")]


async def test_a_redemption_by_another_hand_says_whose(engine: AsyncEngine, city: City, elder: UUID) -> None:
    now = MORNING + timedelta(days=1)
    async with engine.begin() as connection:
        reward_id = await city.add_reward(connection, hold_minutes=30)
        long_id = await city.add_reward(connection, hold_minutes=60 * 24 * 30)
        of_desk = {"by_id": city.manager_id, "station_id": city.station.id}
        command = Redeem(id=uuid7(now), actor_id=elder, reward_id=reward_id, **of_desk)
        answer = await done(connection, city, command, now)
        # Sent again it is the same; the same id without the desk is something else.
        assert await one(connection, city, command, now) == answer
        plain = Redeem(id=command.id, actor_id=elder, reward_id=reward_id)
        assert (await one(connection, city, plain, now)).code == "id_reused"
        row = await the_redemption(connection, city, command.id)
        assert (row.member_id, row.made_by, row.expires_at) == (elder, city.manager_id, now + policy.PAPER_HOLD)
        later = Redeem(id=uuid7(now), actor_id=elder, reward_id=long_id, **of_desk)
        await done(connection, city, later, now)
        assert (await the_redemption(connection, city, later.id)).expires_at == now + timedelta(days=30)
        assert await points_of(connection, city, elder) == [0]
        query = select(audit_entry.c.actor_id, audit_entry.c.subject_id, audit_entry.c.after).where(
            audit_entry.c.book_id == city.book_id, audit_entry.c.action == "redemption.make"
        )
        entries = (await connection.execute(query.order_by(audit_entry.c.id))).all()
        assert [(entry.actor_id, entry.subject_id) for entry in entries] == [(city.manager_id, elder)] * 2
        at_desk = str(city.station.id)
        assert {(entry.after["reward_id"], entry.after["station_id"]) for entry in entries} == {
            (str(reward_id), at_desk),
            (str(long_id), at_desk),
        }

        # Printed by who made it, while it waits.
        printing: dict[str, Any] = {"actor_id": city.manager_id, "now": now}
        found = await desk.made_here(connection, city.book_id, command.id, **printing)
        assert found.digits == row.digits
        for changed in ({"actor_id": city.clerk_id}, {"now": now + policy.PAPER_HOLD}):
            with pytest.raises(NotFound):
                await desk.made_here(connection, city.book_id, command.id, **{**printing, **changed})
        await done(connection, city, fulfil(city, digits=row.digits), now)
        with pytest.raises(NotFound):
            await desk.made_here(connection, city.book_id, command.id, **printing)


async def test_a_clerk_hands_nothing_over_to_himself(engine: AsyncEngine, city: City, elder: UUID) -> None:
    async with engine.begin() as connection:
        await city.grant(connection, elder, "clerk", station_id=city.station.id)
        reward_id = await city.add_reward(connection)
        command = Redeem(id=uuid7(MORNING), actor_id=elder, reward_id=reward_id)
        answer = await done(connection, city, command, MORNING)
        for actor_id, code in ((elder, "own_redemption"), (city.clerk_id, "ok")):
            handed = fulfil(city, digits=answer.data["digits"], actor_id=actor_id)
            assert (await one(connection, city, handed, MORNING)).code == code


async def test_who_has_neither_phone_nor_card_is_named_by_number(engine: AsyncEngine, city: City, elder: UUID) -> None:
    async with engine.begin() as connection:
        found = await cards.find(connection, city.book_id, city.keys, str(elder), MORNING)
        assert found.id == elder
        with pytest.raises(NotFound):
            await cards.find(connection, city.book_id, city.keys, str(uuid7(MORNING)), MORNING)
        await connection.execute(update(member).where(member.c.id == elder).values(state="erased", phone_index=None))
        with pytest.raises(NotFound):
            await cards.find(connection, city.book_id, city.keys, str(elder), MORNING)
        assert cards.member_number("x" * 36) is None
