"""One line of the table of benchmarks: what was measured, beside what, and what it must reach."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A figure and its baseline, a value of each for every round; machines are noisy, what counts is the ratio."""

    number: str
    name: str
    figures: Sequence[float]
    baseline_name: str
    baselines: Sequence[float]
    must_reach: float
    aim: float | None
    waits: Sequence[float]
    """Seconds that each caller waited for each answer."""

    @property
    def figure(self) -> float:
        """The median of the rounds, a second."""
        return statistics.median(self.figures)

    @property
    def baseline(self) -> float:
        """The median of the rounds, a second."""
        return statistics.median(self.baselines)

    @property
    def ratio(self) -> float:
        """How many times the baseline."""
        return self.figure / self.baseline

    @property
    def ratios(self) -> list[float]:
        """Of each round, lowest first."""
        return sorted(figure / baseline for figure, baseline in zip(self.figures, self.baselines, strict=True))

    @property
    def is_met(self) -> bool:
        """Whether it reaches what it must."""
        return self.ratio >= self.must_reach

    def wait_ms(self, percent: int) -> float:
        """The wait that so many in a hundred do not exceed."""
        return statistics.quantiles(self.waits, n=100)[percent - 1] * 1000
