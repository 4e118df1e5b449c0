"""Charts as drawings that the server makes: bars side by side. What they show stands in a table below them, too."""

from collections.abc import Sequence
from typing import NamedTuple

# How much of its place a bar fills.
WIDTH = 0.7


class Bar(NamedTuple):
    """One bar: its left edge, its upper edge and its height, in a drawing of as many units as bars by 100."""

    left: float
    top: float
    height: float


def bars(values: Sequence[int]) -> list[Bar]:
    """A bar for each value, in order; the greatest one reaches the top. Values are not below zero."""
    greatest = max(values, default=0) or 1
    heights = [round(100 * value / greatest, 2) for value in values]
    return [Bar(number + (1 - WIDTH) / 2, 100 - height, height) for number, height in enumerate(heights)]
