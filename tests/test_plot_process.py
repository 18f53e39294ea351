import os
import subprocess
import sys
import time

import pytest

from tinkering.metrics import MetricsFile
from tinkering.plot_process import PlotProcess


@pytest.fixture
def run(tmp_path):
    """The folder of a run with one validation."""
    metrics = MetricsFile(tmp_path / "run" / "metrics.csv", [])
    metrics.add(step=1, epoch=0.5, lr=0.1, train_loss=1.0, train_accuracy=0.5, seconds=1.0)
    metrics.add(step=1, epoch=0.5, val_loss=1.0, val_accuracy=0.5, seconds=1.0)
    return tmp_path / "run"


def test_plots_are_drawn_while_the_run_goes_on_and_take_only_the_time_it_leaves(run):
    plots = PlotProcess(run)
    started = time.perf_counter()
    plots.start()
    assert time.perf_counter() - started < 0.25  # it does not wait for the plots
    assert os.getpriority(os.PRIO_PROCESS, plots._process.pid) == 19
    plots._process.communicate(timeout=60)
    assert {path.name for path in (run / "plots").iterdir()} == {
        "batch_metrics.png",
        "epoch_metrics.png",
    }


def test_one_process_draws_at_a_time(run):
    plots = PlotProcess(run)
    plots.start()
    first = plots._process
    plots.start()
    assert plots._process is first
    plots.finish()
    assert first.poll() is not None


def test_at_the_end_what_was_added_last_is_drawn(run):
    plots = PlotProcess(run)
    plots.start()
    half = run / "plots" / "epoch_metrics.png.4711.part"  # as the first leaves it when it is ended
    half.parent.mkdir()
    half.touch()
    assert plots.finish() == []
    assert sorted(path.name for path in half.parent.iterdir()) == [
        "batch_metrics.png",
        "epoch_metrics.png",
    ]


def test_plots_that_cannot_be_drawn_are_a_warning_and_no_error(run):
    (run / "plots").write_text("a file where the folder should be")
    (warning,) = PlotProcess(run).finish()
    assert warning.startswith("warning: no plots: error: cannot write ")


def test_ctrl_c_ends_the_wait_and_the_drawing(run, monkeypatch):
    plots = PlotProcess(run)
    begun = []

    def interrupted(process):
        begun.append(process)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plots.finish()
    assert begun[0].poll() is not None


def test_the_process_that_draws_does_not_load_torch(run):
    code = (
        "import sys; from tinkering.__main__ import main\n"
        "try: main(['plot', sys.argv[1]])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
