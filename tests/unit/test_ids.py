"""Ids made by whoever asks: UUIDs of version 7, in the order of their time."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from timebank.ids import EPOCH, uuid7

NOW = datetime(2026, 3, 2, 1, 0, 0, 123_999, tzinfo=UTC)
moments = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


@given(moments)
def test_an_id_is_of_version_7_and_carries_its_time(now: datetime) -> None:
    made = uuid7(now)
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == milliseconds(now)


@given(moments, moments)
def test_ids_sort_by_their_millisecond(one: datetime, other: datetime) -> None:
    if milliseconds(one) < milliseconds(other):
        assert uuid7(one) < uuid7(other)


def test_ids_of_one_moment_differ() -> None:
    assert len({uuid7(NOW) for _ in range(10_000)}) == 10_000


def test_the_offset_of_the_clock_makes_no_difference() -> None:
    here = NOW.astimezone(timezone(timedelta(hours=8)))
    assert uuid7(here).int >> 80 == uuid7(NOW).int >> 80 == milliseconds(NOW)
