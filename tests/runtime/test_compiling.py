"""The forward pass by torch.compile. One small network, because compiling takes seconds."""

from contextlib import nullcontext

import pytest
import torch

from tinkering.runtime import compiling
from tinkering.runtime.compiling import compile_forward

SHAPE = (4, 1, 2, 3)
CPU = torch.device("cpu")


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 3, bias=False)
    )


def compile_it(model, mode):
    return compile_forward(model, torch.nn.CrossEntropyLoss(), SHAPE, CPU, nullcontext(), mode)


def batch(num_images):
    return torch.randn(num_images, *SHAPE[1:]), torch.arange(num_images) % 3


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_unchanged(model, before, random_state):
    torch.testing.assert_close(state_of(model), before, rtol=0, atol=0)
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.fixture(scope="module")
def compiled():
    """A network, its state before it was compiled, and its compiled forward pass."""
    model = network()
    before, random_state = state_of(model), torch.get_rng_state()
    found = compile_it(model, True)
    assert_unchanged(model, before, random_state)
    return model, before, found


def test_compiling_says_how_long_it_took(compiled):
    _, _, found = compiled
    assert found.seconds > 0
    assert found.line == f"compiled in {found.seconds:.1f} s"


@pytest.mark.parametrize("num_images", [4, 3])
def test_it_computes_what_the_plain_one_does_for_the_short_last_batch_too(compiled, num_images):
    model, before, found = compiled
    images, labels = batch(num_images)
    results = []
    for forward in (found.forward, compile_it(model, False).forward):
        model.load_state_dict(before)
        model.zero_grad()
        logits, loss = forward(images, labels)
        loss.backward()
        results.append((logits, loss, [p.grad.clone() for p in model.parameters()]))
        results[-1] += ([buffer.clone() for buffer in model.buffers()],)
    torch.testing.assert_close(*results)


def test_not_asked_for_nothing_is_compiled():
    found = compile_it(network(), False)
    assert (found.seconds, found.line) == (0.0, "")


def test_without_a_compiler_the_run_goes_on_and_says_so(monkeypatch):
    monkeypatch.setattr(compiling.shutil, "which", lambda _: None)
    found = compile_it(network(), True)
    assert found.line == "not compiled: there is no C++ compiler; continuing without it"
    assert found.forward(*batch(4))[0].shape == (4, 3)


class FailingBackward(torch.autograd.Function):
    """A loss whose backward pass fails, after the forward pass has moved the running means."""

    @staticmethod
    def forward(_ctx, loss):
        return loss.clone()

    @staticmethod
    def backward(_ctx, *_gradients):
        raise RuntimeError("no such instruction\nand much more")


def test_a_compiler_that_fails_leaves_the_network_as_it_was_and_the_run_goes_on(monkeypatch):
    def compile(plain, **_options):
        def forward(*batch):
            logits, loss = plain(*batch)
            torch.rand(1)
            return logits, FailingBackward.apply(loss)

        return forward

    monkeypatch.setattr(torch, "compile", compile)
    model = network().eval()
    before, random_state = state_of(model), torch.get_rng_state()
    found = compile_it(model, True)
    assert found.line == "not compiled: no such instruction; continuing without it"
    assert_unchanged(model, before, random_state)
    assert not model.training
    assert found.forward(*batch(4))[0].shape == (4, 3)
