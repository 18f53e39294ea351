"""Whole runs that are stopped and started again in every way that a user can."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image

from tests.helpers import (
    MNIST,
    MNIST_RUN_ID,
    ROOT,
    random_part,
    results_of,
    run_main,
    start_program,
    write_part,
)
from tinkering.commands.verify_resume import first_difference, run_files
from tinkering.runs import resume
from tinkering.runtime import signals

RUN = (*MNIST, "--width", "2", "--num_total_iterations", "300", "--eval_interval_iters", "70")
RUN += ("--log_interval_iters", "20", "--batch_size", "16", "--augment", "affine")
RUN += ("--run_id", "run", "--checkpoint_interval_iters", "50")
SHORT = (*MNIST, "--width", "2", "--num_total_iterations", "20", "--eval_interval_iters", "10")
SHORT += ("--checkpoint_interval_iters", "10")


def read_up_to(process, text):
    for line in process.stdout:
        if text in line:
            return


def stop_after(folder, words, text, number):
    """Start a run, send it a signal when a line of its output has the text, let it end."""
    with start_program(*words, cwd=folder) as process:
        read_up_to(process, text)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def test_a_run_stopped_in_every_way_ends_as_one_never_stopped(tmp_path, mnist_dir):
    assert run_main(*RUN, "--save_path", "straight", cwd=tmp_path).returncode == 0
    words = [*RUN, "--save_path", "stopped"]
    for line, number, expected in [
        ("step     40", signal.SIGINT, 130),
        ("step    140", signal.SIGKILL, -9),
        ("step    200", signal.SIGTERM, 143),
    ]:
        exit_code, output, errors = stop_after(tmp_path, words, line, number)
        assert exit_code == expected, errors
        if expected > 0:
            assert f"saved. Continue with: {sys.executable} " in output
    done = run_main(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "continuing the run run at step" in done.stdout
    straight, stopped = (run_files(tmp_path / name) for name in ("straight", "stopped"))
    assert first_difference(straight, stopped) == ""


def test_ctrl_c_leaves_plots_and_a_report_of_what_there_is(tmp_path, mnist_dir):
    words = [word for word in RUN if word != "--no-plots"]
    exit_code, _, errors = stop_after(tmp_path, words, "step    140  valid", signal.SIGINT)
    assert exit_code == 130, errors
    folder = tmp_path / "saved_models" / "run"
    for name in ("batch_metrics", "epoch_metrics", "samples"):
        with Image.open(folder / "plots" / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 2
    assert re.search(r"^\| 140 \| ", (folder / "report.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with data and a short run that has ended."""
    folder = tmp_path_factory.mktemp("finished")
    write_mnist(folder / "data", seed=0)
    assert run_main(*SHORT, cwd=folder).returncode == 0
    return folder


def write_mnist(data, seed):
    raw = data / "MNIST" / "raw"
    write_part(raw, "train", *random_part(300, 10, seed))
    write_part(raw, "t10k", *random_part(70, 10, seed=1))


def results_in(folder):
    return results_of(folder / "saved_models")


def refusal(*words, cwd):
    """The one line that the program prints when it refuses to start."""
    done = run_main(*words, cwd=cwd)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "step" not in done.stdout
    return done.stderr


def test_a_finished_run_says_so_tests_its_best_checkpoint_and_ends_well(finished):
    before = results_in(finished)
    (finished / "saved_models" / f"{MNIST_RUN_ID}.pt").unlink()
    done = run_main(*SHORT, "--resume", "must", cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "is finished" in done.stdout
    assert results_in(finished) | {"flags": before["flags"]} == before
    assert (finished / "saved_models" / f"{MNIST_RUN_ID}.pt").exists()


def test_other_flags_are_refused_with_their_differences_and_a_command_that_works(finished):
    message = refusal(*SHORT, "--lr", "0.5", "--seed", "3", cwd=finished)
    assert "--lr was 0.001, is 0.5; " in message
    assert "--seed was 0, is 3" in message
    words = re.search(r"Train another run with: \S+ \S+ (.*), or ", message)[1].split()
    assert words[-2:] == ["--run_id", f"{MNIST_RUN_ID}-2"]
    assert run_main(*words, cwd=finished).returncode == 0


def test_other_images_are_refused_with_their_folder(finished):
    write_mnist(finished / "other", seed=7)
    words = ["other" if word == "data" else word for word in SHORT]
    assert "was trained on other images than those in other" in refusal(*words, cwd=finished)


def test_other_micro_batches_are_refused_where_batch_norm_sees_them(finished):
    words = ["--batch_size", "4", "--grad_accum_steps", "16"]
    message = refusal(*SHORT, *words, cwd=finished)
    assert "normalises 64 images at a time (BatchNorm)" in message
    without_norm = [*SHORT, "--arch", "mlp"]
    assert run_main(*without_norm, cwd=finished).returncode == 0
    done = run_main(*without_norm, *words, cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "is finished" in done.stdout


def test_code_that_has_changed_since_is_reported(finished, monkeypatch):
    monkeypatch.setattr(resume, "COMPUTING", ("train.py",))
    done = run_main(*SHORT, cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "warning: the program's code has changed since this run was started" in done.stdout


def test_a_run_that_must_continue_and_cannot_ends(finished):
    done = run_main(*SHORT, "--resume", "must", "--run_id", "new", cwd=finished)
    assert done.returncode == 3
    assert "there is no run to continue" in done.stderr


def test_a_corrupt_state_is_reported_and_the_one_before_it_used(finished):
    state = finished / "saved_models" / MNIST_RUN_ID / "state.pt"
    state.write_bytes(state.read_bytes()[:-200])
    before = results_in(finished)
    done = run_main(*SHORT, cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "is corrupt" in done.stdout
    assert results_in(finished)["test_loss"] == before["test_loss"]


def test_a_run_may_grow_and_says_what_that_does_to_the_learning_rate(finished):
    longer = [word.replace("20", "30") for word in SHORT]
    done = run_main(*longer, cwd=finished)
    assert done.returncode == 0, done.stderr
    assert "it grows from 20 to 30 steps: the learning-rate schedule is stretched" in done.stdout
    assert "step     30  valid" in done.stdout


def test_starting_anew_moves_all_of_the_old_run_aside(finished):
    for lr in ("0.01", "0.02", "0.03"):  # within a second
        done = run_main(*SHORT, "--resume", "never", "--lr", lr, cwd=finished)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(f"moved aside: saved_models/{MNIST_RUN_ID}.20") == 1
    folders = list((finished / "saved_models").glob(f"{MNIST_RUN_ID}.20*"))
    assert len(folders) == 3
    for folder in folders:
        names = {path.name for path in folder.iterdir()}
        assert names >= {"state.pt", "results.json", "metrics.csv", f"{MNIST_RUN_ID}.pt"}


def test_a_second_run_of_the_same_id_is_refused_with_the_process_of_the_first(tmp_path, mnist_dir):
    with start_program(*RUN, cwd=tmp_path) as process:
        read_up_to(process, "step     20")
        process.send_signal(signal.SIGSTOP)
        message = refusal(*RUN, cwd=tmp_path)
        process.kill()
    assert f"the run run is being trained by process {process.pid}" in message


def run_at_once(folder, *starts):
    """Start the program once for each of these words, at the same time; let all end."""
    processes = [start_program(*SHORT, *words, cwd=folder) for words in starts]
    for process in processes:
        with process:
            output, errors = process.communicate(timeout=120)
        yield process.returncode, output, errors


def test_runs_that_start_at_once_in_one_folder_keep_their_own_models(tmp_path, mnist_dir):
    seeds = [["--run_id", f"seed{number}", "--seed", str(number)] for number in (1, 2)]
    for exit_code, output, errors in run_at_once(tmp_path, *seeds):
        assert exit_code == 0, errors
        assert "moved aside" not in output
    for number in (1, 2):
        model = torch.load(tmp_path / "saved_models" / f"seed{number}.pt", weights_only=True)
        assert model["flags"]["seed"] == number
        assert results_of(tmp_path / "saved_models", f"seed{number}")["seed"] == number


def test_of_runs_that_start_at_once_with_one_model_file_one_is_refused(tmp_path, mnist_dir):
    names = [["--run_id", run_id, "--model_name", "shared.pt"] for run_id in ("one", "other")]
    winner, loser = sorted(run_at_once(tmp_path, *names))
    assert (winner[0], loser[0]) == (0, 2), winner[2]
    model = torch.load(tmp_path / "saved_models" / "shared.pt", weights_only=True)
    owner = model["flags"]["run_id"]
    assert f"shared.pt belongs to the run {owner}: give the run " in loser[2]
    assert loser[2].count("\n") == 1


def test_the_end_of_the_allowed_time_is_a_clean_end(tmp_path, mnist_dir, monkeypatch):
    longer = ["1000000" if word == "300" else word for word in RUN]
    monkeypatch.setattr(signals, "PROCESS_STARTED", time.monotonic())
    done = run_main(*longer, "--max_minutes", "0.05", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "stopped by the end of --max_minutes after step" in done.stdout
    assert (tmp_path / "saved_models" / "run" / "state.pt").exists()


def test_a_loss_that_is_not_finite_ends_the_run_with_its_step_and_images(tmp_path, mnist_dir):
    done = run_main(*RUN, "--lr", "1e30", cwd=tmp_path)
    assert done.returncode == 4
    assert "the loss of step" in done.stderr
    assert "of the training file" in done.stderr
    assert "--on_nonfinite skip" in done.stderr
    assert done.stderr.count("\n") == 1


def test_results_are_valid_json_whatever_the_losses(tmp_path, mnist_dir, monkeypatch):
    """The loss of the test part is the only one that does not end a run."""
    really_validate = torch.nn.CrossEntropyLoss.forward

    def overflow(criterion, logits, labels):
        loss = really_validate(criterion, logits, labels)
        return loss * float("inf") if len(labels) == 7 else loss

    monkeypatch.setattr(torch.nn.CrossEntropyLoss, "forward", overflow)
    done = run_main(*SHORT, "--test_subset", "7", "--val_size", "30", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "saved_models" / MNIST_RUN_ID / "results.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["test_loss"] is None


def test_too_little_memory_to_save_is_one_line(tmp_path, mnist_dir, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(torch, "save", fail)
    done = run_main(*SHORT, cwd=tmp_path)
    assert done.returncode == 5
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
    """The system lets the program have 1 GiB more than torch itself needs."""
    words = [*MNIST, "--width", "256", "--batch_size", "256", "--precision", "fp32"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ROOT / "run_gradient_based.py"), *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 5
    assert done.stderr == "error: out of memory; try --batch_size 128\n"
