"""Several batches an optimizer step, and running means of the weights."""

import pytest
import torch
from torch.utils.data import DataLoader

from tests.test_batches import dataset
from tests.test_train import samples, train, training
from tinkering.batches import make_loader
from tinkering.recipes import make_ema


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
def test_several_batches_a_step_are_one_batch_of_all_their_samples(num_samples, small, many):
    """In the second case the last of the three batches is short, and counts for what it is."""
    weights, told = trained(num_samples, small, 2, grad_accum_steps=many)
    expected, told_of_one = trained(num_samples, small * many, 2)
    torch.testing.assert_close(weights, expected)
    assert told == pytest.approx(told_of_one)


def test_a_step_takes_its_own_batches_wherever_the_run_goes_on():
    """Six steps in one call, and the same in two calls with a loader of its own each."""
    straight, broken = plain(), plain()
    train(*straight, loader_of_images(), 6, grad_accum_steps=2)
    train(*broken, loader_of_images(), 2, grad_accum_steps=2)
    _, _, step = train(*broken, loader_of_images(), 4, 2, grad_accum_steps=2)
    assert step == 6
    torch.testing.assert_close(straight[0].state_dict(), broken[0].state_dict(), rtol=0, atol=0)


def loader_of_images():
    images = dataset(20)
    images.images, images.labels = images.images[:, :3, :3].contiguous(), images.labels % 3
    return make_loader(images, 4, seed=3)


def test_a_loss_that_is_not_finite_in_any_of_them_leaves_the_whole_step_out():
    data = samples(24)
    data.tensors[0][5] = float("nan")  # in the second batch of the first step
    model, optimizer, criterion = plain()
    before = [p.clone() for p in model.parameters()]
    batches = DataLoader(data, 4)
    kwargs = {"on_nonfinite": "skip", "grad_accum_steps": 3}
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
