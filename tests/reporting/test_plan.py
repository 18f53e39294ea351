import copy
import gc
import stat
import sys
import time
from unittest import mock

import pytest
import torch
from torch import nn

from tests.helpers import make_run
from tinkering.models import ARCHITECTURES, arguments_of, build
from tinkering.models.small import LeNet5, StrideNet
from tinkering.reporting.plan import layer_table, make_facts, make_plan, revision
from tinkering.runtime.distributed import Group


def test_the_plan_states_what_will_be_trained_on_what(tmp_path):
    plan = make_plan(make_run(tmp_path, lr=0.1), torch.device("cpu"), "compiled")
    assert plan["data set"] == "mnist: 50 classes, in ./emnist_data"
    assert plan["images"] == "50 to train on, 50 to validate, 50 to test; augment none"
    assert plan["network"] == "resnet4stage: 1,850 parameters, compiled"
    assert plan["steps"] == "10 of 8 images, 1.48 epochs, seed 0"
    assert plan["optimizer"] == "adamw, learning rate 0.1, linear, weight decay 0.0001"
    assert plan["device"].startswith("cpu, fp32, ")
    assert plan["files"] == f"{tmp_path / 'run.pt'}, {tmp_path / 'run'}"


def test_the_plan_states_the_factors_of_a_step(tmp_path):
    run = make_run(tmp_path, batch_size=2, grad_accum_steps=2)
    run.group = Group(0, 2, 0)
    run.loop.samples_per_step = 8
    steps = make_plan(run, torch.device("cpu"), "")["steps"]
    assert steps.startswith("10 of 8 images (2 processes x 2 micro-batches x 2)")


def test_the_facts_are_the_command_the_code_the_machine_and_every_flag(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py", "--lr", "0.1"])
    facts = make_facts(make_run(tmp_path, lr=0.1))
    assert facts["command"] == "python train.py --lr 0.1"
    assert facts["torch"] == torch.__version__
    assert facts["--lr"] == "0.1"
    assert {"revision", "python", "machine", "layers"} <= facts.keys()


def test_a_git_that_hangs_does_not_delay_the_start(tmp_path, monkeypatch):
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\nexec sleep 60\n")
    git.chmod(git.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    start = time.monotonic()
    assert revision() == ""
    assert time.monotonic() - start < 5


def test_without_git_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision() == ""


def table_of(model, image_shape, batch_size):
    run = mock.Mock(flags={"batch_size": batch_size})
    run.train_state.model, run.loaders.train.dataset.image_shape = model, image_shape
    return layer_table(run)


def test_the_table_has_each_layer_with_its_shape_parameters_and_multiply_adds():
    rows = [line.split() for line in table_of(LeNet5(), (1, 28, 28), 5).splitlines()]
    first = 6 * 25 + 6
    assert ["+", "Conv2d:", "1-1", "[5,", "6,", "28,", "28]", f"{first}", "611,520"] in rows
    assert 5 * first * 28 * 28 == 611_520
    assert ["+", "Linear:", "1-12", "[5,", "10]", "850", "4,250"] in rows
    assert ["Total", "params:", "61,706"] in rows
    assert ["Total", "mult-adds", "(M):", "2.12"] in rows


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_table_is_plain_text_of_100_columns_at_most(arch):
    arguments = arguments_of(arch, num_classes=62, image_shape=(3, 32, 32), width=64)
    table = table_of(build(arch, arguments), (3, 32, 32), 1024)
    assert table.isascii()
    assert "Units" not in table
    assert max(len(line) for line in table.splitlines()) <= 100


def test_the_network_and_the_random_state_stay_as_they_were():
    model = nn.Sequential(StrideNet(), nn.Dropout()).to(memory_format=torch.channels_last)
    model[0][1].eval()  # one layer's own mode
    model(torch.randn(4, 1, 28, 28)).sum().backward()
    before, gradients = copy.deepcopy(model), [p.grad.clone() for p in model.parameters()]
    state = torch.get_rng_state()
    table_of(model, (1, 28, 28), 64)
    assert torch.equal(state, torch.get_rng_state())
    for old, new in zip(before.modules(), model.modules(), strict=True):
        assert old.training == new.training
        assert not new._forward_hooks
        assert not new._forward_pre_hooks
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    for old, new in zip(before.parameters(), model.parameters(), strict=True):
        assert new.device.type == "cpu"
        assert new.stride() == old.stride()
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)


def test_no_reference_to_the_network_is_kept():
    class Own(StrideNet):
        pass

    table_of(Own(), (1, 28, 28), 64)
    gc.collect()
    assert not [thing for thing in gc.get_objects() if type(thing) is Own]
