"""Minors and their guardians under load and when time runs out: the limit holds, and no way in outlasts a guardian."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import Table, exists, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import MORNING, PASSWORD, City, build_city
from timebank import guardians, members, membership, minors, sessions, vault
from timebank.errors import Invalid
from timebank.keys import Keys
from timebank.members import WAYS_IN
from timebank.tables import audit_entry, card, guardian, helping, metadata, pin, session

# Not of `pg_stat_activity`, which stands still within a transaction.
WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))")
OWN_PHONE = "+8613955550007"
BORN = date(2008, 3, 3)
# Midnight before the birthday, where the bank is.
OF_AGE = datetime(2026, 3, 2, 16, tzinfo=UTC)
# Tables that say something of a member and let nobody in.
NO_WAY_IN = {
    "attendance",
    "card",
    "certificate",
    "confirmation",
    "consent",
    "erasure",
    "helping",
    "identity_check",
    "inquiry",
    "punch",
    "purse",
    "reading",
    "record",
    "redemption",
    "role_grant",
    "session",
}


@pytest.fixture
async def city(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    """A city that everybody sees."""
    async with engine.begin() as connection:
        return await build_city(connection, new_book, keys)


async def administrator(connection: AsyncConnection, city: City) -> UUID:
    """Somebody who enters what papers say."""
    admin_id = await city.add_member(connection, "管理员")
    await city.grant(connection, admin_id, "admin", region_id=city.region_id)
    return admin_id


async def enter(connection: AsyncConnection, city: City, child_id: UUID, guardian_id: UUID, admin_id: UUID) -> None:
    """A child's papers."""
    await minors.record(
        connection,
        city.book_id,
        city.keys,
        child_id,
        born=BORN,
        guardian_id=guardian_id,
        actor_id=admin_id,
        now=MORNING,
    )


async def test_two_administrators_at_once_keep_to_a_dozen(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        parent_id, one, other = [await city.add_member(connection, "林大")] + [
            await administrator(connection, city) for _ in range(2)
        ]
        *children, twelfth, thirteenth = await city.add_members(connection, guardians.CHILDREN_LIMIT + 1)
        of = {"book_id": city.book_id, "guardian_id": parent_id, "since": MORNING, "until": OF_AGE}
        await connection.execute(insert(guardian), [{**of, "child_id": each} for each in children])

    async def second() -> None:
        async with engine.begin() as connection:
            await enter(connection, city, thirteenth, parent_id, other)

    async with engine.connect() as first:
        await enter(first, city, twelfth, parent_id, one)
        late = asyncio.create_task(second())
        while not await first.scalar(WAITING) and not late.done():
            pass
        await first.commit()
    with pytest.raises(Invalid) as refused:
        await late
    assert refused.value.data == {"field": "guardian_id", "reason": "range"}


async def every_way_in(connection: AsyncConnection, city: City, member_id: UUID, helper_id: UUID) -> None:
    """One of each, as whoever acted for a child could have left it."""
    some, later = b"x" * 32, MORNING + timedelta(days=9)
    rows = {
        "pin": {"pin_hash": "x", "tries": 0, "set_at": MORNING},
        "activation": {
            "code_hash": some,
            "tries": 0,
            "issued_by": helper_id,
            "issued_at": MORNING,
            "expires_at": later,
        },
        "passkey": {
            "id": city.new_id(),
            "credential_id": some,
            "public_key": some,
            "sign_count": 0,
            "name": some,
            "added_at": MORNING,
        },
        "passkey_challenge": {"challenge_hash": some, "expires_at": later},
        "outside_account": {"id": city.new_id(), "issuer": "x", "subject_hash": some, "linked_at": MORNING},
        "outside_errand": {
            "state_hash": some,
            "provider": "x",
            "browser_hash": some,
            "following": "/",
            "expires_at": later,
        },
        "read_token": {
            "id": city.new_id(),
            "name": some,
            "token_hash": some,
            "scope": "things",
            "made_at": MORNING,
            "expires_at": later,
        },
        "shift_feed": {"token_hash": some, "made_at": MORNING},
    }
    assert set(rows) == {table.name for table in WAYS_IN}
    for table in WAYS_IN:
        await connection.execute(insert(table).values(book_id=city.book_id, member_id=member_id, **rows[table.name]))
    await sessions.begin(connection, city.book_id, member_id, MORNING)
    facts = {"granted_by": member_id, "granted_at": MORNING, "starts_at": MORNING, "ends_at": later, "vouched": "self"}
    of = {"book_id": city.book_id, "id": city.new_id(), "member_id": member_id, "helper_id": helper_id}
    await connection.execute(insert(helping).values(**of, **facts))
    await connection.execute(
        insert(card).values(
            book_id=city.book_id,
            id=city.new_id(),
            member_id=member_id,
            number=1,
            issued_at=MORNING,
        )
    )


async def ways_left(connection: AsyncConnection, city: City, member_id: UUID) -> set[str]:
    """What still lets somebody in as a member."""

    async def is_left(table: Table) -> bool:
        condition = (table.c.book_id == city.book_id, table.c.member_id == member_id)
        ended = (table.c.ended_at.is_(None),) if table is helping else ()
        return bool(await connection.scalar(select(exists().where(*condition, *ended))))

    row = await members.by_id(connection, city.book_id, member_id)
    found = {table.name for table in (*WAYS_IN, session, helping) if await is_left(table)}
    found |= {name for name in ("password_hash", "phone_index") if getattr(row, name) is not None}
    return found | {name for name in minors.ADDRESSES if (vault.unseal(city.keys, row) or {}).get(name)}


async def on_own_page(connection: AsyncConnection, city: City, member_id: UUID, changes: membership.Changes) -> None:
    """What a member enters themselves, or who acts for them."""
    row = await membership.locked_row(connection, city.book_id, member_id)
    await membership.apply(connection, city.book_id, city.keys, row, changes, now=MORNING, actor_id=member_id)


async def test_what_the_office_entered_stays_and_so_does_everything_while_somebody_else_acts(
    engine: AsyncEngine, city: City
) -> None:
    async with engine.begin() as connection:
        admin_id, parent_id = await administrator(connection, city), await city.add_member(connection, "林大")
        children = [await city.add_member(connection, "林小", password=PASSWORD) for _ in range(2)]
        for child_id in children:
            await enter(connection, city, child_id, parent_id, admin_id)
            await on_own_page(connection, city, child_id, membership.Changes(mail="child@example.org"))
        # Another one's time goes on, as after a merger of two accounts.
        of = {"book_id": city.book_id, "child_id": children[1], "guardian_id": admin_id, "since": MORNING}
        await connection.execute(insert(guardian).values(**of, until=OF_AGE + timedelta(days=9)))
        await connection.execute(
            insert(pin).values(
                book_id=city.book_id,
                member_id=children[0],
                pin_hash="x",
                tries=5,
                set_at=MORNING,
                locked_at=MORNING,
                locked_by=parent_id,
            )
        )
        assert await minors.close_over(connection, city.book_id, city.keys, OF_AGE) == 1
        # The number is of the papers; the locked PIN waits for a second person.
        assert await ways_left(connection, city, children[0]) == {"phone_index", "phone", "pin"}
        assert await ways_left(connection, city, children[1]) == {"phone_index", "phone", "mail", "password_hash"}


async def test_no_way_in_outlasts_a_guardian(engine: AsyncEngine, city: City) -> None:
    async with engine.begin() as connection:
        admin_id, parent_id = await administrator(connection, city), await city.add_member(connection, "林大")
        child_id = await city.add_member(connection, "林小", password=PASSWORD)
        await enter(connection, city, child_id, parent_id, admin_id)
        await on_own_page(connection, city, child_id, membership.Changes(phone=OWN_PHONE, mail="child@example.org"))
        await every_way_in(connection, city, child_id, parent_id)
        everything = {table.name for table in WAYS_IN} | {"session", "helping", "password_hash", "phone_index"}
        assert await ways_left(connection, city, child_id) == everything | set(minors.ADDRESSES)

    async def turn(seconds: int) -> int:
        async with engine.begin() as connection:
            return await minors.closing(city.keys)(connection, city.book_id, OF_AGE + timedelta(seconds=seconds))

    assert await turn(-1) == 0
    assert await turn(0) == 1
    async with engine.begin() as connection:
        assert await ways_left(connection, city, child_id) == set()
        assert await connection.scalar(
            select(card.c.revoked_at.is_(None)).where(card.c.book_id == city.book_id, card.c.member_id == child_id)
        )
        entry = (
            await connection.execute(
                select(audit_entry).where(
                    audit_entry.c.book_id == city.book_id, audit_entry.c.action == "guardian.over"
                )
            )
        ).one()
        assert (entry.actor_id, entry.subject_id, entry.before, entry.after) == (None, child_id, None, None)
        assert entry.personal
        # Grown up, they get in anew; it is done once.
        changes = membership.Changes(phone="+8613955550001")
        await membership.edit(connection, city.book_id, city.keys, child_id, changes, now=OF_AGE, actor_id=admin_id)
    assert await turn(1) == 0
    async with engine.connect() as connection:
        assert await ways_left(connection, city, child_id) == {"phone_index", "phone"}


def test_every_table_of_a_member_is_a_way_in_or_none() -> None:
    """A new table has to say which of the two it is."""
    named = {table.name for table in metadata.tables.values() if "member_id" in table.c}
    assert named == NO_WAY_IN | {table.name for table in WAYS_IN}
