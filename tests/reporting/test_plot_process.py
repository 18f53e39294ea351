import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tinkering.reporting import plot_process
from tinkering.reporting.plot_process import PlotProcess
from tinkering.runs.metrics import MetricsFile


@pytest.fixture
def run(tmp_path):
    """The folder of a run with one validation."""
    metrics = MetricsFile(tmp_path / "run" / "metrics.csv", [])
    metrics.add(step=1, epoch=0.5, lr=0.1, train_loss=1.0, train_accuracy=0.5, seconds=1.0)
    metrics.add(step=1, epoch=0.5, val_loss=1.0, val_accuracy=0.5, seconds=1.0)
    return tmp_path / "run"


@pytest.fixture
def plots(run):
    process = PlotProcess(run)
    yield process
    process.kill()


def drawn(run):
    return {path.name for path in (run / "plots").glob("*")}


BOTH = {"batch_metrics.png", "epoch_metrics.png"}


def comes_true(happened):
    deadline = time.monotonic() + 60
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.05)
    return happened()


def test_plots_are_drawn_while_the_run_goes_on(run, plots):
    started = time.perf_counter()
    plots.draw()
    assert time.perf_counter() - started < 0.25  # it does not wait for the plots
    assert comes_true(lambda: drawn(run) == BOTH)
    assert plots._process.poll() is None  # and draws the next ones


def test_nothing_is_drawn_unasked(run, plots):
    plots._process.communicate(timeout=60)
    assert plots._process.returncode == 0
    assert drawn(run) == set()


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="there are no sessions here")
def test_drawing_gives_way_to_the_run(plots):
    assert os.getpriority(os.PRIO_PROCESS, plots._process.pid) == 19
    # In another session it would have a share of its own; in the run's group Ctrl-C would end it.
    assert os.getsid(plots._process.pid) == os.getsid(0)
    assert os.getpgid(plots._process.pid) != os.getpgid(0)


@pytest.mark.parametrize(
    ("wall", "busy", "expected"), [(30.0, 0.4, [59_200.0]), (0.45, 0.4, [])], ids=["busy", "free"]
)
def test_where_cores_are_busy_drawing_rests_twice_as_long_as_it_waited(
    monkeypatch, wall, busy, expected
):
    rested, words = [], iter([b"\n", b""])
    end = SimpleNamespace(register=lambda *_: None, poll=rested.append)
    stdin = SimpleNamespace(fileno=lambda: 0)
    clocks = {"monotonic": iter([7.0, 7.0 + wall]), "process_time": iter([1.0, 1.0 + busy])}
    clocks = {name: times.__next__ for name, times in clocks.items()}
    monkeypatch.setattr(plot_process, "os", SimpleNamespace(read=lambda *_: next(words)))
    monkeypatch.setattr(plot_process, "sys", SimpleNamespace(stdin=stdin, exit=lambda _: None))
    monkeypatch.setattr(plot_process, "time", SimpleNamespace(**clocks))
    monkeypatch.setattr(plot_process, "select", SimpleNamespace(poll=lambda: end))
    monkeypatch.setattr(plot_process, "plot", lambda folder: None)
    plot_process.main("a folder")
    assert rested == pytest.approx(expected)


def test_a_rest_ends_with_the_run():
    code = (
        "import sys; from tinkering.reporting import plot_process\n"
        "plot_process.rest(15.0)\n"
        "print(sys.stdin.read())"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"a word\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)  # a word does not wake it
        started = time.monotonic()
        assert process.communicate()[0].strip() == b"a word"
        assert time.monotonic() - started < 10


def test_at_the_end_what_was_added_last_is_drawn(run, plots):
    plots.draw()
    assert comes_true(lambda: drawn(run) == BOTH)
    early = (run / "plots" / "epoch_metrics.png").read_bytes()
    metrics = run / "metrics.csv"
    metrics.write_text(metrics.read_text() + metrics.read_text().splitlines()[-1] + "\n")
    metrics.write_text(metrics.read_text().replace("\n1,0.5", "\n2,0.6"))
    assert plots.finish() == []
    assert (run / "plots" / "epoch_metrics.png").read_bytes() != early
    assert drawn(run) == BOTH


def test_plots_that_cannot_be_drawn_are_a_warning_and_no_error(run, plots):
    (run / "plots").write_text("a file where the folder should be")
    (warning,) = plots.finish()
    assert warning.startswith("warning: no plots: error: cannot write ")


def test_what_cannot_be_drawn_once_is_drawn_the_next_time(run, plots):
    (run / "plots").write_text("a file where the folder should be")
    plots.draw()
    time.sleep(0.1)
    (run / "plots").unlink()
    assert plots.finish() == []
    assert drawn(run) == BOTH


def test_a_process_that_was_killed_is_a_warning(run, plots):
    plots._process.kill()
    plots._process.wait()
    assert plots.finish() == ["warning: no plots: drawing ended with -9"]


def test_ctrl_c_ends_the_wait_and_the_drawing(run, plots, monkeypatch):
    half = run / "plots" / "epoch_metrics.png.4711.part"  # as it is left by a drawing cut off
    half.parent.mkdir()
    half.touch()

    def interrupted(process):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plots.finish()
    assert plots._process.poll() is not None
    assert not half.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_drawing_ends_with_the_run_even_if_that_is_killed(run):
    code = (
        "import os, pathlib, sys\n"
        "from tinkering.reporting.plot_process import PlotProcess\n"
        "print(PlotProcess(pathlib.Path(sys.argv[1]))._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], capture_output=True, text=True)
    status = Path(f"/proc/{int(done.stdout)}/status")
    assert comes_true(lambda: not status.exists() or "zombie" in status.read_text())


def test_the_process_that_draws_does_not_load_torch(run):
    code = (
        "import sys; from tinkering.__main__ import main\n"
        "try: main(['plot', sys.argv[1]])\n"
        "except SystemExit: print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
