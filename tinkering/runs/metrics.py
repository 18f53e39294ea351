"""metrics.csv: the metrics of a run as a table, one row for each line of the log."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from tinkering.errors import InputError, WriteError
from tinkering.files import replace_file

EXAMPLE = "saved_models/resnet_emnist"  # the folder of the default run
TIMED = ("images_per_second", "seconds")  # these differ when a run is repeated
PAIRS = (("train_loss", "train_accuracy"), ("val_loss", "val_accuracy"))  # both or neither
COLUMNS = ("step", "epoch", "lr", *PAIRS[0], *PAIRS[1], *TIMED)


class MetricsFile:
    """metrics.csv of a run that is being trained; raises WriteError if it cannot be written.

    Args:
        path: of the file, which is replaced.
        rows: the rows so far, each with a value or "" for every column; new rows are added to it.
    """

    def __init__(self, path: Path, rows: list[list]):
        self.path, self.rows = path, rows
        with replace_file(path) as file:
            file.write("".join(map(_line, [COLUMNS, *rows])).encode())

    def add(self, **values: float) -> None:
        """Add a row, empty in the columns that are not given."""
        self.rows.append([values.get(column, "") for column in COLUMNS])
        try:
            with self.path.open("a") as file:
                file.write(_line(self.rows[-1]))
        except OSError as error:
            raise WriteError(self.path, error) from error


def read_metrics(folder: Path) -> list[dict[str, str]]:
    """Read the rows of metrics.csv in the folder of a run, each by column.

    A cell is "" or the text of a number, which may be "nan" or "inf". Raises InputError if there
    is no such file or it is damaged.
    """
    path = folder / "metrics.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or (), list(reader)
    except (FileNotFoundError, NotADirectoryError) as error:
        problem = "is not the folder of a run: it has no metrics.csv"
        raise InputError(f"{folder} {problem}; give one such as {EXAMPLE}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is damaged: it is not a table of text") from error
    if missing := [name for name in COLUMNS if name not in columns]:
        raise InputError(f"{path} is not a table of metrics: it lacks {', '.join(missing)}")
    for number, row in enumerate(rows, start=2):
        if not _is_valid(row):
            raise InputError(f"{path} is damaged in line {number}; resuming the run repairs it")
    return rows


def _line(row: Sequence[object]) -> str:
    return ",".join(map(str, row)) + "\n"  # numbers and names need no quotes


def _is_valid(row: dict) -> bool:
    """Whether every cell of a row holds a number, or is empty where it may be."""
    if None in row or None in row.values():  # more cells than the header has, or fewer
        return False
    try:
        int(row["step"])
        for column in COLUMNS:
            float(row[column] or 0)
        has_epoch = math.isfinite(float(row["epoch"]))
    except ValueError:
        return False
    return has_epoch and all(bool(row[one]) == bool(row[other]) for one, other in PAIRS)
