"""Signing in and out: tries are counted though they fail, strangers look like members, tokens end."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, PASSWORD, City, build_city, new_phone
from tests.hashing import cheap_hashes
from timebank import members, passwords, sessions, signing_in, sms
from timebank.errors import Invalid, TryLater
from timebank.keys import Keys
from timebank.signing_in import SignInRefused
from timebank.sms import LocalSender
from timebank.tables import member, phone_code, session

HERE = "192.0.2.1"


@pytest.fixture
async def city(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    async with engine.begin() as connection:
        return await build_city(connection, new_book, keys, fund_points=0)


@pytest.fixture
async def phone(engine: AsyncEngine, city: City) -> str:
    """A member's number; the password is PASSWORD."""
    async with engine.begin() as connection:
        return city.phones[await city.add_member(connection, password=PASSWORD)]


@pytest.fixture
async def sender() -> AsyncIterator[LocalSender]:
    """A sender that keeps what it would print."""
    lines: list[str] = []
    yield LocalSender(lines.append, demo=True)
    await sms.all_sent()


def by_password(engine: AsyncEngine, city: City, phone: str, password: str = PASSWORD, **more: Any) -> Any:
    given = {"address": HERE, "now": MORNING, **more}
    return signing_in.sign_in_by_password(engine, city.book_id, city.keys, phone=phone, password=password, **given)


def by_code(engine: AsyncEngine, city: City, phone: str, digits: str, now: datetime = MORNING) -> Any:
    return signing_in.sign_in_by_code(
        engine, city.book_id, city.keys, phone=phone, digits=digits, address=HERE, now=now
    )


async def send(
    engine: AsyncEngine, city: City, sender: Any, phone: str, now: datetime = MORNING, address: str = HERE
) -> str | None:
    """Ask for a code; answers the digits that arrived at the phone."""
    await signing_in.send_phone_code(
        engine, city.book_id, city.keys, phone=phone, address=address, now=now, sender=sender
    )
    await sms.all_sent()
    return sender.last_code(members.normal_phone(phone)) if isinstance(sender, LocalSender) else None


async def who(engine: AsyncEngine, city: City, token: str, now: datetime = MORNING) -> sessions.Session | None:
    async with engine.begin() as connection:
        return await sessions.find(connection, city.book_id, token, now)


async def test_the_right_password_begins_a_session(engine: AsyncEngine, city: City, phone: str) -> None:
    token, member_id = await by_password(engine, city, phone)
    assert len(token) == 43
    found = await who(engine, city, token)
    assert found is not None
    assert (found.member_id, found.locale, found.state, found.grants) == (member_id, "zh-CN", "active", ())
    async with engine.connect() as connection:
        rows = (await connection.execute(select(session).where(session.c.book_id == city.book_id))).all()
    assert [row.token_hash for row in rows] == [sessions.token_hash(token)]
    assert token.encode() not in rows[0].token_hash


async def test_roles_come_with_the_session(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        token = await sessions.begin(connection, city.book_id, city.manager_id, MORNING)
    found = await who(engine, city, token)
    assert found is not None
    assert [(grant.role, grant.station_id) for grant in found.grants] == [("manager", city.station.id)]


async def test_strangers_and_wrong_passwords_are_told_the_same(engine: AsyncEngine, city: City, phone: str) -> None:
    async with engine.begin() as connection:
        without_password = city.phones[await city.add_member(connection)]
    answers = []
    for number, password in ((phone, "wrong password"), (new_phone(), PASSWORD), (without_password, PASSWORD)):
        with pytest.raises(SignInRefused) as caught:
            await by_password(engine, city, number, password)
        answers.append((caught.value.code, caught.value.data))
    assert answers == [("sign_in_refused", {})] * 3


async def test_failed_tries_are_counted_and_end_in_try_later(engine: AsyncEngine, city: City, phone: str) -> None:
    for number in (phone, new_phone()):
        for _ in range(5):
            with pytest.raises(SignInRefused):
                await by_password(engine, city, number, "wrong password")
        for password in ("wrong password", PASSWORD):
            with pytest.raises(TryLater) as caught:
                await by_password(engine, city, number, password)
        assert 0 < caught.value.data["seconds"] <= 600
    await by_password(engine, city, phone, now=MORNING + timedelta(minutes=10))


async def test_a_success_starts_the_count_again(engine: AsyncEngine, city: City, phone: str) -> None:
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(SignInRefused):
                await by_password(engine, city, phone, "wrong password")
        await by_password(engine, city, phone)


async def test_one_address_cannot_try_many_phones(engine: AsyncEngine, city: City, phone: str) -> None:
    limit = signing_in.PASSWORD_TRIES_FROM_ADDRESS.count

    async def guess() -> str:
        try:
            await by_password(engine, city, new_phone(), "wrong password")
        except (SignInRefused, TryLater) as refused:
            return refused.code
        return "ok"

    # What is counted are tries, whatever each costs.
    with cheap_hashes():
        codes = await asyncio.gather(*(guess() for _ in range(limit + 4)))
    assert (codes.count("sign_in_refused"), codes.count("try_later")) == (limit, 4)
    with pytest.raises(TryLater):
        await by_password(engine, city, phone)
    await by_password(engine, city, phone, address="192.0.2.2")


async def test_old_hashes_are_renewed_at_sign_in(engine: AsyncEngine, city: City, phone: str) -> None:
    from argon2 import PasswordHasher

    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(passwords.peppered(city.keys, PASSWORD))
    async with engine.begin() as connection:
        row = await members.by_phone(connection, city.book_id, city.keys, phone)
        assert row is not None
        await members.set_password(connection, city.book_id, row.id, password_hash=old, now=MORNING)
    await by_password(engine, city, phone)
    async with engine.connect() as connection:
        stored = await connection.scalar(select(member.c.password_hash).where(member.c.id == row.id))
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await by_password(engine, city, phone)


async def test_suspended_members_see_what_is_theirs(engine: AsyncEngine, city: City, phone: str) -> None:
    async with engine.begin() as connection:
        row = await members.by_phone(connection, city.book_id, city.keys, phone)
        assert row is not None
        await members.suspend(connection, city.book_id, row.id, now=MORNING)
    token, _ = await by_password(engine, city, phone)
    found = await who(engine, city, token)
    assert found is not None
    assert found.state == "suspended"


async def test_a_session_slides_and_ends(engine: AsyncEngine, city: City, phone: str) -> None:
    token, _ = await by_password(engine, city, phone)
    idle = sessions.IDLE
    assert await who(engine, city, token, MORNING + idle - timedelta(seconds=1)) is not None
    # Used on the last second: it lives on, but never longer than LONGEST altogether.
    assert await who(engine, city, token, MORNING + 2 * idle - timedelta(minutes=1)) is not None
    assert await who(engine, city, token, MORNING + sessions.LONGEST - timedelta(seconds=1)) is not None
    assert await who(engine, city, token, MORNING + sessions.LONGEST) is None


async def test_an_idle_session_ends(engine: AsyncEngine, city: City, phone: str) -> None:
    token, _ = await by_password(engine, city, phone)
    assert await who(engine, city, token, MORNING + timedelta(minutes=14)) is not None
    # Fourteen minutes were too little to write down: the time runs from the sign-in.
    assert await who(engine, city, token, MORNING + sessions.IDLE) is None


@pytest.mark.parametrize("token", ["", "x", "\x00", "\ud800", "x" * 100_000])
async def test_what_is_no_token_signs_nobody_in(engine: AsyncEngine, city: City, token: str) -> None:
    assert await who(engine, city, token) is None


async def test_signing_out_here_and_everywhere(engine: AsyncEngine, city: City, phone: str) -> None:
    first, member_id = await by_password(engine, city, phone)
    second, _ = await by_password(engine, city, phone)
    third, _ = await by_password(engine, city, phone)
    async with engine.begin() as connection:
        for _ in range(2):
            await sessions.end(connection, city.book_id, first)
    assert await who(engine, city, first) is None
    before = await who(engine, city, second)
    assert before is not None
    async with engine.begin() as connection:
        assert await sessions.end_all(connection, city.book_id, member_id) == 2
        version = (await members.by_id(connection, city.book_id, member_id)).version
    assert await who(engine, city, second) is None
    assert await who(engine, city, third) is None
    assert version > before.version


async def test_the_language_is_remembered(engine: AsyncEngine, city: City, phone: str) -> None:
    token, member_id = await by_password(engine, city, phone)
    async with engine.begin() as connection:
        await sessions.set_locale(connection, city.book_id, member_id, "en")
        with pytest.raises(Invalid):
            await sessions.set_locale(connection, city.book_id, member_id, "fr")
    found = await who(engine, city, token)
    assert found is not None
    assert found.locale == "en"


async def test_a_code_signs_in_once(engine: AsyncEngine, city: City, phone: str, sender: LocalSender) -> None:
    digits = await send(engine, city, sender, phone)
    assert digits is not None
    assert re.fullmatch("[0-9]{6}", digits)
    token, _ = await by_code(engine, city, phone, f" {digits} ")
    assert await who(engine, city, token) is not None
    with pytest.raises(SignInRefused):
        await by_code(engine, city, phone, digits)


async def test_a_code_used_twice_at_once_signs_in_once(
    engine: AsyncEngine, city: City, phone: str, sender: LocalSender
) -> None:
    digits = await send(engine, city, sender, phone)
    assert digits is not None
    results = await asyncio.gather(*(by_code(engine, city, phone, digits) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, tuple) for result in results) == 1
    assert sum(isinstance(result, SignInRefused) for result in results) == 7


async def test_a_code_lives_five_minutes(engine: AsyncEngine, city: City, phone: str, sender: LocalSender) -> None:
    digits = await send(engine, city, sender, phone)
    assert digits is not None
    with pytest.raises(SignInRefused):
        await by_code(engine, city, phone, digits, MORNING + signing_in.CODE_LIFE)
    await by_code(engine, city, phone, digits, MORNING + signing_in.CODE_LIFE - timedelta(seconds=1))


async def test_a_code_stands_five_tries(engine: AsyncEngine, city: City, phone: str, sender: LocalSender) -> None:
    digits = await send(engine, city, sender, phone)
    assert digits is not None
    wrong = f"{(int(digits) + 1) % 10**6:06d}"
    for _ in range(5):
        with pytest.raises(SignInRefused):
            await by_code(engine, city, phone, wrong)
    with pytest.raises(SignInRefused):
        await by_code(engine, city, phone, digits)


async def test_new_codes_do_not_buy_endless_tries(
    engine: AsyncEngine, city: City, phone: str, sender: LocalSender
) -> None:
    for _ in range(2):
        await send(engine, city, sender, phone)
        for _ in range(5):
            with pytest.raises(SignInRefused):
                await by_code(engine, city, phone, "not it")
    digits = await send(engine, city, sender, phone)
    assert digits is not None
    with pytest.raises(TryLater):
        await by_code(engine, city, phone, digits)


async def test_a_newer_code_replaces_the_older(
    engine: AsyncEngine, city: City, phone: str, sender: LocalSender
) -> None:
    first = await send(engine, city, sender, phone)
    second = await send(engine, city, sender, phone)
    assert first is not None
    assert second is not None
    if first != second:
        with pytest.raises(SignInRefused):
            await by_code(engine, city, phone, first)
    await by_code(engine, city, phone, second)


async def test_a_strangers_number_gets_the_same_answer_and_no_message(
    engine: AsyncEngine, city: City, sender: LocalSender
) -> None:
    stranger = new_phone()
    assert await send(engine, city, sender, stranger) is None
    assert sender.last == {}
    async with engine.connect() as connection:
        query = select(func.count()).where(
            phone_code.c.book_id == city.book_id,
            phone_code.c.phone_index == members.phone_index(city.keys, stranger),
        )
        assert await connection.scalar(query) == 1
    with pytest.raises(SignInRefused):
        await by_code(engine, city, stranger, "000000")
    for _ in range(4):
        await send(engine, city, sender, stranger)
    with pytest.raises(TryLater):
        await send(engine, city, sender, stranger)


async def test_an_address_may_ask_for_so_many_codes(engine: AsyncEngine, city: City, sender: LocalSender) -> None:
    for _ in range(signing_in.CODES_SENT_TO_ADDRESS.count):
        await send(engine, city, sender, new_phone())
    with pytest.raises(TryLater) as caught:
        await send(engine, city, sender, new_phone())
    assert 0 < caught.value.data["seconds"] <= 3600
    await send(engine, city, sender, new_phone(), address="192.0.2.2")


async def test_a_sender_that_fails_is_logged_without_the_number(
    engine: AsyncEngine, city: City, phone: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def send(self, phone: str, code: str, locale: str, mail: str | None = None) -> None:
            raise ConnectionError(f"no route to {phone}")

    await send(engine, city, Broken(), phone)
    await asyncio.sleep(0)
    assert "ConnectionError" in caplog.text
    assert phone not in caplog.text


async def test_outside_a_demo_no_code_is_kept() -> None:
    lines: list[str] = []
    local = LocalSender(lines.append)
    await local.send("+8613900000001", "123456", "en")
    assert lines == ["sign-in code for +8613900000001: 123456"]
    assert local.last_code("+8613900000001") is None


async def test_the_code_is_not_in_the_table(engine: AsyncEngine, city: City, phone: str, sender: LocalSender) -> None:
    digits = await send(engine, city, sender, phone)
    assert digits is not None
    index = members.phone_index(city.keys, phone)
    async with engine.connect() as connection:
        stored = await connection.scalar(select(phone_code.c.code_hash).where(phone_code.c.phone_index == index))
    assert stored == signing_in.code_hash(city.keys, index, digits)
    assert stored != signing_in.code_hash(Keys.new(), index, digits)


async def test_what_has_expired_is_dropped(
    engine: AsyncEngine, connection: AsyncConnection, city: City, phone: str, sender: LocalSender
) -> None:
    await by_password(engine, city, phone)
    later = MORNING + sessions.IDLE
    token, _ = await by_password(engine, city, phone, now=later)
    await send(engine, city, sender, phone)
    assert await sessions.drop_past(connection, city.book_id, later) == 1
    assert await sessions.find(connection, city.book_id, token, later) is not None
    assert await connection.scalar(select(func.count()).where(phone_code.c.book_id == city.book_id)) == 0
