"""Questions about records: asked by whose record it is, answered by a manager of the branch, read by nobody else."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.earning import ask, correct, decline, served, verified
from tests.factories import MORNING, City, build_city
from timebank import corrections, inquiries, members
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.tables import inquiry

LATER = MORNING + timedelta(days=1)


@pytest.fixture
async def city(connection: AsyncConnection, new_book: int, keys: Keys) -> City:
    return await build_city(connection, new_book, keys)


async def waiting(connection: AsyncConnection, city: City, actor_id: UUID, **more: object) -> list[str | None]:
    """The questions in somebody's queue."""
    page = await inquiries.queue(connection, city.book_id, actor_id=actor_id, now=LATER, **more)  # type: ignore[arg-type]
    assert page.following is None
    found = await inquiries.opened(connection, city.book_id, city.keys, page.rows)
    return [each.question for each in found]


async def test_a_question_waits_for_a_manager_of_the_branch(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id)
    answer = await ask(connection, city, member_id, record_id, "  I stayed until noon.\r\nMrs Chen saw me. ")
    assert answer.code == "ok"
    assert await waiting(connection, city, city.manager_id) == ["I stayed until noon.\nMrs Chen saw me."]
    assert await waiting(connection, city, city.manager_id, station_id=city.station.id) != []
    assert await waiting(connection, city, city.manager_id, station_id=uuid7(MORNING)) == []
    assert await inquiries.count(connection, city.book_id, actor_id=city.manager_id, now=LATER) == 1
    for stranger in (member_id, city.clerk_id):
        assert await waiting(connection, city, stranger) == []
        assert await inquiries.count(connection, city.book_id, actor_id=stranger, now=LATER) == 0
    sealed = await connection.scalar(select(inquiry.c.question).where(inquiry.c.record_id == record_id))
    assert sealed is not None
    assert b"Chen" not in sealed


async def test_one_open_question_a_record(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id)
    first = await ask(connection, city, member_id, record_id, "Why?")
    assert (await ask(connection, city, member_id, record_id, "Why not?")).code == "inquiry_open"
    assert (await decline(connection, city, first.data["inquiry_id"], "Because.")).code == "ok"
    assert (await ask(connection, city, member_id, record_id, "Why not?")).code == "ok"
    found = await inquiries.about(connection, city.book_id, record_id, city.keys)
    # Both were asked in one moment.
    assert {(each.question, each.state, each.answer) for each in found} == {
        ("Why?", "declined", "Because."),
        ("Why not?", "open", None),
    }


async def test_a_question_is_about_ones_own_record_and_says_something(connection: AsyncConnection, city: City) -> None:
    one, two = await city.add_members(connection, 2)
    record_id = await verified(connection, city, one)
    assert (await ask(connection, city, two, record_id, "Why?")).code == "not_found"
    assert (await ask(connection, city, one, uuid7(MORNING), "Why?")).code == "not_found"
    for words, reason in ((" ", "empty"), ("x" * 501, "too_long"), ("\x07", "characters")):
        answer = await ask(connection, city, one, record_id, words)
        assert (answer.code, answer.data["field"], answer.data["reason"]) == ("invalid", "question", reason)
    # Also about one that waits, so that the manager reads it before deciding.
    assert (await ask(connection, city, one, await served(connection, city, one), "I left at five.")).code == "ok"


async def test_a_correction_answers_the_question(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id, minutes=60)
    asked = await ask(connection, city, member_id, record_id, "I stayed for two hours.")
    inquiry_id = UUID(asked.data["inquiry_id"])
    answer = await correct(connection, city, record_id, 120, reason="You did.", inquiry_id=inquiry_id)
    assert answer.code == "ok"
    (found,) = await inquiries.about(connection, city.book_id, record_id, city.keys)
    steps = await corrections.history(connection, city.book_id, record_id, city.keys)
    assert (found.state, found.answer, found.answered_by, found.correction_id) == (
        "corrected",
        "You did.",
        city.manager_id,
        steps[-1].id,
    )
    assert await waiting(connection, city, city.manager_id) == []
    again = await correct(connection, city, record_id, 90, reason="No.", inquiry_id=inquiry_id)
    assert again.code == "inquiry_closed"


async def test_a_correction_that_names_no_question_answers_the_open_one_too(
    connection: AsyncConnection, city: City
) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id, minutes=60)
    await ask(connection, city, member_id, record_id, "I stayed for two hours.")
    await correct(connection, city, record_id, 120, reason="Seen on the list.")
    (found,) = await inquiries.about(connection, city.book_id, record_id, city.keys)
    assert (found.state, found.answer) == ("corrected", "Seen on the list.")


async def test_who_may_not_answer(connection: AsyncConnection, city: City) -> None:
    household = city.new_id()
    manager = await city.add_member(connection, household_id=household)
    await city.grant(connection, manager, "manager", station_id=city.station.id)
    spouse = await city.add_member(connection, household_id=household)
    asked = [
        (await ask(connection, city, id_, await verified(connection, city, id_), "Why?")).data["inquiry_id"]
        for id_ in (manager, spouse)
    ]
    assert await waiting(connection, city, manager) == []
    for inquiry_id in asked:
        for actor_id in (manager, spouse, city.clerk_id):
            answer = await decline(connection, city, inquiry_id, "Because.", actor_id=actor_id)
            assert answer.code == "not_found"
    suspended = await city.add_member(connection)
    await city.grant(connection, suspended, "manager", station_id=city.station.id)
    await members.suspend(connection, city.book_id, suspended, now=MORNING)
    assert (await decline(connection, city, asked[0], "Because.", actor_id=suspended)).code == "not_found"
    assert (await decline(connection, city, asked[0], " ")).code == "reason_missing"
    assert (await decline(connection, city, asked[0], "x" * 501)).code == "invalid"
    assert (await decline(connection, city, asked[0], "Because.")).code == "ok"
    assert (await decline(connection, city, asked[0], "Because.")).code == "inquiry_closed"


async def test_questions_are_forgotten_with_the_person(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    record_id = await verified(connection, city, member_id)
    asked = await ask(connection, city, member_id, record_id, "Why?")
    await members.erase(connection, city.book_id, member_id, now=MORNING)
    assert (await decline(connection, city, asked.data["inquiry_id"], "Because.")).code == "ok"
    (found,) = await inquiries.about(connection, city.book_id, record_id, city.keys)
    assert (found.question, found.answer, found.state) == (None, None, "declined")


async def test_the_queue_of_questions_goes_page_by_page(connection: AsyncConnection, city: City) -> None:
    member_id = await city.add_member(connection)
    for number in range(3):
        record_id = await verified(connection, city, member_id, MORNING + timedelta(hours=3 * number), 60)
        await ask(connection, city, member_id, record_id, f"Question {number}", MORNING + timedelta(minutes=number))
    seen: list[str | None] = []
    after = None
    for _ in range(2):
        page = await inquiries.queue(
            connection, city.book_id, actor_id=city.manager_id, now=LATER, after=after, limit=2
        )
        seen += [each.question for each in await inquiries.opened(connection, city.book_id, city.keys, page.rows)]
        after = page.following
    assert (seen, after) == (["Question 0", "Question 1", "Question 2"], None)
