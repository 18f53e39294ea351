"""One batch, trained on again and again: what network and optimizer cost, and nothing else.

    python benchmarks/bare_step.py --width 64 --seconds 6 [--compile]

The network, its memory format, the precision and the optimizer are those that
run_gradient_based.py takes by default; the batch lies on the device already, and nothing is
logged. Prints images a second.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from tinkering.models import ResNet4StageCustom
from tinkering.optim.losses import make_criterion
from tinkering.optim.optimizers import make_optimizer
from tinkering.runtime.compiling import compile_forward
from tinkering.runtime.device import choose_device, choose_precision, make_fast

BATCH_SIZE = 64
NUM_WARM_UP = 20  # steps before the time is taken


def make_step(width: int, compile: bool = False) -> Callable[[], Tensor]:
    """A function that makes one step on a batch of 64 and returns its loss.

    Args:
        compile: the forward pass, as --compile does.
    """
    device = choose_device("auto")
    make_fast(device, BATCH_SIZE)
    precision = choose_precision("auto", device)
    torch.manual_seed(0)
    model = ResNet4StageCustom(width=width).to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer("adamw", model, lr=1e-3, weight_decay=1e-4)
    criterion = make_criterion("cross_entropy")
    images = torch.randn(BATCH_SIZE, 1, 28, 28, device=device)
    labels = torch.randint(10, (BATCH_SIZE,), device=device)
    forward = compile_forward(
        model, criterion, images.shape, device, precision.autocast, compile
    ).forward

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with precision.autocast:
            _, loss = forward(images, labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def speed(width: int, seconds: float, compile: bool = False) -> float:
    """Images a second of steps over so many seconds after the first steps."""
    step = make_step(width, compile)
    for _ in range(NUM_WARM_UP):
        step().item()
    num_steps, started = 0, perf_counter()
    while perf_counter() - started < seconds:
        loss = step()
        num_steps += 1
    loss.item()  # waits for a GPU
    return num_steps * BATCH_SIZE / (perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long to measure")
    parser.add_argument("--compile", action="store_true", help="compile the forward pass")
    options = parser.parse_args()
    print(speed(options.width, options.seconds, options.compile))


if __name__ == "__main__":
    main()
