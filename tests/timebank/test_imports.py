"""Imports: each row settled once, whatever is sent again."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import City, build_city
from tests.timebank.spreadsheets import text_file, workbook
from timebank import explain, members, purses, regions
from timebank.errors import NotAllowed
from timebank.imports import columns, runs
from timebank.imports.outcomes import Import, Outcome
from timebank.imports.runs import Tally
from timebank.keys import Keys
from timebank.tables import card, import_row, import_run, member, punch, record, station

NOW = datetime(2026, 12, 1, 2, tzinfo=UTC)


class Desk:
    """A city into which files are imported."""

    def __init__(self, engine: AsyncEngine, city: City, place: Path) -> None:
        self.engine, self.city, self.place = engine, city, place
        self.outcomes: list[Outcome] = []
        self.admin_id = city.manager_id

    async def bring(
        self, kind: str, rows: list[list[Any]] | Path, *, actor_id: UUID | None = None, **more: Any
    ) -> list[tuple[str, str | None, str | None]]:
        """Import rows; answers state, code and field of each."""
        path = rows if isinstance(rows, Path) else text_file(self.place / f"{uuid4()}.csv", rows)
        run = runs.new_run(
            self.city.book_id, kind, self.city.keys, source="名单.xlsx", actor_id=actor_id, now=NOW, **more
        )
        self.outcomes = []
        self.tally = await runs.carry_out(
            self.engine, run, runs.plan(path, kind), lambda: NOW, hear=lambda batch, _: self.outcomes.extend(batch)
        )
        self.run = run
        return [(each.state, each.code, each.field) for each in self.outcomes]

    async def scalar(self, query: Any) -> Any:
        async with self.engine.connect() as connection:
            return await connection.scalar(query)

    async def count(self, table: Any) -> int:
        return int(
            await self.scalar(select(func.count()).select_from(table).where(table.c.book_id == self.city.book_id))
        )


@pytest.fixture
async def desk(engine: AsyncEngine, keys: Keys, new_book: int, tmp_path: Path) -> Desk:
    async with engine.begin() as connection:
        city = await build_city(connection, new_book, keys, fund_points=1000)
        await city.grant(connection, city.manager_id, "admin", region_id=city.region_id)
    return Desk(engine, city, tmp_path)


ADDED, SAME, LEFT = ("added", None, None), ("same", None, None), ("left", None, None)


def refused(code: str, field: str | None) -> tuple[str, str, str | None]:
    return ("refused", code, field)


async def test_regions(desk: Desk) -> None:
    rows = [
        ["统计用区划代码", "名称"],
        ["360000000000", "江西省"],
        ["360100000000", "南昌市"],
        ["360102003000", "新街道"],
        ["360102003001", "新社区"],
        ["360102009001", "没有街道的社区"],
        ["360102002005", "已有社区"],
        ["370102000000", "历下区"],
        ["36010X", "坏代码"],
    ]
    expected = [LEFT, SAME, ADDED, ADDED, ADDED, SAME, LEFT, refused("unreadable", "code")]
    assert await desk.bring("regions", rows, dry=True) == expected
    assert await desk.bring("regions", rows) == expected
    async with desk.engine.connect() as connection:
        found = await regions.by_codes(connection, desk.city.book_id, ["360102003001", "360102009001"])
        assert found["360102003001"].level == "community"
        assert len(found["360102003001"].path) == 4
        assert found["360102009001"].parent_id == desk.city.district_id
    again = [SAME if each == ADDED else each for each in expected]
    assert await desk.bring("regions", rows) == again
    named = [
        ["code", "name", "parent"],
        ["360102004000", "甲街道", "360102999000"],
        ["360102004000", "甲街道", "360102002000"],
    ]
    assert await desk.bring("regions", named) == [
        refused("parent_unknown", "parent"),
        refused("invalid", "code"),
    ]


async def test_people_come_once_however_they_are_spelt(desk: Desk) -> None:
    rows = [
        ["姓名", "手机号", "社区"],
        ["王　芳", "139 1111 0001", "试验360102"],
        ["王芳", "13911110001", ""],
        ["李 明", "", "360102002005"],
        ["赵一", "12", "360102002005"],
        ["钱二", "13911110002", "月球社区"],
        ["孙三", "13911110003", ""],
        ["王芳", "13911110001", "试验360102"],
    ]
    expected = [
        refused("region_ambiguous", "region"),
        ADDED,
        ADDED,
        refused("invalid", "phone"),
        refused("region_unknown", "region"),
        ADDED,
        SAME,
    ]
    before = await desk.count(member)
    assert await desk.bring("members", rows, dry=True) == expected
    assert (await desk.count(member), await desk.count(import_row), await desk.count(import_run)) == (before, 0, 0)
    assert await desk.bring("members", rows) == expected
    assert await desk.count(member) == before + 3
    # Who could not be placed is known by now.
    again = [SAME, *(SAME if each == ADDED else each for each in expected[1:])]
    assert await desk.bring("members", rows) == again
    assert await desk.count(member) == before + 3
    async with desk.engine.connect() as connection:
        row = await members.by_phone(connection, desk.city.book_id, desk.city.keys, "13911110001")
        assert (row.region_id, row.state, row.password_hash) == (desk.city.region_id, "active", None)
        assert await members.personal(connection, desk.city.book_id, desk.city.keys, row.id) == {
            "name": "王芳",
            "phone": "+8613911110001",
        }
        ran = (await connection.execute(select(import_run).where(import_run.c.id == desk.run.id))).one()
        assert (ran.state, ran.added, ran.same, ran.refused) == ("done", 0, 5, 2)
    # What was missing is there now: the row is tried again.
    async with desk.engine.begin() as connection:
        await desk.city.add_region(connection, "community", "360102002099", desk.city.street_id)
    rows[5][2] = "360102002099"
    assert (await desk.bring("members", rows))[4] == ADDED

    cards = [["姓名", "电话"], ["王芳", "13911110001"], ["李明", ""], ["王芳", ""], ["王方", "13911110001"], ["无", ""]]
    expected = [ADDED, ADDED, SAME, refused("member_name_differs", "name"), refused("member_unknown", "name")]
    assert await desk.bring("cards", cards, dry=True) == expected
    assert await desk.bring("cards", cards) == expected
    assert await desk.count(card) == 2


async def test_stations(desk: Desk) -> None:
    rows = [
        ["站点名称", "所属社区", "地址", "负责人", "服务类别", "站点编号"],
        ["状元桥站", "360102002005", "状元桥 1 号", "周负责", "助餐", "77"],
        ["状元桥站", "360102002005", "别处", "", "", ""],
        ["二站", "360102002005", "某路", "", "变魔术", ""],
        ["三站", "360102002005", "某路", "", "", "77"],
        ["四站", "360102002005", "", "", "", ""],
    ]
    refusals = [refused("kind_unknown", "kind"), refused("conflict", "number"), refused("unreadable", "address")]
    dry = await desk.bring("stations", rows, dry=True)
    assert dry[:3] == [ADDED, SAME, refusals[0]]
    assert await desk.count(station) == 1
    assert await desk.bring("stations", rows) == [ADDED, SAME, *refusals]
    opened = await desk.scalar(select(station.c.person_in_charge).where(station.c.name_zh == "状元桥站"))
    assert opened == "周负责"


async def test_hours_are_records_of_grade_d_with_their_source(desk: Desk) -> None:
    city = desk.city
    await desk.bring(
        "members", [["姓名", "手机号"], ["王芳", "13922220001"], ["李明", "13922220002"], ["李明", "13922220003"]]
    )
    rows = [
        ["2019—2025 年时长", None, None, None],
        ["姓名", "手机号", "日期", "时长（小时）", "活动", "来源"],
        ["王芳", 13922220001, date(2024, 3, 5), 2.5, "春季清洁", "纸质签到表"],
        ["王芳", "13922220001", "2024年3月5日", "2.5", "春季清洁", "纸质签到表"],
        ["王芳", None, None, timedelta(hours=120), None, None],
        ["李明", None, "2024-1-1", 1, None, None],
        ["李明", "13922220002", "2099-1-1", 1, None, None],
        ["李明", "13922220002", "1999-1-1", 1, None, None],
        ["周站长", None, "2024-1-1", 1, None, None],
        ["合计", None, None, 9999, None, None],
    ]
    path = workbook(desk.place / "hours.xlsx", rows)
    with pytest.raises(NotAllowed):
        await desk.bring("hours", path)
    by = {"actor_id": city.manager_id, "station_id": city.station.id}
    expected = [
        ADDED,
        ADDED,
        ADDED,
        refused("member_ambiguous", "name"),
        refused("date_impossible", "date"),
        refused("date_impossible", "date"),
        refused("own_record", "name"),
        LEFT,
    ]
    assert await desk.bring("hours", path, dry=True, **by) == expected
    assert await desk.count(record) == 0
    assert await desk.bring("hours", path, **by) == expected
    async with desk.engine.connect() as connection:
        person = await members.by_phone(connection, city.book_id, city.keys, "13922220001")
        assert await purses.hours(connection, city.book_id, person.id) == 150 + 150 + 7200
        kept = (
            await connection.execute(
                select(record).where(record.c.book_id == city.book_id).order_by(record.c.started_at)
            )
        ).all()
        assert [(each.grade, each.state, each.points, each.decided_by) for each in kept] == [
            ("D", "verified", 0, city.manager_id)
        ] * 3
        assert (kept[0].activity_zh, kept[0].local_day, kept[0].credited_minutes) == ("春季清洁", date(2024, 3, 5), 150)
        assert (kept[2].started_at, kept[2].ended_at) == (NOW, NOW)
        reason = await connection.scalar(select(punch.c.reason).where(punch.c.id == kept[0].id))
        assert reason == "纸质签到表 · 名单.xlsx, 3"
        statement = await explain.lines(connection, city.book_id, person.id, unit="minute")
        assert {line.punches[0].source for line in statement.lines} == {"import"}
        await connection.rollback()
        report = await purses.audit(connection, city.book_id)
        assert report.passed, report.findings
    assert await desk.bring("hours", path, **by) == [SAME if each == ADDED else each for each in expected]
    assert await desk.count(record) == 3
    # Somewhere has to be said, and somebody has to be known.
    here = [
        ["姓名", "时长", "站点"],
        ["王芳", 1, "99"],
        ["王芳", 1, "试验志愿服务站"],
        ["王芳", 1, "1"],
        ["王芳", 2, ""],
    ]
    assert await desk.bring("hours", here, actor_id=city.manager_id) == [
        refused("station_unknown", "station"),
        ADDED,
        ADDED,
        refused("station_unknown", "station"),
    ]


async def test_opening_points_come_out_of_a_fund_and_never_more_than_it_has(desk: Desk) -> None:
    city = desk.city
    await desk.bring("members", [["姓名", "手机号"], ["王芳", "13933330001"], ["李明", "13933330002"]])
    rows = [
        ["姓名", "积分", "基金"],
        ["王芳", "600", ""],
        ["李明", "500", "试验基金"],
        ["李明", "400", ""],
        ["李明", "0", ""],
        ["王芳", 1, "无"],
    ]
    by = {"actor_id": city.manager_id, "fund_id": city.fund_id}
    expected = [
        ADDED,
        refused("fund_dry", "points"),
        ADDED,
        refused("points_not_positive", "points"),
        refused("fund_unknown", "fund"),
    ]
    with pytest.raises(NotAllowed):
        await desk.bring("points", rows)
    assert await desk.bring("points", rows, dry=True, **by) == expected
    assert await desk.bring("points", rows, **by) == expected
    assert await desk.bring("points", rows, **by) == [SAME if each == ADDED else each for each in expected]
    async with desk.engine.connect() as connection:
        person = await members.by_phone(connection, city.book_id, city.keys, "13933330001")
        assert (await explain.balance(connection, city.book_id, person.id, NOW)).points == 600
        assert (await purses.fund_balances(connection, city.book_id, [city.fund_id]))[city.fund_id] == 0
        (line,) = (await explain.lines(connection, city.book_id, person.id, unit="point")).lines
        assert (line.kind, line.amount, line.fund_zh) == ("open_points", 600, "试验基金")
        await connection.rollback()
        report = await purses.audit(connection, city.book_id)
        assert report.passed, report.findings


async def test_only_who_administers_the_whole_book_imports(desk: Desk) -> None:
    rows = [["姓名"], ["王芳"]]
    for actor_id in (desk.city.clerk_id, uuid4()):
        with pytest.raises(NotAllowed):
            await desk.bring("members", rows, actor_id=actor_id)
    assert await desk.bring("members", rows, actor_id=desk.city.manager_id) == [ADDED]


async def test_an_import_that_stops_is_gone_on_with(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["姓名", "手机号"], *([f"人{number}", f"137{number:08d}"] for number in range(1200))]
    path = text_file(desk.place / "many.csv", rows)
    plain = runs.SETTLE["members"]

    async def break_in_the_second_batch(
        connection: AsyncConnection, run: Import, batch: Any, now: datetime
    ) -> list[Outcome]:
        found = await plain(connection, run, batch, now)
        if batch[0].number > 500:
            raise OSError("the cable")
        return found

    before = await desk.count(member)
    monkeypatch.setitem(runs.SETTLE, "members", break_in_the_second_batch)
    with pytest.raises(OSError, match="the cable"):
        await desk.bring("members", path)
    # A batch is whole or not there.
    assert await desk.count(member) == before + 500
    assert await desk.scalar(select(import_run.c.state).where(import_run.c.book_id == desk.city.book_id)) == "stopped"
    monkeypatch.setitem(runs.SETTLE, "members", plain)
    # Gone on with, it says what it added in all; done once more, everything is there already.
    found = await desk.bring("members", path)
    assert (found.count(SAME), len(found), desk.tally.rows) == (0, 1200, 1200)
    assert desk.tally == Tally(desk.tally.counts, 1201, before=500)
    assert desk.tally.counts == {"added": 1200}
    assert await desk.count(member) == before + 1200
    assert (await desk.bring("members", path)).count(SAME) == 1200


@pytest.mark.parametrize("names", [("same", "same"), ("first", "second")], ids=["one-file", "two-files"])
async def test_two_that_import_the_same_at_once_do_it_once(desk: Desk, names: tuple[str, str]) -> None:
    rows = [["姓名"], *([f"人{number}"] for number in range(300))]
    before = await desk.count(member)

    async def one(name: str) -> Tally:
        path = text_file(desk.place / f"{name}.csv", [[name], *rows])
        run = runs.new_run(desk.city.book_id, "members", desk.city.keys, source="a", actor_id=None, now=NOW)
        return await runs.carry_out(desk.engine, run, runs.plan(path, "members"), lambda: NOW)

    first, second = await asyncio.gather(*map(one, names))
    assert sorted([first.counts["added"], second.counts["added"]]) == [0, 300]
    # What another one adds meanwhile is none of its own.
    assert first.before == second.before == 0
    assert await desk.count(member) == before + 300


async def test_what_identifies_a_row_is_keyed(desk: Desk) -> None:
    await desk.bring("members", [["姓名", "手机号"], ["王芳", "13944440001"]])
    first = await desk.scalar(select(import_row.c.id).where(import_row.c.book_id == desk.city.book_id))
    read = columns.Read(2, {"name": "王芳", "phone": "13944440001"})
    own = runs.row_id(desk.run, read, Counter())
    assert own == first
    other = runs.new_run(desk.city.book_id, "members", Keys.new(), source="a", actor_id=None, now=NOW)
    assert runs.row_id(other, read, Counter()) != first
