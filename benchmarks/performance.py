"""Fills the figures of the benchmarks into docs/performance.md.

python benchmarks/throughput.py
python benchmarks/performance.py
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import time_to_accuracy  # noqa: E402
from benchmarks.bars import Bar, spread  # noqa: E402
from docs.make_readme import fill_in  # noqa: E402

DOCS = ROOT / "docs"


def conditions(figures: dict) -> str:
    minutes, seconds = divmod(figures["seconds"], 60)
    return (
        f"Measured {figures['date']} on {figures['machine']}, with {figures['threads']} threads, "
        f"precision {figures['precision']}, torch {figures['torch']}, in {minutes} min "
        f"{seconds} s, by\n\n    {figures['command']}"
    )


def bars_table(figures: dict) -> str:
    rows = [Bar(**bar).cells() for bar in figures["bars"]]
    return _table(("what", "median", "least to most", "bar", "met or missed"), rows)


def rounds_table(figures: dict) -> str:
    """The figures behind the ratios."""
    rounds = figures["rounds"]
    rows = [(what, *spread([found[what] for found in rounds])) for what in rounds[0]]
    return _table(("what", "median", "least to most"), rows)


def time_table(figures: dict) -> str:
    """The claims about the time to 99 %, and a row for each recipe."""
    claims = bars_table(figures)
    return (
        claims + "\n\n" + _table(time_to_accuracy.HEADINGS, time_to_accuracy.rows(figures["runs"]))
    )


def scaling_table(figures: dict) -> str:
    """Images/s, and their ratio to the first row of the same width in the same round."""
    rounds, rows = figures["rounds"], []
    for what in rounds[0]:
        first = next(name for name in rounds[0] if name.split(",")[0] == what.split(",")[0])
        ratios = spread([found[what] / found[first] for found in rounds])
        rows.append((what, *spread([found[what] for found in rounds]), *ratios))
    heads = ("what", "images/s", "least to most", "times one core", "least to most")
    return _table(heads, rows)


# Part of the page: the file with its figures, and the function that makes it.
PARTS: dict[str, tuple[str, Callable[[dict], str]]] = {
    "throughput_conditions": ("throughput.json", conditions),
    "throughput_bars": ("throughput.json", bars_table),
    "throughput_rounds": ("throughput.json", rounds_table),
    "time_conditions": ("time_to_accuracy.json", conditions),
    "time_table": ("time_to_accuracy.json", time_table),
    "scaling_conditions": ("scaling.json", conditions),
    "scaling_table": ("scaling.json", scaling_table),
}


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, ("---", *["--:"] * (len(headings) - 1)), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page() -> str:
    """The text of docs/performance.md with its tables; those without figures stay as they are."""
    made = {
        name: table(json.loads((DOCS / file).read_text()))
        for name, (file, table) in PARTS.items()
        if (DOCS / file).exists()
    }
    return fill_in((DOCS / "performance.md").read_text(), **made)


if __name__ == "__main__":
    (DOCS / "performance.md").write_text(page())
