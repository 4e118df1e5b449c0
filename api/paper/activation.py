"""Sheets of codes on paper, to be cut: each sets one member's first password."""

from collections.abc import Sequence
from typing import Any

from api.language import Language
from api.paper.words import BRAND, drawing
from api.state import Bank
from timebank import activations
from timebank.activations import Slip


def data(bank: Bank, spoken: Language, slips: Sequence[Slip]) -> dict[str, Any]:
    """What the sheet says: the code of each, and the page to type it on, as a picture and in words."""
    address = f"{bank.settings.address}/activate"
    return {
        "language": spoken.tag,
        "title": spoken.gettext("Codes on paper"),
        "brand": spoken.gettext(BRAND),
        "kind": spoken.gettext("Code on paper"),
        "page": drawing(address),
        "steps": [
            spoken.say("Scan this, or open %(address)s", address=address),
            spoken.gettext("Type your mobile number, this code, and a password of your own."),
        ],
        "slips": [
            {
                "name": each.name,
                "text": activations.spaced(each.text),
                "until": spoken.say(
                    "Good once, until %(day)s. Keep it to yourself; then throw it away.", day=spoken.day(each.until)
                ),
            }
            for each in slips
        ],
    }
