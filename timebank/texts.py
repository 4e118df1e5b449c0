"""Text that people type, checked and brought into one form before it is kept."""

import unicodedata

from timebank.errors import Invalid

# What nothing is seen of: blanks, and marks that only join or part what stands around them.
UNSEEN = frozenset(("Zs", "Zl", "Zp", "Cf"))
# Marks that turn the reading direction: a name could show as another one.
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def line(field: str, value: str, limit: int) -> str:
    """One line in Unicode NFC without blanks at its ends, 1 to `limit` characters.

    `Invalid` with reason `empty`, `too_long` or `characters` (control characters, line breaks, half surrogates).
    """
    return checked(field, value, limit, keep="")


def lines(field: str, value: str, limit: int) -> str:
    """Like `line`, but may be empty and may hold line breaks."""
    value = value.replace("\r\n", "\n")
    return checked(field, value, limit, keep="\n") if value.strip() else ""


def checked(field: str, value: str, limit: int, keep: str) -> str:
    """The value in NFC, stripped; see `line`."""
    # The length first: what comes from outside may be megabytes, and NFC can only treble it.
    if len(value) > 4 * limit:
        raise Invalid(field=field, reason="too_long", limit=limit)
    for character in value:
        if character not in keep and (unicodedata.category(character) in ("Cc", "Cs") or character in TURNING):
            raise Invalid(field=field, reason="characters")
    value = unicodedata.normalize("NFC", value).strip()
    if all(unicodedata.category(character) in UNSEEN for character in value):
        raise Invalid(field=field, reason="empty")
    if len(value) > limit:
        raise Invalid(field=field, reason="too_long", limit=limit)
    return value
