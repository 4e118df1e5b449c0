"""A random month of one station beside a plain model of it: every way in and out, every decision, every correction, and
what becomes of the points. What the bank answers and holds is what the model says, and the audit is clean."""

import os
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.earning import assert_sound
from tests.timebank.month_play import opened
from timebank.keys import Keys

LONG = os.environ.get("TIMEBANK_TORTURE") == "1"
VERDICTS = st.sampled_from(["verify", "adjust", "reject"])
WAYS = ("live", "digits", "poster", "card", "pin", "late", "door")


some = st.integers(0, 9)
stay_minutes = st.sampled_from([0, 5, 30, 90, 200, 400])
ago = st.sampled_from([5, 30, 200, 900])
leap = st.sampled_from([0.1, 1, 5, 45, 130, 300])
steps = st.one_of(
    *[st.tuples(st.just("arrive"), some, st.sampled_from(WAYS), st.booleans(), ago)] * 4,
    *[st.tuples(st.just("leave"), some, st.sampled_from(WAYS), st.booleans(), ago)] * 4,
    st.tuples(st.just("arrive_all")),
    st.tuples(st.just("leave_all")),
    st.tuples(st.just("guess"), some, st.integers(1, 6)),
    *[st.tuples(st.just("enter"), some, ago, st.sampled_from([20, 60, 150, 420]))] * 2,
    *[st.tuples(st.just("settle"), some, st.one_of(st.none(), st.sampled_from([10, 60, 300, 2000])))] * 2,
    *[st.tuples(st.just("decide"), some, st.booleans(), VERDICTS, stay_minutes)] * 2,
    *[st.tuples(st.just("decide"), some, st.just(False), st.just("verify"), stay_minutes)] * 3,
    *[st.tuples(st.just("decide_together"), st.booleans())] * 2,
    *[st.tuples(st.just("correct"), some, st.booleans(), st.one_of(st.none(), stay_minutes))] * 4,
    st.tuples(st.just("ask"), some),
    st.tuples(st.just("decline"), some),
    st.tuples(st.just("draft"), some, st.integers(1, 3)),
    *[st.tuples(st.just("redeem"), some)] * 4,
    st.tuples(st.just("cancel"), some),
    st.tuples(st.just("fulfil"), some),
    st.tuples(st.just("undo"), some),
    st.tuples(st.just("time_out")),
    st.tuples(st.just("fill"), st.integers(1, 300)),
    st.tuples(st.just("pay_waiting")),
    *[st.tuples(st.just("expire"))] * 2,
    *[st.tuples(st.just("merge"), some, some)] * 2,
    st.tuples(st.just("suspend"), some),
    *[st.tuples(st.just("wait"), st.sampled_from([1500, 5000, 20000]))] * 2,
)
step = st.tuples(leap, steps)


@seed(20261210)
@settings(
    max_examples=600 if LONG else 12,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if LONG else [])],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(step, min_size=20, max_size=50))
async def test_a_month_is_what_the_model_says(engine: AsyncEngine, keys: Keys, played: list[Any]) -> None:
    async with engine.connect() as connection:
        play = await opened(connection, keys)
        for minutes, (name, *values) in played:
            await play.wait(minutes)
            await getattr(play, name)(*values)
            await play.compare()
        await assert_sound(connection, play.city)
