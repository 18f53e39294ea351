"""Whole runs by other recipes than the default."""

import re
import signal
import subprocess
import sys

import pytest
import torch
from PIL import Image

from tests.helpers import ROOT, run_program
from tests.test_run import MNIST, QUICK, results_of
from tests.test_stops import RUN
from tinkering.commands.verify_resume import repeatable_metrics
from tinkering.models import build


def test_a_run_repeated_from_its_own_config_gives_the_same_metrics(tmp_path, mnist_dir):
    words = [*MNIST, *QUICK, "--run_id", "run", "--augment", "affine", "--ema_decay", "0.9"]
    words += ["--optimizer", "adam", "--betas", "0.8,0.9"]
    words += ["--schedule", "plateau", "--step_size_iters", "5", "--grad_accum_steps", "2"]
    words += ["--train_subset", "100", "--test_subset", "20"]
    done = run_program(*words, "--save_path", "first", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = ["--config", "first/run/config.yaml", "--save_path", "second"]
    done = run_program(*again, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = repeatable_metrics(tmp_path / "first")
    assert len(rows) == 1 + 5 + 3
    assert repeatable_metrics(tmp_path / "second") == rows
    one, other = (
        (tmp_path / name / "run" / "config.yaml").read_text() for name in ("first", "second")
    )
    assert one.replace("save_path: first", "save_path: second") == other


def test_another_network_optimizer_and_schedule_are_a_matter_of_flags(tmp_path, mnist_dir):
    words = ["--arch", "mlp", "--optimizer", "sgd", "--nesterov", "--schedule", "onecycle"]
    words += ["--lr", "0.1", "--loss", "nll", "--betas", "0.8,0.9", "--warmup_iters", "3"]
    done = run_program(*MNIST, *QUICK, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "mlp: 3,190 parameters" in done.stdout
    assert "sgd, learning rate 0.1, onecycle" in done.stdout
    saved = torch.load(tmp_path / "saved_models" / "resnet_emnist.pt", weights_only=True)
    build(saved["arch"], saved["arch_args"]).load_state_dict(saved["model"])


def test_a_preset_runs_for_its_epochs_with_the_mean_of_the_weights_kept(tmp_path, mnist_dir):
    words = ["--preset", "fcn-mnist", "--data_dir_root", "data", "--no-plots", "--ema_decay", "0.5"]
    done = run_program(*words, "--num_total_epochs", "2.5", "--val_size", "44", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "10 of 64 images, 2.5 epochs" in done.stdout
    saved = torch.load(tmp_path / "saved_models" / "fcn-mnist.pt", weights_only=True)
    state = torch.load(tmp_path / "saved_models" / "checkpoint_fcn-mnist.pt", weights_only=True)
    mean = {name.removeprefix("module."): kept for name, kept in state["ema"].items()}
    for name, weights in saved["model"].items():
        assert torch.equal(weights, mean[name])
        assert not torch.equal(weights, state["model"][name])


def test_patience_ends_a_run_and_the_same_command_scores_it_again(tmp_path, mnist_dir):
    """At this learning rate nothing gets better after the first validation."""
    words = [*MNIST, "--arch", "mlp", "--lr", "1e-12", "--eval_interval_iters", "5"]
    words += ["--patience", "2", "--checkpoint_interval_iters", "1000"]
    done = run_program(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "stopped early: 2 validations without a better accuracy" in done.stdout
    first = results_of(tmp_path)
    assert (first["num_steps"], first["best_step"]) == (15, 5)
    again = run_program(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "is finished" in again.stdout
    assert results_of(tmp_path)["test_accuracy"] == first["test_accuracy"]


def test_one_batch_is_learned_by_heart_and_the_scores_say_so(tmp_path, mnist_dir):
    words = [*MNIST, *QUICK[4:], "--overfit_one_batch", "--num_total_iterations", "60"]
    done = run_program(*words, "--lr", "1e-2", "--width", "8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "16 to train on, 16 to validate, 16 to test" in done.stdout
    results = results_of(tmp_path)
    assert results["test_accuracy"] == results["best_val_accuracy"] == 1.0
    assert results["note"] == "OF THE TRAINING IMAGES: a single batch of them (overfit_one_batch)"
    assert done.stdout.count("OF THE TRAINING IMAGES") == 2


def test_a_part_of_the_test_set_is_said_to_be_one(tmp_path, mnist_dir):
    done = run_program(*MNIST, *QUICK, "--test_subset", "20", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "20 to test" in done.stdout
    assert "OF A PART of the test set" in results_of(tmp_path)["note"]


def test_ctrl_c_leaves_plots_and_a_report_of_what_there_is(tmp_path, mnist_dir):
    words = [word for word in RUN if word != "--no-plots"]
    command = [sys.executable, "-W", "error", str(ROOT / "run_gradient_based.py"), *words]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if "step    140  valid" in line:
            process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    folder = tmp_path / "saved_models" / "run"
    for name in ("batch_metrics", "epoch_metrics", "samples"):
        with Image.open(folder / "plots" / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 2
    assert re.search(r"^\| 140 \| ", (folder / "report.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("words", [["--arch", "timm:test_resnet"], ["--tensorboard"]])
def test_extras_are_a_matter_of_flags_too(tmp_path, mnist_dir, words):
    done = run_program(*MNIST, *QUICK, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    if "--tensorboard" in words:
        folder = tmp_path / "saved_models" / "resnet_emnist" / "tensorboard"
        assert [path.name[:20] for path in folder.iterdir()] == ["events.out.tfevents."]
