"""Draws the curves of runs from their metrics, during a run or long after it."""

import csv
from pathlib import Path
from typing import Annotated

from tinkering.cli.values import Flag
from tinkering.errors import InputError
from tinkering.runs.metrics import COLUMNS

ALWAYS = ("step", "epoch")  # the columns that every row fills
PAIRS = (("train_loss", "train_accuracy"), ("val_loss", "val_accuracy"))  # filled together


def plot(*runs: Annotated[str, Flag("folder of a run, as saved_models/resnet_emnist")]) -> None:
    """Draws the loss and the accuracy of runs, over steps and over epochs.

    usage: python -m tinkering plot RUN ...

    Each run's metrics.csv is drawn as plots/batch_metrics.png and plots/epoch_metrics.png beside
    it. A run may be under way.
    """
    from tinkering.reporting.plots import draw_batch_metrics, draw_epoch_metrics

    if not runs:
        raise InputError("name at least one run, as saved_models/resnet_emnist")
    found = {Path(run): read_metrics(Path(run)) for run in runs}  # before any is drawn
    for folder, rows in found.items():
        plots = folder / "plots"
        draw_batch_metrics(rows, plots / "batch_metrics.png")
        draw_epoch_metrics(rows, plots / "epoch_metrics.png")
        print(f"drawn: batch_metrics.png and epoch_metrics.png in {plots}")


def read_metrics(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's metrics.csv, each cell a number or "".

    Raises:
        InputError: there is no such file, or it is not such a table.
    """
    path = folder / "metrics.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{folder} is no folder of a run: it has no metrics.csv; "
            "name one as saved_models/resnet_emnist"
        ) from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is damaged: it is no table of text") from error
    if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
        raise InputError(f"{path} is no table of a run's metrics: it lacks {', '.join(missing)}")
    for number, row in enumerate(rows, start=2):
        if not _is_whole(row):
            raise InputError(f"{path} is damaged in line {number}; going on with the run mends it")
    return rows


def _is_whole(row: dict) -> bool:
    """Whether a row has all its cells, each with a number or "" where that may be."""
    if None in row or None in row.values():  # it has more cells than the header, or fewer
        return False
    try:
        for name in COLUMNS:
            if row[name] or name in ALWAYS:
                float(row[name])
        int(row["step"])
    except ValueError:
        return False
    return all(bool(row[one]) == bool(row[other]) for one, other in PAIRS)
