import re
import signal
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from tests.helpers import make_run
from tinkering.errors import WriteError
from tinkering.reporting import journal as journal_module
from tinkering.reporting.console import RunConsole
from tinkering.reporting.journal import Journal, open_journal
from tinkering.runs.metrics import read_metrics
from tinkering.runtime.distributed import Group
from tinkering.runtime.signals import Stopper

PLAN = {"data set": "glyphs", "device": "cpu"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    monkeypatch.setattr(run, "update_seconds", lambda: None)  # the tests set them
    return run


def journal_of(run):
    return Journal(RunConsole(10, 8), run, PLAN)


def report(journal, steps=(2, 4), seconds_per_step=0.5):
    """Report training metrics at these steps, and a validation at the last."""
    loop = journal.run.loop
    for loop.step in steps:
        loop.train_seconds = seconds_per_step * loop.step
        journal.training(loop.step, 0.5, 0.25, 1e-3)
    journal.validation(0.4, 0.75, is_best=True)


def continue_from(run, step, num_rows):
    """As a state of this step and so many lines of metrics."""
    run.loop.step, run.loop.train_seconds = step, 0.5 * step
    run.loop.metrics = run.loop.metrics[:num_rows]


def test_a_line_of_metrics_has_epochs_and_images_per_second(run):
    report(journal_of(run))
    rows = read_metrics(run.files.folder)
    assert [row["epoch"] for row in rows] == ["0.32", "0.64", "0.64"]
    assert [row["images_per_second"] for row in rows] == ["16.0", "16.0", ""]
    assert [row["seconds"] for row in rows] == ["1.0", "2.0", "2.0"]
    assert (rows[2]["val_loss"], rows[2]["val_accuracy"]) == ("0.4", "0.75")


def test_the_short_last_batch_of_an_epoch_counts_as_short(run):
    report(journal_of(run), steps=(6, 7))
    rows = read_metrics(run.files.folder)
    assert [row["epoch"] for row in rows[:2]] == ["0.96", "1.0"]
    assert [row["images_per_second"] for row in rows[:2]] == ["16.0", "4.0"]


def test_a_run_that_continues_counts_from_its_last_line(run):
    report(journal_of(run))
    continue_from(run, 4, num_rows=3)
    report(journal_of(run), steps=(6,))
    rows = read_metrics(run.files.folder)
    assert len(rows) == 5
    assert rows[3]["images_per_second"] == "16.0"


def test_the_log_has_the_facts_and_every_line_of_the_console_with_its_time(run, capsys):
    run.notices, run.flags["val_size"] = ["beware"], 0
    journal = journal_of(run)
    report(journal)
    (log,) = run.files.folder.glob("run_*.log")
    assert re.fullmatch(r"run_\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d\.log", log.name)
    lines = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S", line) for line in lines)
    logged = [line[21:] for line in lines]
    shown = capsys.readouterr().out.splitlines()
    assert logged[-len(shown) :] == shown
    assert logged[0].startswith("command  ")
    assert shown[:3] == ["data set  glyphs", "device    cpu", "beware"]
    assert shown[3].startswith("scores will be OPTIMISTIC")
    assert "step      2  train  loss 0.5000  accuracy  25.00%  lr 1.00e-03" in shown
    assert "step      4  valid  loss 0.4000  accuracy  75.00%  best so far" in shown


def test_a_log_that_cannot_be_written_is_named(run):
    journal = journal_of(run)
    (log,) = run.files.folder.glob("run_*.log")
    log.unlink()
    log.mkdir()
    with pytest.raises(WriteError, match=r"run_.*\.log: Is a directory"):
        journal.line("anything")


def test_there_is_a_report_from_the_first_validation_on(run):
    report(journal_of(run))
    page = run.files.report.read_text()
    assert page.startswith("# run\n")
    assert "| data set | glyphs |" in page
    assert "| 4 | 0.64 | 0.4000 | 75.00% | 0.5000 | 25.00% | 2 |" in page


@pytest.fixture
def drawn(run, monkeypatch):
    """The drawings of a run with plots; each takes 0.5 s of a clock that is set by hand."""
    clock = {"now": 0.0, "drawings": 0}

    def draw(*_):
        clock["now"] += 0.5
        clock["drawings"] += 1

    run.flags["plots"] = True
    monkeypatch.setattr(journal_module, "perf_counter", lambda: clock["now"])
    monkeypatch.setattr(journal_module, "draw_epoch_metrics", draw)
    monkeypatch.setattr(journal_module, "draw_batch_metrics", lambda *_: None)
    monkeypatch.setattr(journal_module, "draw_samples", lambda *_: None)
    return clock


def test_drawing_the_curves_takes_a_hundredth_of_the_time_at_most(run, drawn):
    journal = journal_of(run)
    for _ in range(100):
        drawn["now"] += 10
        journal.validation(0.4, 0.75, is_best=False)
        assert 0.5 * drawn["drawings"] <= 0.01 * drawn["now"]
    assert drawn["drawings"] >= 19


def open_for(run, stop=None):
    return open_journal(RunConsole(10, 8), run, stop or Stopper(), torch.device("cpu"), "")


@pytest.mark.parametrize(
    ("error", "num_drawings"), [(None, 1), (RuntimeError, 0), (KeyboardInterrupt, 0)]
)
def test_the_curves_are_drawn_at_the_end_unless_an_error_is_the_end(
    run, drawn, error, num_drawings
):
    with pytest.raises(error) if error else nullcontext(), open_for(run) as journal:
        journal.validation(0.4, 0.75, is_best=False)
        if error:
            raise error
    assert drawn["drawings"] == num_drawings


def test_a_stop_saves_the_state_draws_the_curves_and_says_how_to_continue(run, drawn, capsys):
    def be_stopped():
        with Stopper() as stop, open_for(run, stop) as journal:
            journal.validation(0.4, 0.75, is_best=False)
            run.loop.step = 4
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as end:
        be_stopped()
    assert end.value.code == 143
    assert drawn["drawings"] == 1
    assert run.files.state.exists()
    assert "stopped by SIGTERM after step 4; saved. Continue with: " in capsys.readouterr().out


def test_plots_that_cannot_be_drawn_are_a_warning(run, drawn, monkeypatch, capsys):
    def fail(_rows, path):
        raise WriteError(path, OSError(28, "No space left on device"))

    monkeypatch.setattr(journal_module, "draw_epoch_metrics", fail)
    journal = journal_of(run)
    journal.validation(0.4, 0.75, is_best=False)
    journal.draw()
    assert "warning: no plots: cannot write" in capsys.readouterr().out


def test_only_the_first_process_reports(run, capsys):
    run.group = Group(1, 2, 1)
    with open_for(run) as journal:
        for report_nothing in (journal.line, journal.training, journal.validation, journal.results):
            report_nothing("x")
    assert capsys.readouterr() == ("", "")
    assert not list(run.files.folder.glob("*.log"))


def test_tensorboard_has_the_metrics_and_no_step_twice_after_a_run_continues(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run.flags["tensorboard"] = True
    journal = journal_of(run)
    report(journal)
    journal.close()
    continue_from(run, 2, num_rows=1)
    journal = journal_of(run)
    report(journal, steps=(4, 6))
    journal.close()
    events = EventAccumulator(str(run.files.folder / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [2, 4, 6]
    assert [event.step for event in events.Scalars("val/accuracy")] == [6]
    assert events.Scalars("val/accuracy")[0].value == 0.75


def test_a_run_starts_without_matplotlib_and_tensorboard():
    code = "import tinkering.reporting.journal, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "tensorboard", "timm", "yaml", "torchinfo"} & set(done.stdout.split())
