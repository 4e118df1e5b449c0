"""A balance on a slip of paper, for who has no phone to look at."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from api.language import Language
from api.pages import words
from api.paper.words import drawing
from api.state import Bank
from timebank import catalogue
from timebank.explain import Balance, Line


def data(spoken: Language, name: str, balance: Balance, lines: Sequence[Line], now: datetime) -> dict[str, Any]:
    """What the slip says: what is there, until when, and the latest lines of points."""
    sums = [
        [spoken.gettext("Service hours"), spoken.duration(balance.minutes)],
        [spoken.gettext("Points to spend"), spoken.number(balance.points)],
    ]
    for label, points in (
        (spoken.gettext("Held for redemptions"), balance.held_points),
        (spoken.gettext("Points that you owe"), balance.owed_points),
    ):
        if points:
            sums.append([label, spoken.number(points)])
    return {
        "language": spoken.tag,
        "title": spoken.gettext("Balance slip"),
        "name": name,
        "at": spoken.moment(now),
        "sums": sums,
        "purses-title": spoken.gettext("My points and when they expire"),
        "purses": [
            [
                spoken.pick(purse.fund_zh, purse.fund_en),
                spoken.say("until %(day)s", day=spoken.day(purse.expires_on)),
                spoken.number(purse.points),
            ]
            for purse in balance.purses
        ],
        "lines-title": spoken.gettext("The latest"),
        "lines": [
            [words.of(words.LINES, spoken, line.kind), spoken.moment(line.recorded_at), spoken.signed(line.amount)]
            for line in lines
        ],
        "foot": spoken.gettext("Something wrong? Ask at the station: every line can be explained."),
    }


def collect(bank: Bank, spoken: Language, row: Any, places: Sequence[Any]) -> dict[str, Any]:
    """A redemption that waits, on the slip: what it is, its code as a picture and as digits, where and until when."""
    return {
        "title": spoken.gettext("To collect"),
        "reward": spoken.pick(row.reward_zh, row.reward_en),
        "points": spoken.say("%(points)s points", points=spoken.number(row.points)),
        "code": drawing((bank.settings.address + catalogue.code_text(bank.keys, row.number)).upper()),
        "digits": f"{row.digits[:4]} {row.digits[4:]}",
        "until": spoken.say("Collect by %(moment)s", moment=spoken.moment(row.expires_at)),
        "places": [spoken.pick(place.name_zh, place.name_en) for place in places],
    }
