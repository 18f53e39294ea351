import os
import re
import signal
import subprocess
import sys
import tempfile
import time

import pytest
import torch

from tests.helpers import METRICS_HEADER, ROOT
from tinkering.commands.verify_resume import first_difference, run_files, verify_resume
from tinkering.errors import InputError
from tinkering.runs import checkpoint
from tinkering.runs.state import FORMAT

TINY = {"dataset": "mnist", "width": 2, "batch_size": 16}


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, also of processes that are started."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = signal.getsignal(signal.SIGTERM)
    yield folder
    signal.signal(signal.SIGTERM, before)


def test_a_killed_run_ends_as_one_that_was_not_also_where_patience_ends_both_early(
    tmp_path, mnist_dir, temporary, capfd
):
    patience = {"eval_interval_iters": 20, "patience": 2, "min_delta": 0.9}
    data = str(tmp_path / "data")
    verify_resume(**TINY, **patience, data_dir_root=data, num_total_iterations=500)
    output, errors = capfd.readouterr()
    start, kill, end = output.splitlines()
    assert start == "training 500 steps without interruption"
    assert re.fullmatch(r"killed a second run after step \d+; resuming it", kill)
    assert end == "identical: weights, optimizer, random states, metrics and best checkpoint"
    assert errors == ""
    assert os.listdir(temporary) == []


def test_the_error_of_a_run_that_fails_is_the_only_one(tmp_path, temporary, capfd):
    with pytest.raises(SystemExit) as end:
        verify_resume(**TINY, data_dir_root=str(tmp_path / "file"), device="cuda:99")
    assert end.value.code == 2
    assert capfd.readouterr().err.count("error: ") == 1
    assert os.listdir(temporary) == []


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
@pytest.mark.parametrize(
    ("number", "exit_code", "name"),
    [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")],
)
def test_a_signal_ends_the_training_and_removes_its_files(
    tmp_path, mnist_dir, temporary, number, exit_code, name
):
    words = [f"--{name}={value}" for name, value in TINY.items()]
    words += ["--data_dir_root=data", "--num_total_iterations=1000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tinkering", "verify-resume", *words],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(temporary.glob("*/straight/run")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)  # until the training has closed stderr, too
    assert errors == f"error: stopped by {name}\n"
    assert process.returncode == exit_code
    assert os.listdir(temporary) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"save_path": "x"}, "--save_path is chosen by verify-resume itself"),
        ({"dry_run": True}, "--dry_run does not train"),
        ({"num_total_iterations": 1}, "give it at least 2"),
        ({"num_total_epochs": 1.0}, "counts in steps: give it --num_total_iterations"),
        ({"preset": "x", "save_path": "x", "dry_run": True}, "--dry_run does not train"),
        ({"preset": "x", "save_path": "x", "num_total_epochs": 1.0}, "counts in steps"),
    ],
)
def test_flags_that_leave_nothing_to_verify_are_refused(temporary, flags, message):
    with pytest.raises(InputError, match=message):
        verify_resume(**flags)
    assert os.listdir(temporary) == []


def metrics_of(accuracy, seconds):
    return f"{METRICS_HEADER}\n1,0.1,,,,0.5,{accuracy},100,{seconds}\n"


METRICS = metrics_of(0.5, 1)


def leave_run(save_path, weights=1.0, metrics=METRICS, **loop):
    """Write the files of a run that are compared; return its files."""
    content = {
        "format": FORMAT,
        "loop": {"step": 3, "validated_step": 3, "loss": float("nan"), **loop},
        "model": {"w": weights * torch.ones(2)},
    }
    files = run_files(save_path)
    files.folder.mkdir(parents=True)
    checkpoint.save(files.state, content)
    files.metrics.write_text(metrics)
    return files


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({}, ""),
        ({"train_seconds": 2.0}, ""),
        ({"weights": 1.0000001}, "model.w"),
        ({"step": 4}, "loop.step"),
        ({"loss": 0.5}, "loop.loss"),
        ({"more": 1}, "loop.more"),
        ({"metrics": metrics_of(0.5, 2)}, ""),
        ({"metrics": metrics_of(0.6, 1)}, "metrics.csv"),
        ({"metrics": METRICS + "2,0.2,,,,0.5,0.5,100,1\n"}, "metrics.csv"),
        ({"metrics": METRICS.replace("step", "steps")}, "metrics.csv"),
    ],
)
def test_the_first_thing_that_differs_is_named(tmp_path, other, difference):
    files = leave_run(tmp_path / "one", train_seconds=1.0)
    other_files = leave_run(tmp_path / "other", **{"train_seconds": 1.0, **other})
    assert first_difference(files, other_files) == difference


def test_an_entry_that_is_missing_at_the_end_is_a_difference_too(tmp_path):
    files = leave_run(tmp_path / "one")
    other_files = leave_run(tmp_path / "other")
    checkpoint.save(other_files.state, checkpoint.load(files.state, FORMAT) | {"zz": 1})
    assert first_difference(files, other_files) == "zz"
