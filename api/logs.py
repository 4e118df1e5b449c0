"""Log lines: one JSON object each, with the request's id and no personal data.

No line holds an address of a person or of a network, a query string (tickets travel there) or the text of an
exception (PostgreSQL repeats values in it).
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
FRAMES = 12


def configure(level: str) -> None:
    """Write log lines to the standard output, from `level` on."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_values,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=False,
    )


def without_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace an exception by its kind and where it came from. Its text stays out: it may name people."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error"] = kinds(error)
        event["frames"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ][-FRAMES:]
    return event


def kinds(error: BaseException) -> list[str]:
    """The class of an exception and of those that led to it; of a database's, its SQLSTATE too."""
    found: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(found) < FRAMES:
        state = getattr(seen, "sqlstate", None)
        found.append(f"{type(seen).__qualname__}({state})" if state else type(seen).__qualname__)
        seen = seen.__cause__ or seen.__context__
    return found


def render(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    """The line."""
    return msgspec.json.encode(event, enc_hook=str)
