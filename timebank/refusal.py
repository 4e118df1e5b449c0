"""What an operator is told when the bank does not start, or one of its commands does not go on."""

from typing import Any


class Refusal(Exception):
    """One clear sentence for the person at the terminal, with a code that stays the same.

    `code` is stable and listed in docs/reference/settings.md; `data` holds the facts the sentence is made from.
    These are about the machine and its settings. What a member did wrong is a `BankError`.
    """

    def __init__(self, code: str, sentence: str, **data: Any) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.data = data

    def __str__(self) -> str:
        return f"{self.sentence} ({self.code})"
