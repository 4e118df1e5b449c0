"""Both languages say everything: no message without its Chinese, none that nothing says any more."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

import api
from api.language import TAGS, catalogue, choose, language
from api.pages.environment import environment

HOME = Path(api.__file__).parent
METHODS = [("templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
KEYWORDS = {
    "_": None,
    "gettext": None,
    "mark": None,
    "say": None,
    "ngettext": (1, 2),
}
# As the environment has them, or the messages would differ by their blanks.
OPTIONS = {"templates/**.html": {"trimmed": "false", "silent": "false", "newstyle_gettext": "true"}}

Message = str | tuple[str, ...]


def said() -> Iterator[Message]:
    """Every message in a template or a module."""
    for _file, _line, message, _comments, _context in extract_from_dir(
        HOME, method_map=METHODS, options_map=OPTIONS, keywords=KEYWORDS
    ):
        yield message


def test_every_message_has_its_chinese() -> None:
    missing = []
    for message in said():
        entry = catalogue("zh-CN").get(message[0] if isinstance(message, tuple) else message)
        strings = (entry.string if isinstance(entry.string, tuple) else [entry.string]) if entry else []
        if not strings or not all(strings) or entry is None or entry.fuzzy or entry.id != message:
            missing.append(message)
    assert missing == []


def test_no_chinese_is_left_over() -> None:
    known = set(said())
    assert [entry.id for entry in catalogue("zh-CN") if entry.id and entry.id not in known] == []


def test_chinese_has_the_same_places_to_fill() -> None:
    for entry in catalogue("zh-CN"):
        if entry.id:
            for error in entry.check():
                raise AssertionError((entry.id, str(error)))
            one = entry.id[-1] if isinstance(entry.id, tuple) else entry.id
            string = entry.string[0] if isinstance(entry.string, tuple) else entry.string
            for place in {part.split(")")[0] for part in one.split("%(")[1:]} - {"num", "count"}:
                assert f"%({place})s" in string, entry.id


@pytest.mark.parametrize("tag", TAGS)
def test_every_template_compiles(tag: str) -> None:
    found = environment(tag, "Asia/Shanghai")
    names = found.list_templates()
    assert len(names) > 15
    for name in names:
        found.get_template(name)


@pytest.mark.parametrize(
    ("cookie", "member", "header", "tag"),
    [
        ("en", "zh-CN", "zh", "en"),
        (None, "en", "zh", "en"),
        (None, None, "en-GB,en;q=0.9,zh;q=0.8", "en"),
        (None, None, "en;q=0.1, zh-CN", "zh-CN"),
        (None, None, "fr", "zh-CN"),
        (None, None, "en;q=0, zh;q=nonsense", "zh-CN"),
        ("xx", None, None, "zh-CN"),
    ],
)
def test_the_language_is_chosen(cookie: str | None, member: str | None, header: str | None, tag: str) -> None:
    assert choose(cookie, member, header) == tag


def test_values_are_spoken() -> None:
    chinese, english = language("zh-CN"), language("en")
    at = datetime(2026, 3, 2, 1, 5, tzinfo=UTC)
    assert (chinese.duration(150), english.duration(150)) == ("2小时30分钟", "2 hrs 30 mins")
    assert (chinese.duration(0), english.duration(-60)) == ("0分钟", "−1 hr")
    assert (english.signed(30), english.signed(-1200), english.signed(0)) == ("+30", "−1,200", "0")
    assert (chinese.moment(at), english.time(at)) == ("2026年3月2日 09:05", "09:05")
    assert english.day(date(2026, 3, 2)) == "2 Mar 2026"
    assert (chinese.short_day(at, date(2026, 11, 24)), chinese.short_day(at, date(2027, 1, 1))) == (
        "3月2日周一",
        "2026年3月2日周一",
    )
    assert english.short_day(at, date(2027, 1, 1)) == "Mon, 2 Mar 2026"
    assert (chinese.pick("站", "Station"), english.pick("站", "Station"), english.pick("站", None)) == (
        "站",
        "Station",
        "站",
    )
    assert (english.decimal(12.5), english.decimal(3.0), chinese.days(3)) == ("12.5", "3", "3天")
