"""Sheets of member cards, to be cut."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from api.language import Language
from api.paper.words import BRAND, drawing
from api.state import Bank
from timebank import codes


class Card(NamedTuple):
    """One card: whose it is, its number, since when it is good."""

    name: str
    number: int
    issued_at: datetime


def data(bank: Bank, spoken: Language, cards: Sequence[Card]) -> dict[str, Any]:
    """What the sheet says of these cards."""
    return {
        "language": spoken.tag,
        "title": spoken.gettext("Member cards"),
        "brand": spoken.gettext(BRAND),
        "kind": spoken.gettext("Member card"),
        "hint": spoken.gettext("Show it at the station when you come and when you leave, and type your PIN."),
        "cards": [one(bank, spoken, each) for each in cards],
    }


def one(bank: Bank, spoken: Language, card: Card) -> dict[str, str]:
    """One of them."""
    code = codes.card_code(bank.keys.card, card.number)
    return {
        "name": card.name,
        "code": drawing(f"{bank.settings.address}/C/{code}".upper()),
        "text": codes.spaced(code),
        "issued": spoken.say("Issued %(day)s. Found it? Please bring it to a station.", day=spoken.day(card.issued_at)),
    }
