"""What a run reports: console, log, metrics.csv, TensorBoard, report.md and plots."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from time import perf_counter
from typing import Any

import torch

from tinkering.errors import WriteError
from tinkering.files import replace_file
from tinkering.reporting.console import RunConsole, aligned
from tinkering.reporting.plan import layer_table, make_facts, make_plan
from tinkering.reporting.plots import draw_batch_metrics, draw_epoch_metrics
from tinkering.reporting.report import notes, report_page, results_table
from tinkering.reporting.samples import draw_samples
from tinkering.runs import checkpoint
from tinkering.runs.metrics import COLUMNS, MetricsFile
from tinkering.runs.run import Run
from tinkering.runtime.distributed import launch_command
from tinkering.runtime.signals import Stopped, Stopper

MAX_DRAWING_SHARE = 0.01  # of the run's time so far; the last drawing comes on top
FIRST_DRAWING_SECONDS = 1.5  # an estimate; most of it is the import of matplotlib


class NullJournal:
    """The journal of a process other than rank 0: it reports nothing."""

    def line(self, *_: object, **__: object) -> None:
        pass

    training = validation = results = draw = close = line


class Journal:
    """Everything that one run reports; raises WriteError if a file cannot be written."""

    def __init__(self, console: RunConsole, run: Run, plan: dict[str, str]):
        self.console, self.run, self._plan = console, run, plan
        self._plots: bool = run.flags["plots"]
        console.at_step(run.loop.step)
        self._sampler = run.loaders.train.batch_sampler
        self._log_path = run.files.folder / f"run_{datetime.now():%Y-%m-%d_%H.%M.%S}.log"
        self._metrics = MetricsFile(run.files.metrics, run.loop.metrics)
        lines = [row for row in run.loop.metrics if row[COLUMNS.index("train_loss")] != ""]
        self._last_step: int = lines[-1][0] if lines else 0
        self._last_seconds: float = lines[-1][-1] if lines else 0.0
        self._started, self._drawing_seconds = perf_counter(), 0.0
        self._last_drawing_seconds = FIRST_DRAWING_SECONDS
        self._writer = None
        if run.flags["tensorboard"]:
            from torch.utils.tensorboard import SummaryWriter

            folder = str(run.files.folder / "tensorboard")
            self._writer = SummaryWriter(folder, purge_step=run.loop.step + 1)
        self._log(aligned(make_facts(run)))
        self._table("plan", plan)
        for text in (*run.notices, *(f"scores will be {note}" for note in notes(run.flags))):
            self.line(text)
        if self._plots:
            draw_samples(run.loaders.train.dataset, run.classes, run.files.samples)

    def close(self) -> None:
        """Write what TensorBoard still buffers."""
        if self._writer:
            self._writer.close()

    def line(self, text: str) -> None:
        """Show a line on the console and in the log."""
        self.console.line(text)
        self._log(text)

    def training(self, step: int, loss: float, accuracy: float, lr: float) -> None:
        """Report a line of training metrics; loss and accuracy since the line before."""
        self.run.update_seconds()
        seconds = self.run.loop.train_seconds
        count = self._sampler.num_samples_before
        num_images = count(step) - count(self._last_step)
        speed = round(num_images / max(seconds - self._last_seconds, 1e-9), 1)
        self._last_step, self._last_seconds = step, seconds
        self._add(step, lr=lr, train_loss=loss, train_accuracy=accuracy, images_per_second=speed)
        self.line(f"step {step:>6,}  train  loss {loss:.4f}  accuracy {accuracy:7.2%}  lr {lr:.2e}")

    def validation(self, loss: float, accuracy: float, is_best: bool) -> None:
        """Report a validation; bring report and plots up to date."""
        step = self.run.loop.step
        self._add(step, val_loss=loss, val_accuracy=accuracy)
        note = "  best so far" if is_best else ""
        self.line(f"step {step:>6,}  valid  loss {loss:.4f}  accuracy {accuracy:7.2%}{note}")
        self._write_report({})
        allowed_seconds = MAX_DRAWING_SHARE * (perf_counter() - self._started)
        if self._plots and self._drawing_seconds + self._last_drawing_seconds <= allowed_seconds:
            self.draw()

    def results(self, results: dict[str, Any]) -> None:
        """Report the results, in results.json, too."""
        loop = self.run.loop
        if loop.step < self.run.num_steps:
            self.line(f"stopped early: {loop.num_stale} validations without a better accuracy")
        checkpoint.save_results(self.run.files.results, results)
        table = results_table(results, self.run)
        self._write_report(table)
        self._table("results", table)

    def draw(self) -> None:
        """Draw the curves; if that fails, a warning says so."""
        if not (self._plots and self._metrics.rows):
            return
        started = perf_counter()
        try:
            draw_batch_metrics(self._rows(), self.run.files.plots / "batch_metrics.png")
            draw_epoch_metrics(self._rows(), self.run.files.plots / "epoch_metrics.png")
        except (WriteError, ImportError) as error:
            self.line(f"warning: no plots: {error}")
        self._last_drawing_seconds = perf_counter() - started
        self._drawing_seconds += self._last_drawing_seconds

    def _log(self, text: str) -> None:
        now = f"{datetime.now():%Y-%m-%d %H:%M:%S}"
        try:
            with self._log_path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(f"{now}  {line}\n" for line in text.splitlines())
        except OSError as error:
            raise WriteError(self._log_path, error) from error

    def _table(self, title: str, rows: dict[str, str]) -> None:
        self.console.table(title, rows)
        self._log(aligned(rows))

    def _rows(self) -> list[dict[str, Any]]:
        return [dict(zip(COLUMNS, row, strict=True)) for row in self._metrics.rows]

    def _write_report(self, results: dict[str, str]) -> None:
        text = report_page(self.run.files.run_id, self._plan, results, self._rows(), self._plots)
        with replace_file(self.run.files.report) as file:
            file.write(text.encode(errors="backslashreplace"))

    def _add(self, step: int, **values: float) -> None:
        epoch = round(self._sampler.num_samples_before(step) / self._sampler.num_samples, 4)
        seconds = round(self.run.loop.train_seconds, 3)
        self._metrics.add(step=step, epoch=epoch, seconds=seconds, **values)
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(name.replace("_", "/", 1), value, step)


@contextmanager
def open_journal(
    console: RunConsole, run: Run, stop: Stopper, device: torch.device, compiling: str
) -> Iterator[Journal | NullJournal]:
    """Report a run in the block, with the console's bars; draw its plots at the end.

    A stop saves the run's state first. Only the process of rank 0 reports.
    """
    log: Journal | NullJournal = NullJournal()
    if run.group.is_rank0:
        log = Journal(console, run, make_plan(run, device, compiling))
        if run.flags["summary"]:
            console.line(layer_table(run))
    try:
        with console:
            yield log
        log.draw()
    except Stopped:
        with stop.finishing():
            run.save()
            where = f"{stop.requested} after step {run.loop.step:,}"
            log.line(f"stopped by {where}; saved. Continue with: {launch_command()}")
            log.draw()
        sys.exit(stop.exit_code)
    finally:
        log.close()
