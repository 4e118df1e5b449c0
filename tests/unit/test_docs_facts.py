"""Reference pages say what the code does: who may what, what is refused in which order, what is held and earned."""

import ast
import re
from pathlib import Path

from api.guards import ACCESS
from api.sentences import HOLDS
from timebank import codes, policy
from timebank.redemptions import ENDED
from timebank.tables import ROLES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PERMISSIONS = (REFERENCE / "permissions.md").read_text(encoding="utf-8")
CHECK_IN = (REFERENCE / "check-in.md").read_text(encoding="utf-8")
REDEMPTION = (REFERENCE / "redemption.md").read_text(encoding="utf-8")
SECRET = b"s" * 32


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the tables in a text, without headings and without their quotes."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    rules = {number for number, line in enumerate(lines) if set(line) <= set("|- ")}
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one."""
    return page.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def names(text: str) -> list[str]:
    """What stands in quotes in the first column, in order."""
    return [name for row in rows(text) for name in re.findall(r"`(\w+)`", row[0])]


def function(path: str, name: str) -> ast.AST:
    """A function's own lines."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return next(node for node in ast.walk(tree) if getattr(node, "name", None) == name)


def refusals(path: str, name: str) -> list[str]:
    """The codes that a function refuses with, in the order of its lines, each once."""
    found = []
    for node in ast.walk(function(path, name)):
        value = node.value if isinstance(node, ast.Return) else node
        if isinstance(value, ast.Call) and getattr(value.func, "id", None) == "Answer" and value.args:
            value = value.args[0]
        elif not isinstance(node, ast.Return):
            continue
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.append((value.lineno, value.value))
    return list(dict.fromkeys(code for _, code in sorted(found)))


def test_every_route_stands_on_the_page_with_whom_it_is_open_to() -> None:
    words = {"anybody": "anybody", "members": "members", "machine": "this machine"}
    documented = {row[0].strip("`"): row[1] for row in rows(section(PERMISSIONS, "Routes"))}
    assert documented == {route: words.get(access.to) or " or ".join(access.roles) for route, access in ACCESS.items()}


def test_every_role_stands_on_the_page() -> None:
    assert sorted(names(section(PERMISSIONS, "Roles"))) == sorted(ROLES)


def test_scans_are_refused_in_this_order() -> None:
    reading = [kind.code for kind in (codes.CodeMalformed, codes.CodeForged, codes.CodeExpired)]
    order = ["id_reused", *reading, *refusals("timebank/checkins.py", "refusal")]
    assert names(section(CHECK_IN, "Refused, in this order")) == order


def test_decisions_are_refused_in_this_order() -> None:
    order = refusals("timebank/verification.py", "refusal")
    assert names(section(CHECK_IN, "Deciding, and what is refused there, in this order")) == order


def test_every_hold_that_is_given_stands_on_the_page() -> None:
    given = set()
    for path in ("timebank/checkins.py", "timebank/policy.py"):
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            appended = isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "append"
            listed = node.args if appended else node.elts if isinstance(node, ast.List) else []
            given |= {each.value for each in listed if isinstance(each, ast.Constant)} & set(HOLDS)
    assert set(names(section(CHECK_IN, "Held, with the reason"))) == given


def test_codes_are_laid_out_as_the_page_says() -> None:
    lengths = {}
    for name, layout, length, _ in rows(section(CHECK_IN, "The code")):
        assert sum(int(number) for number in re.findall(r" (\d+)(?: |$)", layout)) + 1 == int(length)
        lengths[name] = int(length)
    assert lengths == {
        "station code": len(codes.station_code(SECRET, 1, 1, 1)),
        "redemption code": len(codes.redemption_code(SECRET, 1)),
    }
    earlier, later = codes.SLOTS_AFTER * codes.SLOT_SECONDS, codes.SLOTS_BEFORE * codes.SLOT_SECONDS
    assert f"{earlier} s before it and {later} s after it" in CHECK_IN
    assert f"shows a new code every {codes.SLOT_SECONDS} seconds" in CHECK_IN
    assert not set("ILOU") & set(codes.ALPHABET)


def test_what_is_earned_is_what_the_rules_of_a_new_book_say() -> None:
    rules = policy.Rules(rate_points_per_hour={})
    earned = section(CHECK_IN, "What a record earns")
    assert dict(re.findall(r"`(\w+)` \(([^)]+)\)", earned)) == {
        "rounding_minutes": str(rules.rounding_minutes),
        "daily_cap_minutes": str(rules.daily_cap_minutes),
        "point_grades": ", ".join(rules.point_grades),
        "life_years": str(rules.life_years),
    }
    assert f"({rules.default_rate} an hour" in earned
    held = section(CHECK_IN, "Held, with the reason")
    assert f"{rules.draw_percent} of 100" in held
    assert policy.LONG_DAY.total_seconds() == 10 * 3600
    assert "longer than ten hours" in held


def test_redemptions_are_refused_in_this_order() -> None:
    redeeming, cancelling, handing_over = section(REDEMPTION, "Refused, in this order").split("\nTo ")[1:]
    assert names(redeeming) == ["id_reused", *refusals("timebank/redemptions.py", "choose")]
    assert names(cancelling) == ["id_reused", *refusals("timebank/redemptions.py", "cancel")[:1], *ENDED.values()]
    reading, own = names(handing_over)[:3], names(handing_over)[3:]
    assert reading == ["code_malformed", "code_forged", "id_reused"]
    ended = [code for code in ENDED.values() if code != "redemption_timed_out"]
    order = refusals("timebank/counter.py", "fulfil")
    assert [code for code in own if code not in ended] == [code for code in order if code != "ok"]
    assert set(ended) <= set(own)


def test_a_redemption_has_these_states() -> None:
    assert set(names(section(REDEMPTION, "States"))) == {"held", *ENDED}
