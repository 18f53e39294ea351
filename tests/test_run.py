"""Whole runs of the real program, as a user starts them."""

import inspect
import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest
import torch

from run_gradient_based import main
from tests.helpers import ROOT, run_program
from tinkering.models import ARCHITECTURES

QUICK = ["--width", "4", "--num_total_iterations", "25", "--eval_interval_iters", "10"]
QUICK += ["--log_interval_iters", "5", "--batch_size", "16"]
MNIST = ["--dataset", "mnist", "--data_dir_root", "data", "--no-plots"]


def results_of(folder, run_id="resnet_emnist"):
    return json.loads((folder / "saved_models" / run_id / "results.json").read_text())


@pytest.fixture(scope="module")
def glyphs_run(tmp_path_factory):
    """One run on the embedded data set, with the balanced split's classes, in an empty folder."""
    folder = tmp_path_factory.mktemp("glyphs")
    words = ["--dataset", "glyphs", "--emnist_split", "balanced", "--run_id", "2024_01", *QUICK]
    return run_program(*words, cwd=folder), folder


def test_a_run_on_glyphs_needs_no_data_and_leaves_its_files(glyphs_run):
    done, folder = glyphs_run
    assert done.returncode == 0, done.stderr
    left = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    left = {re.sub(r"run_[\d_.-]+log", "run_TIME.log", name) for name in left}
    stem = "emnist_data/glyphs/glyphs-v1-balanced"
    assert left == {
        f"{stem}-train-images-idx3-ubyte",
        f"{stem}-train-labels-idx1-ubyte",
        f"{stem}-test-images-idx3-ubyte",
        f"{stem}-test-labels-idx1-ubyte",
        "saved_models/resnet_emnist.pt",
        "saved_models/checkpoint_2024_01.pt",
        "saved_models/checkpoint_2024_01.previous.pt",
        "saved_models/2024_01/results.json",
        "saved_models/2024_01/metrics.csv",
        "saved_models/2024_01/run_TIME.log",
        "saved_models/2024_01/config.yaml",
        "saved_models/2024_01/report.md",
        "saved_models/2024_01/plots/samples.png",
        "saved_models/2024_01/plots/batch_metrics.png",
        "saved_models/2024_01/plots/epoch_metrics.png",
        "saved_models/2024_01/lock",
    }


def test_a_run_tells_its_plan_its_metrics_and_its_results_in_plain_lines(glyphs_run):
    done, _ = glyphs_run
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert "glyphs balanced: 47 classes" in done.stdout
    assert "54,000 to train on, 6,000 to validate, 10,000 to test" in done.stdout
    steps = re.findall(r"step +(\d+)  (train|valid)", done.stdout)
    assert [int(step) for step, kind in steps if kind == "train"] == [5, 10, 15, 20, 25]
    assert [int(step) for step, kind in steps if kind == "valid"] == [10, 20, 25]
    assert re.search(r"test accuracy +\d+\.\d\d%", done.stdout)
    assert done.stderr == ""


def test_the_results_have_every_figure(glyphs_run):
    _, folder = glyphs_run
    results = results_of(folder, "2024_01")
    assert 0 <= results["test_accuracy"] <= 1
    assert results["test_loss"] > 0
    assert 0 < results["best_val_accuracy"] <= 1
    assert results["best_step"] in (10, 20, 25)
    assert results["images_per_second"] * results["train_seconds"] == pytest.approx(25 * 16)
    assert (results["seed"], results["dataset"], results["emnist_split"]) == (
        0,
        "glyphs",
        "balanced",
    )
    checkpoint = torch.load(folder / "saved_models" / "resnet_emnist.pt", weights_only=True)
    assert results["num_parameters"] == sum(
        tensor.numel()
        for name, tensor in checkpoint["model"].items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )


def test_the_checkpoint_explains_itself(glyphs_run):
    _, folder = glyphs_run
    checkpoint = torch.load(folder / "saved_models" / "resnet_emnist.pt", weights_only=True)
    model = ARCHITECTURES[checkpoint["arch"]](**checkpoint["arch_args"])
    model.load_state_dict(checkpoint["model"])
    assert len(checkpoint["classes"]) == 47
    assert set(checkpoint["flags"]) == set(inspect.signature(main).parameters)
    assert checkpoint["flags"]["run_id"] == "2024_01"
    assert 0.1 < checkpoint["mean"] < checkpoint["std"] < 0.5
    results = results_of(folder, "2024_01")
    assert checkpoint["step"] == results["best_step"]
    assert checkpoint["val_accuracy"] == results["best_val_accuracy"]
    assert checkpoint["val_loss"] > 0
    assert checkpoint["versions"]["torch"] == torch.__version__


def test_training_learns(tmp_path, mnist_dir):
    words = [*MNIST, "--width", "8", "--num_total_iterations", "100", "--lr", "1e-2"]
    done = run_program(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert results_of(tmp_path)["test_accuracy"] > 0.9


def figures(folder):
    results = results_of(folder)
    return results["test_accuracy"], results["test_loss"], results["best_val_accuracy"]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path, mnist_dir):
    runs = []
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").symlink_to(mnist_dir)
        words = [*MNIST, *QUICK, "--augment", "affine", "--seed", str(seed)]
        assert run_program(*words, cwd=tmp_path / name).returncode == 0
        runs.append(figures(tmp_path / name))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_the_best_checkpoint_is_the_one_that_is_tested(tmp_path, mnist_dir):
    """At this learning rate the network gets worse at the end; the best one is kept."""
    words = [*MNIST, *QUICK, "--lr", "0.5", "--final_lr_factor", "1", "--val_size", "50"]
    done = run_program(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = re.findall(r"step +(\d+)  valid .* accuracy +([\d.]+)%", done.stdout)
    best = max(scores, key=lambda score: float(score[1]))
    assert results_of(tmp_path)["best_step"] == int(best[0])
    assert f"{results_of(tmp_path)['best_val_accuracy']:.2%}" == f"{float(best[1]):.2f}%"


def test_validating_on_the_test_set_is_called_optimistic_everywhere(tmp_path, mnist_dir):
    done = run_program(*MNIST, *QUICK, "--val_size", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("OPTIMISTIC") == 2
    results = results_of(tmp_path)
    assert "OPTIMISTIC" in results["note"]
    assert results["best_val_accuracy"] == results["test_accuracy"]


def test_no_data_and_no_network_end_the_run_with_what_to_do(tmp_path):
    done = run_program(*QUICK, cwd=tmp_path)
    assert done.returncode == 3
    first_line, last_line = done.stderr.splitlines()
    assert first_line.startswith("downloading https://biometrics.nist.gov/")
    for part in ("https://biometrics.nist.gov/", "gzip.zip", "EMNIST/raw", "--dataset glyphs"):
        assert part in last_line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--val_size", "300"], "leaves nothing to train on"),
        (["--precision", "fp16", "--device", "cpu"], "fp16 needs a CUDA device"),
        (["--save_path", "data/MNIST/raw/train-labels-idx1-ubyte.gz"], "cannot write into"),
    ],
)
def test_what_cannot_be_is_refused_before_training(tmp_path, mnist_dir, words, message):
    done = run_program(*MNIST, *QUICK, *words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "step" not in done.stdout


def test_damaged_data_are_named_in_one_line(tmp_path, mnist_dir):
    file = mnist_dir / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-50])
    done = run_program(*MNIST, *QUICK, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert file.name in done.stderr


def test_in_a_terminal_there_are_bars_and_a_panel(tmp_path, mnist_dir):
    """The program on a pseudo-terminal, which is what a person sees it on."""
    controller, terminal = pty.openpty()
    # Long enough for the bars, which are drawn four times a second.
    words = [*MNIST, "--width", "4", "--num_total_iterations", "400"]
    command = [sys.executable, str(ROOT / "run_gradient_based.py"), *words]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    program = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    while select.select([controller], [], [], 120)[0]:
        try:
            shown += os.read(controller, 65536)
        except OSError:  # the program has let go of its end
            break
    os.close(controller)
    assert program.wait() == 0
    text = shown.decode()
    assert "╭─ plan" in text
    assert "╭─ results" in text
    assert "images/s" in text
    assert "train:" in text
    assert "Traceback" not in text
