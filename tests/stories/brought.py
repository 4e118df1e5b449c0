"""What a community brings on its first day: files as people keep them, with everything that is wrong in them."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import xlsxwriter

SHIPPED = Path(__file__).parents[2] / "timebank" / "data" / "nanchang.csv"
COMMUNITIES = ("滕王阁社区居委会", "象山社区居委会", "杏苑社区居委会")
STATIONS = ("滕王阁志愿服务站", "象山志愿服务站", "杏苑志愿服务站")
FUND = "爱心基金"
VOLUNTEERS = 320
HOURS = 640
POINTS = 100
WIDE = str.maketrans("0123456789", "０１２３４５６７８９")


def name_of(number: int) -> str:
    """A volunteer's name, another for each."""
    return (
        f"{'王李张刘陈杨赵黄周吴'[number % 10]}{'芳敏静丽强磊洋勇艳杰'[number // 10 % 10]}{'一二三四'[number // 100]}"
    )


def phone_of(number: int) -> str:
    """A volunteer's number."""
    return f"1385550{number:04d}"


def community_of(number: int) -> str:
    """Where a volunteer lives: the list is sorted by it."""
    return COMMUNITIES[number * len(COMMUNITIES) // VOLUNTEERS]


@dataclass(frozen=True)
class Brought:
    """The files."""

    city: Path
    """The city alone, to begin the book with."""
    tree: Path
    """All its regions, in GBK."""
    workbook: Path
    """Sheets of stations, volunteers, hours and points."""


def files(place: Path) -> Brought:
    """Write them into a directory."""
    found = Brought(place / "city.csv", place / "区划.csv", place / "志愿者台账.xlsx")
    with SHIPPED.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    found.city.write_bytes(text(rows[:2]).encode())
    # Codes as numbers lose nothing; one row of another city, as in a cut of the national file.
    chinese = [["代码", "名称", "级别", "上级代码"], *(row[:4] for row in rows[1:])]
    found.tree.write_bytes(text([*chinese, ["110101001001", "多福巷社区居委会", "community", ""]]).encode("gbk"))
    book = xlsxwriter.Workbook(found.workbook)
    write_stations(book)
    write_volunteers(book)
    write_hours(book)
    write_points(book)
    book.close()
    return found


def text(rows: Sequence[Sequence[str]]) -> str:
    """Rows with commas between."""
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def write_stations(book: xlsxwriter.Workbook) -> None:
    """Three stations, one of them twice, and one in a community that nobody knows."""
    sheet = titled(book, "服务站", ["站点名称*", "所属社区", "详细地址", "组织单位", "负责人（站长）"])
    rows = [
        [name, where, f"{where[:2]}路 8 号", where, "周 站长"]
        for name, where in zip(STATIONS, COMMUNITIES, strict=True)
    ]
    for number, row in enumerate([*rows, rows[0], ["月亮站", "月球社区", "环形山 1 号", "", ""]], 4):
        sheet.write_row(number, 0, row)


def write_volunteers(book: xlsxwriter.Workbook) -> None:
    """The volunteers by community, whose name is merged over all of them; doubles, wrong rows and a sum below."""
    sheet = titled(book, "志愿者", ["序号", "姓名*", "联系电话（手机）", "社区", "备注"])
    first = 4
    for number in range(VOLUNTEERS):
        row = first + number
        name, phone = name_of(number), phone_of(number)
        # A name of two characters is set apart to be as wide as one of three; a phone number is a number, or wide.
        sheet.write(row, 0, number + 1)
        sheet.write(row, 1, f" {name[0]}　{name[1:]} " if number % 3 == 0 else name)
        sheet.write(row, 2, int(phone) if number % 4 == 0 else phone.translate(WIDE) if number % 4 == 1 else phone)
    for community in COMMUNITIES:
        those = [first + number for number in range(VOLUNTEERS) if community_of(number) == community]
        sheet.merge_range(those[0], 3, those[-1], 3, community)
    below = first + VOLUNTEERS
    for row, values in enumerate(
        [
            ["", name_of(7), f"138 5550 {7:04d}", COMMUNITIES[0], "重复"],
            ["", "无号码", "没有", COMMUNITIES[0], ""],
            ["", "", "13855509999", COMMUNITIES[0], ""],
            ["", "外星人", "13855509998", "月球社区", ""],
            ["", "短号", "12", COMMUNITIES[0], ""],
            ["合计", f"{VOLUNTEERS} 人", "", "", ""],
        ]
    ):
        sheet.write_row(below + row, 0, values)


def write_hours(book: xlsxwriter.Workbook) -> None:
    """Hours since 2019, each day and duration written another way; wrong ones below."""
    sheet = titled(book, "服务时长", ["志愿者姓名", "手机", "服务日期", "时长（小时）", "活动名称", "服务站点"])
    days = book.add_format({"num_format": "yyyy/m/d"})
    for number in range(HOURS):
        day = date(2019 + number % 7, 1 + number % 12, 1 + number % 28)
        row, who = 4 + number, number % VOLUNTEERS
        ways = [day, f"{day.year}年{day.month}月{day.day}日", f"{day:%Y.%m.%d}", f"{day:%Y%m%d}".translate(WIDE)]
        lengths = [2, "2小时", "120分钟", "２．０", "2:00"]
        sheet.write_row(row, 0, [name_of(who), phone_of(who)])
        said = ways[number % len(ways)]
        if isinstance(said, date):
            sheet.write_datetime(row, 2, said, days)
        else:
            sheet.write(row, 2, said)
        sheet.write_row(row, 3, [lengths[number % len(lengths)], "敬老探访", STATIONS[number % len(STATIONS)]])
    for row, values in enumerate(
        [
            [name_of(1), phone_of(1), "2093-01-01", 2, "未来", STATIONS[0]],
            [name_of(1), phone_of(2), "2024-01-01", 2, "别人的号码", STATIONS[0]],
            ["谁也不是", "", "2024-01-01", 2, "", STATIONS[0]],
            [name_of(1), phone_of(1), "2024-01-01", "很久", "", STATIONS[0]],
            [name_of(1), phone_of(1), "2024-01-01", 2, "", "月亮站"],
        ]
    ):
        sheet.write_row(4 + HOURS + row, 0, values)


def write_points(book: xlsxwriter.Workbook) -> None:
    """Points that were promised before; the last row promises more than the fund has."""
    sheet = titled(book, "积分", ["姓名", "手机号", "剩余积分", "出资基金"])
    for number in range(POINTS):
        sheet.write_row(4 + number, 0, [name_of(number), phone_of(number), "1,00" if number == 0 else 50, FUND])
    sheet.write_row(4 + POINTS, 0, [name_of(0), phone_of(0), 9_999_999, FUND])


def titled(book: xlsxwriter.Workbook, name: str, header: Sequence[Any]) -> xlsxwriter.worksheet.Worksheet:
    """A sheet with a title over all columns, a line of remarks, an empty row, and the header in the fourth."""
    sheet = book.add_worksheet(name)
    sheet.merge_range(0, 0, 0, len(header) - 1, f"滕王阁街道{name}登记表")
    sheet.write(1, 0, "填表说明：红色为必填")
    sheet.write_row(3, 0, header)
    return sheet
