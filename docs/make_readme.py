"""Makes the tables and figures of README.md and docs/flags.md, and the picture of glyphs.

python docs/make_readme.py
"""

import json
import re
import statistics
import string
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.bars import shown  # noqa: E402
from run_gradient_based import main  # noqa: E402
from tinkering.cli.run import describe  # noqa: E402

DATA = {
    "glyphs": "glyphs, 47 classes",
    "mnist": "MNIST",
    "mnist-fp32": "MNIST, in fp32 and not in bf16",
    "emnist-bymerge": "EMNIST bymerge, 47 classes, reduced: 160,171 training images",
    "emnist-byclass": "EMNIST byclass, 62 classes, reduced: 113,306 training images",
    "kmnist": "KMNIST",
    "fashion_mnist": "Fashion-MNIST",
    "chars74k": "Chars74K's pen strokes in EMNIST's format, 62 classes, unseen writers",
    "speedrun": "MNIST in seconds",
    "mlp-mnist": "MNIST, a perceptron of 128 units",
    "fcn-mnist": "MNIST, fully connected",
    "pipeline": "MNIST, LeNet-5, with early stopping",
    "pytorch-example": "MNIST, PyTorch's example",
    "preact20": "MNIST, ResNet-20 with pre-activation",
    "resnet18": "MNIST, ResNet-18",
}
PRESETS = ROOT / "tinkering" / "cli" / "presets"
PAGES = ROOT / "README.md", ROOT / "docs" / "flags.md"
TIMES = "train_seconds", "wall_seconds"
TEN_FLAGS = (
    "dataset",
    "emnist_split",
    "augment",
    "arch",
    "width",
    "num_total_iterations",
    "batch_size",
    "lr",
    "seed",
    "run_id",
)


def flag_table(names: Sequence[str] = ()) -> str:
    """A row for each flag of a training run; of those named, if any are."""
    lines = ["| flag | values | default | what it means |", "|---|---|---|---|"]
    for row in describe(main):
        if row.name in names or not names:
            lines.append(f"| `--{row.name}` | {row.values} | {row.default} | {row.help} |")
    return "\n".join(lines)


def result_text(found: dict) -> str:
    """One line: what the program reaches on MNIST, and in what time."""
    return (
        f"**{spread(found)}** on MNIST's test set after "
        f"{statistics.mean(found['train_seconds']):.0f} s of training on {found['machine']}; "
        f"mean ± standard deviation of {len(found['seeds'])} seeds."
    )


def accuracy_table(figures: dict) -> str:
    """A row for each recipe that was measured, and under what conditions."""
    measured = {recipe: what for recipe, what in DATA.items() if recipe in figures}
    lines = [
        "| data | test accuracy, mean ± deviation | training | whole command | command |",
        "|---|---|---|---|---|",
    ]
    for recipe, what in measured.items():
        found = figures[recipe]
        times = (f"{shown(statistics.mean(found[key]))} s" for key in TIMES)
        cells = what, spread(found), *times, f"`{found['command']}`"
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Measured without plots by `python benchmarks/accuracy.py`:", ""]
    for conditions in dict.fromkeys(conditions_of(figures[recipe]) for recipe in measured):
        rows = [w for r, w in measured.items() if conditions_of(figures[r]) == conditions]
        what = "all rows" if len(rows) == len(measured) else "; ".join(rows)
        lines.append(f"- {what}: {conditions}.")
    return "\n".join(lines)


def spread(found: dict) -> str:
    """Mean and standard deviation of the test accuracy over the seeds; of one, the accuracy."""
    percent = [100 * accuracy for accuracy in found["test_accuracy"]]
    if len(percent) == 1:
        return f"{percent[0]:.2f} % (one seed)"
    return f"{statistics.mean(percent):.2f} ± {statistics.stdev(percent):.2f} %"


def conditions_of(found: dict) -> str:
    return (
        f"{found['date']} on {found['machine']}, {found['threads']} threads, torch "
        f"{found['torch']}, seeds {', '.join(map(str, found['seeds']))}"
    )


def preset_text(path: Path, figures: dict) -> str:
    """The text of a preset file, its first comment ending with its measured accuracy and time."""
    comment, flags = re.fullmatch(
        r"((?:#.*\n)+?)(?:# (?:Reaches|Takes) (?s:.*?)\n)?(\w(?s:.*))", path.read_text()
    ).groups()
    measured = figures.get(path.stem)
    figure = _accuracy(measured) if measured else _minutes(yaml.safe_load(flags))
    lines = textwrap.fill(figure, 98, initial_indent="# ", subsequent_indent="# ")
    return f"{comment}{lines}\n{flags}"


def _accuracy(found: dict) -> str:
    return (
        f"Reaches {spread(found)} on the test set in "
        f"{shown(statistics.mean(found['train_seconds']))} s of training: {conditions_of(found)}."
    )


def _minutes(flags: dict) -> str:
    """The time that the default network needs, computed from its speed."""
    found = read_figures("throughput")
    speeds = [figures["whole program, width 64, images/s"] for figures in found["rounds"]]
    num_images = flags["num_total_iterations"] * flags["batch_size"]
    return (
        f"Takes {num_images / statistics.median(speeds) / 60:.0f} minutes of training at the speed "
        f"measured {found['date']} on {found['machine']}, torch {found['torch']}."
    )


def console(figures: dict) -> str:
    found = figures["mnist"]
    command = f"$ {found['command']} | tail -{len(found['console'])}"
    return "\n".join(f"    {line}".rstrip() for line in [command, *found["console"]])


def speed_text(found: dict) -> str:
    """The speed of the program, and its ratio to that of the usual training loop."""
    figures = {
        what: statistics.median(one[what] for one in found["rounds"]) for what in found["rounds"][0]
    }
    times = {bar["what"]: statistics.median(bar["rounds"]) for bar in found["bars"]}
    sizes = (
        f"{figures[f'whole program, width {width}, images/s']:,.0f} images/s at width {width}, "
        f"{times[f'whole program / straightforward program, width {width}']:.1f} times as many as "
        "the usual loop"
        for width in (64, 16)
    )
    return textwrap.fill(
        f"Measured {found['date']} on {found['machine']}, torch {found['torch']}: "
        f"{'; '.join(sizes)}.",
        98,
    )


def read_figures(name: str) -> dict:
    """The figures that a benchmark has written into docs/."""
    return json.loads((ROOT / "docs" / f"{name}.json").read_text())


def pages() -> dict[Path, str]:
    """The text of each page with its tables and figures, from main's signature and docs/*.json."""
    figures = read_figures("accuracy")
    parts = {
        "result": result_text(figures["mnist"]),
        "ten_flags": flag_table(TEN_FLAGS),
        "flags": flag_table(),
        "accuracy": accuracy_table(figures),
        "console": console(figures),
        "speed": speed_text(read_figures("throughput")),
    }
    return {page: fill_in(page.read_text(), **parts) for page in PAGES}


def fill_in(text: str, **parts: str) -> str:
    """The text with each part put between `<!-- name -->` and `<!-- /name -->`."""
    for name, made in parts.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = between.sub(lambda found, made=made: f"{found[1]}{made}\n{found[2]}", text)
    return text


def draw_picture() -> None:
    import numpy as np

    from tinkering.data.glyphs import draw_glyphs
    from tinkering.reporting.samples import contact_sheet

    classes = string.digits + string.ascii_uppercase + string.ascii_lowercase
    labels = np.tile(np.arange(62), 12)
    images = draw_glyphs([classes[label] for label in labels], seed=0)
    contact_sheet(images.numpy(), labels, classes, ROOT / "docs" / "glyphs.png")


if __name__ == "__main__":
    draw_picture()
    figures = read_figures("accuracy")
    for preset in PRESETS.glob("*.yaml"):
        preset.write_text(preset_text(preset, figures))
    for page, text in pages().items():
        page.write_text(text)
