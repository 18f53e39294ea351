"""torch.compile for the forward pass and the loss, where it can be had."""

import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tinkering.train import Forward, forward_of


class Compiled(NamedTuple):
    """A forward pass, and what there is to say of it."""

    forward: Forward
    seconds: float  # that compiling took
    line: str


def compile_forward(
    model: nn.Module,
    criterion: Callable[[Tensor, Tensor], Tensor],
    batch_shape: Sequence[int],
    device: torch.device,
    autocast: AbstractContextManager,
    mode: bool | str,
) -> Compiled:
    """The forward pass of a model and its loss, compiled for batches of one shape if asked for.

    It is compiled here and now, by a step that leaves the model and the random state as they
    were; batches of another size, the last of an epoch, are computed without it. Without a C++
    compiler all are, and the line says so.

    Args:
        criterion: (logits, labels) -> mean loss.
        batch_shape: of the images to come, (N, C, H, W), float.
        autocast: context of the forward pass.
        mode: False for no compiling, True for torch.compile's own mode, or the name of another:
            "reduce-overhead" for CUDA graphs.
    """
    plain = forward_of(model, criterion)
    if not mode:
        return Compiled(plain, 0.0, "")
    if not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
        return Compiled(plain, 0.0, "not compiled: there is no C++ compiler; going on without")
    images = torch.zeros(*batch_shape, device=device)
    labels = torch.zeros(len(images), dtype=torch.int64, device=device)
    started = perf_counter()
    try:
        # torch warns of what it uses itself.
        with warnings.catch_warnings(action="ignore"), _unchanged(model), autocast:
            fast = torch.compile(plain, mode=None if mode is True else mode, dynamic=False)
            model.train()
            _, loss = fast(images, labels)
            loss.backward()
    except Exception as error:  # each backend raises its own
        first_line = str(error).strip().split("\n")[0]
        return Compiled(plain, 0.0, f"not compiled: {first_line}; going on without")
    seconds = perf_counter() - started

    def forward(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return fast(images, labels) if len(images) == batch_shape[0] else plain(images, labels)

    return Compiled(forward, seconds, f"compiled in {seconds:.1f} s")


@contextmanager
def _unchanged(model: nn.Module) -> Iterator[None]:
    """Puts back the model's buffers, gradients, mode and the random state when it ends."""
    buffers = [buffer.clone() for buffer in model.buffers()]
    was_training = model.training
    with torch.random.fork_rng():
        yield
    model.train(was_training)
    model.zero_grad(set_to_none=True)
    for buffer, before in zip(model.buffers(), buffers, strict=True):
        buffer.copy_(before)
