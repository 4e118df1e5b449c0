"""QR codes as one SVG path: sharp at every size, drawn without a picture library, small enough to send by the dozen."""

from typing import NamedTuple

import qrcode
from qrcode.constants import ERROR_CORRECT_Q

# ISO/IEC 18004 asks for four modules of white all round.
QUIET_MODULES = 4


class Picture(NamedTuple):
    """A QR code. `side` is the width in modules, white border included; `path` fills the dark ones."""

    side: int
    path: str


def draw(text: str) -> Picture:
    """The QR code of `text` at level Q, which a quarter of dirt or glare does not spoil."""
    code = qrcode.QRCode(error_correction=ERROR_CORRECT_Q, border=QUIET_MODULES)
    code.add_data(text)
    code.make(fit=True)
    rows: list[list[bool]] = code.get_matrix()
    return Picture(len(rows), "".join(run for y, row in enumerate(rows) for run in runs(row, y)))


def runs(row: list[bool], y: int) -> list[str]:
    """The dark stretches of one row, each as a rectangle one module high."""
    found, start = [], None
    for x, dark in enumerate([*row, False]):
        if dark and start is None:
            start = x
        elif not dark and start is not None:
            found.append(f"M{start} {y}h{x - start}v1h-{x - start}z")
            start = None
    return found
