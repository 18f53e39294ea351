"""metrics.csv: the lines of metrics of a run as a table."""

import csv
import io
from pathlib import Path

from tinkering.errors import WriteError
from tinkering.files import replace_file

TIMED = ("images_per_second", "seconds")  # not the same when a run is repeated
COLUMNS = (
    *("step", "epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"),
    *TIMED,
)


class MetricsFile:
    """metrics.csv: a row for each line of metrics, with the columns that it has no word on empty.

    Args:
        path: of the file; it is written anew with the rows there are.
        rows: those of the run so far; new ones are added to this list.
    """

    def __init__(self, path: Path, rows: list[list]):
        self.path, self.rows = path, rows
        with replace_file(path) as file:
            file.write("".join(map(self._line, [COLUMNS, *rows])).encode())

    def add(self, **values: float) -> None:
        """Adds a row; raises WriteError if it cannot be written."""
        self.rows.append([values.get(column, "") for column in COLUMNS])
        try:
            with self.path.open("a") as file:
                file.write(self._line(self.rows[-1]))
        except OSError as error:
            raise WriteError(self.path, error) from error

    @staticmethod
    def _line(row: list) -> str:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        return line.getvalue()
