"""What people write into cells, read as what they mean. Each reader raises `Unreadable` for what it cannot be."""

import re
import unicodedata
from datetime import date, datetime, time, timedelta

Cell = str | int | float | bool | date | datetime | time | timedelta | None

# Day 0 of Excel's count, as everybody counts it since Lotus took 1900 for a leap year.
EXCEL_DAY = datetime(1899, 12, 30)  # noqa: DTZ001  a day of a calendar, nobody's moment
# From 1954 to 2119: other numbers are more likely a slip than a day.
EXCEL_DAYS = (20_000, 80_000)
FULL_WIDTH = {wide: wide - 0xFEE0 for wide in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
FULL_WIDTH |= {ord("　"): ord(" "), ord("．"): ord("."), ord("－"): ord("-"), ord("："): ord(":"), ord("／"): ord("/")}
UNSEEN = re.compile("[\0\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
DAY = re.compile(
    r"(?P<year>\d{4})\s*[年./-]\s*(?P<month>\d{1,2})\s*(?:[月./-]\s*(?:(?P<day>\d{1,2})\s*[日号]?)?)?"
    r"(?:[ T]+(?P<hour>\d{1,2})[:时点](?P<minute>\d{1,2})?\S*)?"
)
CLOCK = re.compile(r"(\d{1,3})[:：](\d{1,2})(?::\d{1,2})?")
SPELT = re.compile(
    r"(?:(?P<hours>\d+(?:\.\d+)?)\s*(?:个?半?小时|个?钟头|h|hrs?|hours?)\s*)?"
    r"(?:(?P<minutes>\d+(?:\.\d+)?)\s*(?:分钟?|m|mins?|minutes?))?",
    re.IGNORECASE,
)
IDEOGRAPHS = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")


class Unreadable(ValueError):
    """A cell cannot be read as what its column holds."""


def text(cell: Cell) -> str:
    """One line: wide digits and letters are narrow, blanks at the ends and doubled ones gone."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    if isinstance(cell, datetime) and cell.time() == time():
        cell = cell.date()
    plain = UNSEEN.sub("", unicodedata.normalize("NFC", str(cell))).translate(FULL_WIDTH)
    return " ".join(plain.split())


def name(cell: Cell) -> str:
    """A person's name: "王　芳" is written with a blank so that it lines up with names of three characters."""
    return IDEOGRAPHS.sub("", text(cell))


def phone(cell: Cell) -> str:
    """The digits of a phone number, with its plus sign; a number that was typed as a number too."""
    plain = text(cell)
    if plain and not re.fullmatch(r"\+?[\d\s()·.-]+", plain):
        raise Unreadable("phone")
    return re.sub(r"[^\d+]", "", plain)


def code(cell: Cell) -> str:
    """A national division code, filled up to 12 digits."""
    plain = text(cell).lstrip("'")
    if not re.fullmatch(r"\d{2,12}", plain):
        raise Unreadable("code")
    return plain.ljust(12, "0")


def whole(cell: Cell) -> int:
    """A whole number, with or without commas."""
    plain = text(cell).replace(",", "").replace("，", "")
    if not re.fullmatch(r"-?\d{1,15}(?:\.0+)?", plain):
        raise Unreadable("number")
    return int(plain.partition(".")[0])


def minutes(cell: Cell, *, per_unit: int = 60) -> int:
    """A duration in whole minutes. A bare number counts units of `per_unit` minutes: hours unless told otherwise.

    Also 2小时30分, 2.5h, 90分钟, 2:30, 半小时, and what a spreadsheet keeps as a duration.
    """
    if isinstance(cell, bool):
        raise Unreadable("duration")
    if isinstance(cell, timedelta):
        return positive(cell.total_seconds() / 60)
    if isinstance(cell, datetime):
        # A duration of more than a day, which spreadsheets show as one and keep as a moment.
        return positive((cell - EXCEL_DAY).total_seconds() / 60)
    if isinstance(cell, time):
        return positive(cell.hour * 60 + cell.minute + cell.second / 60)
    if isinstance(cell, int | float):
        return positive(cell * per_unit)
    plain = text(cell).replace(",", "")
    if re.fullmatch(r"\d+(?:\.\d+)?", plain):
        return positive(float(plain) * per_unit)
    if found := CLOCK.fullmatch(plain):
        return positive(int(found[1]) * 60 + int(found[2]))
    if plain in ("半小时", "半个小时"):
        return 30
    if plain and (found := SPELT.fullmatch(plain)):
        half = 30 if "半" in plain else 0
        return positive(float(found["hours"] or 0) * 60 + float(found["minutes"] or 0) + half)
    raise Unreadable("duration")


def positive(value: float) -> int:
    """Whole minutes, of which there are some and not more than a lifetime's."""
    if not 0 < value < 10_000_000 or round(value) < 1:
        raise Unreadable("duration")
    return round(value)


def moment(cell: Cell) -> tuple[date, time | None]:
    """A day, and the time of day where one is said: 2024年3月5日, 2024-3-5 08:30, 20240305, 45356, 2024年3月."""
    if isinstance(cell, datetime):
        return cell.date(), cell.time().replace(microsecond=0) if cell.time() != time() else None
    if isinstance(cell, date):
        return cell, None
    plain = text(cell)
    if re.fullmatch(r"\d{5}(?:\.\d+)?", plain) and EXCEL_DAYS[0] <= float(plain) <= EXCEL_DAYS[1]:
        return moment(EXCEL_DAY + timedelta(minutes=round(float(plain) * 1440)))
    if re.fullmatch(r"\d{8}", plain):
        plain = f"{plain[:4]}-{plain[4:6]}-{plain[6:]}"
    found = DAY.fullmatch(plain)
    if found is None:
        raise Unreadable("date")
    try:
        day = date(int(found["year"]), int(found["month"]), int(found["day"] or 1))
        at = time(int(found["hour"]), int(found["minute"] or 0)) if found["hour"] else None
    except ValueError:
        raise Unreadable("date") from None
    return day, at
