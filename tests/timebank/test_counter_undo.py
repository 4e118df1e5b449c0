"""Undoing a hand-over: held again within ten minutes, the same code valid again, each once, whatever runs at once."""

import asyncio
import random
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.audit import audit
from ledger.tables import transfer
from tests.factories import MORNING, City, build_city
from tests.timebank.acting import rows
from tests.timebank.counter_desk import Desk, sums
from timebank import counter, ending, redemptions, rewards, undoing
from timebank.commands import Answer
from timebank.commit import Committer
from timebank.counter import Fulfil
from timebank.ending import Cancel
from timebank.ids import uuid7
from timebank.keys import Keys
from timebank.tables import audit_entry, fulfilment, fulfilment_undo, redemption, reward
from timebank.undoing import Undo


@pytest.fixture
async def desk(connection: AsyncConnection, new_book: int, keys: Keys) -> Desk:
    return Desk(connection, await build_city(connection, new_book, keys))


async def held(desk: Desk, *, points: int = 1000, **reward_values: object) -> tuple[UUID, Answer]:
    """A member with points, and a redemption of theirs that waits at the counter."""
    member_id = await desk.city.add_member(desk.connection)
    await desk.give_points(member_id, points)
    reward_id = await desk.city.add_reward(desk.connection, **reward_values)
    answer = await desk.redeem(member_id, reward_id)
    assert answer.code == "ok"
    return member_id, answer


async def handed_over(desk: Desk, minutes: float = 0, **reward_values: object) -> tuple[UUID, Answer, UUID]:
    """A member, their redemption, and the id of its hand-over."""
    member_id, made = await held(desk, **reward_values)
    id = uuid7(desk.at(minutes))
    assert (await desk.fulfil(made.data["number"], minutes, id=id)).code == "ok"
    return member_id, made, id


async def test_undone_is_held_again_and_the_same_code_is_valid(desk: Desk) -> None:
    member_id, made, id = await handed_over(desk)
    redemption_id = UUID(made.data["redemption_id"])
    assert await desk.sums() == (0, 100)
    answer = await desk.undo(id, 5)
    assert answer.code == "ok"
    assert answer.data["expires_at"] == made.data["expires_at"]
    row = await desk.stored(redemption_id)
    assert (row.state, row.ended_at, row.ended_by, row.station_id) == ("held", None, None, None)
    assert (row.number, row.digits) == (made.data["number"], made.data["digits"])
    assert await desk.sums() == (100, 0)
    assert await desk.points(member_id) == 900
    (entry,) = await rows(desk.connection, desk.city, audit_entry, action="fulfilment.undo")
    assert (entry.actor_id, entry.subject_id, entry.region_id) == (desk.city.clerk_id, id, desk.city.community_id)
    after = {"state": "held", "reward_id": str(row.reward_id), "points": 100}
    assert (entry.before, entry.after) == ({"state": "fulfilled"}, after)
    found = await counter.at_counter(
        desk.connection,
        desk.city.book_id,
        desk.city.station.id,
        actor_id=desk.city.clerk_id,
        now=desk.at(6),
        digits=row.digits,
    )
    assert counter.counter_refusal(found) is None
    assert (await desk.fulfil(row.number, 6)).code == "ok"
    assert await desk.sums() == (0, 100)


async def test_undone_can_be_cancelled_and_the_points_go_back(desk: Desk) -> None:
    member_id, made, id = await handed_over(desk)
    await desk.undo(id, 5)
    assert (await desk.cancel(member_id, UUID(made.data["redemption_id"]), 6)).code == "ok"
    assert await desk.sums() == (0, 0)
    assert await desk.points(member_id) == 1000


async def test_handed_over_undone_and_handed_over_again_and_again(desk: Desk) -> None:
    _, made, id = await handed_over(desk)
    for minutes in range(1, 6):
        assert (await desk.undo(id, minutes)).code == "ok"
        id = uuid7(desk.at(minutes))
        assert (await desk.fulfil(made.data["number"], minutes, id=id)).code == "ok"
    assert await desk.sums() == (0, 100)


async def test_ten_minutes_and_not_more(desk: Desk) -> None:
    _, _, id = await handed_over(desk)
    _, _, other = await handed_over(desk)
    assert (await desk.undo(id, 10)).code == "ok"
    late = await desk.undo(other, 10 + 1 / 60)
    assert late.code == "undo_too_late"
    assert await desk.sums() == (100, 100)


async def test_a_code_whose_time_ran_out_meanwhile_is_good_for_ten_more_minutes(desk: Desk) -> None:
    _, made, id = await handed_over(desk, minutes=59, hold_minutes=60)
    answer = await desk.undo(id, 65)
    row = await desk.stored(UUID(made.data["redemption_id"]))
    assert row.expires_at == desk.at(75)
    assert answer.data["expires_at"] == desk.at(75).isoformat()
    assert await ending.time_out(desk.connection, desk.city.book_id, desk.at(74)) == 0
    assert (await desk.fulfil(row.number, 74)).code == "ok"


async def test_what_nobody_collects_after_an_undo_times_out(desk: Desk) -> None:
    member_id, _, id = await handed_over(desk, minutes=59, hold_minutes=60)
    await desk.undo(id, 60)
    assert await ending.time_out(desk.connection, desk.city.book_id, desk.at(70)) == 1
    assert await desk.points(member_id) == 1000


async def test_twice_is_once(desk: Desk) -> None:
    _, _, id = await handed_over(desk)
    command_id = uuid7(desk.at(1))
    first = await desk.undo(id, 1, id=command_id)
    assert await desk.undo(id, 3, id=command_id) == first
    assert (await desk.undo(id, 3)).code == "already_undone"
    assert await desk.sums() == (100, 0)


async def test_a_late_press_does_not_undo_the_hand_over_that_followed(desk: Desk) -> None:
    _, made, id = await handed_over(desk)
    await desk.undo(id, 1)
    assert (await desk.fulfil(made.data["number"], 2)).code == "ok"
    assert (await desk.undo(id, 3)).code == "already_undone"
    assert await desk.sums() == (0, 100)


async def test_one_id_is_one_undo(desk: Desk) -> None:
    _, _, id = await handed_over(desk)
    _, _, other = await handed_over(desk)
    command_id = uuid7(desk.at(1))
    assert (await desk.undo(id, 1, id=command_id)).code == "ok"
    assert (await desk.undo(other, 1, id=command_id)).code == "id_reused"


async def test_by_another_clerk_of_the_counter_or_of_the_branch_and_by_nobody_else(desk: Desk) -> None:
    connection, city = desk.connection, desk.city
    elsewhere = await city.add_station(connection, region_id=city.other_community_id)
    beside = await city.add_station(connection)
    allowed, refused = [], []
    for scope in ({"station_id": city.station.id}, {"region_id": city.community_id}, {"region_id": city.region_id}):
        clerk = await city.add_member(connection, "另核销")
        await city.grant(connection, clerk, "clerk", **scope)
        allowed.append(clerk)
    for scope in (
        {"station_id": beside.id},
        {"station_id": elsewhere.id},
        {"region_id": city.other_district_id},
    ):
        clerk = await city.add_member(connection, "外核销")
        await city.grant(connection, clerk, "clerk", **scope)
        refused.append(clerk)
    refused.append(city.manager_id)
    _, made, id = await handed_over(desk)
    for clerk in (*refused, await city.add_member(connection)):
        assert (await desk.undo(id, 1, actor_id=clerk)).code == "not_found"
    for clerk in allowed:
        assert (await desk.undo(id, 2, actor_id=clerk)).code == "ok"
        id = uuid7(desk.at(2))
        await desk.fulfil(made.data["number"], 2, id=id)
    assert (await desk.undo(uuid7(MORNING), 2)).code == "not_found"


async def test_what_was_handed_over_today_with_what_can_be_undone(desk: Desk) -> None:
    _, made, first = await handed_over(desk, minutes=0)
    _, _, second = await handed_over(desk, minutes=5)
    await desk.undo(second, 6)
    _, _, third = await handed_over(desk, minutes=7)

    async def listed(minutes: float, since: float = 0, limit: int = 10) -> list[tuple[UUID, bool, bool]]:
        page = await counter.handed_here(
            desk.connection,
            desk.city.book_id,
            desk.city.station.id,
            actor_id=desk.city.clerk_id,
            since=desk.at(since),
            now=desk.at(minutes),
            limit=limit,
        )
        return [(row.id, row.undone_at is not None, row.can_undo) for row in page.rows]

    assert await listed(8) == [(third, False, True), (second, True, False), (first, False, True)]
    assert await listed(11) == [(third, False, True), (second, True, False), (first, False, False)]
    assert await listed(11, since=6) == [(third, False, True)]
    assert [row[0] for row in await listed(11, limit=2)] == [third, second]
    assert made.data["digits"]


async def test_digits_that_may_become_valid_again_are_drawn_for_nobody_else(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    member_id, made, id = await handed_over(desk)
    reward_id = await desk.city.add_reward(desk.connection)
    real = redemptions.codes.redemption_numbers

    def alike(secret: bytes, redemption_id: UUID, draw: int) -> tuple[int, str]:
        number, digits = real(secret, redemption_id, draw)
        return number, made.data["digits"] if draw == 0 else digits

    monkeypatch.setattr(redemptions.codes, "redemption_numbers", alike)
    soon = await desk.redeem(member_id, reward_id, 9)
    assert soon.data["digits"] != made.data["digits"]
    assert (await desk.undo(id, 10)).code == "ok"
    await desk.fulfil(made.data["number"], 10)
    later = await desk.redeem(member_id, reward_id, 21)
    assert later.data["digits"] == made.data["digits"]


async def test_nobody_rewrites_a_hand_over(desk: Desk) -> None:
    _, _, id = await handed_over(desk)
    await desk.undo(id, 1)
    for statement in (
        "UPDATE timebank.fulfilment SET clerk_id = clerk_id",
        "DELETE FROM timebank.fulfilment",
        "UPDATE timebank.fulfilment_undo SET clerk_id = clerk_id",
        "DELETE FROM timebank.fulfilment_undo",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with desk.connection.begin_nested():
                await desk.connection.execute(text(statement))


async def test_an_honour_without_places_is_fulfilled_as_it_is_redeemed(desk: Desk) -> None:
    member_id, made = await held(desk, kind="honour", places=[])
    row = await desk.stored(UUID(made.data["redemption_id"]))
    assert (row.state, row.ended_by, row.station_id, row.ended_at) == ("fulfilled", member_id, None, MORNING)
    assert await desk.sums() == (0, 100)
    assert await desk.points(member_id) == 900
    assert (await desk.cancel(member_id, row.id)).code == "already_fulfilled"
    assert (await desk.fulfil(row.number)).code == "wrong_place"
    query = select(reward.c.stock).where(reward.c.book_id == desk.city.book_id, reward.c.id == row.reward_id)
    assert await desk.connection.scalar(query) == 9


async def test_an_honour_with_places_is_handed_over_like_everything_else(desk: Desk) -> None:
    _, made = await held(desk, kind="honour")
    assert (await desk.stored(UUID(made.data["redemption_id"]))).state == "held"
    assert (await desk.fulfil(made.data["number"])).code == "ok"


async def test_an_honour_keeps_its_last_place_while_somebody_has_yet_to_collect_it(desk: Desk) -> None:
    member_id, made = await held(desk, kind="honour")
    row = await desk.stored(UUID(made.data["redemption_id"]))
    with pytest.raises(rewards.Invalid) as caught:
        await rewards.edit(desk.connection, desk.city.book_id, row.reward_id, {}, places=[], now=MORNING)
    assert caught.value.data == {"field": "places", "reason": "awaited"}
    await desk.cancel(member_id, row.id)
    await rewards.edit(desk.connection, desk.city.book_id, row.reward_id, {}, places=[], now=MORNING)


@pytest.fixture
async def open_city(engine: AsyncEngine, new_book: int, keys: Keys) -> City:
    """A city that everybody sees."""
    async with engine.begin() as connection:
        return await build_city(connection, new_book, keys)


async def test_sixty_four_at_once_never_both_undo_and_fulfil(engine: AsyncEngine, open_city: City) -> None:
    """Eight workers of the bank, each with committers of its own: clerks hand over and undo, the member cancels, a job
    times out. Whoever is told "ok" is right, and the book adds up."""
    city, book_id, pieces = open_city, open_city.book_id, 8
    async with engine.begin() as connection:
        desk = Desk(connection, city)
        member_id = await city.add_member(connection)
        await desk.give_points(member_id, 100 * pieces)
        reward_id = await city.add_reward(connection)
        made = [await desk.redeem(member_id, reward_id, id=uuid7(MORNING)) for _ in range(pieces)]
        handed = {}
        for answer in made:
            id = uuid7(MORNING)
            assert (await desk.fulfil(answer.data["number"], id=id)).code == "ok"
            handed[answer.data["redemption_id"]] = id
    numbers = {answer.data["redemption_id"]: answer.data["number"] for answer in made}

    def committers(verb: object) -> list[Committer]:
        return [Committer(engine, book_id, verb, lambda: MORNING + timedelta(minutes=1)) for _ in range(8)]

    workers = {
        "fulfil": committers(counter.fulfil),
        "undo": committers(undoing.undo),
        "cancel": committers(ending.cancel),
    }
    told: dict[str, list[str]] = {id: [] for id in numbers}
    chance = random.Random(20260302)

    async def caller(number: int) -> None:
        # The first sees to it that each is undone once.
        for redemption_id in chance.sample(sorted(numbers), pieces // 2 if number else pieces):
            verb = ("undo", "fulfil", "undo", "fulfil", "cancel")[chance.randrange(5)] if number else "undo"
            command = {
                "undo": Undo(id=uuid7(MORNING), actor_id=city.clerk_id, fulfilment_id=handed[redemption_id]),
                "fulfil": Fulfil(
                    id=uuid7(MORNING),
                    actor_id=city.clerk_id,
                    station_id=city.station.id,
                    number=numbers[redemption_id],
                ),
                "cancel": Cancel(id=uuid7(MORNING), actor_id=member_id, redemption_id=UUID(redemption_id)),
            }[verb]
            answer = await workers[verb][number % 8].submit(command)
            if answer.code == "ok":
                told[redemption_id].append(verb)
                if verb == "fulfil":
                    handed[redemption_id] = command.id

    await asyncio.gather(*(caller(number) for number in range(64)))

    async with engine.connect() as connection:
        rows = {
            str(row.id): row
            for row in await connection.execute(select(redemption).where(redemption.c.book_id == book_id))
        }
        for redemption_id, verbs in told.items():
            balance = 1 + verbs.count("fulfil") - verbs.count("undo")
            state = "cancelled" if "cancel" in verbs else "fulfilled" if balance else "held"
            assert rows[redemption_id].state == state, verbs
            assert balance == (state == "fulfilled"), verbs
            assert verbs.count("cancel") <= 1
        assert sum("undo" in verbs for verbs in told.values()) == pieces
        states = [row.state for row in rows.values()]
        expected = 100 * states.count("held"), 100 * states.count("fulfilled")
        assert await sums(connection, book_id) == expected
        stock = select(reward.c.stock).where(reward.c.book_id == book_id, reward.c.id == reward_id)
        assert await connection.scalar(stock) == 10 - pieces + states.count("cancelled")
        handed_over_rows = select(func.count()).where(fulfilment.c.book_id == book_id)
        undone_rows = select(func.count()).where(fulfilment_undo.c.book_id == book_id)
        posted = select(transfer.c.code, func.count()).where(transfer.c.book_id == book_id).group_by(transfer.c.code)
        counted = dict((await connection.execute(posted)).all())
        assert counted["fulfil"] == await connection.scalar(handed_over_rows)
        assert counted["undo_fulfil"] == await connection.scalar(undone_rows)
    async with engine.connect() as connection:
        report = await audit(connection, book_id)
    assert report.passed, report.findings


async def test_one_hand_over_is_undone_once_by_sixty_four_clerks(engine: AsyncEngine, open_city: City) -> None:
    book_id = open_city.book_id
    async with engine.begin() as connection:
        _, _, id = await handed_over(Desk(connection, open_city))
    workers = [Committer(engine, book_id, undoing.undo, lambda: MORNING) for _ in range(16)]
    answers = await asyncio.gather(
        *(
            workers[number % 16].submit(Undo(id=uuid7(MORNING), actor_id=open_city.clerk_id, fulfilment_id=id))
            for number in range(64)
        )
    )
    codes = [answer.code for answer in answers]
    assert (codes.count("ok"), codes.count("already_undone")) == (1, 63)


async def test_a_batch_undoes_each_once_and_refuses_the_rest(desk: Desk) -> None:
    _, _, one = await handed_over(desk)
    _, _, two = await handed_over(desk)
    now, clerk = desk.at(1), desk.city.clerk_id
    commands = [
        Undo(id=uuid7(now), actor_id=actor_id, fulfilment_id=id)
        for id, actor_id in ((one, clerk), (two, clerk), (one, clerk), (two, desk.city.manager_id))
    ]
    answers = await undoing.undo(desk.connection, desk.city.book_id, commands, now)
    assert [answer.code for answer in answers] == ["ok", "ok", "already_undone", "not_found"]
    assert await desk.sums() == (200, 0)
