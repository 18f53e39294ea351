"""Puts the figures that the benchmarks have written into the page that states them.

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
from benchmarks.bars import Bar, shown, spread  # noqa: E402
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
    """The figures that the ratios are of."""
    rounds = figures["rounds"]
    rows = [(what, *spread([found[what] for found in rounds])) for what in rounds[0]]
    return _table(("what", "median", "least to most"), rows)


def time_table(figures: dict) -> str:
    """What is claimed of the time to 99 %, and the recipes that it is claimed of."""
    claims = bars_table(figures)
    return (
        claims + "\n\n" + _table(time_to_accuracy.HEADINGS, time_to_accuracy.rows(figures["runs"]))
    )


def plotting_table(figures: dict) -> str:
    """What a drawing costs, a column for each width of the network."""
    widths = figures["widths"]
    rows = [
        (what, *(shown(found[what]) for found in widths.values()))
        for what in next(iter(widths.values()))
    ]
    return _table(("what", *(f"width {width}" for width in widths)), rows)


def scaling_table(figures: dict) -> str:
    """Images a second, and what they are of the first of the same width, in the same round."""
    rounds, rows = figures["rounds"], []
    for what in rounds[0]:
        first = next(name for name in rounds[0] if name.split(",")[0] == what.split(",")[0])
        ratios = spread([found[what] / found[first] for found in rounds])
        rows.append((what, *spread([found[what] for found in rounds]), *ratios))
    heads = ("what", "images/s", "least to most", "times one core", "least to most")
    return _table(heads, rows)


# A part of the page: the file its figures are in, and what makes it.
PARTS: dict[str, tuple[str, Callable[[dict], str]]] = {
    "throughput_conditions": ("throughput.json", conditions),
    "throughput_bars": ("throughput.json", bars_table),
    "throughput_rounds": ("throughput.json", rounds_table),
    "time_conditions": ("time_to_accuracy.json", conditions),
    "time_table": ("time_to_accuracy.json", time_table),
    "plotting_conditions": ("plotting.json", conditions),
    "plotting_table": ("plotting.json", plotting_table),
    "scaling_conditions": ("scaling.json", conditions),
    "scaling_table": ("scaling.json", scaling_table),
}


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, ("---", *["--:"] * (len(headings) - 1)), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page() -> str:
    """docs/performance.md with its parts made anew; those without figures stay as they are."""
    made = {
        name: table(json.loads((DOCS / file).read_text()))
        for name, (file, table) in PARTS.items()
        if (DOCS / file).exists()
    }
    return fill_in((DOCS / "performance.md").read_text(), **made)


if __name__ == "__main__":
    (DOCS / "performance.md").write_text(page())
