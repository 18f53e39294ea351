"""Fills the figures of torture.py into docs/reliability.md.

python benchmarks/torture.py --json docs/reliability.json
python benchmarks/reliability.py
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from docs.make_readme import fill_in  # noqa: E402

DOCS = ROOT / "docs"
OUTCOMES = ("inputs", "refused", "harmless", "one before")


def conditions(figures: dict) -> str:
    minutes, seconds = divmod(figures["seconds"], 60)
    return (
        f"Measured {figures['date']} on {figures['machine']}, {figures['cores']} cores, torch "
        f"{figures['torch']}, in {minutes} min {seconds} s, by\n\n    {figures['command']}"
    )


def kills_table(figures: dict) -> str:
    rows = [f"| {what} | {number} |" for what, number in figures["kills"].items()]
    return "\n".join(["| what | how often |", "|---|--:|", *rows])


def damage_table(figures: dict) -> str:
    """A row for each kind of file, and their total."""
    lines = [
        "| file | kinds of damage | inputs | refused | harmless | previous one is read |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    *rows, total = figures["damage"]
    files = dict.fromkeys(row["kind"].split(":")[0] for row in rows)
    groups = {file: [r for r in rows if r["kind"].startswith(f"{file}:")] for file in files}
    for file, group in groups.items():
        sums = [sum(row[outcome] for row in group) for outcome in OUTCOMES]
        lines.append(_row(file, len(group), *sums))
    return "\n".join([*lines, _row("total", len(rows), *(total[o] for o in OUTCOMES))])


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def page() -> str:
    """The text of docs/reliability.md with the tables of docs/reliability.json."""
    figures = json.loads((DOCS / "reliability.json").read_text())
    text = (DOCS / "reliability.md").read_text()
    return fill_in(
        text,
        conditions=conditions(figures),
        kills_table=kills_table(figures),
        damage_table=damage_table(figures),
    )


if __name__ == "__main__":
    (DOCS / "reliability.md").write_text(page())
