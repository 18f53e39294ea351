"""metrics.csv: the metrics of a run as a table, one row for each line of the log."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from tinkering.errors import InputError, WriteError
from tinkering.files import replace_file

TIMED = ("images_per_second", "seconds")  # these differ when a run is repeated
COLUMNS = (
    *("step", "epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    *TIMED,
)
REQUIRED = ("step", "epoch")  # a finite number in every row
PAIRS = (("train_loss", "train_accuracy"), ("val_loss", "val_accuracy"))  # both or neither


class MetricsFile:
    """metrics.csv of a run that is being trained; it begins with the rows it is given.

    Args:
        path: of the file, which is replaced.
        rows: the rows so far, each with a value or "" for every column; new rows are added to it.

    Raises:
        WriteError: the file cannot be written.
    """

    def __init__(self, path: Path, rows: list[list]):
        self.path, self.rows = path, rows
        with replace_file(path) as file:
            file.write("".join(map(self._line, [COLUMNS, *rows])).encode())

    def add(self, **values: float) -> None:
        """Add a row, empty in the columns not given; raises WriteError if it cannot be written."""
        self.rows.append([values.get(column, "") for column in COLUMNS])
        try:
            with self.path.open("a") as file:
                file.write(self._line(self.rows[-1]))
        except OSError as error:
            raise WriteError(self.path, error) from error

    @staticmethod
    def _line(row: Sequence) -> str:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        return line.getvalue()


def read_metrics(folder: Path) -> list[dict[str, str]]:
    """Read the rows of metrics.csv in the folder of a run.

    Returns:
        each row by column; a cell is the text of a number, which may be "nan" or "inf", or "".

    Raises:
        InputError: there is no such file, it cannot be read, or it is damaged.
    """
    path = folder / "metrics.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns, rows = reader.fieldnames or (), list(reader)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{folder} is not the folder of a run: it has no metrics.csv; "
            "give one such as saved_models/resnet_emnist"
        ) from error
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


def _is_valid(row: dict) -> bool:
    """Whether every cell of a row holds a number, or is empty where it may be."""
    if None in row or None in row.values():  # more cells than the header has, or fewer
        return False
    try:
        int(row["step"])
        numbers = {name: float(row[name]) for name in COLUMNS if row[name] or name in REQUIRED}
    except ValueError:
        return False
    return all(math.isfinite(numbers[name]) for name in REQUIRED) and all(
        bool(row[one]) == bool(row[other]) for one, other in PAIRS
    )
