"""torch.compile for the forward pass and the loss, where it works."""

import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tinkering.train import Criterion, Forward, forward_of


class Compiled(NamedTuple):
    """A forward pass, and how its compilation went."""

    forward: Forward
    seconds: float  # of compiling
    line: str  # for the user; "" if nothing was to be compiled


def compile_forward(
    model: nn.Module,
    criterion: Criterion,
    batch_shape: Sequence[int],
    device: torch.device,
    autocast: AbstractContextManager,
    mode: bool | str,
) -> Compiled:
    """Compile the forward pass of a model and its loss for batches of one shape.

    It is compiled at once, by a step on zeros that leaves the model and the random state as they
    were. Batches of another size, the last of a pass for example, are computed without it. If
    compiling fails, or there is no C++ compiler, all batches are, and the line says why.

    Args:
        batch_shape: of the images to come, (N, C, H, W), float32.
        autocast: context of the forward pass.
        mode: False for no compiling, True for torch.compile's default mode, or the name of
            another: "reduce-overhead" for CUDA graphs.
    """
    plain = forward_of(model, criterion)
    if not mode:
        return Compiled(plain, 0.0, "")
    if not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
        return Compiled(plain, 0.0, "not compiled: there is no C++ compiler; continuing without it")
    images = torch.zeros(*batch_shape, device=device)
    labels = torch.zeros(len(images), dtype=torch.int64, device=device)
    started = perf_counter()
    try:
        # torch warns of features that it uses itself.
        with warnings.catch_warnings(action="ignore"), _restored(model), autocast:
            fast = torch.compile(plain, mode=None if mode is True else str(mode), dynamic=False)
            model.train()
            fast(images, labels)[1].backward()
    except Exception as error:  # each backend raises its own
        first_line = str(error).strip().split("\n")[0]
        return Compiled(plain, 0.0, f"not compiled: {first_line}; continuing without it")
    seconds = perf_counter() - started

    def forward(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return fast(images, labels) if len(images) == batch_shape[0] else plain(images, labels)

    return Compiled(forward, seconds, f"compiled in {seconds:.1f} s")


@contextmanager
def _restored(model: nn.Module) -> Iterator[None]:
    """Restore buffers, mode and random state afterwards, and clear gradients, errors or not."""
    buffers = [buffer.clone() for buffer in model.buffers()]
    was_training = model.training
    try:
        with torch.random.fork_rng():
            yield
    finally:
        model.train(was_training)
        model.zero_grad(set_to_none=True)
        for buffer, before in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(before)
