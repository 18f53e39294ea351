"""What a run tells, and to whom: console, log, metrics.csv, TensorBoard, report and plots."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Self

from torch.utils.data import DataLoader

from tinkering.errors import WriteError
from tinkering.files import replace_file
from tinkering.reporting.console import RunConsole, aligned
from tinkering.reporting.page import page
from tinkering.reporting.plots import draw_batch_metrics, draw_epoch_metrics
from tinkering.reporting.samples import draw_samples
from tinkering.runs.layout import RunFiles
from tinkering.runs.metrics import COLUMNS, MetricsFile
from tinkering.runs.state import LoopState

MAX_DRAWING_SHARE = 0.01  # of the run's time so far, before its end


class LogFile:
    """run_<time>.log: every line that the console shows, and more, with the time of each."""

    def __init__(self, folder: Path):
        self.path = folder / f"run_{datetime.now():%Y-%m-%d_%H.%M.%S}.log"

    def write(self, text: str) -> None:
        """Adds lines; raises WriteError if they cannot be written."""
        now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(f"{now}  {line}\n" for line in text.splitlines())
        except OSError as error:
            raise WriteError(self.path, error) from error


class NullJournal:
    """The journal of a process that is not the first of its run: it tells nothing."""

    def __init__(self, *_: object):
        pass

    def __enter__(self) -> Self:
        return self

    def line(self, *_: object) -> None:
        pass

    __exit__ = lines = plan = training = validation = results = line


class Journal:
    """What one run tells; a context that ends with the last plots.

    Args:
        screen: the console.
        files: where the run's files lie.
        progress: of the run; each line of metrics is of its step and of its seconds.
        train_loader: its sampler tells the images and the epochs of a number of steps.
        tensorboard: whether to write for TensorBoard, too.
        plots: whether to draw.

    Raises:
        WriteError: a file of the run cannot be written.
    """

    def __init__(
        self,
        screen: RunConsole,
        files: RunFiles,
        progress: LoopState,
        train_loader: DataLoader,
        tensorboard: bool = False,
        plots: bool = True,
    ):
        self.screen, self.files, self.progress = screen, files, progress
        screen.at_step(progress.step)
        self._train_loader, self._sampler = train_loader, train_loader.batch_sampler
        self._log = LogFile(files.folder)
        self._metrics = MetricsFile(files.metrics, progress.metrics)
        lines = [row for row in progress.metrics if row[COLUMNS.index("train_loss")] != ""]
        self._last_step, self._last_seconds = (lines[-1][0], lines[-1][-1]) if lines else (0, 0.0)
        self._plan: dict[str, str] = {}
        self._draws = plots
        self._started, self._drawing_seconds = perf_counter(), 0.0
        self._writer = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            folder = str(files.folder / "tensorboard")
            self._writer = SummaryWriter(folder, purge_step=progress.step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer:
            self._writer.close()
        if self._draws and self._metrics.rows and kind in (None, SystemExit):
            self._draw()

    def line(self, text: str) -> None:
        self.screen.line(text)
        self._log.write(text)

    def lines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.line(text)

    def plan(
        self,
        rows: dict[str, str],
        facts: dict[str, str],
        lines: Iterable[str],
        classes: Sequence[str],
    ) -> None:
        """What the run is going to do, before it does it.

        Args:
            rows: for all to see.
            facts: for the log alone.
            lines: of what else there is to say.
            classes: the name of each label, for the picture of what the network sees.
        """
        self._plan = rows
        self._log.write("\n".join(aligned(facts)))
        self._table("plan", rows)
        self.lines(lines)
        if self._draws:
            draw_samples(self._train_loader.dataset, classes, self.files.samples)

    def training(self, step: int, loss: float, accuracy: float, lr: float) -> None:
        """The line of metrics within a segment; loss and accuracy since the line before."""
        seconds = self.progress.train_seconds
        num_images = self._sampler.num_drawn(step) - self._sampler.num_drawn(self._last_step)
        speed = num_images / max(seconds - self._last_seconds, 1e-9)
        self._last_step, self._last_seconds = step, seconds
        self._add(
            step, lr=lr, train_loss=loss, train_accuracy=accuracy, images_per_second=round(speed, 1)
        )
        self.line(f"step {step:>6,}  train  loss {loss:.4f}  accuracy {accuracy:7.2%}  lr {lr:.2e}")

    def validation(self, loss: float, accuracy: float, is_best: bool) -> None:
        """The line of metrics at the end of a segment; report and plots are brought up to date."""
        step = self.progress.step
        self._add(step, val_loss=loss, val_accuracy=accuracy)
        note = "  best so far" if is_best else ""
        self.line(f"step {step:>6,}  valid  loss {loss:.4f}  accuracy {accuracy:7.2%}{note}")
        self._write_report({})
        if self._draws and self._drawing_seconds < MAX_DRAWING_SHARE * (
            perf_counter() - self._started
        ):
            self._draw()

    def results(self, rows: dict[str, str]) -> None:
        """The table at the end."""
        self._write_report(rows)
        self._table("results", rows)

    def _draw(self) -> None:
        """Draw the curves; a drawing that fails is a warning."""
        started = perf_counter()
        try:
            rows = [dict(zip(COLUMNS, row, strict=True)) for row in self._metrics.rows]
            draw_batch_metrics(rows, self.files.plots / "batch_metrics.png")
            draw_epoch_metrics(rows, self.files.plots / "epoch_metrics.png")
        except WriteError as error:
            self.line(f"warning: no plots: {error}")
        self._drawing_seconds += perf_counter() - started

    def _table(self, title: str, rows: dict[str, str]) -> None:
        self.screen.table(title, rows)
        self._log.write("\n".join(aligned(rows)))

    def _write_report(self, results: dict[str, str]) -> None:
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in self._metrics.rows]
        text = page(self.files.run_id, self._plan, results, rows, self._draws)
        with replace_file(self.files.report) as file:
            file.write(text.encode())

    def _add(self, step: int, **values: float) -> None:
        epoch = round(self._sampler.num_drawn(step) / self._sampler.num_samples, 4)
        seconds = round(self.progress.train_seconds, 3)
        self._metrics.add(step=step, epoch=epoch, seconds=seconds, **values)
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(name.replace("_", "/", 1), value, step)
