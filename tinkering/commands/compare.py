"""Sets runs side by side: their scores, the flags in which they differ, and their curves."""

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tinkering.cli.values import Flag
from tinkering.commands.plot import read_metrics
from tinkering.errors import InputError

NAMES = ("run_id", "save_path", "model_name")  # the flags that say which run it is
HEADINGS = (
    *("run", "data set", "network", "parameters", "optimizer", "steps"),
    *("best validation", "at step", "test", "seconds", "images/s"),
)
NONE = "-"


@dataclass(frozen=True)
class Run:
    """What the folder of a run tells; there are no results before its end."""

    metrics: list[dict[str, str]]
    results: dict[str, Any]
    flags: dict[str, Any]

    @property
    def curve(self) -> tuple[list[int], list[float]]:
        """The steps and the accuracies of the validations."""
        steps = [int(row["step"]) for row in self.metrics if row["val_accuracy"]]
        return steps, self.filled("val_accuracy")

    def filled(self, column: str) -> list[float]:
        """The numbers there are in a column of the metrics."""
        return [float(row[column]) for row in self.metrics if row[column]]


def compare(
    *runs: Annotated[str, Flag("folder of a run, as saved_models/resnet_emnist")],
    plot_file: Annotated[str, Flag("the picture of the curves, a PNG")] = "comparison.png",
) -> None:
    """Sets runs side by side: a table of their scores and speeds, the flags in which they
    differ, and a picture of their validation accuracies over steps.

    usage: python -m tinkering compare RUN ... [--plot_file comparison.png]

    Of a run that has not come to its end there is what it has written so far.
    """
    from tinkering.reporting.plots import draw_comparison

    if not runs:
        raise InputError("name at least one run, as saved_models/resnet_emnist")
    if Path(plot_file).suffix.lower() != ".png":
        raise InputError(f"--plot_file {plot_file}: the picture is a PNG; let its name end in .png")
    folders = {Path(run).resolve(): Path(run) for run in runs}  # one named twice is there once
    found = dict(zip(names(list(folders)), map(read_run, folders.values()), strict=True))
    _print(HEADINGS, *([name, *summary(run)] for name, run in found.items()))
    for name, run in found.items():
        if note := run.results.get("note"):
            print(f"the scores of {name} are {note}")
    if len(found) > 1:
        print()
        _print_differences(found)
    draw_comparison({name: run.curve for name, run in found.items()}, Path(plot_file))
    print(f"\ndrawn: {plot_file}")


def names(folders: Sequence[Path]) -> list[str]:
    """A name for each of these folders: its last parts, as many as tell it from the others.

    Args:
        folders: all different, and absolute.
    """
    found = []
    for folder in folders:
        others = [other.parts for other in folders if other != folder]
        length = 1
        while folder.parts[-length:] in [parts[-length:] for parts in others]:
            length += 1
        found.append(str(Path(*folder.parts[-length:])))
    return found


def read_run(folder: Path) -> Run:
    """What there is in the folder of a run; raises InputError if it is none, or is damaged."""
    metrics = read_metrics(folder)
    results = _read(folder / "results.json")
    flags = _read(folder / "config.yaml") or results.get("flags", {})
    done = _steps_done(metrics)
    if results.get("num_steps", done) < done:  # of an end that the run has since gone on from
        results = {}
    return Run(metrics, results, flags)


def _read(path: Path) -> dict[str, Any]:
    """The names and values in a JSON or YAML file; none where there is no file."""
    import yaml

    parse = json.loads if path.suffix == ".json" else yaml.safe_load
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read or is damaged; move it away") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged, it has no names and values; move it away")
    return content


def _steps_done(metrics: list[dict[str, str]]) -> int:
    return max((int(row["step"]) for row in metrics), default=0)


def summary(run: Run) -> list[str]:
    """The cells of a run under HEADINGS, after its name."""
    results, flags = run.results, run.flags
    steps, accuracies = run.curve
    best = max(accuracies, default=None)
    best_step = steps[accuracies.index(best)] if steps else None
    seconds = max(run.filled("seconds"), default=None)
    speeds = run.filled("images_per_second")
    speed = statistics.fmean(speeds) if speeds else None
    return [
        _data_set(flags),
        str(flags.get("arch", NONE)),
        _number(results.get("num_parameters"), ","),
        str(flags.get("optimizer", NONE)),
        _steps(run),
        _number(results.get("best_val_accuracy", best), ".2%"),
        _number(results.get("best_step", best_step), ","),
        _number(results.get("test_accuracy"), ".2%"),
        _number(results.get("train_seconds", seconds), ",.0f"),
        _number(results.get("images_per_second", speed), ",.0f"),
    ]


def _data_set(flags: dict) -> str:
    name = str(flags.get("dataset", NONE))
    return f"{name} {flags.get('emnist_split', '')}" if name in ("emnist", "glyphs") else name


def _steps(run: Run) -> str:
    """The steps done, and of how many where the run has not come to its end."""
    done = f"{_steps_done(run.metrics):,}"
    if run.results:
        return done
    planned = _number(run.flags.get("num_total_iterations"), ",")
    return f"{done} so far" if planned == NONE else f"{done} of {planned}"


def _number(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else NONE


def _print_differences(found: dict[str, Run]) -> None:
    """A table of the flags in which runs differ; what there is more of goes down."""
    flags = dict.fromkeys(name for run in found.values() for name in run.flags)
    rows = [[name, *(_text(run.flags, name) for run in found.values())] for name in flags]
    differing = [row for row in rows if row[0] not in NAMES and len(set(row[1:])) > 1]
    if not differing:
        print("no flags differ")
    elif len(found) > len(differing):
        _print(*zip(["run", *found], *differing, strict=True))
    else:
        _print(["flag", *found], *differing)


def _text(flags: dict, name: str) -> str:
    """The value of a flag as it is written on a command line."""
    value = flags.get(name, NONE)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)


def _print(*rows: Sequence[str]) -> None:
    """A table with a heading: with rules and fitted in a terminal, else plain, no line broken."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    in_terminal = sys.stdout.isatty()
    width = None if in_terminal else 100_000
    console = Console(
        force_terminal=in_terminal, width=width, markup=False, emoji=False, highlight=False
    )
    if sum(max(map(len, cells)) + 3 for cells in zip(*rows, strict=True)) > console.width:
        rows = list(zip(*rows, strict=True))  # too wide: what went to the right goes down
    table = Table(box=box.SIMPLE_HEAD if in_terminal else None, pad_edge=False)
    for name, *cells in zip(*rows, strict=True):
        is_number = all(cell[:1].isdigit() or cell == NONE for cell in cells)
        table.add_column(name, overflow="fold", justify="right" if is_number else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
