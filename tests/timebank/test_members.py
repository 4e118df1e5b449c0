"""Members: found by phone without storing it, never shown in clear, erased for good."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, PASSWORD, City, build_city, new_phone
from timebank import access, members, passwords, sessions
from timebank.errors import Invalid, NotFound
from timebank.keys import Keys
from timebank.refusal import Refusal
from timebank.tables import audit_entry, member
from timebank.vault import Damaged

LATER = MORNING + timedelta(hours=1)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def test_a_member_is_found_by_any_spelling_of_the_phone_number(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection, "林一", phone="139 1234 5678")
    for spelling in ("+8613912345678", "0086-139-1234-5678", "13912345678", "１３９12345678"):
        row = await members.by_phone(connection, city.book_id, city.keys, spelling)
        assert row is not None
        assert row.id == member_id
    assert await members.by_phone(connection, city.book_id, city.keys, new_phone()) is None
    fields = await members.personal(connection, city.book_id, city.keys, member_id)
    assert fields == {"name": "林一", "phone": "+8613912345678"}


@pytest.mark.parametrize(
    "phone", ["", "12", "not a phone", "1" * 5000, "+999123456789", "\x00", "\ud800", "139123456789999"]
)
async def test_what_is_no_phone_number_is_refused(connection: AsyncConnection, city: City, phone: str) -> None:
    with pytest.raises(Invalid) as caught:
        await members.by_phone(connection, city.book_id, city.keys, phone)
    assert caught.value.data == {"field": "phone", "reason": "phone"}


async def test_a_phone_number_belongs_to_one_member(connection: AsyncConnection, city: City) -> None:
    await city.add_member(connection, "林一", phone="13912345678")
    with pytest.raises(members.PhoneTaken):
        await city.add_member(connection, "林二", phone="+86 139 1234 5678")


async def test_members_without_a_phone_are_many(connection: AsyncConnection, city: City) -> None:
    ids = [
        await members.add(
            connection,
            city.book_id,
            city.keys,
            name=name,
            phone=None,
            region_id=city.community_id,
            id=city.new_id(),
            now=MORNING,
        )
        for name in ("陈一", "陈二")
    ]
    assert await members.names(connection, city.book_id, city.keys, ids) == dict(
        zip(ids, ("陈一", "陈二"), strict=True)
    )


async def test_neither_name_nor_phone_is_in_the_database(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection, "欧阳看不见", phone="13987654321")
    for table in ("member", "audit_entry"):
        rows = await connection.execute(text(f"SELECT t::text FROM timebank.{table} t WHERE book_id = {city.book_id}"))
        dump = "\n".join(rows.scalars())
        assert str(member_id) in dump
        for secret in ("欧阳看不见", "13987654321"):
            assert secret not in dump
            assert secret.encode().hex() not in dump


async def test_fields_moved_to_another_person_do_not_open(connection: AsyncConnection, city: City) -> None:
    mine, yours = await city.add_members(connection, 2)
    await connection.execute(
        text(
            "UPDATE timebank.member m SET personal = o.personal, data_key = o.data_key FROM timebank.member o"
            " WHERE m.book_id = :book AND o.book_id = :book AND m.id = :mine AND o.id = :yours"
        ),
        {"book": city.book_id, "mine": mine, "yours": yours},
    )
    with pytest.raises(Damaged):
        await members.names(connection, city.book_id, city.keys, [mine])


async def test_names_leaves_out_strangers(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection, "林一")
    found = await members.names(connection, city.book_id, city.keys, [member_id, city.new_id()])
    assert found == {member_id: "林一"}
    assert await members.names(connection, city.book_id, city.keys, []) == {}


async def test_new_members_use_the_newest_key_and_old_ones_stay_readable(
    connection: AsyncConnection, city: City
) -> None:
    old = await city.add_member(connection, "林一")
    city.keys = city.keys.rotated(MORNING)
    new = await city.add_member(connection, "林二")
    rows = await connection.execute(
        select(member.c.id, member.c.key_id).where(member.c.book_id == city.book_id, member.c.id.in_([old, new]))
    )
    assert {row.id: row.key_id for row in rows} == {old: 1, new: 2}
    assert await members.names(connection, city.book_id, city.keys, [old, new]) == {old: "林一", new: "林二"}


async def test_the_region_must_exist_and_be_administered(connection: AsyncConnection, city: City) -> None:
    admin = await city.add_member(connection, "区管理员")
    await city.grant(connection, admin, "admin", region_id=city.district_id)
    await city.add_member(connection, actor_id=admin)
    with pytest.raises(NotFound):
        await city.add_member(connection, actor_id=admin, region_id=city.other_community_id)
    with pytest.raises(NotFound):
        await city.add_member(connection, actor_id=city.manager_id)
    with pytest.raises(NotFound):
        await city.add_member(connection, region_id=city.new_id())


@pytest.mark.parametrize("wrong", [{"name": "\x00"}, {"name": ""}, {"locale": "fr"}, {"phone": "1"}])
async def test_what_cannot_be_kept_is_refused(connection: AsyncConnection, city: City, wrong: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        await city.add_member(connection, **wrong)


async def test_weak_passwords_are_refused(connection: AsyncConnection, city: City) -> None:
    with pytest.raises(passwords.PasswordWeak):
        await city.add_member(connection, password="12345")


async def test_erasing_removes_every_trace_and_signs_out(connection: AsyncConnection, city: City) -> None:
    phone = "13911112222"
    member_id = await city.add_member(connection, "林一", phone=phone, password=PASSWORD)
    await city.grant(connection, member_id, "manager", station_id=city.station.id)
    token = await sessions.begin(connection, city.book_id, member_id, MORNING)
    await members.erase(connection, city.book_id, member_id, now=LATER, actor_id=member_id)
    row = await members.by_id(connection, city.book_id, member_id)
    assert row.state == "erased"
    assert {row.key_id, row.data_key, row.personal, row.phone_index, row.password_hash, row.household_id} == {None}
    assert await members.personal(connection, city.book_id, city.keys, member_id) is None
    assert await members.names(connection, city.book_id, city.keys, [member_id]) == {}
    assert await members.by_phone(connection, city.book_id, city.keys, phone) is None
    assert await sessions.find(connection, city.book_id, token, LATER) is None
    assert await access.grants(connection, city.book_id, member_id, LATER) == ()
    # The number is free again, and nothing more can happen to who was erased.
    await city.add_member(connection, "林二", phone=phone)
    with pytest.raises(NotFound):
        await members.erase(connection, city.book_id, member_id, now=LATER)
    with pytest.raises(NotFound):
        await members.suspend(connection, city.book_id, member_id, now=LATER)


async def test_suspending_and_reinstating(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    admin = await city.add_member(connection, "管理员")
    await city.grant(connection, admin, "admin", region_id=city.region_id)
    await members.suspend(connection, city.book_id, member_id, now=MORNING, actor_id=admin)
    assert (await members.by_id(connection, city.book_id, member_id)).state == "suspended"
    with pytest.raises(NotFound):
        await members.reinstate(connection, city.book_id, member_id, now=MORNING, actor_id=member_id)
    await members.reinstate(connection, city.book_id, member_id, now=MORNING, actor_id=admin)
    row = await members.by_id(connection, city.book_id, member_id)
    assert (row.state, row.version) == ("active", 3)


async def test_a_new_password_ends_every_session(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection, password=PASSWORD)
    token = await sessions.begin(connection, city.book_id, member_id, MORNING)
    stored = await passwords.hashed(city.keys, "another long password")
    await members.set_password(
        connection, city.book_id, member_id, password_hash=stored, now=MORNING, actor_id=member_id
    )
    assert await sessions.find(connection, city.book_id, token, MORNING) is None
    assert (await members.by_id(connection, city.book_id, member_id)).password_hash == stored


async def test_every_change_is_in_the_trail_without_secrets(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection, password=PASSWORD)
    stored = await passwords.hashed(city.keys, "another long password")
    await members.set_password(connection, city.book_id, member_id, password_hash=stored, now=LATER)
    await members.suspend(connection, city.book_id, member_id, now=LATER + timedelta(hours=1))
    await members.erase(connection, city.book_id, member_id, now=LATER + timedelta(hours=2))
    assert await actions(connection, city.book_id, member_id) == [
        "member.add",
        "member.password",
        "member.suspended",
        "member.erase",
    ]
    dump = await connection.scalar(
        select(func.string_agg(audit_entry.c.after.cast(type_=member.c.state.type), "")).where(
            audit_entry.c.subject_id == member_id
        )
    )
    assert "argon2" not in dump


async def actions(connection: AsyncConnection, book_id: int, subject_id: UUID) -> list[str]:
    """What the trail says happened to something, in order."""
    query = (
        select(audit_entry.c.action)
        .where(audit_entry.c.book_id == book_id, audit_entry.c.subject_id == subject_id)
        .order_by(audit_entry.c.at, audit_entry.c.id)
    )
    return list((await connection.execute(query)).scalars())


async def test_keys_that_open_nobody_are_refused_at_the_start(
    connection: AsyncConnection, new_book: int, keys: Keys
) -> None:
    await members.refuse_strange_keys(connection, new_book, keys)
    city = await build_city(connection, new_book, keys)
    await members.refuse_strange_keys(connection, new_book, keys)
    rotated = keys.rotated(MORNING)
    await members.refuse_strange_keys(connection, new_book, rotated)
    city.keys, city.now = rotated, city.now + timedelta(minutes=1)
    await city.add_member(connection)
    await members.refuse_strange_keys(connection, new_book, rotated)
    for strange in (Keys.new(), keys):
        with pytest.raises(Refusal) as refused:
            await members.refuse_strange_keys(connection, new_book, strange)
        assert refused.value.code == "keys_do_not_fit"
