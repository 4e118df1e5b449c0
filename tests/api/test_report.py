"""The monthly report of a station: every figure is the database's, on the page, on paper and for programs."""

import re
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.language import language
from api.paper import press
from api.paper import report as report_paper
from tests.api.people import Person, Town, problem
from tests.api.test_paper import is_paper
from tests.earning import correct, redeem, served, verified, verify
from tests.factories import MORNING
from tests.paper import characters
from timebank import counter, periods, reports, undoing
from timebank.counter import Fulfil
from timebank.ids import uuid7
from timebank.tables import redemption
from timebank.undoing import Undo

# Counted again in words of their own.
SUMS = text("""
    SELECT sum(credited_minutes) FILTER (WHERE state = 'verified') AS minutes,
           sum(points) FILTER (WHERE state = 'verified') AS points,
           count(DISTINCT member_id) FILTER (WHERE state = 'verified') AS people,
           count(*) AS records, count(*) FILTER (WHERE state <> 'waiting') AS decided,
           count(*) FILTER (WHERE holds <> '{}') AS held
    FROM timebank.record
    WHERE book_id = :book_id AND station_id = :station_id AND to_char(local_day, 'YYYY-MM') = :month
""")


async def a_month(town: Town, connection: AsyncConnection) -> None:
    """What happens at a station in March, and a little in the months beside it and at another station."""
    city = town.city
    people = [await city.add_member(connection, f"林{number}") for number in range(3)]
    for number, person in enumerate(people):
        await verified(connection, city, person, MORNING + timedelta(days=number), 60 + 10 * number)
    await verified(connection, city, people[0], MORNING + timedelta(days=5), 45, kind="duty", grade="B")
    await served(connection, city, people[1], MORNING + timedelta(days=6), holds=("long_day", "drawn"))
    refused = await served(connection, city, people[1], MORNING + timedelta(days=7), holds=("drawn",))
    assert (await verify(connection, city, refused, town.watch.now, verdict="reject", reason="x")).code == "ok"
    taken_back = await verified(connection, city, people[2], MORNING + timedelta(days=8), 30)
    assert (await correct(connection, city, taken_back, None, MORNING + timedelta(days=9))).code == "ok"
    # The last evening of February, and the first morning of April, by the community's clock.
    before = await served(connection, city, people[0], MORNING - timedelta(hours=34), 60)
    assert (await verify(connection, city, before, town.watch.now)).code == "ok"
    await verified(connection, city, people[0], MORNING + timedelta(days=29, hours=16), 60)
    elsewhere = await city.add_station(connection)
    await city.grant(connection, people[1], "manager", station_id=elsewhere.id)
    other = await served(connection, city, people[0], MORNING + timedelta(days=10), 60, station=elsewhere)
    assert (await verify(connection, city, other, MORNING + timedelta(days=11), actor_id=people[1])).code == "ok"
    reward_id = await city.add_reward(connection, price_points=20, places=[city.station.id])
    for when, taken_back_again in ((20, False), (21, True), (40, False)):
        at = MORNING + timedelta(days=when)
        held = await redeem(connection, city, people[0], reward_id, at)
        query = select(redemption.c.digits).where(redemption.c.id == UUID(held.data["redemption_id"]))
        digits = await connection.scalar(query)
        command = Fulfil(id=uuid7(at), actor_id=city.clerk_id, station_id=city.station.id, digits=digits)
        (answer,) = await counter.fulfil(connection, city.book_id, [command], at)
        assert answer.code == "ok", answer
        if taken_back_again:
            await take_back(connection, town, command, at)


async def take_back(connection: AsyncConnection, town: Town, command: Fulfil, at: datetime) -> None:
    """The clerk undoes a hand-over."""
    undo = Undo(id=uuid7(at), actor_id=town.city.clerk_id, fulfilment_id=command.id)
    (answer,) = await undoing.undo(connection, town.city.book_id, [undo], at)
    assert answer.code == "ok", answer


@pytest.fixture
async def manager(town: Town) -> Person:
    """The station's manager, when April has come."""
    async with town.bank.engine.begin() as connection:
        await a_month(town, connection)
    town.watch.move(days=45)
    return await town.member(town.city.manager_id)


async def test_every_figure_is_the_database_s(town: Town, manager: Person) -> None:
    city, number = town.city, town.city.station.number
    async with town.bank.engine.connect() as connection:
        report = await reports.of_station(
            connection,
            city.book_id,
            city.station.id,
            period=periods.month(date(2026, 3, 1)),
            actor_id=city.manager_id,
            now=town.watch.now,
        )
        facts = {"book_id": city.book_id, "station_id": city.station.id, "month": "2026-03"}
        counted = (await connection.execute(SUMS, facts)).one()
    assert (report.minutes, report.points, report.people) == (counted.minutes, counted.points, counted.people)
    assert (report.records, report.decided, report.held) == (counted.records, counted.decided, counted.held)
    # And by hand: 60 + 70 + 80 minutes of help and 45 of duty; one waits, one was refused, one was taken back.
    assert (report.minutes, report.people, report.held) == (255, 3, 2)
    assert report.states == {"verified": 4, "waiting": 1, "rejected": 1, "reversed": 1}
    assert [(row.records, row.people, row.minutes) for row in report.kinds] == [(3, 3, 210), (1, 1, 45)]
    assert [(row.grade, row.records, row.minutes) for row in report.grades] == [("A", 3, 210), ("B", 1, 45)]
    assert report.holds == {"drawn": 2, "long_day": 1}
    assert [(row.name_zh, row.pieces, row.points) for row in report.rewards] == [("大米", 1, 20)]

    asked = await manager.get(f"/api/v1/stations/{number}/report?month=2026-03")
    told = asked.json()
    assert (told["minutes"], told["people"], told["states"], told["holds"]) == (
        report.minutes,
        report.people,
        report.states,
        report.holds,
    )
    assert [row["minutes"] for row in told["kinds"]] == [210, 45]
    assert {date.fromisoformat(day): minutes for day, minutes in told["days"].items()} == report.days
    assert sum(report.days.values()) == 255
    assert told["rewards"] == [{"name_zh": "大米", "name_en": "Rice", "pieces": 1, "points": 20}]

    page = (await manager.get(f"/stations/{number}/report?month=2026-03")).text
    # A bar for every day that has hours, the greatest as high as the drawing, and the same in a table.
    heights = [float(height) for height in re.findall(r'<rect [^>]*height="([\d.]+)"', page)]
    greatest = max(report.days.values())
    assert heights == [round(100 * minutes / greatest, 2) for minutes in report.days.values()]
    assert page.count('<tr><th scope="row">2026年3月') == len(report.days)
    for figure in ("4.25", "3.5", "大米"):
        assert figure in page
    # Nobody says a month: the one before this.
    assert (await manager.get(f"/stations/{number}/report")).text.count("report.pdf?month=2026-03") == 1
    assert "month=2026-04" in page
    pdf = is_paper(await manager.get(f"/stations/{number}/report.pdf?month=2026-03"), f"report-{number}-2026-03")
    assert set("站点月报试验社区周负责大米助老") <= characters(pdf)
    (picture,) = press.typeset("report", report_paper.data(language("en"), report, town.watch.now), form="png")
    assert picture.startswith(b"\x89PNG")


async def test_a_month_without_anything_says_so(town: Town, manager: Person) -> None:
    path = f"/stations/{town.city.station.number}"
    page = (await manager.get(f"{path}/report?month=2025-12")).text
    assert page.count("没有") >= 3
    assert (await manager.get(f"{path}/report.pdf?month=2025-12")).status_code == 200


@pytest.mark.parametrize("month", ["2026-13", "2026-3", "march", "1999-12", "2026-03-01"])
async def test_what_is_no_month_is_refused(town: Town, month: str) -> None:
    manager = await town.member(town.city.manager_id)
    path = f"/stations/{town.city.station.number}/report"
    answer = await manager.get(f"/api/v1{path}?month={month}")
    assert problem(answer) == (422, "invalid")
    assert answer.json()["data"]["field"] == "month"
    for page in (path, f"{path}.pdf"):
        assert (await manager.get(f"{page}?month={month}")).status_code == 422


async def test_no_other_station_s_report(town: Town) -> None:
    elsewhere = await town.with_role("manager", region_id=town.city.other_community_id)
    path = f"/stations/{town.city.station.number}/report"
    assert problem(await elsewhere.get(f"/api/v1{path}?month=2026-03")) == (404, "not_found")
    assert (await elsewhere.get(path)).status_code == 404
