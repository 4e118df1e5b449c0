"""Cells of spreadsheets, read as they are meant, or not at all."""

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from timebank.imports import cells
from timebank.imports.cells import Unreadable


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
