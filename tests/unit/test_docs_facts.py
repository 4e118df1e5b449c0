"""Reference pages say what the code does: who may what, what is refused in which order, what is held and earned."""

import ast
import re
from dataclasses import fields
from pathlib import Path
from typing import TypeGuard

from babel.messages.pofile import read_po

from api.guards import ACCESS
from api.sentences import HOLDS
from timebank import codes, pins, policy
from timebank.ending import ENDED
from timebank.hourly import HourlyKeys
from timebank.tables import ROLES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PERMISSIONS = (REFERENCE / "permissions.md").read_text(encoding="utf-8")
CHECK_IN = (REFERENCE / "check-in.md").read_text(encoding="utf-8")
CODES = (REFERENCE / "check-in-codes.md").read_text(encoding="utf-8")
POLICY = (REFERENCE / "policy.md").read_text(encoding="utf-8")
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
    """The codes that a function refuses with, in the order of its lines, each once; those of a function of the same
    file that it asks, and of the PIN that it was told of, where it does so."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    own = {node.name for node in ast.walk(tree) if is_function(node)}
    found: list[tuple[int, list[str]]] = []
    for node in ast.walk(function(path, name)):
        value: ast.AST | None = node.value if isinstance(node, ast.Return) else node
        asked = getattr(value.func, "id", None) if isinstance(value, ast.Call) else None
        if isinstance(value, ast.Call) and asked in own and asked != name:
            found.append((value.lineno, refusals(path, asked)))
            continue
        if isinstance(value, ast.Call) and asked == "Answer" and value.args:
            value = value.args[0]
        elif not isinstance(node, ast.Return):
            continue
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.append((value.lineno, [value.value]))
        elif isinstance(value, ast.Attribute) and value.attr == "vouch_refusal":
            found.append((value.lineno, [kind.code for kind in (pins.PinMissing, pins.PinWrong, pins.PinLocked)]))
    return list(dict.fromkeys(code for _, each in sorted(found) for code in each))


def is_function(node: ast.AST) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Whether a node defines a function."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def rules_in(text: str) -> dict[str, str]:
    """The rules that a text names, each with the number that it gives."""
    return dict(re.findall(r"`(\w+)` \(([^)]+)\)", text))


def test_every_route_stands_on_the_page_with_whom_it_is_open_to() -> None:
    words = {"anybody": "anybody", "members": "members", "machine": "this machine", "kiosks": "a kiosk"}
    documented = {row[0].strip("`"): row[1] for row in rows(section(PERMISSIONS, "Routes"))}
    assert documented == {route: words.get(access.to) or " or ".join(access.roles) for route, access in ACCESS.items()}


def test_every_role_stands_on_the_page() -> None:
    assert sorted(names(section(PERMISSIONS, "Roles"))) == sorted(ROLES)


def test_scans_are_refused_in_this_order() -> None:
    reading = [kind.code for kind in (codes.CodeMalformed, codes.CodeForged, codes.CodeExpired)]
    order = list(dict.fromkeys(["id_reused", *reading, *refusals("timebank/grounds.py", "judge")]))
    assert names(section(CHECK_IN, "Refused, in this order")) == order


def test_decisions_are_refused_in_this_order() -> None:
    order = refusals("timebank/verification.py", "refusal")
    assert names(section(CHECK_IN, "Deciding, and what is refused there, in this order")) == order


def test_every_hold_that_is_given_stands_on_the_page() -> None:
    given = set()
    for module in ("attendances", "checkins", "doubts", "manual", "policy"):
        for node in ast.walk(ast.parse((ROOT / f"timebank/{module}.py").read_text(encoding="utf-8"))):
            listed = node.elts if isinstance(node, ast.List) else []
            if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "append":
                listed = node.args
            given |= {each.value for each in listed if isinstance(each, ast.Constant)} & set(HOLDS)
    assert given == set(HOLDS)
    assert names(section(CHECK_IN, "Held, with the reason")) == list(policy.HOLD_ORDER)
    assert set(policy.HOLD_ORDER) == given


def test_a_hold_is_given_from_the_number_on_that_the_page_says() -> None:
    rules = policy.Rules(rate_points_per_hour={})
    said = rules_in(section(CHECK_IN, "Held, with the reason"))
    assert said == {name: str(getattr(rules, name)) for name in said}
    # What comes in the rules after the draw's share says when a person looks.
    listed = [field.name for field in fields(policy.Rules)]
    assert set(said) == set(listed[listed.index("draw_percent") :])


def test_every_way_in_stands_on_the_page_with_its_grade() -> None:
    documented = {row[0].replace("`", ""): row[1] for row in rows(section(CHECK_IN, "Ways in, and what each proves"))}
    assert documented == {**policy.SOURCE_GRADES, "import": policy.source_grade("import")}


def test_codes_are_laid_out_as_the_page_says() -> None:
    lengths = {}
    for name, layout, length, *_ in rows(section(CODES, "Layouts")):
        assert sum(int(number) for number in re.findall(r" (\d+)(?: |$)", layout)) + 1 == int(length)
        lengths[name] = int(length)
    assert lengths == {
        "station code": len(codes.station_code(HourlyKeys(SECRET), 1, 1, 1)),
        "poster": len(codes.poster_code(SECRET, 1, 1)),
        "member card": len(codes.card_code(SECRET, 1)),
        "certificate": len(codes.certificate_code(SECRET, 1)),
        "redemption code": len(codes.redemption_code(SECRET, 1)),
    }
    earlier, later = codes.SLOTS_AFTER * codes.SLOT_SECONDS, codes.SLOTS_BEFORE * codes.SLOT_SECONDS
    assert f"{earlier} s before it and {later} s after it" in CODES
    assert f"sent late, {codes.LATE.total_seconds() / 3600:.0f} hours" in CODES
    assert f"a screen shows a new code every {codes.SLOT_SECONDS} seconds" in " ".join(CODES.split())
    assert not set("ILOU") & set(codes.ALPHABET)


def test_the_rules_of_a_new_book_stand_on_the_page_with_what_each_may_be() -> None:
    rules = policy.Rules(rate_points_per_hour={})
    documented = {row[0].strip("`"): (row[1], row[2]) for row in rows(section(POLICY, "Fields"))}
    ranges = {name: f"{lowest} to {highest}" for name, (lowest, highest) in policy.RANGES.items()}
    others = {
        "rate_points_per_hour": f"0 to {policy.RATE_HIGHEST} each",
        "point_grades": "of ABCD",
        "fast_track_grades": f"of {policy.FAST_TRACK_ALLOWED}",
    }
    assert documented == {
        field.name: (str(getattr(rules, field.name) or "none"), {**ranges, **others}[field.name])
        for field in fields(policy.Rules)
    }


def test_redemptions_are_refused_in_this_order() -> None:
    redeeming, cancelling, handing_over, undoing = section(REDEMPTION, "Refused, in this order").split("\nTo ")[1:]
    assert names(redeeming) == ["id_reused", *refusals("timebank/redemptions.py", "choose")]
    assert names(cancelling) == ["id_reused", *refusals("timebank/ending.py", "cancel")[:2], *ENDED.values()]
    reading, own = names(handing_over)[:3], names(handing_over)[3:]
    assert reading == ["code_malformed", "code_forged", "id_reused"]
    ended = [code for code in ENDED.values() if code != "redemption_timed_out"]
    order = refusals("timebank/counter.py", "fulfil")
    assert [code for code in own if code not in ended] == [code for code in order if code != "ok"]
    assert set(ended) <= set(own)
    assert names(undoing) == ["id_reused", *(code for code in refusals("timebank/undoing.py", "undo") if code != "ok")]


def test_a_redemption_has_these_states() -> None:
    assert set(names(section(REDEMPTION, "States"))) == {"held", *ENDED}


def test_the_tutorial_names_buttons_as_the_pages_do() -> None:
    """A newcomer who looks for a word that is nowhere stops there."""
    with (ROOT / "api" / "locale" / "zh_CN" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        said = [text for message in read_po(file) for text in (message.id if message.pluralizable else [message.id])]
    shown = {re.sub(r"%\(\w+\)s", "…", text) for text in said}
    named = re.findall(r"\*\*(.+?)\*\*", (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(named) > 10
    assert {" ".join(each.split()) for each in named} <= shown
