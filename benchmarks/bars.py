"""A figure that was measured several times, set against what it has to reach."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Bar(NamedTuple):
    """A claim, the figure of each round of measuring, and the limit that the median has to keep."""

    what: str
    rounds: Sequence[float]
    limit: float
    at_least: bool = True  # else at most
    unit: str = ""

    @property
    def is_met(self) -> bool:
        median = statistics.median(self.rounds)
        return median >= self.limit if self.at_least else median <= self.limit

    def cells(self) -> tuple[str, ...]:
        """A row of a table: what, median, least to most, bar, met or missed."""
        bar = f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}".rstrip()
        return self.what, *spread(self.rounds, self.unit), bar, "met" if self.is_met else "missed"


def spread(rounds: Sequence[float], unit: str = "") -> tuple[str, str]:
    """Two cells of a table: the median, and the least to the most."""
    median = f"{shown(statistics.median(rounds))} {unit}".rstrip()
    return median, f"{shown(min(rounds))} to {shown(max(rounds))}"


def shown(number: float) -> str:
    """A figure in a cell of a table: three digits, or all of those before the point."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
