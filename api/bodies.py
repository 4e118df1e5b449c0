"""JSON as strictly as it comes: what another reader could understand differently is refused at the edge.

Refused, each with a code: bad UTF-8, nesting past `DEPTH_LIMIT`, the same key twice, NaN, text that PostgreSQL cannot
store (NUL, lone surrogates), fields that nobody reads, values of the wrong type or out of their range.
"""

import json
import re
from typing import Any, TypeVar

import msgspec

from api.problems import Problem

T = TypeVar("T")

DEPTH_LIMIT = 16
STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
# An escaped NUL or surrogate. A surrogate that has its partner is fine, and decoding tells.
ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
COMPLAINT = re.compile(r"- at `\$\.?(?P<path>[^`]*)`$")
MISSING = re.compile(r"missing required field `(?P<field>\w+)`")
UNKNOWN = re.compile(r"contains unknown field `(?P<field>\w+)`")


def read_json(body: bytes, shape: type[T]) -> T:
    """The body as a `shape`; raises the Problem that says what is wrong with it."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem("text_not_utf8") from None
    check_depth(text)
    try:
        parsed = STRICT.decode(text)
    except (ValueError, RecursionError):
        raise Problem("json_malformed") from None
    if ESCAPED.search(text):
        check_texts(parsed)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise Problem("invalid", complaint(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem("json_malformed") from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these pairs; a key that comes twice means one thing to us and another to somebody else."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Problem("json_duplicate_key", {"field": storable(twice[:60])})
    return found


def no_constant(name: str) -> None:
    """NaN and Infinity are not JSON."""
    raise ValueError(name)


STRICT = json.JSONDecoder(object_pairs_hook=once, parse_constant=no_constant)


def check_depth(text: str) -> None:
    """Raise `json_too_deep`; cheap for the small bodies that most are."""
    if text.count("{") + text.count("[") <= DEPTH_LIMIT:
        return
    depth = 0
    for character in STRING.sub("", text):
        if character in "{[":
            depth += 1
            if depth > DEPTH_LIMIT:
                raise Problem("json_too_deep", {"limit": DEPTH_LIMIT})
        elif character in "}]":
            depth -= 1


def check_texts(value: Any) -> None:
    """Raise `text_has_nul` when a key or text in `value` could not be stored."""
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, list):
        for item in value:
            check_texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key)
            check_texts(item)


def check_text(text: str) -> None:
    """Raise `text_has_nul` for NUL and for halves of a surrogate pair."""
    if storable(text) != text:
        raise Problem("text_has_nul")


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot store."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def complaint(words: str) -> dict[str, str]:
    """The field and the reason in what msgspec says of a value."""
    path = COMPLAINT.search(words)
    field = path["path"].lstrip(".") if path else ""
    if match := MISSING.search(words):
        return {"field": inside(field, match["field"]), "reason": "missing"}
    if match := UNKNOWN.search(words):
        return {"field": inside(field, match["field"]), "reason": "unknown"}
    if "of length" in words:
        return {"field": field, "reason": "empty" if ">= 1" in words else "too_long"}
    if "Invalid enum" in words:
        return {"field": field, "reason": "unknown"}
    if any(sign in words for sign in (">=", "<=", "out of range")):
        return {"field": field, "reason": "range"}
    return {"field": field, "reason": "type"}


def inside(path: str, field: str) -> str:
    """The name of `field` inside `path`."""
    return f"{path}.{field}" if path else field
