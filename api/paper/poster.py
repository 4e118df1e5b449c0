"""The poster of a station: what the bank is, the code, and what to do with it, for everybody who passes."""

from typing import Any

from sqlalchemy import Row

from api.language import Language, mark
from api.paper.words import BRAND, both, drawing
from api.state import Bank
from timebank import codes

CALL = mark("Scan when you come, scan when you leave")
STEPS = (
    mark("Open your camera or WeChat and scan."),
    mark("Type the six digits that the screen shows."),
    mark("Scan again when you leave."),
)
WITHOUT_PHONE = mark("No phone? Ask here for a member card: it is scanned, and you type your PIN.")


def address(bank: Bank, station_number: int, poster_number: int) -> str:
    """What the code of a poster says."""
    return f"{bank.settings.address}/S/{codes.poster_code(bank.keys.poster, station_number, poster_number)}".upper()


def data(bank: Bank, station: Row[Any], printed: Row[Any]) -> dict[str, Any]:
    """What the sheet says, in both languages."""

    def said(spoken: Language) -> dict[str, Any]:
        return {
            "brand": spoken.gettext(BRAND),
            "station": spoken.pick(station.name_zh, station.name_en),
            "call": spoken.gettext(CALL),
            "steps": [spoken.gettext(step) for step in STEPS],
            "without-phone": spoken.gettext(WITHOUT_PHONE),
            "print": spoken.say(
                "Station %(station)s, print %(print)s, %(day)s",
                station=station.number,
                print=printed.number,
                day=spoken.day(printed.printed_at),
            ),
        }

    words = {name: said(spoken) for name, spoken in both(bank.settings.time_zone).items()}
    return {
        **words,
        "title": f"{station.name_zh} {station.name_en}",
        "code": drawing(address(bank, station.number, printed.number)),
    }
