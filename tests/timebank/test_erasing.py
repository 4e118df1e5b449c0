"""A person is forgotten by two, in every table, for good, old copies included; and the ledger adds up."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tests.factories import MORNING, City, build_city
from tests.timebank.acting import balance_of, done, earn, no_draw, points_of, proved, rows, scan, serve, verify
from timebank import erasing, erasure_list, members, merging, pins, retention
from timebank.cursors import Cursor
from timebank.database import for_clients
from timebank.errors import NotAllowed, NotFound
from timebank.keys import Keys
from timebank.postgres_files import find_clients
from timebank.refusal import Refusal
from timebank.tables import erasure, member, phone_code, punch

LATER = MORNING + timedelta(days=30)
NAME, PHONE = "欧阳遗忘", "13987650001"
SECRETS = (NAME, "遗忘", PHONE, "提前离开的原因")


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def admins(connection: AsyncConnection, city: City) -> list[UUID]:
    """Two administrators of the whole city."""
    found = [await city.add_member(connection, f"管理员{number}") for number in (1, 2)]
    for each in found:
        await city.grant(connection, each, "admin", region_id=city.region_id)
    return found


def dumped(url: str) -> str:
    """The whole database as text, as `pg_dump` writes it."""
    place, secret = for_clients(url)
    command = [str(find_clients() / "pg_dump"), "--format=plain", "--schema=timebank", f"--dbname={place}"]
    return subprocess.run(command, env=secret, capture_output=True, text=True, check=True).stdout


async def test_nothing_of_an_erased_person_is_left_and_the_book_adds_up(
    engine: AsyncEngine, new_book: int, keys: Keys, database: Any, tmp_path: Path
) -> None:
    listed = tmp_path / erasure_list.NAME
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        await no_draw(connection, city)
        first, second = await admins(connection, city)
        member_id = await city.add_member(connection, NAME, phone=PHONE)
        await earn(connection, city, member_id, 200, phone_id=city.new_id(), phone_time=MORNING)
        record_id = await serve(connection, city, member_id, MORNING + timedelta(days=3))
        await done(connection, city, verify(city, record_id, "adjust", minutes=60, reason="提前离开的原因"), LATER)
        index = members.phone_index(keys, PHONE)
        await connection.execute(
            phone_code.insert().values(
                book_id=new_book, phone_index=index, code_hash=b"x", tries=0, sent_at=LATER, expires_at=LATER
            )
        )
    await pins.choose(
        engine, new_book, keys, member_id=member_id, digits="480275", present=None, phone=PHONE, now=LATER
    )
    before = dumped(database.owner_url)
    assert "提前离开的原因" in before
    assert index.hex() in before
    assert NAME not in before

    async with engine.begin() as connection:
        points = await points_of(connection, city, member_id)
        fund = await balance_of(connection, city, await fund_account(connection, city))
        await erasing.ask(connection, new_book, member_id, id=city.new_id(), actor_id=first, now=LATER)
        await erasing.carry_out(connection, new_book, member_id, actor_id=second, now=LATER)
    async with engine.connect() as connection:
        assert await points_of(connection, city, member_id) == points
        assert sum(points) == 260
        assert await balance_of(connection, city, await fund_account(connection, city)) == fund
        assert await erasure_list.note(connection, new_book, listed, LATER) == 1
        assert await erasure_list.note(connection, new_book, listed, LATER) == 0
    assert await proved(engine, city)
    after = dumped(database.owner_url)
    for secret in (*SECRETS, index.hex(), members.name_index(keys, NAME).hex()):
        assert secret not in after, secret
        assert secret not in listed.read_text()
    async with engine.connect() as connection:
        for found in await rows(connection, city, punch, member_id=member_id):
            assert (found.phone_id, found.phone_time, found.reason) == (None, None, None)
            # What happened stays.
            assert found.station_id == city.station.id


async def fund_account(connection: AsyncConnection, city: City) -> UUID:
    found: UUID = await connection.scalar(
        text("SELECT account_id FROM timebank.fund WHERE book_id = :book"), {"book": city.book_id}
    )
    return found


async def test_it_takes_two(connection: AsyncConnection, city: City) -> None:
    first, second = await admins(connection, city)
    other = await city.add_member(connection, "外区管理员")
    await city.grant(connection, other, "admin", region_id=city.other_district_id)
    member_id = await city.add_member(connection)

    async def ask(actor_id: UUID) -> None:
        await erasing.ask(connection, city.book_id, member_id, id=city.new_id(), actor_id=actor_id, now=LATER)

    async def carry_out(actor_id: UUID) -> None:
        await erasing.carry_out(connection, city.book_id, member_id, actor_id=actor_id, now=LATER)

    async def withdraw(actor_id: UUID) -> None:
        await erasing.withdraw(connection, city.book_id, member_id, actor_id=actor_id, now=LATER)

    with pytest.raises(erasing.NotAsked):
        await carry_out(first)
    for stranger in (other, city.manager_id):
        with pytest.raises(NotFound):
            await ask(stranger)
    await ask(first)
    with pytest.raises(erasing.AlreadyAsked):
        await ask(second)
    for alone in (first, member_id):
        with pytest.raises(erasing.SecondPersonNeeded):
            await carry_out(alone)
    await withdraw(member_id)
    # The member's own wish: nobody takes it back for him, and one administrator is the second person.
    await ask(member_id)
    with pytest.raises(erasing.NotAsked):
        await withdraw(second)
    page = await erasing.listed(connection, city.book_id, actor_id=first, now=LATER)
    assert [(row.id, row.asked_by) for row in page.rows] == [(member_id, member_id)]
    assert (await erasing.listed(connection, city.book_id, actor_id=other, now=LATER)).rows == []
    past = Cursor(LATER - timedelta(days=1), member_id)
    assert (await erasing.listed(connection, city.book_id, actor_id=first, now=LATER, before=past)).rows == []
    await carry_out(first)
    assert (await members.by_id(connection, city.book_id, member_id)).state == "erased"
    for gone in (ask, carry_out, withdraw):
        with pytest.raises(NotFound):
            await gone(second)
    states = sorted(row.state for row in await rows(connection, city, erasure))
    assert states == ["done", "withdrawn"]


async def test_nobody_erases_who_stands_above_them(connection: AsyncConnection, city: City) -> None:
    first, second = await admins(connection, city)
    with pytest.raises(NotAllowed):
        await erasing.ask(connection, city.book_id, second, id=city.new_id(), actor_id=first, now=LATER)


async def test_the_operator_needs_nobody_else(connection: AsyncConnection, city: City) -> None:
    first, second = await city.add_members(connection, 2)
    await erasing.ask(connection, city.book_id, second, id=city.new_id(), actor_id=second, now=LATER)
    for member_id in (first, second):
        await erasing.by_operator(connection, city.book_id, member_id, id=city.new_id(), now=LATER)
        with pytest.raises(NotFound):
            await erasing.by_operator(connection, city.book_id, member_id, id=city.new_id(), now=LATER)
    found = {row.member_id: (row.asked_by, row.state) for row in await rows(connection, city, erasure)}
    assert found == {first: (None, "done"), second: (second, "done")}


async def test_an_old_copy_forgets_again_whoever_is_on_the_list(
    connection: AsyncConnection, city: City, tmp_path: Path
) -> None:
    path = tmp_path / erasure_list.NAME
    assert await erasure_list.note(connection, city.book_id, path, LATER) == 0
    assert not path.exists()
    plain, survivor, absorbed, kept = await city.add_members(connection, 4)
    copy = await connection.begin_nested()
    await merging.merge(
        connection,
        city.book_id,
        survivor_id=survivor,
        absorbed_id=absorbed,
        id=city.new_id(),
        now=LATER,
        actor_id=None,
    )
    for member_id in (plain, survivor):
        await erasing.by_operator(connection, city.book_id, member_id, id=city.new_id(), now=LATER)
    assert await erasure_list.noting(path)(connection, city.book_id, LATER) == 3
    # What a crash cut off is written again, and nothing is lost of what stood before.
    path.write_bytes(path.read_bytes()[:-20])
    assert await erasure_list.note(connection, city.book_id, path, LATER) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    await copy.rollback()
    assert (await members.by_id(connection, city.book_id, survivor)).state == "active"
    erasure_list.refuse_unreadable(path)
    erasure_list.carry_over(path, tmp_path / "other.jsonl")
    erasure_list.carry_over(path, tmp_path / "other.jsonl")
    assert len((tmp_path / "other.jsonl").read_text().splitlines()) == 3
    assert await erasure_list.replay(connection, tmp_path / "other.jsonl", LATER) == 3
    assert await erasure_list.replay(connection, path, LATER) == 0
    query = select(member.c.id).where(member.c.book_id == city.book_id, member.c.data_key.is_(None))
    assert set(await connection.scalars(query)) == {plain, survivor, absorbed}
    assert await members.names(connection, city.book_id, city.keys, [kept])


def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list"
    with pytest.raises(Refusal, match="no file"):
        erasure_list.refuse_unreadable(path)
    path.write_text('{"book": 1}\n{"book"')
    with pytest.raises(Refusal, match="line 1"):
        erasure_list.refuse_unreadable(path)


async def test_scans_forget_their_phones_after_a_while_and_nothing_else(
    connection: AsyncConnection, city: City
) -> None:
    member_id = await city.add_member(connection)
    phone = city.new_id()
    await serve(connection, city, member_id, phone_id=phone, phone_time=MORNING)
    recent = scan(city, member_id, "in", LATER, phone_id=phone)
    await done(connection, city, recent)
    job = retention.forgetting(1)
    assert await job(connection, city.book_id, LATER) == 0
    assert await job(connection, city.book_id, LATER + timedelta(hours=4)) == 2
    assert await job(connection, city.book_id, LATER + timedelta(hours=4)) == 0
    found = {row.id: row.phone_id for row in await rows(connection, city, punch)}
    assert found.pop(recent.id) == phone
    assert set(found.values()) == {None}


async def test_evidence_may_be_emptied_of_persons_and_never_changed(
    connection: AsyncConnection, city: City, database: Any
) -> None:
    member_id = await city.add_member(connection)
    await serve(connection, city, member_id, phone_id=city.new_id())
    refused = [
        "UPDATE timebank.punch SET phone_id = id WHERE book_id = :book",
        "UPDATE timebank.punch SET reason = 'because' WHERE book_id = :book",
        "UPDATE timebank.punch SET occurred_at = occurred_at, phone_id = NULL WHERE book_id = :book",
        "UPDATE timebank.decision SET verdict = 'verify' WHERE book_id = :book",
    ]
    for statement in refused:
        with pytest.raises(DBAPIError) as caught:
            async with connection.begin_nested():
                await connection.execute(text(statement), {"book": city.book_id})
        assert getattr(caught.value.orig, "sqlstate", None) == "42501", statement
    await connection.execute(text("UPDATE timebank.punch SET phone_id = NULL WHERE book_id = :b"), {"b": city.book_id})
    owner = create_async_engine(database.owner_url)
    try:
        async with owner.connect() as other:
            for column in ("occurred_at", "holds", "sealed_reason"):
                with pytest.raises(DBAPIError, match="append-only"):
                    async with other.begin_nested():
                        await other.execute(text(f"UPDATE timebank.punch SET {column} = {column}"))
    finally:
        await owner.dispose()
