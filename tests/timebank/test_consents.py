"""What people agree to: every answer is kept, the latest counts, and withdrawing does something at once."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.factories import MORNING, City, build_city
from tests.timebank.acting import done, one, rows, scan, serve
from timebank import consents, readings
from timebank.cursors import CursorInvalid, Ranked
from timebank.errors import Invalid, NotAllowed, NotFound
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.manual import Enter, enter
from timebank.tables import audit_entry, consent, punch

LATER = MORNING + timedelta(days=1)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def say(
    connection: AsyncConnection, city: City, member_id: UUID, purpose: str, agreed: bool, **more: object
) -> None:
    """An answer, the member's own unless `actor_id` says otherwise."""
    facts = {"actor_id": member_id, "now": MORNING, **more}
    if "number" not in facts:
        facts["number"] = consents.in_use(purpose).number
    await consents.answer(
        connection,
        city.book_id,
        member_id,
        purpose=purpose,
        agreed=agreed,
        id=uuid7(facts["now"]),
        **facts,
    )


async def test_the_latest_answer_counts_and_all_are_kept(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    found = await consents.standing(connection, city.book_id, member_id)
    assert [(each.text.purpose, each.agreed, each.is_current) for each in found] == [
        ("service", None, False),
        ("location", None, False),
        ("honour", None, False),
    ]
    for minutes, agreed in enumerate((True, False, True)):
        await say(connection, city, member_id, "honour", agreed, now=MORNING + timedelta(minutes=minutes))
    honour = (await consents.standing(connection, city.book_id, member_id))[2]
    assert (honour.agreed, honour.number, honour.by, honour.is_current) == (True, 2, member_id, True)
    assert len(await rows(connection, city, consent)) == 3
    actions = [row.action for row in await rows(connection, city, audit_entry, subject_id=member_id)]
    assert sorted(actions) == ["consent.give", "consent.give", "consent.withdraw", "member.add"]


async def test_only_who_said_yes_is_named_in_public(connection: AsyncConnection, city: City) -> None:
    yes, no, silent = await city.add_members(connection, 3)
    await say(connection, city, yes, "honour", True)
    await say(connection, city, no, "honour", True)
    await say(connection, city, no, "honour", False, now=LATER)
    named = await consents.may_be_named(connection, city.book_id, [yes, no, silent])
    assert [(id, row.answered_at, row.number) for id, row in named.items()] == [(yes, MORNING, consents.WITH_PLACES)]


async def test_who_withdraws_from_service_is_not_recorded_any_more(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    await done(connection, city, scan(city, member_id, "in"))
    await say(connection, city, member_id, "service", False)
    # Who is in can still leave.
    await done(connection, city, scan(city, member_id, "out", MORNING + timedelta(hours=1)))
    refused = await one(connection, city, scan(city, member_id, "in", LATER))
    assert refused.code == "consent_withdrawn"
    entry = Enter(
        id=uuid7(LATER),
        actor_id=city.manager_id,
        station_id=city.station.id,
        member_id=member_id,
        started_at=MORNING + timedelta(hours=3),
        ended_at=MORNING + timedelta(hours=4),
        reason="忘带手机",
    )
    (answer,) = await enter(connection, city.book_id, [entry], LATER, keys=city.keys)
    assert answer.code == "consent_withdrawn"
    await say(connection, city, member_id, "service", True, now=LATER)
    await done(connection, city, scan(city, member_id, "in", LATER))


async def test_who_withdraws_from_phones_leaves_none(connection: AsyncConnection, city: City) -> None:
    member_id, other = await city.add_members(connection, 2)
    phone, others = city.new_id(), city.new_id()
    await serve(connection, city, member_id, phone_id=phone, phone_time=MORNING)
    await serve(connection, city, other, phone_id=others)
    await say(connection, city, member_id, "location", False)
    await serve(connection, city, member_id, LATER, phone_id=phone, phone_time=LATER)
    kept = await rows(connection, city, punch)
    assert len(kept) == 6
    assert {row.phone_id for row in kept if row.member_id == member_id} == {None}
    assert {row.phone_time for row in kept if row.member_id == member_id} == {None}
    assert {row.phone_id for row in kept if row.member_id == other} == {others}


async def test_answers_that_mean_nothing_are_refused(connection: AsyncConnection, city: City) -> None:
    member_id, stranger = await city.add_members(connection, 2)
    admin = await city.add_member(connection)
    await city.grant(connection, admin, "admin", region_id=city.region_id)
    for purpose, number in (("sale", 1), ("honour", 0), ("honour", 99)):
        with pytest.raises(Invalid):
            await say(connection, city, member_id, purpose, True, number=number)
    with pytest.raises(NotFound):
        await say(connection, city, member_id, "honour", True, actor_id=stranger)
    with pytest.raises(NotAllowed):
        await say(connection, city, admin, "honour", True, actor_id=(await another_admin(connection, city)))
    # What was signed on paper.
    await say(connection, city, member_id, "honour", True, actor_id=admin)
    assert (await consents.standing(connection, city.book_id, member_id))[2].by == admin


async def another_admin(connection: AsyncConnection, city: City) -> UUID:
    member_id = await city.add_member(connection)
    await city.grant(connection, member_id, "admin", region_id=city.region_id)
    return member_id


async def test_looks_are_kept_once_a_day_and_never_of_oneself(connection: AsyncConnection, city: City) -> None:
    member_id, reader = await city.add_members(connection, 2)
    for at in (MORNING, MORNING + timedelta(hours=1), LATER):
        await readings.note(connection, city.book_id, reader, [member_id, reader, member_id], "file", at)
    await readings.note(connection, city.book_id, reader, [member_id], "search", LATER)
    found = await readings.all_of(connection, city.book_id, member_id)
    assert [(row.reader_id, row.what) for row in found[:2]] in (
        [(reader, "file"), (reader, "search")],
        [(reader, "search"), (reader, "file")],
    )
    assert [row.day for row in found] == sorted((row.day for row in found), reverse=True)
    assert len(found) == 3
    assert await readings.all_of(connection, city.book_id, reader) == []
    # One by one they are the same, in the same order, and the last page says that it is the last.
    before, paged = None, []
    for _ in found:
        page = await readings.of(connection, city.book_id, member_id, before=before, limit=1)
        before, paged = page.following, [*paged, *page.rows]
    assert (paged, before) == (found, None)
    with pytest.raises(CursorInvalid):
        await readings.of(connection, city.book_id, member_id, before=Ranked(10**15, reader))
