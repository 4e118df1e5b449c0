"""The roll of honour: who agreed to be named is, by hours, and is gone the moment they take it back."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.api.people import Person, Town, problem
from tests.earning import correct, verified
from tests.factories import MORNING, PASSWORD
from timebank import consents, erasing, honours, members, periods
from timebank.honours import Scope
from timebank.ids import uuid7
from timebank.tables import attempt, consent, guardian

ROLL = "/api/v1/honour-roll"
# The sessions that wait for the lock of this one.
WAITING = text("SELECT DISTINCT pid FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))")


GROWN_UP = date(1960, 5, 1)
NAMES = ("甘一", "甘二", "袁三", "修四", "默五", "童六", "少七", "停八", "离九", "忘十", "生十一")


TEXT = consents.in_use(consents.HONOUR)


async def agrees(connection: AsyncConnection, town: Town, member_id: UUID, agreed: bool = True) -> None:
    """Somebody's answer to being named."""
    await consents.answer(
        connection,
        town.city.book_id,
        member_id,
        purpose="honour",
        number=TEXT.number,
        agreed=agreed,
        id=uuid7(town.watch.now),
        actor_id=member_id,
        now=town.watch.now,
    )


async def people_who_served(town: Town) -> dict[str, UUID]:
    """Volunteers of March; all but one have agreed, and each has given more hours than the one before."""
    city, found = town.city, {}
    async with town.bank.engine.begin() as connection:
        # Of age tomorrow, and of nobody knows what age.
        born = {"少七": MORNING.date().replace(year=2008) + timedelta(days=1), "生十一": None}
        for number, name in enumerate(NAMES):
            password = PASSWORD if name in born else None
            found[name] = await city.add_member(connection, name, born=born.get(name, GROWN_UP), password=password)
            await verified(connection, city, found[name], MORNING, 60 + 40 * max(number, 1))
            if name != "默五":
                await agrees(connection, town, found[name])
    return found


async def names(reader: Person, query: str = "", period: str = "month=2026-03") -> list[tuple[int, str, int]]:
    """The lines that anybody is shown, in their order; who shares a rank, by name."""
    answer = await reader.get(f"{ROLL}?{period}{query}")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), answer.text
    lines = [(each["rank"], each["name"], each["hours"]) for each in answer.json()["volunteers"]]
    ranks = [rank for rank, _, _ in lines]
    assert ranks == sorted(ranks)
    return sorted(lines, key=lambda line: line[:2])


async def test_who_agreed_is_named_and_nobody_else(town: Town) -> None:
    city, book_id, reader = town.city, town.city.book_id, town.stranger()
    people = await people_who_served(town)
    everybody = [(1, "忘十", 7), (2, "离九", 6), (3, "停八", 5), (4, "童六", 4)]
    everybody += [(5, "修四", 3), (6, "袁三", 2), (7, "甘一", 1), (7, "甘二", 1)]
    # Under age, by the day of birth, of unknown age, and who never answered: none is there.
    assert await names(reader) == everybody
    town.watch.move(minutes=1)
    now = town.watch.now
    async with town.bank.engine.begin() as connection:
        await connection.execute(
            insert(guardian).values(
                book_id=book_id,
                child_id=people["童六"],
                guardian_id=people["甘一"],
                since=now,
                until=now + timedelta(days=300),
            )
        )
        await members.suspend(connection, book_id, people["停八"], now=now)
        await erasing.ask(connection, book_id, people["离九"], id=uuid7(now), actor_id=people["离九"], now=now)
        await members.erase(connection, book_id, people["忘十"], now=now)
        await agrees(connection, town, people["修四"], agreed=False)
    # At once, though the sums of a moment ago are still in use, and ranks close up behind who is gone.
    left = [(1, "袁三", 2), (2, "甘一", 1), (2, "甘二", 1)]
    assert await names(reader) == left
    assert await names(reader, "&limit=1") == left[:1]
    page = (await reader.get("/honour")).text
    assert all(name in page for name in ("袁三", "甘一", "甘二"))
    assert not [name for name in ("修四", "默五", "童六", "少七", "停八", "离九", "忘十", "生十一") if name in page]
    assert '<meta name="robots" content="noindex">' in page
    # A correction is seen when the sums are made again.
    async with town.bank.engine.begin() as connection:
        extra = await verified(connection, city, people["甘一"], MORNING + timedelta(days=1), 600)
        await correct(connection, city, extra, 130, MORNING + timedelta(days=2))
    town.watch.move(minutes=10)
    assert (await names(reader))[0] == (1, "甘一", 3)


async def test_a_yes_from_before_the_birthday_names_nobody(town: Town) -> None:
    people = await people_who_served(town)
    town.watch.move(days=1)
    assert "少七" not in {name for _, name, _ in await names(town.stranger())}
    unknown = await town.member(people["生十一"])
    assert "还没有登记您的出生日期" in (await unknown.get("/privacy")).text
    grown = await town.member(people["少七"])
    page = (await grown.get("/privacy")).text
    assert "是在满 18 周岁以前给出的" in page
    answer = {"id": grown.new_id(), "purpose": "honour", "number": str(TEXT.number), "agreed": "true"}
    assert (await grown.fill("/privacy/consents", **answer)).status_code == 303
    assert "是在满 18 周岁以前给出的" not in (await grown.get("/privacy")).text
    assert "少七" in {name for _, name, _ in await names(grown)}


async def test_no_reader_waits_for_a_sum_of_another_roll_and_all_share_one(town: Town) -> None:
    await people_who_served(town)
    rolls, kept = town.bank.rolls, await names(town.stranger())
    async with town.bank.engine.connect() as connection:
        # Before anybody served, and after today: nothing is summed up.
        for period in ("month=2026-04", "year=2199", "year=2000", "month=2026-02"):
            assert (await town.stranger().get(f"{ROLL}?{period}")).json()["volunteers"] == []
        assert set(rolls.kept) == {None, (Scope(), periods.month(MORNING.date()))}
        # Whoever asks for the year waits for whoever has locked the records; whoever asks for what is kept does not.
        await connection.execute(text("LOCK TABLE timebank.record IN ACCESS EXCLUSIVE MODE"))
        readers = [asyncio.create_task(town.stranger().get(f"{ROLL}?year=2026")) for _ in range(3)]
        while not (pids := (await connection.scalars(WAITING)).all()):
            pass
        assert len(pids) == len(rolls.under_way) == 1
        assert await names(town.stranger()) == kept
        assert await connection.scalar(select(func.pg_cancel_backend(pids[0])))
        assert [problem(answer) for answer in await asyncio.gather(*readers)] == [(503, "busy")] * 3
    # A sum that failed is not tried again for a minute.
    assert problem(await town.stranger().get(f"{ROLL}?year=2026")) == (503, "busy")
    town.watch.move(minutes=1)
    assert (await town.stranger().get(f"{ROLL}?year=2026")).json()["volunteers"]
    # What is kept is free, what has to be summed up is counted.
    async with town.bank.engine.begin() as connection:
        await connection.execute(update(attempt).where(attempt.c.kind == "honour.address").values(count=60))
    everywhere = f"{ROLL}?year=2026&region_id={town.city.region_id}"
    assert problem(await town.stranger().get(everywhere)) == (429, "try_later")
    assert (await town.stranger().get("/honour")).status_code == 200
    assert (await town.stranger(peer="192.0.2.7").get(everywhere)).status_code == 200


async def test_a_roll_is_of_a_period_and_a_place(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    city, reader = town.city, town.stranger()
    async with town.bank.engine.begin() as connection:
        elsewhere = await city.add_station(connection, region_id=city.other_community_id)
        *here, other = [
            await city.add_member(connection, name, born=GROWN_UP)
            for name in ("林一", "林二", "林三", "林四", "林五", "林六")
        ]
        for member_id in (*here, other):
            await agrees(connection, town, member_id)
        for member_id in here:
            await verified(connection, city, member_id, MORNING, 60)
        # Whole hours alone: an hour and a half, and half an hour that makes it two.
        for days, minutes in ((31, 90), (32, 30)):
            await verified(connection, city, here[0], MORNING + timedelta(days=days), minutes)
        # Who agreed to a text that names no place is named where none is.
        earlier = await city.add_member(connection, "林七", born=GROWN_UP)
        facts = {"book_id": city.book_id, "member_id": earlier, "purpose": "honour", "answered_at": town.watch.now}
        await connection.execute(insert(consent).values(**facts, id=city.new_id(), number=1, agreed=True))
        await verified(connection, city, earlier, MORNING, 190)
        await city.grant(connection, city.manager_id, "manager", station_id=elsewhere.id)
        await verified(connection, city, other, MORNING, 150, station=elsewhere)
    station = f"&station_id={city.station.id}"
    five = ["林一", "林三", "林二", "林五", "林四"]
    everywhere = [(1, "林六", 2), *((2, name, 1) for name in five)]
    assert await names(reader, f"&region_id={city.region_id}") == everywhere
    assert await names(reader) == [(1, "林七", 3), (2, "林六", 2), *((3, name, 1) for name in five)]
    # All of them served at one station: of a month, the community has none.
    assert await names(reader, f"&region_id={city.community_id}") == []
    assert await names(reader, f"&region_id={city.region_id}&limit=1") == everywhere[:1]
    assert await names(reader, f"&region_id={city.community_id}", "year=2026") == [
        (1, "林一", 3),
        *((2, name, 1) for name in five[1:]),
    ]
    of_year = [(1, "林一", 3), *((2, name, 1) for name in five[1:])]
    assert await names(reader, station, "year=2026") == of_year
    assert await names(reader, f"{station}&limit=1", "year=2026") == of_year[:1]
    # Where fewer than five can be named, nobody is.
    assert await names(reader, f"&region_id={city.other_district_id}") == []
    assert await names(reader, f"&station_id={elsewhere.id}", "year=2026") == []
    year = (await reader.get(f"{ROLL}?year=2026")).json()
    assert (year["since"], year["until"]) == ("2026-01-01", "2026-12-31")
    for query, said in (
        ("month=2026-3", (422, "invalid")),
        ("month=2026-13", (422, "invalid")),
        ("year=26", (422, "invalid")),
        ("year=1999", (422, "invalid")),
        ("year=2026&month=2026-03", (422, "invalid")),
        (f"month=2026-03{station}", (422, "invalid")),
        (f"region_id={city.region_id}{station}", (422, "invalid")),
        ("limit=0", (422, "invalid")),
        (f"region_id={town.city.new_id()}", (404, "not_found")),
        (f"station_id={town.city.new_id()}", (404, "not_found")),
    ):
        assert problem(await reader.get(f"{ROLL}?{query}")) == said, query
    for path in ("/honour", "/honour?year=2026", "/honour?year=2000", f"/honour?year=2026{station}"):
        page = await reader.get(path)
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert "至少有 5 人同意" in page.text
    assert "未全部列出" not in page.text
    monkeypatch.setattr(honours, "PLACES_LIMIT", 1)
    assert "未全部列出" in (await reader.get("/honour")).text
    assert (await reader.get("/honour?month=x")).status_code == 422
