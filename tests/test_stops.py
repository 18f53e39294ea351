"""The real program, stopped and started again in every way that a user can."""

import os
import signal
import subprocess
import sys

import pytest

from tests.helpers import ROOT, random_part, run_program, write_part
from tests.test_run import MNIST, results_of
from tinkering.commands.verify_resume import first_difference

RUN = [*MNIST, "--width", "2", "--num_total_iterations", "300", "--eval_interval_iters", "70"]
RUN += ["--log_interval_iters", "20", "--batch_size", "16", "--augment", "affine"]
RUN += ["--run_id", "run", "--checkpoint_interval_iters", "50"]


def start(folder, *words):
    command = [sys.executable, "-W", "error", str(ROOT / "run_gradient_based.py"), *RUN, *words]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stop_after(folder, line, number, *words):
    """Starts the run, sends it a signal when a line of its output has the text, lets it end."""
    process = start(folder, *words)
    for told in process.stdout:
        if line in told:
            break
    process.send_signal(number)
    rest, errors = process.communicate(timeout=60)
    return process.returncode, rest, errors


def test_a_run_stopped_five_times_ends_as_one_never_stopped(tmp_path, mnist_dir):
    assert run_program(*RUN, "--save_path", "straight", cwd=tmp_path).returncode == 0
    stops = [
        ("step     40", signal.SIGINT, 130),
        ("step     80", signal.SIGTERM, 143),
        ("step    140", signal.SIGKILL, -9),
        ("step    200", signal.SIGINT, 130),
        ("step    260", signal.SIGKILL, -9),
    ]
    words = ["--save_path", "stopped"]
    for line, number, code in stops:
        returncode, rest, errors = stop_after(tmp_path, line, number, *words)
        assert returncode == code, errors
        if code > 0:
            assert "saved. Go on with: python " in rest
    done = run_program(*RUN, *words, cwd=tmp_path)
    assert done.returncode == 0
    assert "going on with the run run at step" in done.stdout
    assert first_difference(tmp_path / "straight", tmp_path / "stopped") == ""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run that has ended, with its data."""
    folder = tmp_path_factory.mktemp("finished")
    raw = folder / "data" / "MNIST" / "raw"
    write_part(raw, "train", *random_part(300, 10))
    write_part(raw, "t10k", *random_part(70, 10, seed=1))
    assert run_program(*SHORT, cwd=folder).returncode == 0
    return folder


SHORT = [*MNIST, "--width", "2", "--num_total_iterations", "20", "--eval_interval_iters", "10"]


def test_a_finished_run_says_so_scores_its_best_checkpoint_and_ends_well(finished):
    before = results_of(finished)
    (finished / "saved_models" / "resnet_emnist.pt").unlink()
    done = run_program(*SHORT, "--resume", "must", cwd=finished)
    assert done.returncode == 0
    assert "is finished" in done.stdout
    assert results_of(finished) | {"flags": before["flags"]} == before
    assert (finished / "saved_models" / "resnet_emnist.pt").exists()


def test_other_flags_are_refused_with_a_list_of_the_differences(finished):
    done = run_program(*SHORT, "--lr", "0.5", "--seed", "3", cwd=finished)
    assert done.returncode == 2
    assert "--lr was 0.001, is 0.5; " in done.stderr
    assert "--seed was 0, is 3" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_run_that_must_go_on_and_has_nothing_to_go_on_from_ends(finished):
    done = run_program(*SHORT, "--resume", "must", "--run_id", "new", cwd=finished)
    assert done.returncode == 3
    assert "no run to go on with" in done.stderr


def test_a_damaged_state_is_reported_and_the_one_before_it_used(finished):
    state = finished / "saved_models" / "checkpoint_resnet_emnist.pt"
    state.write_bytes(state.read_bytes()[:-200])
    before = results_of(finished)
    done = run_program(*SHORT, cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "is damaged" in done.stdout
    assert results_of(finished)["test_loss"] == before["test_loss"]


def test_a_run_may_grow_and_is_told_what_that_does_to_the_learning_rate(finished):
    done = run_program(*SHORT, "--num_total_iterations=30", cwd=finished)
    assert done.returncode == 2  # given twice
    longer = [word.replace("20", "30") for word in SHORT]
    done = run_program(*longer, cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "it grows from 20 to 30 steps: the learning rate's schedule is stretched" in done.stdout
    assert "step     30  valid" in done.stdout


def test_starting_anew_moves_the_old_run_aside(finished):
    done = run_program(*SHORT, "--resume", "never", "--lr", "0.01", cwd=finished)
    assert done.returncode == 0, done.stderr
    left = os.listdir(finished / "saved_models")
    assert sum(name.startswith("checkpoint_resnet_emnist.20") for name in left) == 1
    assert sum(name.startswith("resnet_emnist.20") for name in left) == 1
    assert done.stdout.count("moved aside: saved_models/") == 7


def test_a_second_run_of_the_same_id_is_refused_and_named_the_first(tmp_path, mnist_dir):
    process = start(tmp_path)
    while "step     20" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGSTOP)
    done = run_program(*RUN, cwd=tmp_path)
    process.kill()
    process.communicate()
    assert done.returncode == 2
    assert f"under way in process {process.pid}" in done.stderr


def test_the_end_of_the_time_allowed_is_a_clean_end(tmp_path, mnist_dir):
    longer = ["1000000" if word == "300" else word for word in RUN]
    done = run_program(*longer, "--max_minutes", "0.08", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "stopped by the end of --max_minutes after step" in done.stdout
    assert (tmp_path / "saved_models" / "checkpoint_run.pt").exists()


def test_a_loss_that_is_not_finite_ends_the_run_with_its_step_and_images(tmp_path, mnist_dir):
    done = run_program(*RUN, "--lr", "1e30", cwd=tmp_path)
    assert done.returncode == 4
    assert "the loss of step" in done.stderr
    assert "of the training file" in done.stderr
    assert "--on_nonfinite skip" in done.stderr
    assert done.stderr.count("\n") == 1


LIMITED = """
import resource, runpy, sys
import torch
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rsplit("/", 1)[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_too_little_memory_ends_the_run_with_the_batch_size_to_try(tmp_path, mnist_dir):
    """The system lets the program have 1 GiB more than torch itself takes."""
    words = [*MNIST, "--width", "256", "--batch_size", "256", "--precision", "fp32"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ROOT / "run_gradient_based.py"), *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5
    assert done.stderr == "error: out of memory; try --batch_size 128\n"


def test_the_frames_of_an_error_are_shown_to_who_asks_for_them(tmp_path):
    done = run_program("--dataset", "mnist", "--traceback", cwd=tmp_path)
    assert done.returncode == 3
    assert "Traceback (most recent call last)" in done.stderr
    assert "could not be downloaded" in done.stderr.splitlines()[-1]
