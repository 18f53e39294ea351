"""The forward pass by torch.compile. One small network, because compiling takes seconds."""

from contextlib import nullcontext

import pytest
import torch

from tinkering.models.small import MLP
from tinkering.runtime import compiling as compiled
from tinkering.runtime.compiling import compile_forward

SHAPE = (4, 1, 6, 6)
CPU = torch.device("cpu")


def network():
    torch.manual_seed(0)
    layers = list(MLP(num_classes=3, image_size=6, width=5))
    return torch.nn.Sequential(*layers[:2], torch.nn.BatchNorm1d(5), *layers[2:])


def compile_it(model, mode):
    return compile_forward(model, torch.nn.CrossEntropyLoss(), SHAPE, CPU, nullcontext(), mode)


def batch(num_images):
    return torch.randn(num_images, *SHAPE[1:]), torch.arange(num_images) % 3


@pytest.fixture(scope="module")
def fast():
    """A network, what it was before it was compiled, and its compiled forward pass."""
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    found = compile_it(model, True)
    assert torch.equal(torch.get_rng_state(), random_state)
    return model, before, found


def test_compiling_leaves_the_network_as_it_was_and_tells_its_time(fast):
    model, before, found = fast
    assert found.seconds > 0
    assert found.line == f"compiled in {found.seconds:.1f} s"
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("num_images", [4, 3])
def test_it_computes_what_the_plain_one_does_for_the_short_last_batch_too(fast, num_images):
    model, before, found = fast
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
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    found = compile_it(network(), True)
    assert found.line == "not compiled: there is no C++ compiler; going on without"
    assert found.forward(*batch(4))[0].shape == (4, 3)


def test_a_compiler_that_fails_is_no_obstacle_either(monkeypatch):
    def broken(*_args, **_kwargs):
        def forward(*_):
            raise RuntimeError("no such instruction\nand much more")

        return forward

    monkeypatch.setattr(torch, "compile", broken)
    found = compile_it(network(), True)
    assert found.line == "not compiled: no such instruction; going on without"
    assert found.forward(*batch(4))[0].shape == (4, 3)
