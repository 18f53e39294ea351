"""Makes the parts of the README that a program knows better, and the picture in it.

python docs/make_readme.py
"""

import json
import re
import statistics
import string
import sys
import textwrap
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
TIMES = "train_seconds", "wall_seconds"


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
    for recipe, what in DATA.items():
        found = figures[recipe]
        times = (f"{shown(statistics.mean(found[key]))} s" for key in TIMES)
        cells = what, spread(found), *times, f"`{found['command']}`"
        lines.append(f"| {' | '.join(cells)} |")
    (conditions,) = {conditions_of(found) for found in figures.values()}
    return "\n".join(
        [*lines, "", f"Measured {conditions}, without plots, by `python benchmarks/accuracy.py`."]
    )


def spread(found: dict) -> str:
    """Mean and standard deviation of the test accuracy over the seeds."""
    percent = [100 * accuracy for accuracy in found["test_accuracy"]]
    return f"{statistics.mean(percent):.2f} ± {statistics.stdev(percent):.2f} %"


def conditions_of(found: dict) -> str:
    return (
        f"{found['date']} on {found['machine']}, {found['threads']} threads, torch "
        f"{found['torch']}, seeds {', '.join(map(str, found['seeds']))}"
    )


def preset_text(path: Path, figures: dict) -> str:
    """A preset whose opening comment ends with what it reaches, and in what time."""
    comment, flags = re.fullmatch(
        r"((?:#.*\n)+?)(?:# (?:Reaches|Takes) (?s:.*?)\n)?(\w(?s:.*))", path.read_text()
    ).groups()
    told = _reaches(figures[path.stem]) if path.stem in figures else _takes(yaml.safe_load(flags))
    lines = textwrap.fill(told, 98, initial_indent="# ", subsequent_indent="# ")
    return f"{comment}{lines}\n{flags}"


def _reaches(found: dict) -> str:
    return (
        f"Reaches {spread(found)} on the test set in "
        f"{shown(statistics.mean(found['train_seconds']))} s of training: {conditions_of(found)}."
    )


def _takes(flags: dict) -> str:
    """How long the default network takes, which was not trained to the end."""
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
    """What the program does in a second, and what the usual loop does."""
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
    """What a benchmark wrote into docs/."""
    return json.loads((ROOT / "docs" / f"{name}.json").read_text())


def readme() -> str:
    """The README with its made parts made anew from the signature of main and the figures."""
    figures = read_figures("accuracy")
    text = (ROOT / "README.md").read_text()
    return fill_in(
        text,
        flags=flag_table(),
        accuracy=accuracy_table(figures),
        console=console(figures),
        speed=speed_text(read_figures("throughput")),
    )


def fill_in(text: str, **parts: str) -> str:
    """The text with each part put between its marks, `<!-- name -->` and `<!-- /name -->`."""
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
    (ROOT / "README.md").write_text(readme())
