import re
import subprocess
import sys

import pytest

from tests.helpers import counted_images
from tinkering.data.loader import make_loader
from tinkering.errors import WriteError
from tinkering.reporting.console import RunConsole
from tinkering.reporting.journal import Journal
from tinkering.runs.layout import RunFiles
from tinkering.runs.metrics import read_metrics
from tinkering.runs.state import LoopState

PLAN = {"data set": "glyphs", "device": "cpu"}


@pytest.fixture
def files(tmp_path):
    run = RunFiles(tmp_path, "model.pt", "run")
    run.make_folders()
    return run


def journal(files, progress=None, **kwargs):
    """Of a run on 50 images, 8 a batch."""
    loader = make_loader(counted_images(50), 8, seed=0)
    kwargs = {"plots": False, **kwargs}
    return Journal(RunConsole(10, 8), files, progress or LoopState({}), loader, **kwargs)


def tell(told, steps=(2, 4), seconds_a_step=0.5):
    for step in steps:
        told.progress.step = step
        told.progress.train_seconds = seconds_a_step * step
        told.training(step, 0.5, 0.25, 1e-3)
    told.validation(0.4, 0.75, is_best=True)


def test_a_line_of_metrics_tells_the_epochs_and_the_images_a_second(files):
    tell(journal(files))
    rows = read_metrics(files.folder)
    assert [row["epoch"] for row in rows] == ["0.32", "0.64", "0.64"]
    assert [row["images_per_second"] for row in rows] == ["16.0", "16.0", ""]
    assert [row["seconds"] for row in rows] == ["1.0", "2.0", "2.0"]
    assert (rows[2]["val_loss"], rows[2]["val_accuracy"]) == ("0.4", "0.75")


def test_the_short_last_batch_of_an_epoch_counts_for_what_it_is(files):
    tell(journal(files), steps=(6, 7))
    rows = read_metrics(files.folder)
    assert [row["epoch"] for row in rows[:2]] == ["0.96", "1.0"]
    assert [row["images_per_second"] for row in rows[:2]] == ["16.0", "4.0"]


def test_a_run_that_goes_on_counts_from_its_last_line(files):
    told = journal(files)
    tell(told)
    again = journal(files, LoopState({}, step=4, train_seconds=2.0, metrics=told.progress.metrics))
    tell(again, steps=(6,))
    rows = read_metrics(files.folder)
    assert len(rows) == 5
    assert rows[3]["images_per_second"] == "16.0"


def test_the_log_has_every_line_of_the_console_with_its_time_and_the_facts_before(files, capsys):
    told = journal(files)
    told.plan(PLAN, {"revision": "abc", "--lr": "0.1"}, ["beware"], ["a"])
    tell(told)
    told.results({"test accuracy": "75%"})
    (log,) = files.folder.glob("run_*.log")
    assert re.fullmatch(r"run_\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d\.log", log.name)
    lines = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S", line) for line in lines)
    logged = [line[21:] for line in lines]
    assert logged[:2] == ["revision  abc", "--lr      0.1"]
    assert logged[2:] == capsys.readouterr().out.splitlines()
    assert "beware" in logged
    assert "step      2  train  loss 0.5000  accuracy  25.00%  lr 1.00e-03" in logged
    assert "step      4  valid  loss 0.4000  accuracy  75.00%  best so far" in logged
    assert "test accuracy  75%" in logged


def test_a_log_that_cannot_be_written_is_named(files):
    told = journal(files)
    told._log.path.mkdir()
    with pytest.raises(WriteError, match=r"run_.*\.log: Is a directory"):
        told.line("anything")


def test_the_report_is_there_from_the_first_validation_on_and_has_the_results_at_the_end(files):
    told = journal(files)
    told.plan(PLAN, PLAN, [], ["a"])
    tell(told)
    page = files.report.read_text()
    assert page.startswith("# run\n")
    assert "| data set | glyphs |" in page
    assert "| 4 | 0.64 | 0.4000 | 75.00% | 0.5000 | 25.00% | 2 |" in page
    assert "## Results" not in page
    told.results({"test accuracy": "75%"})
    assert (
        "## Results\n\n|  |  |\n| --- | --- |\n| test accuracy | 75% |" in files.report.read_text()
    )


def test_the_report_shows_the_plots_where_they_are_drawn(files):
    told = journal(files, plots=True)
    with told:
        tell(told)
    page = files.report.read_text()
    shown = re.findall(r"\]\((plots/\w+\.png)\)", page)
    assert shown == ["plots/epoch_metrics.png", "plots/batch_metrics.png", "plots/samples.png"]
    assert {path.name for path in files.plots.iterdir()} == {
        "epoch_metrics.png",
        "batch_metrics.png",
    }


def test_tensorboard_gets_the_metrics_and_no_step_twice_after_going_on(files):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with journal(files, tensorboard=True) as told:
        tell(told)
    progress = LoopState({}, step=2, train_seconds=1.0, metrics=told.progress.metrics[:1])
    with journal(files, progress, tensorboard=True) as again:
        tell(again, steps=(4, 6))
    events = EventAccumulator(str(files.folder / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [2, 4, 6]
    assert [event.step for event in events.Scalars("val/accuracy")] == [6]
    assert events.Scalars("val/accuracy")[0].value == 0.75


def test_a_run_starts_without_matplotlib_and_tensorboard():
    code = (
        "import tinkering.reporting.journal, tinkering.reporting.samples, sys; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "tensorboard", "timm", "yaml", "torchinfo"} & set(done.stdout.split())
