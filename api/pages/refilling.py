"""A form that was refused comes back as it was sent: what was typed, chosen and ticked stands in it again.

This is done here, once, for every form of every page. Passwords, PINs, digits that were sent, files and what is marked
`data-forget` are never put back; hidden fields keep what the page gives them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser

# What no page puts back: secrets, what a browser lets no page fill, and buttons.
FORGOTTEN = ("password", "file", "hidden", "submit", "button", "reset", "image")
# Hidden fields that are new on every page.
ANEW = {"csrf", "id"}

Sent = Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Tag:
    """A start tag, where it stands in the page, and, of a textarea, where what is in it ends."""

    name: str
    attributes: dict[str, str | None]
    start: int
    end: int
    inside_end: int = 0
    options: list["Tag"] = field(default_factory=list)

    def of(self, attribute: str) -> str:
        """An attribute's value; "" where there is none."""
        return self.attributes.get(attribute) or ""

    def changed(self, **attributes: str | None) -> tuple[int, int, str]:
        """The place of this tag and its text with other attributes: None takes one away, "" is one without a value."""
        found: dict[str, str | None] = {**self.attributes, **attributes}
        gone = {name for name, value in attributes.items() if value is None}
        text = "".join(
            f' {name}="{escape(value)}"' if value else f' {name}=""' if name == "value" else f" {name}"
            for name, value in found.items()
            if name not in gone
        )
        return self.start, self.end, f"<{self.name}{text}>"


class Reader(HTMLParser):
    """Finds the forms of a page that go to `action`, and the folded parts of the page around each."""

    def __init__(self, page: str, action: str) -> None:
        super().__init__()
        self.action = action
        self.forms: list[tuple[list[Tag], list[Tag]]] = []
        self.folded: list[Tag] = []
        self.controls: list[Tag] | None = None
        self.starts = [0]
        for line in page.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.feed(page)
        self.close()

    def standing(self) -> int:
        """Where the reader stands in the page."""
        line, column = self.getpos()
        return self.starts[line - 1] + column

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is a form's."""
        start = self.standing()
        seen = Tag(tag, dict(attrs), start, start + len(self.get_starttag_text() or ""))
        if tag == "details":
            self.folded.append(seen)
        elif tag == "form" and seen.of("method") == "post" and seen.of("action") == self.action:
            self.controls = []
            self.forms.append((self.controls, list(self.folded)))
        elif self.controls is not None and tag in ("input", "select", "textarea", "button"):
            self.controls.append(seen)
        elif self.controls and tag == "option":
            self.controls[-1].options.append(seen)

    def handle_endtag(self, tag: str) -> None:
        """Note where it ends."""
        if tag == "details" and self.folded:
            self.folded.pop()
        elif tag == "form":
            self.controls = None
        elif tag == "textarea" and self.controls:
            self.controls[-1].inside_end = self.standing()


def refilled(page: str, action: str, sent: Sent) -> str:
    """The page, and in its form that goes to `action` what was sent; the page as it is where it has no such form."""
    forms = [
        (controls, folded)
        for controls, folded in Reader(page, action).forms
        if sent.keys() - ANEW <= {each.of("name") for each in controls}
    ]
    # Where several have all the fields that came, it is the one whose hidden ones hold what came with them.
    for controls, folded in forms if len(forms) == 1 else [each for each in forms if holds(each[0], sent)][:1]:
        edits = [each.changed(open="") for each in folded]
        edits += [edit for each in controls for edit in filled(each, sent)]
        for start, end, text in sorted(edits, reverse=True):
            page = page[:start] + text + page[end:]
    return page


def holds(controls: Sequence[Tag], sent: Sent) -> bool:
    """Whether the hidden fields of a form hold what was sent."""
    hidden = [each for each in controls if each.of("type") == "hidden" and each.of("name") not in ANEW]
    return all(each.of("value") in sent.get(each.of("name"), ()) for each in hidden)


def filled(control: Tag, sent: Sent) -> Iterator[tuple[int, int, str]]:
    """What has to change in the page for this field to hold what was sent with it."""
    kind, values = control.of("type"), sent.get(control.of("name"), ())
    if kind in FORGOTTEN or "data-forget" in control.attributes or control.of("autocomplete") == "one-time-code":
        return
    if kind in ("checkbox", "radio"):
        yield control.changed(checked="" if (control.of("value") or "on") in values else None)
    elif control.name == "select" and any(each.of("value") in values for each in control.options):
        yield from (each.changed(selected="" if each.of("value") in values else None) for each in control.options)
    elif control.name == "textarea" and values:
        yield control.end, control.inside_end, escape(values[0].replace("\r\n", "\n"))
    elif control.name == "input" and values:
        yield control.changed(value=values[0])
