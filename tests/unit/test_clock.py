"""The clock that is handed down, the one that a demo moves, and where days and months begin."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank.clock import DemoClock, local_day, month_start, system_clock

NANCHANG = ZoneInfo("Asia/Shanghai")
zones = st.sampled_from([NANCHANG, ZoneInfo("UTC"), ZoneInfo("America/New_York"), ZoneInfo("Pacific/Kiritimati")])
moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware


def test_the_systems_clock_is_in_utc() -> None:
    assert system_clock().tzinfo is UTC
    assert system_clock() <= system_clock()


def test_a_demo_begins_now(tmp_path: Path) -> None:
    clock = DemoClock(tmp_path / "clock")
    assert clock.offset() == timedelta()
    before, said, after = system_clock(), clock(), system_clock()
    assert before <= said <= after


def test_a_demos_clock_moves_for_everybody_who_shares_it(tmp_path: Path) -> None:
    here, there = DemoClock(tmp_path / "clock"), DemoClock(tmp_path / "clock")
    moved = here.advance(timedelta(hours=2, microseconds=3))
    assert moved - system_clock() > timedelta(hours=1, minutes=59)
    there.advance(timedelta(days=1))
    there.advance(timedelta())
    assert here.offset() == there.offset() == timedelta(days=1, hours=2, microseconds=3)
    # Nothing is left beside the file, which another process may read at any moment.
    assert [path.name for path in tmp_path.iterdir()] == ["clock"]


def test_a_clock_never_goes_back(tmp_path: Path) -> None:
    clock = DemoClock(tmp_path / "clock")
    clock.advance(timedelta(hours=1))
    with pytest.raises(ValueError, match="only moves forward"):
        clock.advance(timedelta(microseconds=-1))
    assert clock.offset() == timedelta(hours=1)


def test_a_day_begins_at_the_communitys_midnight() -> None:
    assert local_day(datetime(2026, 3, 1, 15, 59, 59, 999_999, tzinfo=UTC), NANCHANG) == date(2026, 3, 1)
    assert local_day(datetime(2026, 3, 1, 16, 0, tzinfo=UTC), NANCHANG) == date(2026, 3, 2)


@given(moments, zones)
def test_a_month_begins_at_midnight_of_its_first_day(moment: datetime, zone: ZoneInfo) -> None:
    start = month_start(moment, zone)
    assert start <= moment
    assert (start.day, start.hour, start.minute, start.second, start.microsecond) == (1, 0, 0, 0, 0)
    assert local_day(start, zone) == local_day(moment, zone).replace(day=1)
    assert local_day(start - timedelta(seconds=1), zone).month != start.month
