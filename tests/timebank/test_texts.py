"""Typed text: one form, no characters that hide or turn, no megabytes."""

import pytest

from timebank import texts
from timebank.errors import Invalid


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  林一 ", "林一"),
        ("Ade\u0301le", "Ad\u00e9le"),
        ("买买提·吐尔逊", "买买提·吐尔逊"),
        ("O'Neill-Smith", "O'Neill-Smith"),
        ("\U00020bb7田", "\U00020bb7田"),
        ("x" * 60, "x" * 60),
    ],
)
def test_names_are_kept_as_people_write_them(typed: str, kept: str) -> None:
    assert texts.line("name", typed, 60) == kept


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("\u3000", "empty"),
        ("\u200b", "empty"),
        ("\u2060 \u00ad", "empty"),
        ("x" * 61, "too_long"),
        ("x" * 1_000_000, "too_long"),
        ("林\x00一", "characters"),
        ("林\n一", "characters"),
        ("林\u202e一", "characters"),
        ("\ud800", "characters"),
        ("\x7f", "characters"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(typed: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        texts.line("name", typed, 60)
    assert caught.value.data["field"] == "name"
    assert caught.value.data["reason"] == reason


def test_longer_texts_keep_their_lines() -> None:
    assert texts.lines("description", " 5 kg\r\n每袋 ", 60) == "5 kg\n每袋"
    assert texts.lines("description", " \n ", 60) == ""
    with pytest.raises(Invalid):
        texts.lines("description", "a\tb", 60)
