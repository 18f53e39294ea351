import io

import pytest
import torch
from torch import nn
from torch.nn import functional

from tinkering.models import ResNet4StageCustom
from tinkering.optim.muon import Muon

FORMATS = [torch.contiguous_format, torch.channels_last]
LR = 0.01


def muon(model, weight_decay=0.0, **options):
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return Muon(groups, **{"lr": LR, **options})


def network(memory_format=torch.contiguous_format):
    torch.manual_seed(0)
    return ResNet4StageCustom(num_classes=4, width=4).to(memory_format=memory_format)


def losses_of(model, optimizer, num_steps):
    """The loss on one batch before each of num_steps steps."""
    images = torch.randn(16, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(num_steps):
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(model(images), torch.arange(16) % 4)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def give_gradients(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.empty_like(p).copy_(torch.randn(p.shape, generator=generator))


def torchs(matrix, gradients, **options):
    """What torch.optim.Muon makes of the matrix."""
    matrix = matrix.detach().clone()
    optimizer = torch.optim.Muon([matrix], lr=LR, adjust_lr_fn="match_rms_adamw", **options)
    for gradient in gradients:
        matrix.grad = gradient
        optimizer.step()
    return matrix


def reloaded(optimizer):
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_it_lowers_the_loss_on_one_batch(memory_format):
    model = network(memory_format)
    losses = losses_of(model, muon(model), 20)
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("options", [{"momentum": 0.95, "nesterov": True}, {"momentum": 0.5}])
def test_a_matrix_becomes_exactly_what_torchs_muon_makes_of_it(options):
    model = nn.Linear(6, 4, bias=False)
    start, gradients = model.weight.detach().clone(), torch.randn(3, 4, 6)
    optimizer = muon(model, weight_decay=0.1, **options)
    for gradient in gradients:
        model.weight.grad = gradient
        optimizer.step()
    assert torch.equal(model.weight, torchs(start, gradients, weight_decay=0.1, **options))


@pytest.mark.parametrize("gradients_format", FORMATS)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_a_convolution_is_a_matrix_in_both_memory_formats(
    in_channels, memory_format, gradients_format
):
    torch.manual_seed(0)
    model = nn.Conv2d(in_channels, 8, 3, bias=False).to(memory_format=memory_format)
    start = model.weight.detach().clone().flatten(1)
    gradients = torch.randn(3, *model.weight.shape)
    optimizer = muon(model)
    for gradient in gradients:
        model.weight.grad = gradient.to(memory_format=gradients_format)
        optimizer.step()
    expected = torchs(start, gradients.flatten(2), weight_decay=0.0)
    assert (expected - start).abs().max() > LR / 2
    torch.testing.assert_close(model.weight.flatten(1), expected, rtol=0, atol=0.02 * LR)


def test_norms_and_biases_follow_adamw_exactly():
    model, other = network(), network()
    optimizer = muon(model)
    adamw = torch.optim.AdamW([p for p in other.parameters() if p.dim() <= 1], LR, weight_decay=0)
    for seed in range(3):
        give_gradients(model, seed)
        give_gradients(other, seed)
        optimizer.step()
        adamw.step()
    pairs = list(zip(model.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(p, q) for p, q in pairs if p.dim() <= 1)
    assert not any(torch.equal(p, q) for p, q in pairs if p.dim() > 1)


def test_weight_decay_is_of_weights_only():
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = muon(model, weight_decay=0.5)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for p, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(p.detach(), old * (1 - LR * 0.5) if p.dim() > 1 else old)


def test_the_schedulers_rate_is_the_one_that_is_used():
    model, other = network(), network()
    optimizer, at_that_rate = muon(model), muon(other, lr=LR / 2)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
    losses_of(model, optimizer, 1)
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == [LR / 2, LR / 2]
    losses_of(other, at_that_rate, 1)
    assert all(map(torch.equal, model.parameters(), other.parameters()))


def test_the_gradient_scaler_finds_the_gradients():
    model, other = network(), network()
    optimizer, plain = muon(model), muon(other)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for seed in range(2):
        give_gradients(other, seed)
        give_gradients(model, seed)
        for p in model.parameters():
            p.grad *= 1024
        scaler.scale(torch.zeros(()))  # a scaler has its scale from the first loss on
        scaler.step(optimizer)
        scaler.update()
        plain.step()
    assert all(map(torch.equal, model.parameters(), other.parameters()))
    model.head.weight.grad.fill_(float("inf"))
    scaler.step(optimizer)
    assert all(map(torch.equal, model.parameters(), other.parameters()))


@pytest.mark.parametrize("memory_format", FORMATS)
def test_a_restored_optimizer_goes_on_bit_by_bit(memory_format):
    model, other = network(memory_format), network(memory_format)
    optimizer, restored = muon(model, weight_decay=0.1), muon(other, lr=1.0)
    losses_of(model, optimizer, 3)
    other.load_state_dict(model.state_dict())
    restored.load_state_dict(reloaded(optimizer))
    assert losses_of(model, optimizer, 3) == losses_of(other, restored, 3)
    assert all(map(torch.equal, model.parameters(), other.parameters()))


def test_a_state_is_of_either_memory_format():
    model, other = network(torch.channels_last), network(torch.contiguous_format)
    optimizer, restored = muon(model), muon(other)
    losses_of(model, optimizer, 3)
    other.load_state_dict(model.state_dict())
    restored.load_state_dict(reloaded(optimizer))
    give_gradients(model, 0)
    give_gradients(other, 0)
    optimizer.step()
    restored.step()
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=0.02 * LR)


def test_what_has_no_gradient_stays():
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = muon(model, weight_decay=0.5)
    optimizer.step()
    assert all(map(torch.equal, model.parameters(), before))
    assert not optimizer.state


def test_a_step_gives_back_the_loss_of_its_closure():
    model = nn.Linear(2, 2)

    def closure():
        loss = model(torch.ones(1, 2)).square().sum()
        loss.backward()
        return loss

    optimizer = muon(model)
    first = optimizer.step(closure)
    optimizer.zero_grad()
    assert optimizer.step(closure) < first


@pytest.mark.parametrize("wrong", [{"momentum": 1.0}, {"momentum": -0.1}, {"lr": -1.0}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="should be"):
        muon(nn.Linear(2, 2), **wrong)
