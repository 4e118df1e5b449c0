"""What somebody sends instead of, or as, a scanned code, read into a `Scan`: no I/O, and no judgement beyond the code.

By their lengths: a station's rotating code, a poster, a member card (at a resident's door), or digits alone.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from timebank import codes
from timebank.codes import CodeMalformed, CodeRefused, Scan
from timebank.keys import Keys

SIX, EIGHT = 6, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a phone sends. `late`: the code was scanned when it was shown, and had no network. `digits`: the six beside
    the screen's code, with a poster's code or a station's number. `door_code`: the eight a resident reads out."""

    code: str = ""
    late: bool = False
    digits: str | None = None
    station_number: int | None = None
    door_code: str | None = None

    def beside(self) -> tuple[str, ...]:
        """What was sent beside the code, for `Punch`: empty for a code alone."""
        chosen = {
            "late": "1" if self.late else None,
            "digits": self.digits,
            "station": None if self.station_number is None else str(self.station_number),
            "door": self.door_code,
        }
        return tuple(f"{name}:{value}" for name, value in chosen.items() if value is not None)


def try_read(keys: Keys, sent: Sent, now: datetime) -> tuple[Scan | None, str | None]:
    """What was sent, or the code of why it is refused: for `Punch`."""
    try:
        return read(keys, sent, now), None
    except CodeRefused as refused:
        return None, refused.code


def read(keys: Keys, sent: Sent, now: datetime) -> Scan:
    """What was sent, scanned at `now`. Raises `CodeRefused`."""
    if sent.door_code is not None:
        return Scan(text="", source="door", occurred_at=now, digits=bare(sent.door_code, EIGHT))
    if sent.digits is not None:
        digits = bare(sent.digits, SIX)
        if sent.code:
            return replace(codes.read_poster_code(keys.poster, sent.code, now), source="digits", digits=digits)
        if sent.station_number is None:
            raise CodeMalformed()
        return Scan(
            text=str(sent.station_number),
            source="digits",
            occurred_at=now,
            station_number=sent.station_number,
            digits=digits,
        )
    length = len(codes.normalise(sent.code)) if len(sent.code) <= 200 else 0
    if length == codes.POSTER_LENGTH:
        return codes.read_poster_code(keys.poster, sent.code, now)
    if length == codes.CARD_LENGTH:
        return codes.read_card_code(keys.card, sent.code, now, "door")
    if sent.late:
        return codes.read_late_code(keys.station, sent.code, now)
    return codes.read_station_code(keys.station, sent.code, now)


def bare(text: str, length: int) -> str:
    """Digits without the blanks and hyphens that people type; CodeMalformed unless there are `length`."""
    digits = text.replace(" ", "").replace("-", "")
    if len(digits) != length or not digits.isascii() or not digits.isdigit():
        raise CodeMalformed()
    return digits
