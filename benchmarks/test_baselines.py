import contextlib
import io
import json
import runpy
import subprocess
import sys

import pytest
import torch

from benchmarks import baselines, time_to_accuracy
from tests.helpers import random_part, write_part


@pytest.fixture
def data(tmp_path):
    """A data folder with an MNIST of 640 and 70 images."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_part(raw, "train", *random_part(640, 10), packed=False)
    write_part(raw, "t10k", *random_part(70, 10, seed=1), packed=False)
    return str(tmp_path / "data")


@pytest.fixture
def one_process(monkeypatch):
    """Python programs run in this process, which has imported torch already."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        monkeypatch.setattr(sys, "argv", command[1:])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the program changes it
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
            runpy.run_path(command[1], run_name="__main__")
        return subprocess.CompletedProcess(command, 0, shown.getvalue())

    monkeypatch.setattr(subprocess, "run", run)


def test_the_network_of_train_mnist_fast_has_the_published_shape():
    weights = [tuple(p.shape) for p in baselines.FastNet().parameters() if p.dim() > 1]
    assert weights == [(24, 1, 5, 5), (32, 24, 3, 3), (256, 800), (10, 256)]
    num_parameters = 624 + 6944 + 205_056 + 2570
    assert sum(p.numel() for p in baselines.FastNet().parameters()) == num_parameters


def test_the_network_of_the_example_has_the_published_shape():
    weights = [tuple(p.shape) for p in baselines.ConvNet().parameters() if p.dim() > 1]
    assert weights == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 9216), (10, 128)]


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_the_learning_rate_of_train_mnist_fast_is_one_cycle_over_one_epoch():
    optimizer, scheduler = baselines.fast_steps(torch.nn.Linear(1, 1), 235)
    (group,) = optimizer.param_groups
    lrs = []
    for _ in range(235):
        lrs.append(group["lr"])
        assert group["betas"] == (0.7, 0.9)
        if len(lrs) < 235:
            scheduler.step()
    assert (lrs[0], max(lrs)) == pytest.approx((1e-2 / 25, 1e-2), rel=1e-3)
    assert lrs.index(max(lrs)) / 235 == pytest.approx(0.3, abs=0.01)
    assert lrs[-1] == pytest.approx(1e-2 / 25 / 1e4)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_the_learning_rate_of_the_example_falls_at_each_epoch():
    optimizer, scheduler = baselines.example_steps(torch.nn.Linear(1, 1))
    lrs = []
    for _ in range(3):
        lrs.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    assert isinstance(optimizer, torch.optim.Adadelta)
    assert lrs == pytest.approx([1.0, 0.7, 0.49])


@pytest.mark.parametrize(("goal", "num_epochs"), [(0.0, 1), (1.1, 3)])
def test_the_example_ends_after_the_first_epoch_that_reaches_the_goal(data, goal, num_epochs):
    train, test = (baselines.load(data, part) for part in ("train", "test"))
    train = baselines.Part(train.images[:128], train.labels[:128])
    epochs = baselines.pytorch_example(train, test, goal=goal, most_epochs=3)
    assert len(epochs) == num_epochs
    seconds = [epoch.train_seconds for epoch in epochs]
    assert seconds == sorted(seconds)


def test_images_are_normalised(data):
    images, labels = baselines.load(data, "test")
    assert images.shape == (70, 1, 28, 28)
    assert labels.shape == (70,)
    highest = (250 / 255 - 0.1307) / 0.3081
    assert images.max().item() == pytest.approx(highest)


def test_a_short_run_has_every_figure(one_process, data, tmp_path, monkeypatch, capsys):
    file = tmp_path / "figures.json"
    words = ["--seeds", "1", "--fast_seeds", "1", "--data_dir_root", data, "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["time_to_accuracy.py", *words])
    time_to_accuracy.main()
    figures = json.loads(file.read_text())
    assert [len(runs) for runs in figures["runs"].values()] == [1, 1, 1]
    for runs in figures["runs"].values():
        for run in runs:
            assert 0 < run["train_seconds"] < run["seconds"]
            assert 0 <= run["accuracy"] <= 100
    assert [len(bar["rounds"]) for bar in figures["bars"]] == [1, 1, 1]
    shown = capsys.readouterr().out
    for what in (*figures["runs"], *(bar["what"] for bar in figures["bars"])):
        assert what in shown
