"""What a run tells: bars in a terminal and plain lines anywhere else, and metrics.csv."""

import csv
import io
import sys
from pathlib import Path
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from tinkering.atomic import replace_file
from tinkering.errors import WriteError

COLUMNS = ("step", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy")


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


class Journal:
    """The console of one run; a context, inside which the bars are shown.

    In a terminal rich owns the bottom lines: its bar over the whole run, and under it the
    bar that tqdm draws for the segment or the validation under way. tqdm writes into a line
    of rich's display and never to the terminal, so the two cannot garble each other.

    Args:
        num_steps: optimizer steps of the whole run.
        batch_size: images a step, for images/s.
        metrics: gets a row for each line of metrics.
        first_step: steps that the run has behind it.
    """

    def __init__(self, num_steps: int, batch_size: int, metrics: MetricsFile, first_step: int = 0):
        self.metrics = metrics
        self.batch_size = batch_size
        self.console = Console()
        self.in_terminal = sys.stdout.isatty() and not self.console.is_dumb_terminal
        self._line = _Line()
        self._bar: tqdm | None = None  # of the segment under way
        self._segment_start = first_step
        self._progress = Progress(
            TextColumn("run"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]:,.0f} images/s, left"),
            TimeRemainingColumn(),
            expand=True,
        )
        self._task = self._progress.add_task(
            "run", total=num_steps, completed=first_step, speed=0.0
        )
        self._live = Live(
            get_renderable=self._render,
            console=self.console,
            refresh_per_second=4,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self.in_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def progress_bar(self, *args: object, **kwargs: object) -> tqdm:
        """A tqdm whose bar appears under the run's own; none where there is no terminal."""
        if not self.in_terminal:
            return tqdm(*args, **kwargs, disable=True)
        # One column less than there is, as a full last column would wrap the line; and no
        # steps a second, which the bar of the run tells as images/s.
        kwargs |= {"file": self._line, "ncols": self.console.width - 1, "ascii": False}
        kwargs["bar_format"] = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        return tqdm(*args, **kwargs)

    def segment_bar(self, *args: object, **kwargs: object) -> tqdm:
        """The progress_bar of a training segment, which also moves the bar of the run."""
        self._bar = self.progress_bar(*args, **kwargs)
        return self._bar

    def segment_done(self, step: int) -> None:
        self._segment_start, self._bar = step, None

    def _render(self) -> Group:
        if self._bar is not None:
            rate = self._bar.format_dict["rate"] or 0.0  # steps a second
            self._progress.update(
                self._task,
                completed=self._segment_start + self._bar.n,
                speed=rate * self.batch_size,
            )
        return Group(self._progress.get_renderable(), Text(self._line.text, no_wrap=True))

    def plan(self, rows: dict[str, str]) -> None:
        """What the run is going to do, before it does it."""
        if self.in_terminal:
            self.console.print(Panel(_grid(rows), title="plan", title_align="left"))
        else:
            self._plain(rows)

    def training(self, step: int, loss: float, accuracy: float, lr: float) -> None:
        """The line of metrics within a segment; loss and accuracy since the line before."""
        self.metrics.add(step=step, lr=lr, train_loss=loss, train_accuracy=accuracy)
        self.line(f"step {step:>6,}  train  loss {loss:.4f}  accuracy {accuracy:7.2%}  lr {lr:.2e}")

    def validation(self, step: int, loss: float, accuracy: float, is_best: bool) -> None:
        """The line of metrics at the end of a segment."""
        self.metrics.add(step=step, val_loss=loss, val_accuracy=accuracy)
        note = "  best so far" if is_best else ""
        self.line(f"step {step:>6,}  valid  loss {loss:.4f}  accuracy {accuracy:7.2%}{note}")

    def results(self, rows: dict[str, str]) -> None:
        """The table at the end."""
        if self.in_terminal:
            self.console.print(Panel(_grid(rows), title="results", title_align="left"))
        else:
            self._plain(rows)

    def line(self, text: str) -> None:
        """One line, above the bars where there are any."""
        if self.in_terminal:
            self.console.print(text, highlight=False, markup=False)
        else:
            print(text, flush=True)

    def _plain(self, rows: dict[str, str]) -> None:
        width = max(len(name) for name in rows)
        for name, value in rows.items():
            self.line(f"{name:<{width}}  {value}")


class _Line:
    """A file that remembers what tqdm would have on its line of the terminal."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        if shown := text.rsplit("\r", 1)[-1].rstrip("\n"):
            self.text = shown

    def flush(self) -> None:
        pass


def _grid(rows: dict[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), Text(value))
    return table
