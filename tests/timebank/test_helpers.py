"""Helpers: who may act for a member, for how long and how far, and that the trail names both."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.earning import served
from tests.factories import MORNING, City, build_city
from tests.timebank.acting import done, earn, no_draw, one, redeem, the_redemption
from timebank import cards, codes, desk, guardians, helpers, inquiries, merging, pins, policy, sessions
from timebank.commands import Answer
from timebank.ending import Cancel
from timebank.errors import BankError, Conflict, Invalid, NotAllowed, NotFound
from timebank.ids import uuid7
from timebank.inquiries import Ask
from timebank.keys import Keys
from timebank.redemptions import Redeem
from timebank.tables import audit_entry, guardian, helping, member, reading

NEXT = MORNING + timedelta(days=1)
YEAR = timedelta(days=policy.HELPING_DAYS)


@pytest.fixture
async def city(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys)
        await no_draw(connection, city)
        return city


@pytest.fixture
async def elder(engine: AsyncEngine, city: City) -> UUID:
    async with engine.begin() as connection:
        return await city.add_member(connection, "云奶奶")


@pytest.fixture
async def neighbour(engine: AsyncEngine, city: City) -> UUID:
    async with engine.begin() as connection:
        return await city.add_member(connection, "林邻居")


async def grant(connection: AsyncConnection, city: City, who: UUID, helper: UUID, **more: Any) -> UUID:
    """The member names a helper for a month, unless something else is said."""
    id = more.pop("id", None) or uuid7(MORNING)
    values: dict[str, Any] = {
        "starts_at": None,
        "ends_at": MORNING + timedelta(days=30),
        "vouched": "self",
        "actor_id": who,
        "now": MORNING,
        **more,
    }
    await helpers.grant(connection, city.book_id, who, helper, id=id, **values)
    return id


async def refused(engine: AsyncEngine, city: City, who: UUID, helper: UUID, **more: Any) -> BankError:
    """With what a grant is refused; nothing of it stays."""
    with pytest.raises(BankError) as caught:
        async with engine.begin() as connection:
            await grant(connection, city, who, helper, **more)
    return caught.value


async def asked(connection: AsyncConnection, city: City, command: Ask) -> Answer:
    (answer,) = await inquiries.ask(connection, city.book_id, [command], MORNING, keys=city.keys)
    return answer


async def trail(connection: AsyncConnection, city: City, member_id: UUID) -> Sequence[tuple[str, UUID]]:
    """What was done for a member and by whom, in order of time."""
    page = await helpers.deeds(connection, city.book_id, member_id, limit=50)
    return [(row.action, row.actor_id) for row in reversed(page.rows)]


async def test_who_may_be_a_helper_and_for_how_long(
    engine: AsyncEngine, city: City, elder: UUID, neighbour: UUID
) -> None:
    for found, error in (
        (await refused(engine, city, elder, elder), Invalid),
        (await refused(engine, city, elder, neighbour, ends_at=MORNING), Invalid),
        (await refused(engine, city, elder, neighbour, ends_at=MORNING + YEAR + timedelta(1)), Invalid),
        (await refused(engine, city, elder, neighbour, starts_at=NEXT, ends_at=NEXT), Invalid),
    ):
        assert isinstance(found, error)
    async with engine.begin() as connection:
        id = await grant(connection, city, elder, neighbour, ends_at=MORNING + YEAR)
        # Sent again, it is one.
        await grant(connection, city, elder, neighbour, id=id)
        assert len(await helpers.of(connection, city.book_id, elder, MORNING)) == 1
    assert isinstance(await refused(engine, city, elder, neighbour), Conflict)
    # No child, and nobody who is suspended, on either side.
    async with engine.begin() as connection:
        child, other = await city.add_members(connection, 2)
        await connection.execute(
            guardian.insert().values(
                book_id=city.book_id, child_id=child, guardian_id=other, since=MORNING, until=NEXT + YEAR
            )
        )
        assert await guardians.guardian_ids(connection, city.book_id, child, MORNING)
        suspended = await city.add_member(connection)
        await connection.execute(update(member).where(member.c.id == suspended).values(state="suspended"))
    for pair in ((elder, child), (child, elder), (elder, suspended), (suspended, elder)):
        assert isinstance(await refused(engine, city, *pair), NotAllowed)
    # So many and no more, on either side.
    async with engine.begin() as connection:
        crowd = await city.add_members(connection, policy.HELPED_LIMIT)
        for each in crowd[1 : policy.HELPERS_LIMIT]:
            await grant(connection, city, elder, each)
        for each in crowd[1:]:
            await grant(connection, city, each, neighbour)
    assert (await refused(engine, city, elder, crowd[0])).code == "helpers_full"
    assert (await refused(engine, city, crowd[0], neighbour)).code == "helpers_full"


async def test_a_manager_assigns_and_not_for_his_own(
    engine: AsyncEngine, city: City, elder: UUID, neighbour: UUID
) -> None:
    async with engine.begin() as connection:
        row = await cards.issue(
            connection, city.book_id, elder, id=uuid7(MORNING), now=MORNING, actor_id=city.manager_id
        )
        other = await city.add_member(connection)
        await city.grant(connection, other, "manager", station_id=city.station.id)
    card = codes.card_code(city.keys.card, row.number)
    at_desk: dict[str, Any] = {"card_text": card, "helper": str(neighbour), "ends_at": NEXT, "now": MORNING}

    async def assign(actor_id: UUID, digits: str | None = None, **more: Any) -> UUID:
        id = uuid7(MORNING)
        facts = {**at_desk, **more, "actor_id": actor_id, "digits": digits, "id": id}
        await helpers.assign(engine, city.book_id, city.keys, **facts)
        return id

    with pytest.raises(desk.OwnRedemption):
        await assign(city.manager_id, helper=str(city.manager_id))
    with pytest.raises(pins.PinMissing):
        await assign(other, "830417")
    await desk.choose_pin(
        engine, city.book_id, city.keys, card_text=card, digits="830417", actor_id=city.manager_id, now=MORNING
    )
    first = await assign(city.manager_id)
    async with engine.begin() as connection:
        await helpers.end(connection, city.book_id, first, actor_id=other, now=MORNING)
    await assign(other, "830417")
    async with engine.connect() as connection:
        query = select(helping.c.vouched, helping.c.granted_by, helping.c.ended_by).where(
            helping.c.book_id == city.book_id
        )
        assert set(await connection.execute(query)) == {("card", city.manager_id, other), ("pin", other, None)}


async def test_who_ends_it(engine: AsyncEngine, city: City, elder: UUID, neighbour: UUID) -> None:
    async with engine.begin() as connection:
        far = await city.add_member(connection)
        await city.grant(connection, far, "manager", region_id=city.other_district_id)
        stranger = await city.add_member(connection)
        for actor_id in (elder, neighbour, city.manager_id):
            id = await grant(connection, city, elder, neighbour)
            for nobody, ended in ((far, id), (stranger, id), (elder, uuid7(MORNING))):
                with pytest.raises(NotFound):
                    await helpers.end(connection, city.book_id, ended, actor_id=nobody, now=MORNING)
            for _ in range(2):
                await helpers.end(connection, city.book_id, id, actor_id=actor_id, now=MORNING)
            assert await helpers.of(connection, city.book_id, elder, MORNING) == []
        assert [action for action, _ in await trail(connection, city, elder)].count("helping.end") == 2


async def test_a_session_acts_for_a_member_as_long_as_it_may(
    engine: AsyncEngine, city: City, elder: UUID, neighbour: UUID
) -> None:
    book_id = city.book_id
    async with engine.begin() as connection:
        id = await grant(connection, city, elder, neighbour)
        later = await grant(connection, city, neighbour, elder, starts_at=NEXT)
        await city.grant(connection, neighbour, "clerk", station_id=city.station.id)
        own = await sessions.begin(connection, book_id, neighbour, MORNING)
        facts: dict[str, Any] = {"now": MORNING, "token": own}
        for helping_id, actor_id in ((id, elder), (later, elder), (uuid7(MORNING), neighbour)):
            with pytest.raises(NotFound):
                await helpers.act(connection, book_id, helping_id, actor_id=actor_id, **facts)
        token, for_whom = await helpers.act(connection, book_id, id, actor_id=neighbour, **facts)
        assert for_whom == elder
        # What was the helper's own token is nobody's: a form of another tab spends nothing of the member's.
        with pytest.raises(NotFound):
            await helpers.act(connection, book_id, id, actor_id=neighbour, **facts)
        before, found = await sessions.find_all(connection, book_id, [own, token], MORNING)
        assert before is None
        assert found is not None
        assert (found.member_id, found.helper_id, found.person_id, found.grants) == (elder, neighbour, neighbour, ())
        query = select(reading.c.reader_id, reading.c.what).where(reading.c.member_id == elder)
        assert (await connection.execute(query)).all() == [(neighbour, "statement")]
        # Ended in one tap, it is the helper's own again, with every role.
        again = await helpers.stop(connection, book_id, elder, token=token, helper_id=neighbour, now=MORNING)
        found = await sessions.find(connection, book_id, again, MORNING)
        assert found is not None
        assert (found.member_id, found.helper_id, len(found.grants)) == (neighbour, None, 1)
        # Over by the calendar, by a word of the member's, or with the helper's own standing.
        token, _ = await helpers.act(connection, book_id, id, token=again, actor_id=neighbour, now=MORNING)
        assert await sessions.find(connection, book_id, token, MORNING + timedelta(days=30)) is None
        for state, known in (("suspended", False), ("active", True)):
            await connection.execute(update(member).where(member.c.id == neighbour).values(state=state))
            assert (await sessions.find(connection, book_id, token, MORNING) is not None) == known
        await helpers.end(connection, book_id, id, actor_id=elder, now=MORNING)
        assert await sessions.find(connection, book_id, token, MORNING) is None
        found_deeds = await trail(connection, city, elder)
        assert {who for _, who in found_deeds} == {neighbour}
        assert sorted(action for action, _ in found_deeds) == ["helping.act", "helping.act", "helping.stop"]


async def test_what_a_helper_does_is_limited_and_names_both(
    engine: AsyncEngine, city: City, elder: UUID, neighbour: UUID
) -> None:
    async with engine.begin() as connection:
        await earn(connection, city, elder, 480)
        reward_id = await city.add_reward(connection, price_points=120)
        small_id = await city.add_reward(connection, price_points=policy.HELPER_DAY_POINTS - 120)
        record_id = await served(connection, city, elder, NEXT)

        def wish(reward: UUID, by: UUID | None = neighbour) -> Redeem:
            return Redeem(id=uuid7(MORNING), actor_id=elder, reward_id=reward, by_id=by)

        def question() -> Ask:
            return Ask(id=uuid7(MORNING), actor_id=elder, record_id=record_id, question="?", by_id=neighbour)

        # Whoever is no helper does nothing.
        mine = await done(connection, city, wish(reward_id, None), MORNING)
        redemption_id = UUID(mine.data["redemption_id"])
        give_up = Cancel(id=uuid7(MORNING), actor_id=elder, redemption_id=redemption_id, by_id=neighbour)
        assert (await one(connection, city, wish(reward_id), MORNING)).code == "helper_not_allowed"
        assert (await one(connection, city, give_up, MORNING)).code == "helper_not_allowed"
        assert (await asked(connection, city, question())).code == "helper_not_allowed"
        await grant(connection, city, elder, neighbour)

        # So many points a day, the member's own not counted, and what was given up neither.
        made = await done(connection, city, wish(reward_id), MORNING)
        row = await the_redemption(connection, city, made.data["redemption_id"])
        assert (row.member_id, row.made_by, row.by_helper) == (elder, neighbour, True)
        assert row.expires_at < MORNING + policy.PAPER_HOLD
        assert (await one(connection, city, wish(reward_id), MORNING)).code == "helper_points"
        await done(connection, city, wish(small_id), MORNING)
        assert (await one(connection, city, wish(small_id), MORNING)).code == "helper_points"
        undo = Cancel(id=uuid7(MORNING), actor_id=elder, redemption_id=row.id, by_id=neighbour)
        answer = await done(connection, city, undo, MORNING)
        assert await one(connection, city, undo, MORNING) == answer
        assert (await the_redemption(connection, city, row.id)).ended_by == neighbour
        await done(connection, city, wish(reward_id), MORNING)
        # The next day is another one, and what the member redeems has no limit but the points.
        assert (await one(connection, city, wish(small_id), NEXT)).code == "ok"
        for code in ("ok", "points_short"):
            assert (await one(connection, city, redeem(city, elder, small_id), NEXT)).code == code
        assert (await asked(connection, city, question())).code == "ok"
        actions = [action for action, who in await trail(connection, city, elder) if who == neighbour]
        assert sorted(actions) == ["inquiry.ask", "redemption.cancel", *["redemption.make"] * 4]
        query = select(audit_entry.c.subject_id).where(
            audit_entry.c.book_id == city.book_id, audit_entry.c.actor_id == neighbour
        )
        assert set(await connection.scalars(query)) == {elder}


async def test_a_household_and_a_merged_helper(engine: AsyncEngine, city: City, elder: UUID, neighbour: UUID) -> None:
    async with engine.begin() as connection:
        daughter, stranger = await city.add_members(connection, 2)
        await connection.execute(
            update(member).where(member.c.id.in_([elder, daughter])).values(household_id=uuid7(MORNING))
        )
        assert await helpers.household(connection, city.book_id, elder) == [daughter]
        assert await helpers.of_household(connection, city.book_id, elder, daughter) == daughter
        for other in (stranger, None):
            with pytest.raises(NotFound):
                await helpers.of_household(connection, city.book_id, elder, other)
        await grant(connection, city, elder, neighbour)
        await merging.merge(
            connection,
            city.book_id,
            survivor_id=stranger,
            absorbed_id=neighbour,
            id=uuid7(MORNING),
            now=MORNING,
            actor_id=None,
        )
        assert await helpers.of(connection, city.book_id, elder, MORNING) == []
