"""Lists in the old XLS and in ODS say the same as in XLSX: read by the same reader, row by row."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from tests.timebank.old_sheets import write_ods, write_xls
from timebank.errors import BankError
from timebank.imports import columns, runs, sheets

ROWS: list[list[Any]] = [
    ["滕王阁社区志愿服务时长登记表"],
    [],
    ["姓名", "联系电话", "服务日期", "时长", "活动名称"],
    ["王　芳", 13955550001, date(2024, 3, 5), 2.5, "敬老 & 探访"],
    ["李明", "１３９５５５５０００２", "2024年3月6日", "90分钟", "<清洁>"],
    ["赵一", None, 45357, "2:30", None],
    ["孙二", "无", date(2019, 1, 1), 1, ""],
    ["合计", None, None, 8, None],
]
SAID = [
    {
        "name": "王芳",
        "phone": "13955550001",
        "date": (date(2024, 3, 5), None),
        "minutes": 150,
        "activity": "敬老 & 探访",
    },
    {"name": "李明", "phone": "13955550002", "date": (date(2024, 3, 6), None), "minutes": 90, "activity": "<清洁>"},
    {"name": "赵一", "date": (date(2024, 3, 6), None), "minutes": 150},
]


def write_xlsx(path: Path, sheet: str, rows: Any) -> Path:
    """As programs of today do."""
    book = xlsxwriter.Workbook(path)
    page, days = book.add_worksheet(sheet), book.add_format({"num_format": "yyyy-mm-dd"})
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if isinstance(cell, date):
                page.write_datetime(number, column, cell, days)
            elif cell is not None:
                page.write(number, column, cell)
    book.close()
    return path


@pytest.mark.parametrize(("write", "ending"), [(write_xls, "xls"), (write_ods, "ods"), (write_xlsx, "xlsx")])
def test_a_list_says_the_same_whatever_program_wrote_it(
    tmp_path: Path, write: Callable[..., Path], ending: str
) -> None:
    path = write(tmp_path / f"台账.{ending}", "时长", ROWS)
    assert sheets.names(path) == ["时长"]
    planned = runs.plan(path, "hours", sheet="时长")
    assert planned.header.header == 3
    reader = columns.Reader("hours", planned.header)
    found = [reader.read(row) for row in sheets.rows(path) if row.number > 3]
    assert [each.values for each in found[:3]] == SAID
    assert [(each.number, each.left, each.field) for each in found[3:]] == [(7, False, "phone"), (8, True, None)]
    with pytest.raises(BankError):
        runs.plan(path, "hours", sheet="没有")
    # Told by what is in it, never by its name.
    other = path.rename(tmp_path / "a.csv")
    assert len(list(sheets.rows(other))) == 7


def test_merged_cells_of_an_old_workbook_speak_for_each_row(tmp_path: Path) -> None:
    rows = [["姓名", "社区"], ["甲", "一社区"], ["乙", None], ["丙", None], ["丁", "二社区"]]
    path = write_xls(tmp_path / "a.xls", "表", rows, merged=[(1, 3, 1, 1)])
    assert [row.cells[1] for row in sheets.rows(path)] == ["社区", "一社区", "一社区", "一社区", "二社区"]


@pytest.mark.parametrize("write", [write_xls, write_ods])
def test_half_an_old_workbook_is_none(tmp_path: Path, write: Callable[..., Path]) -> None:
    path = write(tmp_path / "a", "表", ROWS)
    whole = path.read_bytes()
    for length in (9, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(sheets.SheetUnreadable):
            list(sheets.rows(path))
