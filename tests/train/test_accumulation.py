"""Batches computed in parts, and running means of the weights."""

import pytest
import torch
from torch.utils.data import DataLoader

from tests.helpers import samples, train, training
from tinkering.optim.optimizers import make_ema


def plain():
    """Without what makes a batch's result depend on the others in it, or on chance."""
    model, optimizer, criterion = training()
    model.layers[2] = torch.nn.Identity()
    model.layers[3].p = 0.0
    return model, optimizer, criterion


def trained(num_samples, batch_size, num_steps, **kwargs):
    parts = plain()
    told = train(*parts, DataLoader(samples(num_samples), batch_size), num_steps, **kwargs)
    return parts[0].state_dict(), told


@pytest.mark.parametrize(("num_samples", "small", "many"), [(24, 4, 3), (10, 4, 3)])
def test_a_batch_computed_in_parts_is_as_if_computed_at_once(num_samples, small, many):
    """In the second case the last of the three parts is short, and counts for what it is."""
    weights, told = trained(num_samples, small * many, 2, micro_batch_size=small)
    expected, told_of_one = trained(num_samples, small * many, 2)
    torch.testing.assert_close(weights, expected)
    assert told == pytest.approx(told_of_one)


def test_a_loss_that_is_not_finite_in_any_part_leaves_the_whole_step_out():
    data = samples(24)
    data.tensors[0][5] = float("nan")  # in the second part of the first batch
    model, optimizer, criterion = plain()
    before = [p.clone() for p in model.parameters()]
    batches = DataLoader(data, 12)
    kwargs = {"on_nonfinite": "skip", "micro_batch_size": 4}
    train(model, optimizer, criterion, batches, 1, **kwargs)
    assert all(map(torch.equal, before, model.parameters()))
    train(model, optimizer, criterion, batches, 1, 1, **kwargs)
    assert not all(map(torch.equal, before, model.parameters()))


def test_the_mean_of_the_weights_follows_them_by_its_share_a_step():
    model, optimizer, criterion = training()
    ema, expected = make_ema(model, 0.75), None
    for step in range(4):
        train(model, optimizer, criterion, DataLoader(samples(8), 4), 1, step, ema=ema)
        now = {k: v.clone() for k, v in model.state_dict().items() if v.is_floating_point()}
        kept = now if expected is None else expected
        expected = {name: 0.75 * kept[name] + 0.25 * now[name] for name in now}
    found = ema.module.state_dict()
    assert "layers.2.running_mean" in expected  # BatchNorm's means, too
    torch.testing.assert_close({name: found[name] for name in expected}, expected)


def test_without_a_decay_there_is_no_mean():
    assert make_ema(training()[0], None) is None
