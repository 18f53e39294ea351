"""Makes the parts of the README that a program knows better, and the picture in it.

python docs/make_readme.py
"""

import json
import re
import statistics
import string
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from run_gradient_based import main  # noqa: E402
from tinkering.cli import describe  # noqa: E402

DATA = {
    "glyphs": "glyphs, 47 classes",
    "mnist": "MNIST",
    "chars74k": "Chars74K's pen strokes in EMNIST's format, 62 classes, unseen writers",
}


def flag_table() -> str:
    lines = ["| flag | values | default | what it means |", "|---|---|---|---|"]
    for row in describe(main):
        lines.append(f"| `--{row.name}` | {row.values} | {row.default} | {row.help} |")
    return "\n".join(lines)


def accuracy_table(figures: dict) -> str:
    lines = [
        "| data | test accuracy, mean ± deviation | training | whole command | command |",
        "|---|---|---|---|---|",
    ]
    for recipe, found in figures.items():
        percent = [100 * accuracy for accuracy in found["test_accuracy"]]
        spread = f"{statistics.mean(percent):.2f} ± {statistics.stdev(percent):.2f} %"
        train, wall = (statistics.mean(found[key]) for key in ("train_seconds", "wall_seconds"))
        command = found["command"]
        lines.append(f"| {DATA[recipe]} | {spread} | {train:.0f} s | {wall:.0f} s | `{command}` |")
    conditions = {
        f"Measured {found['date']} on {found['machine']}, torch {found['torch']}, seeds "
        f"{', '.join(map(str, found['seeds']))}, by `python benchmarks/accuracy.py`."
        for found in figures.values()
    }
    return "\n".join([*lines, "", *sorted(conditions)])


def console(figures: dict) -> str:
    found = figures["mnist"]
    command = f"$ {found['command']} | tail -{len(found['console'])}"
    return "\n".join(f"    {line}".rstrip() for line in [command, *found["console"]])


def readme() -> str:
    """The README with its made parts made anew from the signature of main and the figures."""
    figures = json.loads((ROOT / "docs" / "accuracy.json").read_text())
    text = (ROOT / "README.md").read_text()
    return fill_in(
        text,
        flags=flag_table(),
        accuracy=accuracy_table(figures),
        console=console(figures),
    )


def fill_in(text: str, **parts: str) -> str:
    """The text with each part put between its marks, `<!-- name -->` and `<!-- /name -->`."""
    for name, made in parts.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = between.sub(lambda found, made=made: f"{found[1]}{made}\n{found[2]}", text)
    return text


def draw_picture() -> None:
    import numpy as np

    from tinkering.glyphs import draw_glyphs
    from tinkering.plots import contact_sheet

    classes = string.digits + string.ascii_uppercase + string.ascii_lowercase
    labels = np.tile(np.arange(62), 12)
    images = draw_glyphs([classes[label] for label in labels], seed=0)
    contact_sheet(images.numpy(), labels, classes, ROOT / "docs" / "glyphs.png")


if __name__ == "__main__":
    draw_picture()
    (ROOT / "README.md").write_text(readme())
