"""Whole runs with other flags than the default."""

import re

import numpy as np
import pytest
import torch

from tests.helpers import MNIST, QUICK, results_of, run_main, write_part
from tinkering.commands.verify_resume import repeatable_metrics, run_files
from tinkering.models import build

RUN = (*MNIST, "--run_id", "run")


@pytest.fixture
def train(tmp_path, mnist_dir):
    """A function that makes a whole run and returns what it has printed."""

    def run(*words):
        done = run_main(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def saved_models(tmp_path):
    return tmp_path / "saved_models"


def test_a_run_repeated_from_its_own_config_gives_the_same_metrics(tmp_path, train):
    words = ["--augment", "affine", "--ema_decay", "0.9", "--optimizer", "adam"]
    words += ["--betas", "0.8,0.9", "--schedule", "plateau", "--step_size_iters", "5"]
    words += ["--grad_accum_steps", "2", "--train_subset", "100", "--test_subset", "20"]
    train(*RUN, *QUICK, *words, "--save_path", "first")
    train("--config", "first/run/config.yaml", "--save_path", "second")
    rows = repeatable_metrics(run_files(tmp_path / "first"))
    assert len(rows) == 1 + 4 + 2
    assert repeatable_metrics(run_files(tmp_path / "second")) == rows
    one, other = ((tmp_path / name / "run" / "config.yaml") for name in ("first", "second"))
    assert one.read_text().replace("save_path: first", "save_path: second") == other.read_text()


def test_network_optimizer_and_schedule_are_chosen_by_flags(saved_models, train):
    words = ["--arch", "mlp", "--width", "4", "--optimizer", "sgd", "--nesterov", "--lr", "0.1"]
    words += ["--schedule", "onecycle", "--loss", "nll", "--betas", "0.8,0.9"]
    output = train(*RUN, *QUICK[2:], *words, "--warmup_iters", "3")
    assert "mlp: 3,190 parameters" in output
    assert "sgd, learning rate 0.1, onecycle" in output
    saved = torch.load(saved_models / "run.pt", weights_only=True)
    build(saved["arch"], saved["arch_args"]).load_state_dict(saved["model"])


def test_a_preset_runs_for_its_epochs_and_keeps_the_mean_of_the_weights(saved_models, train):
    words = ["--preset", "fcn-mnist", "--data_dir_root", "data", "--no-plots", "--ema_decay", "0.5"]
    output = train(*words, "--num_total_epochs", "2.5", "--val_size", "44")
    assert "10 of 64 images, 2.5 epochs" in output
    saved = torch.load(saved_models / "fcn-mnist.pt", weights_only=True)
    state = torch.load(saved_models / "fcn-mnist" / "state.pt", weights_only=True)
    mean = {name.removeprefix("module."): kept for name, kept in state["ema"].items()}
    for name, weights in saved["model"].items():
        assert torch.equal(weights, mean[name])
        assert not torch.equal(weights, state["model"][name])


def test_patience_ends_a_run_and_the_same_command_tests_it_again(saved_models, train):
    """At this learning rate nothing gets better after the first validation."""
    words = [*RUN, "--arch", "mlp", "--lr", "1e-12", "--eval_interval_iters", "5"]
    words += ["--patience", "2", "--checkpoint_interval_iters", "1000"]
    train(*words)
    first = results_of(saved_models, "run")
    assert (first["num_steps"], first["best_step"]) == (15, 5)
    assert "is finished" in train(*words)
    assert results_of(saved_models, "run")["test_accuracy"] == first["test_accuracy"]


def test_a_single_batch_is_learned_by_heart_and_the_scores_say_so(saved_models, train):
    words = ["--overfit_one_batch", "--num_total_iterations", "60", "--lr", "1e-2", "--width", "8"]
    output = train(*RUN, *QUICK[4:], *words)
    assert "16 to train on, 16 to validate, 16 to test" in output
    results = results_of(saved_models, "run")
    assert results["test_accuracy"] == results["best_val_accuracy"] == 1.0
    assert results["note"] == "OF THE TRAINING IMAGES: a single batch of them (overfit_one_batch)"
    assert output.count("OF THE TRAINING IMAGES") == 2


def test_a_score_on_a_part_of_the_test_set_says_so(saved_models, train):
    assert "20 to test" in train(*RUN, *QUICK, "--test_subset", "20")
    assert "OF A PART of the test set" in results_of(saved_models, "run")["note"]


def test_timm_and_tensorboard_are_chosen_by_flags(saved_models, train):
    train(*RUN, *QUICK, "--arch", "timm:test_resnet", "--tensorboard")
    (events,) = (saved_models / "run" / "tensorboard").iterdir()
    assert events.name.startswith("events.out.tfevents.")


def test_images_that_the_network_does_not_accept_are_refused_before_training(tmp_path):
    images = np.arange(40 * 27 * 29).reshape(40, 27, 29) % 256
    for prefix in ("train", "t10k"):
        write_part(tmp_path / "data" / "MNIST" / "raw", prefix, images, np.arange(40) % 10)
    done = run_main(*RUN, "--arch", "lenet5", cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(r"^error: --arch lenet5 does not accept images of 27 x 29 .*$", done.stderr)


def test_a_network_that_cannot_fit_into_memory_is_refused_with_a_width_that_would(
    tmp_path, mnist_dir
):
    done = run_main(*RUN, "--width", "4096", cwd=tmp_path)
    assert done.returncode == 5
    error = r"^error: out of memory: training needs .*; try --width \d+$"
    assert re.search(error, done.stderr)
