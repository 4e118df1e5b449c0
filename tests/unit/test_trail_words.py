"""The trail speaks in words: every action and every kind of thing that the bank writes into it has a name."""

import re
from pathlib import Path

from api.pages import trail_words


def test_every_action_has_words() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in Path(trail_words.__file__).parents[2].glob("timebank/*.py")
    )
    written = set(re.findall(r'action="(\w+\.\w+)"', code)) | set(re.findall(r'"(reward\.\w+|erasure\.\w+)"', code))
    columns = {"erasure.asked_by", "erasure.ended_by", "erasure.member_id"}
    assert written - columns <= trail_words.ACTIONS.keys()
    assert set(re.findall(r'subject_kind="(\w+)"', code)) <= trail_words.KINDS.keys()
