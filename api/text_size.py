"""大字: how large the text of every page is. A choice of this browser, kept in its cookie, signed in or not."""

from api.language import mark

COOKIE = "text-size"
# By name: the root size is 1.0, 1.3 or 1.6 of what the browser has; `size.css` says so.
WORDS = {"usual": mark("Usual text"), "large": mark("Larger text"), "largest": mark("Largest text")}
SIZES = tuple(WORDS)


def chosen(cookie: str | None) -> str:
    """The size in a cookie; the usual one where there is none that we know."""
    return cookie if cookie in WORDS else SIZES[0]


def following(size: str) -> str:
    """What the switch leads to: the next larger one, and from the largest back to the usual one."""
    return SIZES[(SIZES.index(size) + 1) % len(SIZES)]
