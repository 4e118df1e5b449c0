"""Decisions without I/O: credit, grades, holds, the draw, and what is spent first."""

import random
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank import policy
from timebank.policy import Rules
from timebank.tables.service import SOURCES

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DAY = date(2026, 3, 2)
SECRET = b"s" * 32

rules = st.builds(
    Rules,
    default_rate=st.integers(0, 10_000),
    rate_points_per_hour=st.dictionaries(st.sampled_from(["help_elderly", "help_child"]), st.integers(0, 10_000)),
    rounding_minutes=st.integers(1, 90),
    daily_cap_minutes=st.integers(0, 1440),
    point_grades=st.sampled_from(["", "A", "AB", "ABC", "ABCD"]),
    life_years=st.integers(0, 10),
)
grades = st.sampled_from("ABCD")
purses = st.lists(
    st.tuples(st.uuids(), st.dates(date(2026, 1, 1), date(2028, 1, 1)), st.integers(0, 300)), unique_by=lambda p: p[0]
)


def credit(chosen: Rules, **more: Any) -> policy.Credit:
    """The credit for two hours of grade A with nothing else that day."""
    facts = {"kind_code": "help_elderly", "grade": "A", "minutes": 120, "credited_that_day": 0, "local_day": DAY}
    return policy.credit(chosen, **{**facts, **more})


def holds(minutes: float = 120, **more: Any) -> list[str]:
    """The holds of a record of so many minutes that nothing else is said about."""
    facts = {"record_id": UUID(int=1), "grade": "B", "overlaps": False, "same_slot": False, "runs_back": False}
    ended_at = START + timedelta(minutes=minutes)
    chosen = more.pop("rules", Rules(rate_points_per_hour={}))
    return policy.record_holds(started_at=START, ended_at=ended_at, secret=SECRET, rules=chosen, **{**facts, **more})


@pytest.mark.parametrize(
    ("source", "grade"),
    [
        ("live", "A"),
        ("digits", "A"),
        ("late", "B"),
        ("card", "B"),
        ("door", "B"),
        ("poster", "C"),
        ("manual", "C"),
        ("import", "D"),
        ("what comes later", "D"),
    ],
)
def test_a_scan_is_worth_what_it_proves(source: str, grade: str) -> None:
    assert policy.source_grade(source) == grade


@pytest.mark.parametrize(("first", "second"), list(product(SOURCES, SOURCES)))
def test_a_record_is_worth_its_weaker_end(first: str, second: str) -> None:
    ends = {policy.source_grade(first), policy.source_grade(second)}
    grade = policy.record_grade(first, second)
    if "A" in ends and "manual" in (first, second):
        # One end of A, the other set by the manager: better than both set by the manager.
        assert grade == "B"
    else:
        assert grade == max(ends)
    assert grade == policy.record_grade(second, first)
    assert (grade == "A") == ({first, second} <= {"live", "digits"})


@given(st.timedeltas(timedelta(), timedelta(days=3)))
def test_minutes_are_whole_and_rounded_down(stay: timedelta) -> None:
    minutes = policy.measured_minutes(START, START + stay)
    assert timedelta(minutes=minutes) <= stay < timedelta(minutes=minutes + 1)


def test_two_hours_earn_what_the_policy_says() -> None:
    plain = Rules(rate_points_per_hour={"help_child": 90})
    assert credit(plain) == policy.Credit(120, 120, date(2027, 12, 31))
    assert credit(plain, kind_code="help_child").points == 180
    assert credit(plain, grade="D") == policy.Credit(120, 0, date(2027, 12, 31))
    assert credit(plain, minutes=119).points == 119
    assert credit(plain, kind_code="help_child", minutes=1).points == 1
    coarse = Rules(rate_points_per_hour={}, rounding_minutes=30, daily_cap_minutes=100)
    assert credit(coarse, minutes=89).minutes == 60
    assert credit(coarse, minutes=29) == policy.Credit(0, 0, date(2027, 12, 31))
    assert credit(coarse, minutes=120).minutes == 100
    assert credit(coarse, credited_that_day=90).minutes == 10
    assert credit(coarse, credited_that_day=100).minutes == 0
    # A cap that was lowered after more than that had been credited takes nothing back.
    assert credit(coarse, credited_that_day=480).minutes == 0


@given(rules, grades, st.integers(0, 3000), st.integers(0, 2000))
def test_credit_is_rounded_down_capped_and_paid_by_the_hour(
    chosen: Rules, grade: str, minutes: int, credited_that_day: int
) -> None:
    earned = credit(chosen, grade=grade, minutes=minutes, credited_that_day=credited_that_day)
    room = max(0, chosen.daily_cap_minutes - credited_that_day)
    assert 0 <= earned.minutes <= min(minutes, room)
    assert earned.minutes == room or earned.minutes % chosen.rounding_minutes == 0
    assert earned.minutes == room or minutes - earned.minutes < chosen.rounding_minutes
    rate = chosen.rate_points_per_hour.get("help_elderly", chosen.default_rate)
    paid_sixtieths = earned.minutes * (rate if grade in chosen.point_grades else 0)
    assert 60 * earned.points <= paid_sixtieths < 60 * (earned.points + 1)


@given(rules, st.lists(st.integers(0, 600), max_size=8), st.randoms())
def test_a_day_never_holds_more_than_its_cap_whatever_comes_first(
    chosen: Rules, stays: list[int], chance: random.Random
) -> None:
    totals = set()
    for _ in range(3):
        chance.shuffle(stays)
        total = 0
        for minutes in stays:
            total += credit(chosen, minutes=minutes, credited_that_day=total).minutes
        totals.add(total)
    rounded = sum(minutes - minutes % chosen.rounding_minutes for minutes in stays)
    assert totals == {min(rounded, chosen.daily_cap_minutes)}


@given(rules, st.dates(date(2020, 1, 1), date(2100, 12, 31)))
def test_points_end_with_a_year(chosen: Rules, day: date) -> None:
    ends = policy.expires_on(chosen, day)
    assert (ends.year, ends.month, ends.day) == (day.year + chosen.life_years, 12, 31)
    assert ends >= day


def test_an_ordinary_record_is_not_held() -> None:
    assert holds() == []


def test_each_hold_has_its_reason() -> None:
    assert holds(600) == []
    assert holds(600 + 1 / 60) == ["long_day"]
    assert holds(overlaps=True) == ["overlap"]
    assert holds(same_slot=True) == ["same_slot_again"]
    assert holds(runs_back=True) == ["clock_doubt"]
    always = Rules(rate_points_per_hour={}, draw_percent=100)
    assert holds(grade="A", rules=always) == ["drawn"]
    # The others are looked at anyway.
    assert holds(grade="B", rules=always) == []


def test_holds_stand_in_the_order_of_the_protocol() -> None:
    always = Rules(rate_points_per_hour={}, draw_percent=100)
    found = holds(700, grade="A", overlaps=True, same_slot=True, runs_back=True, rules=always)
    assert found == ["overlap", "long_day", "same_slot_again", "drawn", "clock_doubt"]


def test_the_draw_takes_its_share_and_nobody_can_foresee_it() -> None:
    chance = random.Random(5)
    ids = [UUID(int=chance.getrandbits(128)) for _ in range(20_000)]
    drawn = {id_ for id_ in ids if policy.drawn(SECRET, id_, 5)}
    assert 0.045 < len(drawn) / len(ids) < 0.055
    assert drawn == {id_ for id_ in ids if policy.drawn(SECRET, id_, 5)}
    with_another_key = {id_ for id_ in ids if policy.drawn(b"t" * 32, id_, 5)}
    # Two independent draws have a twentieth of a twentieth in common.
    assert len(drawn & with_another_key) < len(drawn) / 8
    assert not any(policy.drawn(SECRET, id_, 0) for id_ in ids[:200])
    assert all(policy.drawn(SECRET, id_, 100) for id_ in ids[:200])


@given(purses, st.integers(1, 2000))
def test_spending_takes_exactly_the_price_out_of_what_ends_first(
    owned: list[tuple[UUID, date, int]], price: int
) -> None:
    parts = policy.spend(owned, price)
    held = {id_: points for id_, _, points in owned}
    if parts is None:
        assert sum(held.values()) < price
        return
    assert sum(points for _, points in parts) == price
    assert all(0 < points <= held[id_] for id_, points in parts)
    left = held | {id_: held[id_] - points for id_, points in parts}
    last = max((ends, id_) for id_, ends, _ in owned if id_ == parts[-1][0])
    assert all(left[id_] == 0 for id_, ends, _ in owned if (ends, id_) < last)
    assert all(left[id_] == held[id_] for id_, ends, _ in owned if (ends, id_) > last)
    # However they were read.
    assert policy.spend(owned[::-1], price) == parts


def test_who_owns_nothing_can_spend_nothing() -> None:
    assert policy.spend([], 1) is None
    assert policy.spend([(UUID(int=1), DAY, 0)], 1) is None
    assert policy.spend([(UUID(int=1), DAY, 1)], 1) == [(UUID(int=1), 1)]
