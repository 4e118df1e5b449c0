"""Spreadsheets: files of every kind, and which of their columns is what."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.timebank.spreadsheets import text_file, workbook
from timebank.imports import columns, runs, sheets


@pytest.mark.parametrize(
    ("encoding", "separator"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("gbk", ","), ("gb18030", "\t"), ("utf-16", "\t")],
)
def test_text_files_of_every_kind(tmp_path: Path, encoding: str, separator: str) -> None:
    path = text_file(tmp_path / "a.csv", [["姓名", "备注"], [], ["张三", '说"好",\n两行']], encoding, separator)
    found = list(sheets.rows(path))
    assert [(row.number, list(row.cells)) for row in found] == [(1, ["姓名", "备注"]), (3, ["张三", '说"好",\n两行'])]
    assert sheets.names(path) == []


def test_numbers_that_were_shielded_from_a_spreadsheet_are_bare_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('sep=,\n姓名,手机号\n王芳,"=""0139"""\n李明,\'0139\n赵一,="0139"\n\'t Hooft,=1+1\n', encoding="gbk")
    assert [list(row.cells) for row in sheets.rows(path)][2:] == [
        ["王芳", "0139"],
        ["李明", "0139"],
        ["赵一", "0139"],
        ["'t Hooft", "=1+1"],
    ]


def test_commas_typed_in_chinese_part_cells_where_nothing_else_does(tmp_path: Path) -> None:
    path = text_file(tmp_path / "a.csv", [["姓名", "手机号"], ["王芳", "13955550001"]], "gbk", "，")
    assert [list(row.cells) for row in sheets.rows(path)] == [["姓名", "手机号"], ["王芳", "13955550001"]]
    path = text_file(tmp_path / "b.csv", [["花名册，2024，西湖，共一人"], ["姓名", "手机号"], ["王芳", "1"]])
    assert [len(row.cells) for row in sheets.rows(path)] == [1, 2, 2]


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
        (lambda path: path.write_text("\n<HTML><table><tr><td>姓名</td></tr></table>", "gbk"), "web_page"),
        (lambda path: path.write_text('<?xml version="1.0"?><Workbook/>'), "web_page"),
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
