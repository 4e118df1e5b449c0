"""Imports: messy files made here, read as they are meant; each row settled once, whatever is sent again."""

import asyncio
import csv
import io
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import xlsxwriter
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.factories import City, build_city
from timebank import explain, members, purses, regions
from timebank.errors import NotAllowed
from timebank.imports import cells, columns, runs, sheets
from timebank.imports.cells import Unreadable
from timebank.imports.outcomes import Import, Outcome
from timebank.imports.runs import Tally
from timebank.keys import Keys
from timebank.tables import card, import_row, import_run, member, punch, record, station

NOW = datetime(2026, 12, 1, 2, tzinfo=UTC)


def workbook(path: Path, rows: list[list[Any]], merged: list[tuple[int, int, int, int, Any]] = ()) -> Path:  # type: ignore[assignment]
    """An XLSX file; dates as Excel keeps them."""
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("志愿者")
    days, spans = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "[h]:mm"})
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            if isinstance(value, date):
                sheet.write_datetime(row, column, value, days)
            elif isinstance(value, timedelta):
                sheet.write_datetime(row, column, value, spans)
            elif value is not None:
                sheet.write(row, column, value)
    for first_row, first, last_row, last, value in merged:
        sheet.merge_range(first_row, first, last_row, last, value)
    hidden = book.add_worksheet("说明")
    hidden.write(0, 0, "请勿修改")
    book.close()
    return path


def text_file(path: Path, rows: list[list[Any]], encoding: str = "utf-8", separator: str = ",") -> Path:
    """A text file."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))
    return path


# Cells.


@pytest.mark.parametrize(
    ("cell", "day", "at"),
    [
        ("2024年3月5日", date(2024, 3, 5), None),
        ("２０２４年３月５日", date(2024, 3, 5), None),
        ("2024-3-5", date(2024, 3, 5), None),
        ("2024/03/05", date(2024, 3, 5), None),
        ("2024.3.5", date(2024, 3, 5), None),
        ("20240305", date(2024, 3, 5), None),
        (20240305.0, date(2024, 3, 5), None),
        ("2024年3月", date(2024, 3, 1), None),
        (45356, date(2024, 3, 5), None),
        ("45356.5", date(2024, 3, 5), time(12)),
        ("2024-03-05 08:30", date(2024, 3, 5), time(8, 30)),
        ("2024年3月5日 8时", date(2024, 3, 5), time(8)),
        (date(2024, 3, 5), date(2024, 3, 5), None),
        (datetime(2024, 3, 5, 8, 30), date(2024, 3, 5), time(8, 30)),  # noqa: DTZ001  as a spreadsheet has it
    ],
)
def test_days(cell: Any, day: date, at: time | None) -> None:
    assert cells.moment(cell) == (day, at)


@pytest.mark.parametrize("cell", ["3月5日", "05/03/2024", "2024-13-05", "2024-2-30", "昨天", "", 5, 99999, "12345678"])
def test_what_is_no_day(cell: Any) -> None:
    with pytest.raises(Unreadable):
        cells.moment(cell)


@pytest.mark.parametrize(
    ("cell", "minutes"),
    [
        (2, 120),
        (2.5, 150),
        ("２．５", 150),
        ("2.5小时", 150),
        ("2小时30分", 150),
        ("2个半小时", 150),
        ("半小时", 30),
        ("90分钟", 90),
        ("90 min", 90),
        ("2h", 120),
        ("2:30", 150),
        ("1,200", 72_000),
        (timedelta(hours=26), 1560),
        (time(2, 30), 150),
        (datetime(1900, 1, 1, 2), 2 * 24 * 60 + 120),  # noqa: DTZ001  26 hours and more, as some programs hand them on
    ],
)
def test_durations(cell: Any, minutes: int) -> None:
    assert cells.minutes(cell) == minutes


@pytest.mark.parametrize("cell", ["", "两小时", "-2", 0, -1, "0", True, "2小时x", 1e12, float("nan")])
def test_what_is_no_duration(cell: Any) -> None:
    with pytest.raises(Unreadable):
        cells.minutes(cell)


def test_names_phones_codes_and_numbers() -> None:
    assert cells.name("王　芳 ") == cells.name("王 芳") == "王芳"
    assert cells.name("Maria  Lopez") == "Maria Lopez"
    assert cells.name("\u200b阿依古丽·买买提") == "阿依古丽·买买提"
    assert (
        cells.phone(13900000001.0)
        == cells.phone("１３９ ０００００００１")
        == cells.phone("139-0000-0001")
        == "13900000001"
    )
    assert cells.phone("+86 139 0000 0001") == "+8613900000001"
    assert cells.code("360102") == cells.code(360102000000) == "360102000000"
    assert cells.whole("1,200") == cells.whole(1200.0) == 1200
    for read, cell in ((cells.phone, "无"), (cells.code, "36A"), (cells.whole, "1.5"), (cells.whole, "很多")):
        with pytest.raises(Unreadable):
            read(cell)
    assert cells.text(None) == ""
    assert cells.text(datetime(2024, 3, 5)) == "2024-03-05"  # noqa: DTZ001  a day of a spreadsheet


# Files.


@pytest.mark.parametrize(
    ("encoding", "separator"), [("utf-8", ","), ("utf-8-sig", ";"), ("gbk", ","), ("gb18030", "\t"), ("utf-16", "\t")]
)
def test_text_files_of_every_kind(tmp_path: Path, encoding: str, separator: str) -> None:
    path = text_file(tmp_path / "a.csv", [["姓名", "备注"], [], ["张三", '说"好",\n两行']], encoding, separator)
    found = list(sheets.rows(path))
    assert [(row.number, list(row.cells)) for row in found] == [(1, ["姓名", "备注"]), (3, ["张三", '说"好",\n两行'])]
    assert sheets.names(path) == []


def test_workbooks_with_merged_cells(tmp_path: Path) -> None:
    rows = [["2019—2025 年志愿服务统计表"], [None], ["社区", "姓名"], [None, "张三"], [None, "李四"], ["西湖", "王五"]]
    path = workbook(tmp_path / "a.xlsx", rows, [(0, 0, 0, 3, "统计表"), (3, 0, 4, 0, "东湖")])
    found = {row.number: list(row.cells)[:2] for row in sheets.rows(path)}
    assert found == {
        1: ["统计表", ""],
        3: ["社区", "姓名"],
        4: ["东湖", "张三"],
        5: ["东湖", "李四"],
        6: ["西湖", "王五"],
    }
    assert sheets.names(path) == ["志愿者", "说明"]
    assert [row.cells[0] for row in sheets.rows(path, "说明")] == ["请勿修改"]


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: path.write_bytes(b"PK\x03\x04 and nothing"), "damaged"),
        (lambda path: path.write_bytes(b"\xd0\xcf\x11\xe0 and nothing"), "damaged"),
        (lambda path: path.write_bytes(b"a,b\n\xff\xff\xff\n"), "encoding"),
        (lambda path: path.write_bytes(b"a,b\n\0,c\n"), "no_text"),
        (lambda path: workbook(path, [["a"]]), "sheet"),
    ],
)
def test_what_is_no_spreadsheet(tmp_path: Path, write: Callable[[Path], object], reason: str) -> None:
    path = tmp_path / "file"
    write(path)
    with pytest.raises(sheets.SheetUnreadable) as refused:
        list(sheets.rows(path, "none"))
    assert refused.value.data == {"reason": reason}


def test_what_would_unpack_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path / "a.xlsx", [["a"] * 5] * 100)
    monkeypatch.setattr(sheets, "LARGEST_BYTES", 100)
    with pytest.raises(sheets.SheetUnreadable):
        list(sheets.rows(path))
    with pytest.raises(sheets.SheetUnreadable):
        list(sheets.rows(text_file(tmp_path / "a.csv", [["a"] * 100])))


# Columns.


def header(kind: str, rows: list[list[Any]], tmp_path: Path, **chosen: str) -> columns.Header:
    return columns.find_header(kind, sheets.rows(text_file(tmp_path / "a.csv", rows)), chosen)


def test_the_header_is_found_below_titles_and_its_columns_are_guessed(tmp_path: Path) -> None:
    rows = [
        ["状元桥社区志愿服务时长统计", "", "", ""],
        ["填表人：张三", "联系电话：13900000001", "", ""],
        ["序号", "志愿者姓名*", "联系电话", "服务日期", "服务时长（小时）", "活动名称", "备注"],
    ]
    found = header("hours", rows, tmp_path)
    assert found.header == 3
    assert found.as_document() == [
        ["序号", None],
        ["志愿者姓名*", "name"],
        ["联系电话", "phone"],
        ["服务日期", "date"],
        ["服务时长（小时）", "minutes"],
        ["活动名称", "activity"],
        ["备注", None],
    ]


def test_whoever_knows_better_says_which_column_is_which(tmp_path: Path) -> None:
    rows = [["A", "姓名", "曾用名", "累计"]]
    assert header("hours", rows, tmp_path, 累计="minutes", 姓名="", 曾用名="name").as_document() == [
        ["A", None],
        ["姓名", None],
        ["曾用名", "name"],
        ["累计", "minutes"],
    ]
    with pytest.raises(columns.ColumnsUnclear) as refused:
        header("hours", rows, tmp_path)
    assert refused.value.data == {"fields": ["minutes"], "columns": ["A", "姓名", "曾用名", "累计"]}
    with pytest.raises(columns.ColumnsUnclear):
        runs.plan(text_file(tmp_path / "b.csv", rows), "hours", chosen={"A": "salary"})
    with pytest.raises(columns.ColumnsUnclear):
        header("hours", [], tmp_path)


def test_a_column_of_minutes_counts_minutes(tmp_path: Path) -> None:
    rows = [["姓名", "时长（分钟）"], ["张三", "90"], ["合计", "90"], ["李四", "x"], ["", "5"]]
    path = text_file(tmp_path / "a.csv", rows)
    reader = columns.Reader("hours", runs.plan(path, "hours").header)
    found = [reader.read(row) for row in sheets.rows(path)][1:]
    assert found[0].values == {"name": "张三", "minutes": 90}
    assert [(each.left, each.field) for each in found] == [
        (False, None),
        (True, None),
        (False, "minutes"),
        (False, "name"),
    ]


# Rows.


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
    found = await desk.bring("members", path)
    assert (found.count(SAME), found.count(ADDED)) == (500, 700)
    assert desk.tally == Tally(desk.tally.counts, 1201)
    assert desk.tally.rows == 1200


async def test_two_that_import_the_same_at_once_do_it_once(desk: Desk) -> None:
    rows = [["姓名"], *([f"人{number}"] for number in range(300))]
    before = await desk.count(member)
    path = text_file(desk.place / "same.csv", rows)

    async def one() -> Tally:
        run = runs.new_run(desk.city.book_id, "members", desk.city.keys, source="a", actor_id=None, now=NOW)
        return await runs.carry_out(desk.engine, run, runs.plan(path, "members"), lambda: NOW)

    first, second = await asyncio.gather(one(), one())
    assert sorted([first.counts["added"], second.counts["added"]]) == [0, 300]
    assert await desk.count(member) == before + 300


async def test_what_identifies_a_row_is_keyed(desk: Desk) -> None:
    await desk.bring("members", [["姓名", "手机号"], ["王芳", "13944440001"]])
    first = await desk.scalar(select(import_row.c.id).where(import_row.c.book_id == desk.city.book_id))
    read = columns.Read(2, {"name": "王芳", "phone": "13944440001"})
    own = runs.row_id(desk.run, read, Counter())
    assert own == first
    other = runs.new_run(desk.city.book_id, "members", Keys.new(), source="a", actor_id=None, now=NOW)
    assert runs.row_id(other, read, Counter()) != first
