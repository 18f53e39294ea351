import os
import shutil
import subprocess
import sys

import pytest
import torch

from tests.helpers import ROOT
from tinkering.__main__ import COMMANDS
from tinkering.commands.verify_resume import first_difference
from tinkering.runs import checkpoint
from tinkering.runs.state import FORMAT


def tinkering(*words, cwd):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tinkering", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_run_killed_in_the_middle_is_shown_to_end_as_one_that_was_not(tmp_path, mnist_dir):
    words = ["--dataset", "mnist", "--data_dir_root", "data", "--width", "2", "--batch_size", "16"]
    done = tinkering("verify-resume", *words, "--num_total_iterations", "60", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "killed a second run after step" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("identical: weights")
    assert os.listdir(tmp_path) == ["data"]


def metrics_of(accuracy, seconds):
    return f"step,val_accuracy,images_per_second,seconds\n1,{accuracy},100,{seconds}\n"


METRICS = metrics_of(0.5, 1)


def leave_run(folder, weights=1.0, metrics=METRICS, **progress):
    """What a run called `run` leaves in a folder, as far as it is compared."""
    content = {
        "format": FORMAT,
        "progress": {"step": 3, "validated_step": 3, **progress},
        "model": {"w": torch.ones(2)},
    }
    content["model"]["w"] *= weights
    checkpoint.save(folder / "checkpoint_run.pt", content)
    (folder / "run").mkdir()
    (folder / "run" / "metrics.csv").write_text(metrics)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({}, ""),
        ({"train_seconds": 2.0}, ""),
        ({"weights": 1.0000001}, "model.w"),
        ({"step": 4}, "progress.step"),
        ({"metrics": metrics_of(0.5, 2)}, ""),
        ({"metrics": metrics_of(0.6, 1)}, "metrics.csv"),
        ({"metrics": METRICS + "2,0.5,100,1\n"}, "metrics.csv"),
        ({"metrics": METRICS.replace("step", "steps")}, "metrics.csv"),
    ],
)
def test_the_first_thing_that_differs_is_named(tmp_path, other, difference):
    leave_run(tmp_path / "one", train_seconds=1.0)
    leave_run(tmp_path / "other", **{"train_seconds": 1.0, **other})
    assert first_difference(tmp_path / "one", tmp_path / "other") == difference


def test_something_missing_at_the_end_is_a_difference_too(tmp_path):
    leave_run(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    path = tmp_path / "other" / "checkpoint_run.pt"
    content = checkpoint.load(path, FORMAT)
    checkpoint.save(path, content | {"zz": 1})
    assert first_difference(tmp_path / "one", tmp_path / "other") == "zz"


def test_a_flag_that_it_chooses_itself_is_refused(tmp_path):
    done = tinkering("verify-resume", "--save_path", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: --save_path is chosen by verify-resume itself\n"


def test_a_preset_may_name_what_it_chooses_but_counts_in_steps_here(tmp_path):
    done = tinkering("verify-resume", "--preset", "speedrun", cwd=tmp_path)
    assert done.returncode == 2
    expected = "error: verify-resume counts in steps: give it --num_total_iterations\n"
    assert done.stderr == expected


def test_the_commands_are_listed(tmp_path):
    listed = tinkering(cwd=tmp_path)
    assert listed.returncode == 0
    assert all(f"  {command} " in listed.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_help(tmp_path, command):
    shown = tinkering(command, "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert f"usage: python -m tinkering {command} " in shown.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_refuses_an_unknown_flag_in_one_line(tmp_path, command):
    done = tinkering(command, "--lrr", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no flag --lrr")
    assert done.stderr.count("\n") == 1


def test_a_command_that_is_not_there_is_refused_with_the_nearest(tmp_path):
    done = tinkering("verify", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: there is no command 'verify'; did you mean verify-resume?\n"
