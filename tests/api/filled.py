"""The forms of a page as a browser reads them, and every field of them filled with something else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from api.field_words import FIELDS
from api.pages import words
from api.pages.refilling import refilled

# What a page never gives back.
UNKEPT = ("password", "file", "submit", "button", "hidden")


@dataclass
class Control:
    """A field: what it is, what it would send, and what it offers."""

    kind: str
    name: str
    values: list[str]
    choices: list[str] = field(default_factory=list)
    kept: bool = True


class Forms(HTMLParser):
    """Every form of a page that changes something: its address and its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[Control]]] = []
        self.folded: list[bool] = []
        self.shut: list[bool] = []
        self.text: Control | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = dict(attrs)
        name, value, kind = at.get("name") or "", at.get("value") or "", at.get("type") or "text"
        if tag == "details":
            self.folded.append("open" not in at)
        elif tag == "form":
            self.found.append((at["action"] or "" if at.get("method") == "post" else "", []))
            self.shut.append(any(self.folded))
        elif not self.found:
            return
        elif tag == "input":
            kept = kind not in UNKEPT and "data-forget" not in at and at.get("autocomplete") != "one-time-code"
            ticked = kind not in ("checkbox", "radio") or "checked" in at
            self.found[-1][1].append(Control(kind, name, [value] if ticked else [], [value], kept))
        elif tag in ("select", "textarea"):
            self.text = Control(tag, name, [], [])
            self.found[-1][1].append(self.text)
        elif tag == "option" and self.text:
            self.text.choices.append(value)
            self.text.values = [value] if "selected" in at else self.text.values

    def handle_data(self, data: str) -> None:
        if self.text and self.text.kind == "textarea":
            self.text.values = [data]

    def handle_endtag(self, tag: str) -> None:
        if tag == "details":
            self.folded.pop()
        elif tag in ("select", "textarea"):
            self.text = None


def other(control: Control) -> list[str]:
    """Something else than what a field holds."""
    if control.kind in ("checkbox", "radio"):
        return [] if control.values else control.choices
    if control.kind == "select":
        return control.choices[-1:] if control.values != control.choices[-1:] else control.choices[:1]
    if control.kind == "hidden":
        return control.values
    return {"date": ["2001-02-03"], "time": ["04:05"], "number": ["6"]}.get(control.kind, ['<"七" & 八>'])


def unnamed(page: str) -> set[str]:
    """The fields of a page's forms that a refusal would call by their bare names."""
    fields = {each.name for action, controls in Forms(page).found if action for each in controls if each.kept}
    known = FIELDS.keys() | words.FIELDS.keys() | words.RULES.keys() | {""}
    return {name for name in fields - known if not name.startswith(("rate.", "was_", "column-"))}


def lost(page: str) -> Iterator[str]:
    """The fields of a page's forms that would not hold what was sent with them after a refusal."""
    for action, controls in Forms(page).found:
        shown = [each for each in controls if each.kept and each.name]
        if not action or not shown:
            continue
        sent: dict[str, list[str]] = {}
        for each in controls:
            if values := other(each):
                sent.setdefault(each.name, []).extend(values)
        again = Forms(refilled(page, action, sent))
        same = [
            (found, shut)
            for (to, found), shut in zip(again.found, again.shut, strict=True)
            if to == action and [each.values for each in found if each.kept] == [other(each) for each in shown]
        ]
        if not same or all(shut for _, shut in same):
            yield f"{action}: {[each.name for each in shown]}"
