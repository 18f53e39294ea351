"""Whole runs: what they print, what they leave behind, and what they refuse."""

import inspect
import os
import pty
import re
import select
import subprocess
import sys

import pytest
import torch

from run_gradient_based import main
from tests.helpers import MNIST, MNIST_RUN_ID, QUICK, ROOT, results_of, run_main, run_program
from tinkering.commands.verify_resume import repeatable_metrics, run_files
from tinkering.data import datasets
from tinkering.models import ARCHITECTURES


@pytest.fixture(scope="module")
def glyphs_run(tmp_path_factory):
    """One run on the embedded data set, with the balanced split's classes, in an empty folder."""
    folder = tmp_path_factory.mktemp("glyphs")
    words = ["--dataset", "glyphs", "--emnist_split", "balanced", "--run_id", "2024_01", *QUICK]
    with pytest.MonkeyPatch.context() as patch:  # to draw all 70,000 takes 15 s
        patch.setattr(datasets, "NUM_GLYPHS", {"train": 600, "test": 100})
        return run_main(*words, cwd=folder), folder


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
        "saved_models/.claims.lock",
        "saved_models/2024_01.pt",
        "saved_models/2024_01/state.pt",
        "saved_models/2024_01/state.previous.pt",
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


def test_a_run_prints_its_plan_its_metrics_and_its_results_in_plain_lines(glyphs_run):
    done, _ = glyphs_run
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert "glyphs balanced: 47 classes" in done.stdout
    assert "540 to train on, 60 to validate, 100 to test" in done.stdout
    steps = re.findall(r"step +(\d+)  (train|valid)", done.stdout)
    assert [int(step) for step, kind in steps if kind == "train"] == [5, 10, 15, 20]
    assert [int(step) for step, kind in steps if kind == "valid"] == [10, 20]
    assert re.search(r"test accuracy +\d+\.\d\d%", done.stdout)
    assert done.stderr == ""


def test_the_results_have_every_figure(glyphs_run):
    saved_models = glyphs_run[1] / "saved_models"
    results = results_of(saved_models, "2024_01")
    assert 0 <= results["test_accuracy"] <= 1
    assert results["test_loss"] > 0
    assert 0 < results["best_val_accuracy"] <= 1
    assert results["best_step"] in (10, 20)
    assert results["images_per_second"] * results["train_seconds"] == pytest.approx(20 * 16)
    dataset = results["seed"], results["dataset"], results["emnist_split"]
    assert dataset == (0, "glyphs", "balanced")
    checkpoint = torch.load(saved_models / "2024_01.pt", weights_only=True)
    assert results["num_parameters"] == sum(
        tensor.numel()
        for name, tensor in checkpoint["model"].items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )


def test_the_checkpoint_explains_itself(glyphs_run):
    saved_models = glyphs_run[1] / "saved_models"
    checkpoint = torch.load(saved_models / "2024_01.pt", weights_only=True)
    model = ARCHITECTURES[checkpoint["arch"]](**checkpoint["arch_args"])
    model.load_state_dict(checkpoint["model"])
    assert len(checkpoint["classes"]) == 47
    assert set(checkpoint["flags"]) == set(inspect.signature(main).parameters)
    assert checkpoint["flags"]["run_id"] == "2024_01"
    assert 0.1 < checkpoint["mean"] < checkpoint["std"] < 0.5
    results = results_of(saved_models, "2024_01")
    assert checkpoint["step"] == results["best_step"]
    assert checkpoint["val_accuracy"] == results["best_val_accuracy"]
    assert checkpoint["val_loss"] > 0
    assert checkpoint["versions"]["torch"] == torch.__version__


def test_training_learns(tmp_path, mnist_dir):
    words = [*MNIST, "--width", "8", "--num_total_iterations", "100", "--lr", "1e-2"]
    done = run_main(*words, "--run_id", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert results_of(tmp_path / "saved_models", "run")["test_accuracy"] > 0.9


def test_the_same_seed_gives_the_same_run_in_a_process_of_its_own_too(tmp_path, mnist_dir):
    rows = []
    for number, (start, seed) in enumerate([(run_main, 0), (run_program, 0), (run_main, 1)]):
        words = [*MNIST, *QUICK, "--augment", "affine", "--seed", str(seed), "--run_id", "run"]
        done = start(*words, "--save_path", str(number), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        rows.append(repeatable_metrics(run_files(tmp_path / str(number))))
    assert rows[0] == rows[1] != rows[2]


def test_the_best_checkpoint_is_the_one_that_is_tested(tmp_path, mnist_dir):
    """At this learning rate the network gets worse at the end; the best one is kept."""
    words = [*MNIST, *QUICK, "--lr", "0.5", "--final_lr_factor", "1", "--val_size", "50"]
    done = run_main(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = re.findall(r"step +(\d+)  valid .* accuracy +([\d.]+)%", done.stdout)
    step, accuracy = max(scores, key=lambda score: float(score[1]))
    results = results_of(tmp_path / "saved_models")
    assert results["best_step"] == int(step)
    assert f"{results['best_val_accuracy']:.2%}" == f"{float(accuracy):.2f}%"


def test_validating_on_the_test_set_is_called_optimistic_everywhere(tmp_path, mnist_dir):
    done = run_main(*MNIST, *QUICK, "--val_size", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("OPTIMISTIC") == 2
    results = results_of(tmp_path / "saved_models")
    assert "OPTIMISTIC" in results["note"]
    assert results["best_val_accuracy"] == results["test_accuracy"]


def test_runs_are_named_so_that_a_newcomers_commands_do_not_refuse_each_other(tmp_path, mnist_dir):
    """Commands as in the README, one after the other in one folder."""
    networks = [[], ["--arch", "mlp"], ["--arch", "lenet5"], ["--width", "3"]]
    named = [["--run_id", "x"], ["--model_name", "y.pt", "--seed", "1"]]
    for words in networks + named:
        width = [] if "--width" in words else QUICK[:2]
        done = run_main(*MNIST, *width, *QUICK[2:], *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    names = {MNIST_RUN_ID, "mnist-mlp-w2", "mnist-lenet5", "mnist-resnet4stage-w3", "x", "y"}
    assert {path.stem for path in (tmp_path / "saved_models").glob("*.pt")} == names
    assert {path.parent.name for path in tmp_path.glob("saved_models/*/results.json")} == names


def test_no_data_and_no_network_end_the_run_with_what_to_do(tmp_path):
    done = run_main(*QUICK, cwd=tmp_path)
    assert done.returncode == 3
    last_line = done.stderr.splitlines()[-1]
    for part in ("https://biometrics.nist.gov/", "gzip.zip", "EMNIST/raw", "--dataset glyphs"):
        assert part in last_line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--val_size", "300"], "leaves nothing to train on"),
        (["--precision", "fp16", "--device", "cpu"], "fp16 needs a CUDA device"),
        (["--save_path", "data/MNIST/raw/train-labels-idx1-ubyte.gz"], "cannot write data/MNIST"),
        (["--model_name", "run", "--run_id", "run"], "the name of the run's folder"),
    ],
)
def test_the_impossible_is_refused_before_training(tmp_path, mnist_dir, words, message):
    done = run_main(*MNIST, *QUICK, *words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "step" not in done.stdout


def test_corrupt_data_are_named_in_one_line(tmp_path, mnist_dir):
    file = mnist_dir / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-50])
    done = run_main(*MNIST, *QUICK, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert file.name in done.stderr


def test_the_traceback_of_an_error_is_shown_on_request(tmp_path):
    done = run_main("--dataset", "mnist", "--traceback", cwd=tmp_path)
    assert done.returncode == 3
    assert "Traceback (most recent call last)" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_in_a_terminal_there_are_bars_and_a_panel(tmp_path, mnist_dir):
    """The program on a pseudo-terminal, which is what a person sees it on."""
    controller, terminal = pty.openpty()
    # Long enough for the bars, which are drawn four times a second.
    words = [*MNIST, "--width", "2", "--num_total_iterations", "400"]
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
        except OSError:  # the program has closed its end
            break
    os.close(controller)
    assert program.wait() == 0
    text = shown.decode()
    assert "╭─ plan" in text
    assert "╭─ results" in text
    assert "images/s" in text
    assert "train:" in text
    assert "Traceback" not in text
