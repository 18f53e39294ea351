"""Compare runs: their scores, the flags in which they differ, and their curves."""

import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any

from tinkering.cli.values import Flag
from tinkering.errors import InputError
from tinkering.runs.metrics import EXAMPLE, read_metrics

RUN_NAMES = ("run_id", "save_path", "model_name")  # flags that differ between any two runs
MISSING = "-"

# Entries of results.json that are read here, and their types.
NUMBERS: tuple[str, ...] = ("num_parameters", "num_steps", "best_val_accuracy", "best_step")
NUMBERS += ("test_accuracy", "train_seconds", "images_per_second")
RESULT_TYPES = dict.fromkeys(NUMBERS, int | float | None) | {"flags": dict | None}


@dataclass(frozen=True)
class Run:
    """The contents of the folder of a run."""

    metrics: list[dict[str, str]]  # the rows of metrics.csv
    results: dict[str, Any]  # of results.json; empty before the run has ended
    flags: dict[str, Any]

    @property
    def num_steps(self) -> int:
        """The number of steps trained so far, as far as the metrics show."""
        return max((int(row["step"]) for row in self.metrics), default=0)

    def curve(self, column: str) -> list[tuple[int, float]]:
        """(step, value) of each row of the metrics with a finite number in the column."""
        points = [(int(row["step"]), float(row[column])) for row in self.metrics if row[column]]
        return [(step, value) for step, value in points if math.isfinite(value)]


def compare(
    *runs: Annotated[str, Flag(f"folder of a run, such as {EXAMPLE}")],
    plot_file: Annotated[str, Flag("PNG file for the plot of the curves")] = "comparison.png",
) -> None:
    """Compare runs in a table, by the flags in which they differ, and in a plot of accuracy.

    usage: python -m tinkering compare RUN ... [--plot_file comparison.png]

    A run that is still training is shown as far as it has come.
    """
    from tinkering.reporting.plots import draw_comparison

    if not runs:
        raise InputError(f"name at least one run, such as {EXAMPLE}")
    if Path(plot_file).suffix.lower() != ".png":
        raise InputError(f"--plot_file {plot_file}: the name of the plot must end in .png")
    folders = {Path(os.path.realpath(run)): Path(run) for run in runs}  # without duplicates
    found = dict(zip(short_names([*folders]), map(read_run, folders.values()), strict=True))
    rows = [{"run": name} | summary(run) for name, run in found.items()]
    _print_table([[*rows[0]], *([*row.values()] for row in rows)])
    for name, run in found.items():
        if note := run.results.get("note"):
            print(f"the scores of {name} are {note}")
    if len(found) > 1:
        print()
        _print_differences(found)
    curves = {name: run.curve("val_accuracy") for name, run in found.items()}
    draw_comparison(curves, Path(plot_file))
    print(f"\ndrew {plot_file}")


def short_names(folders: Sequence[Path]) -> list[str]:
    """A printable name for each of different folders: as many last parts as make it unique."""
    names = []
    for folder in folders:
        others = [other.parts for other in folders if other != folder]
        length = 1
        while folder.parts[-length:] in [parts[-length:] for parts in others]:
            length += 1
        name = str(Path(*folder.parts[-length:]))
        names.append("".join(c if c.isprintable() else ascii(c)[1:-1] for c in name))
    return names


def read_run(folder: Path) -> Run:
    """Read the folder of a run; raises InputError if it is none, or if a file is damaged."""
    import yaml

    metrics = read_metrics(folder)
    results = _read(folder / "results.json", json.loads)
    for name, type_ in RESULT_TYPES.items():
        if not isinstance(value := results.get(name), type_):
            damage = f"{name} is {value!r}"
            raise InputError(f"{folder / 'results.json'} is damaged: {damage}; move it away")
    flags = _read(folder / "config.yaml", yaml.safe_load) or results.get("flags") or {}
    run = Run(metrics, results, flags)
    is_outdated = (results.get("num_steps") or run.num_steps) < run.num_steps
    return Run(metrics, {}, flags) if is_outdated else run  # the run was continued since


def _read(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """The entries of a JSON or YAML file; none if there is no such file."""
    import yaml

    try:
        content = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path} cannot be read or is damaged; move it away") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged: it does not hold named values; move it away")
    return {str(name): value for name, value in content.items()}


def summary(run: Run) -> dict[str, str]:
    """The scores and the speed of a run, by headings."""
    results, flags = run.results, run.flags
    best = max(run.curve("val_accuracy"), key=itemgetter(1), default=(None, None))
    _, seconds = max(run.curve("seconds"), default=(None, None))
    speeds = [value for _, value in run.curve("images_per_second")]
    speed = statistics.fmean(speeds) if speeds else None
    return {
        "data set": _data_set(flags),
        "network": str(flags.get("arch", MISSING)),
        "parameters": _format(results.get("num_parameters"), ","),
        "optimizer": str(flags.get("optimizer", MISSING)),
        "steps": _steps(run),
        "best validation": _format(results.get("best_val_accuracy", best[1]), ".2%"),
        "at step": _format(results.get("best_step", best[0]), ","),
        "test": _format(results.get("test_accuracy"), ".2%"),
        "seconds": _format(results.get("train_seconds", seconds), ",.0f"),
        "images/s": _format(results.get("images_per_second", speed), ",.0f"),
    }


def _data_set(flags: dict[str, Any]) -> str:
    name = str(flags.get("dataset", MISSING))
    return f"{name} {flags.get('emnist_split', '')}" if name in ("emnist", "glyphs") else name


def _steps(run: Run) -> str:
    """The steps done and, if the run has not ended, of how many."""
    if run.results:
        return f"{run.num_steps:,}"
    planned = _format(run.flags.get("num_total_iterations"), ",")
    return f"{run.num_steps:,} " + ("so far" if planned == MISSING else f"of {planned}")


def _format(value: object, specification: str) -> str:
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return format(value, specification) if is_number else MISSING


def _print_differences(runs: dict[str, Run]) -> None:
    """Print the flags in which runs differ; a row for each run or each flag, whichever are more."""
    flags = dict.fromkeys(name for run in runs.values() for name in run.flags)
    rows = [[name, *(_flag_text(run.flags, name) for run in runs.values())] for name in flags]
    differing = [row for row in rows if row[0] not in RUN_NAMES and len(set(row[1:])) > 1]
    if not differing:
        print("no flags differ")
    elif len(runs) > len(differing):
        _print_table(_transpose([["run", *runs], *differing]))
    else:
        _print_table([["flag", *runs], *differing])


def _flag_text(flags: dict[str, Any], name: str) -> str:
    """The value of a flag as it is written on a command line."""
    value = flags.get(name, MISSING)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print a table whose first row is its header; no line is broken outside a terminal.

    In a terminal it has rules and is fitted to the width; one that is too wide is transposed.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    in_terminal = sys.stdout.isatty()
    console = Console(force_terminal=in_terminal, markup=False, emoji=False, highlight=False)
    if not in_terminal:
        console.width = 100_000
    if sum(max(map(len, cells)) + 3 for cells in _transpose(rows)) > console.width:
        rows = _transpose(rows)
    table = Table(box=box.SIMPLE_HEAD if in_terminal else None, pad_edge=False)
    for name, *cells in _transpose(rows):
        is_number = all(cell[:1].isdigit() or cell == MISSING for cell in cells)
        table.add_column(name, overflow="fold", justify="right" if is_number else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)


def _transpose(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)]
