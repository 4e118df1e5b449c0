"""PINs: typed by the member, guessed at five times at most, reset by a second person."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.factories import MORNING, City, build_city
from timebank import cards, codes, members, pins
from timebank.errors import NotAllowed, NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.pins import PinLocked, PinMissing, PinWeak, PinWrong
from timebank.tables import audit_entry, pin

PIN, OTHER = "830417", "604913"


@pytest.fixture
async def city(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    async with engine.begin() as connection:
        return await build_city(connection, new_book, keys)


@pytest.fixture
async def one(engine: AsyncEngine, city: City) -> UUID:
    async with engine.begin() as connection:
        return await city.add_member(connection)


async def choose(engine: AsyncEngine, city: City, who: UUID, digits: str = PIN, **more: Any) -> None:
    values = {"present": None, "phone": city.phones[who], "now": MORNING, **more}
    await pins.choose(engine, city.book_id, city.keys, member_id=who, digits=digits, **values)


async def compare(engine: AsyncEngine, city: City, who: UUID, digits: str, actor_id: UUID | None = None) -> None:
    actor_id = actor_id or city.manager_id
    await pins.compare(engine, city.book_id, city.keys, member_id=who, digits=digits, actor_id=actor_id, now=MORNING)


async def lock(engine: AsyncEngine, city: City, who: UUID, actor_id: UUID | None = None) -> None:
    for left in (4, 3, 2, 1):
        with pytest.raises(PinWrong) as wrong:
            await compare(engine, city, who, OTHER, actor_id)
        assert wrong.value.data == {"left": left}
    with pytest.raises(PinLocked):
        await compare(engine, city, who, OTHER, actor_id)


async def reset(engine: AsyncEngine, city: City, who: UUID, actor_id: UUID) -> None:
    async with engine.begin() as connection:
        await pins.reset(connection, city.book_id, who, now=MORNING, actor_id=actor_id)


async def manager(engine: AsyncEngine, city: City, **more: Any) -> UUID:
    async with engine.begin() as connection:
        found = await city.add_member(connection, **more)
        await city.grant(connection, found, "manager", station_id=city.station.id)
        return found


WEAK = (
    "x 12345 1234567 12a456 １２３４５６ 000000 112211 123456 654321 890123 135791 121212 123123 123321 520131 858585"
)


@pytest.mark.parametrize("digits", ["", *WEAK.split()])
def test_weak_pins(digits: str) -> None:
    assert pins.is_weak(digits)


@pytest.mark.parametrize("digits", [PIN, OTHER, "010203", "199104"])
def test_pins_that_will_do(digits: str) -> None:
    assert not pins.is_weak(digits, "+8613900000001")
    assert pins.is_weak(digits, f"+86139{digits}01")


async def test_a_pin_vouches_and_another_does_not(engine: AsyncEngine, city: City, one: UUID) -> None:
    with pytest.raises(PinMissing):
        await compare(engine, city, one, PIN)
    with pytest.raises(PinWeak):
        await choose(engine, city, one, "123456")
    await choose(engine, city, one)
    await compare(engine, city, one, PIN)
    # Four wrong ones and a right one begin anew.
    for _ in range(2):
        for _ in range(4):
            with pytest.raises(PinWrong):
                await compare(engine, city, one, OTHER)
        await compare(engine, city, one, PIN)
    async with engine.connect() as connection:
        row = (await connection.execute(select(pin).where(pin.c.book_id == city.book_id))).one()
    assert row.pin_hash.startswith("$argon2id$")
    assert PIN not in row.pin_hash
    assert row.tries == 0


async def test_two_people_with_one_pin_have_two_hashes_that_cannot_be_swapped(
    engine: AsyncEngine, city: City, one: UUID
) -> None:
    other = await manager(engine, city)
    await choose(engine, city, one)
    await choose(engine, city, other)
    async with engine.begin() as connection:
        hashed = await connection.scalar(
            select(pin.c.pin_hash).where(pin.c.book_id == city.book_id, pin.c.member_id == other)
        )
        await connection.execute(
            pin.update().where(pin.c.book_id == city.book_id, pin.c.member_id == one).values(pin_hash=hashed)
        )
    with pytest.raises(PinWrong):
        await compare(engine, city, one, PIN)


async def test_to_change_a_pin_the_present_one_is_typed(engine: AsyncEngine, city: City, one: UUID) -> None:
    await choose(engine, city, one)
    with pytest.raises(PinMissing):
        await choose(engine, city, one, OTHER)
    with pytest.raises(PinWrong):
        await choose(engine, city, one, OTHER, present=OTHER)
    await choose(engine, city, one, OTHER, present=PIN)
    await compare(engine, city, one, OTHER)


async def test_five_wrong_tries_lock_it_for_good(engine: AsyncEngine, city: City, one: UUID) -> None:
    await choose(engine, city, one)
    await lock(engine, city, one)
    # The right one does not open it, a new one is not taken, and time does not heal.
    with pytest.raises(PinLocked):
        await compare(engine, city, one, PIN)
    for present in (None, PIN):
        with pytest.raises(PinLocked):
            await choose(engine, city, one, OTHER, present=present, now=MORNING + timedelta(days=30))


async def test_twenty_guesses_at_once_are_five(engine: AsyncEngine, city: City, one: UUID) -> None:
    await choose(engine, city, one)
    guesses = [compare(engine, city, one, f"{number:06d}") for number in range(20)]
    found = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(error, PinWrong) for error in found) == 4
    assert sum(isinstance(error, PinLocked) for error in found) == 16


async def test_a_second_person_resets_it_and_the_member_types_a_new_one(
    engine: AsyncEngine, city: City, one: UUID
) -> None:
    await choose(engine, city, one)
    await lock(engine, city, one)
    # The one on whose device it was locked is not the second person, and neither is a clerk, a stranger, the member.
    with pytest.raises(NotAllowed):
        await reset(engine, city, one, city.manager_id)
    for stranger in (city.clerk_id, one):
        with pytest.raises(NotFound):
            await reset(engine, city, one, stranger)
    second = await manager(engine, city)
    await reset(engine, city, one, second)
    with pytest.raises(PinMissing):
        await compare(engine, city, one, PIN)
    await choose(engine, city, one, OTHER)
    await compare(engine, city, one, OTHER)
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(audit_entry.c.action, audit_entry.c.actor_id)
            .where(audit_entry.c.book_id == city.book_id, audit_entry.c.subject_id == one)
            .where(audit_entry.c.action.like("pin.%"))
            .order_by(audit_entry.c.at, audit_entry.c.action)
        )
        found = {tuple(row) for row in rows}
    assert found == {("pin.set", one), ("pin.lock", city.manager_id), ("pin.reset", second)}


async def test_nobody_resets_his_own_or_his_households(engine: AsyncEngine, city: City) -> None:
    household = uuid7(MORNING)
    boss = await manager(engine, city, household_id=household)
    async with engine.begin() as connection:
        wife = await city.add_member(connection, household_id=household)
    for who in (boss, wife):
        await choose(engine, city, who)
        with pytest.raises(NotAllowed):
            await reset(engine, city, who, boss)
        await reset(engine, city, who, city.manager_id)


async def test_the_member_locks_it_and_the_manager_may_reset_it(engine: AsyncEngine, city: City, one: UUID) -> None:
    await choose(engine, city, one)
    await lock(engine, city, one, actor_id=one)
    await reset(engine, city, one, city.manager_id)
    await reset(engine, city, one, city.manager_id)


async def test_what_a_pin_says_of_a_scan(engine: AsyncEngine, city: City, one: UUID) -> None:
    async with engine.begin() as connection:
        row = await cards.issue(connection, city.book_id, one, id=uuid7(MORNING), now=MORNING, actor_id=one)
    text = codes.card_code(city.keys.card, row.number)

    async def vouch(card: str, digits: str) -> tuple[str | None, str | None]:
        found = await pins.vouch(
            engine,
            city.book_id,
            city.keys,
            card_text=card,
            digits=digits,
            actor_id=city.manager_id,
            now=MORNING,
        )
        return found.vouched_by, found.vouch_refusal

    assert await vouch(text, PIN) == (None, "pin_missing")
    await choose(engine, city, one)
    assert await vouch(text, PIN) == ("pin", None)
    assert await vouch(text, OTHER) == (None, "pin_wrong")
    # What is wrong with the card is for the check-in to say.
    assert await vouch("nonsense", PIN) == (None, None)
    await lock_rest(engine, city, one)
    assert await vouch(text, PIN) == (None, "pin_locked")


async def lock_rest(engine: AsyncEngine, city: City, who: UUID) -> None:
    for _ in range(4):
        with pytest.raises((PinWrong, PinLocked)):
            await compare(engine, city, who, OTHER)


async def test_erasing_a_member_forgets_the_pin_and_the_card(engine: AsyncEngine, city: City, one: UUID) -> None:
    await choose(engine, city, one)
    async with engine.begin() as connection:
        await cards.issue(connection, city.book_id, one, id=uuid7(MORNING), now=MORNING, actor_id=one)
        await members.erase(connection, city.book_id, one, now=MORNING)
    async with engine.connect() as connection:
        assert await pins.is_set(connection, city.book_id, one) == "none"
        assert await cards.live(connection, city.book_id, one) is None
