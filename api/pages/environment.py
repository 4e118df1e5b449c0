"""The template engine, once for each language: the filters speak it, and so does every message."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from api.language import Language, language, mark
from api.pages import words
from api.pages.assets import static

# What the ledger's transfers are, on the statement of a fund.
FUND_LINES = {
    "fill_fund": mark("Put in"),
    "earn_points": mark("Paid for service"),
    "open_points": mark("Opening points"),
    "reverse": mark("Correction"),
    "expire": mark("Expired"),
}
MOBILE = re.compile(r"\+86(1\d\d)(\d{4})(\d{4})")
TEMPLATES = Path(__file__).parent.parent / "templates"


@cache
def environment(tag: str, zone: str) -> Environment:
    """The templates for readers of one language in one time zone. A name that is not given fails: no blank pages."""
    speaker = language(tag, zone)
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Files do not change while the bank runs.
        auto_reload=False,
    )
    found.install_gettext_translations(speaker.translations, newstyle=True)  # type: ignore[attr-defined]
    found.filters |= {
        "number": speaker.number,
        "signed": speaker.signed,
        "duration": speaker.duration,
        "hours": partial(hours, speaker),
        "span": partial(span, speaker),
        "day": speaker.day,
        "short_day": short_day,
        "time": speaker.time,
        "moment": partial(moment, speaker),
        "phone": phone,
    }
    found.globals |= {
        "language": speaker,
        "zone": zone,
        "pick": speaker.pick,
        "static": static,
        "hold_name": partial(words.hold_name, speaker),
        "hold_words": partial(words.of, words.HOLDS, speaker),
        "source_name": partial(words.of, words.SOURCES, speaker),
        "grade_words": partial(words.of, words.GRADES, speaker),
        "record_state_name": partial(words.of, words.RECORD_STATES, speaker),
        "redemption_state_name": partial(words.of, words.REDEMPTION_STATES, speaker),
        "role_name": partial(words.of, words.ROLES, speaker),
        "role_choices": partial(role_choices, speaker),
        "fund_line_name": partial(words.of, FUND_LINES, speaker),
        "line_name": partial(words.of, words.LINES, speaker),
        "verdict_name": partial(words.of, words.VERDICTS, speaker),
        "rule_name": partial(words.of, words.RULES, speaker),
        "reward_kind": partial(words.of, words.REWARD_KINDS, speaker),
        "period_words": partial(words.of, words.PERIODS, speaker),
    }
    return found


def role_choices(speaker: Language, roles: Sequence[str]) -> list[tuple[str, str]]:
    """Roles to choose from, each with its name."""
    return [(role, words.of(words.ROLES, speaker, role)) for role in roles]


def hours(speaker: Language, minutes: int) -> str:
    """Minutes as hours with at most one decimal, rounded down: nobody is shown more than they served."""
    return speaker.decimal(minutes // 6 / 10)


def span(speaker: Language, minutes: int) -> str:
    """How long something is waited for: whole days where it is whole days."""
    days, rest = divmod(minutes, 1440)
    return speaker.days(days) if days and not rest else speaker.duration(minutes)


@pass_context
def short_day(context: Context, value: date | datetime) -> str:
    """A day with its weekday, and with its year unless that is this one."""
    speaker: Language = context["language"]
    return speaker.short_day(value, context["page"].today)


def phone(number: str) -> str:
    """A number as people write it down: 139 0000 0001. One from abroad stays as it is dialled."""
    found = MOBILE.fullmatch(number)
    return " ".join(found.groups()) if found else number


def moment(speaker: Language, value: date | datetime) -> str:
    """A moment; the bare day where there is no more."""
    return speaker.moment(value) if isinstance(value, datetime) else speaker.day(value)
