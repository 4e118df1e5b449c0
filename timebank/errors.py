"""What can go wrong, as classes with a stable `code` and data. Only the web layer turns them into sentences."""

from typing import Any, ClassVar


class BankError(Exception):
    """The request cannot be done, and nothing was changed.

    `code` is stable and documented in docs/reference/errors.md; `data` holds what the sentence needs.
    """

    code: ClassVar[str] = "unexpected"

    def __init__(self, **data: Any) -> None:
        super().__init__(self.code, data)
        self.data = data


class NotFound(BankError):
    """There is no such thing, or it is outside the actor's branch: the two must look the same."""

    code = "not_found"


class NotAllowed(BankError):
    """The actor's roles do not cover this."""

    code = "role_not_allowed"


class Invalid(BankError):
    """A value cannot be taken. data: `field`, `reason`."""

    code = "invalid"


class TryLater(BankError):
    """Too many tries. data: `seconds` until the next one counts."""

    code = "try_later"


class Busy(BankError):
    """The queue is full; sending the same command again later is safe."""

    code = "busy"


class Conflict(BankError):
    """The thing was changed or taken meanwhile. data: `field`."""

    code = "conflict"
