"""The design system on one page: in a demo alone. Its tokens are read from the style sheet itself."""

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from litestar import Response, get

import api
from api.pages.page import AnyRequest, Shown, show, speaker
from api.problems import Problem
from api.sentences import sentence
from api.state import bank_of

STYLES = Path(api.__file__).with_name("static") / "base.css"
TOKEN = re.compile(r"--([\w-]+):\s*([^;]+);")
COLOUR = re.compile(r"#[0-9a-f]{6}")
# Which colours are for text, and on which grounds they stand.
TEXT_ON = {
    "ink": ("paper", "surface", "sunken"),
    "ink-soft": ("paper", "surface", "sunken"),
    "pine": ("paper", "surface", "pine-wash"),
    "pine-deep": ("surface", "pine-wash"),
    "seal": ("paper", "surface", "seal-wash"),
    "amber": ("surface", "amber-wash"),
    "sky": ("surface", "sky-wash"),
}
# Every drawing of `parts.html`.
ICONS = re.findall(r'name == "(\w+)"', (Path(api.__file__).with_name("templates") / "parts.html").read_text("utf-8"))
# WCAG 2.2, 1.4.3: what text of the usual size needs.
ENOUGH = 4.5


class Colour(NamedTuple):
    """A colour, and how well it is read on each of its grounds."""

    name: str
    value: str
    contrasts: list[tuple[str, str, float]]
    """Name, value and contrast of each ground."""


@cache
def tokens() -> dict[str, str]:
    """Every token of the style sheet, in its order."""
    root = STYLES.read_text(encoding="utf-8").split(":root {", 1)[1].split("}", 1)[0]
    return dict(TOKEN.findall(root))


def luminance(colour: str) -> float:
    """The relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def colours() -> list[Colour]:
    """The colours of the style sheet."""
    found = {name: value for name, value in tokens().items() if COLOUR.fullmatch(value)}
    return [
        Colour(
            name,
            value,
            [(ground, found[ground], contrast(value, found[ground])) for ground in TEXT_ON.get(name, ())],
        )
        for name, value in found.items()
    ]


def sizes(prefix: str) -> list[tuple[str, str]]:
    """The tokens of one family, `step` or `gap`, with their lengths."""
    return [(name, value) for name, value in tokens().items() if name.startswith(f"{prefix}-")]


@get("/design")
async def design(request: AnyRequest) -> Response[Any]:
    """Tokens, and every component in its states, in the reader's language."""
    bank, spoken = bank_of(request), speaker(request)
    if not bank.settings.demo:
        raise Problem("not_found")
    gettext = spoken.gettext
    return show(
        request,
        "design/design.html",
        colours=colours(),
        enough=ENOUGH,
        steps=sizes("step"),
        gaps=sizes("gap"),
        done=Shown(False, gettext("Saved"), ""),
        refused=Shown(True, gettext("Not done"), sentence("points_short", spoken.tag, {})),
        icons=ICONS,
        now=bank.clock(),
    )


handlers = [design]
