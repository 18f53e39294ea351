"""Two published recipes for MNIST, in words of our own: what the speedrun's time is compared with.

    python benchmarks/baselines.py RECIPE [--seed 0] [--data_dir_root ./emnist_data]

train_mnist_fast is the last recipe of https://github.com/tuomaso/train_mnist_fast, pytorch_example
is https://github.com/pytorch/examples/tree/main/mnist, which ends here after the first epoch that
reaches its goal on the test set. Both train in float32, on all training images, which lie in
memory, normalised, before the time is taken. Prints one line of JSON: the accuracy on the test
set and the seconds of training after each epoch.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR

sys.path.insert(0, str(Path(__file__).parent.parent))

from tinkering.data.datasets import load_images
from tinkering.models.small import ConvNet

MEAN, STD = 0.1307, 0.3081  # of the pixels, as both recipes have them


class Part(NamedTuple):
    """The training or the test images: float32 (N, 1, 28, 28), and labels, int64 (N,)."""

    images: Tensor
    labels: Tensor


class Epoch(NamedTuple):
    """What there is after an epoch."""

    accuracy: float  # on the test set, 0..1
    train_seconds: float  # since the first step, scoring left out


class FastNet(nn.Sequential):
    """The network of train_mnist_fast."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 24, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(24, 32, 3),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(800, 256),
            nn.ReLU(),
            nn.Linear(256, 10),
        )


def load(data_dir_root: str, part: str) -> Part:
    """MNIST's part "train" or "test", all of it."""
    pixels, labels, _ = load_images("mnist", data_dir_root, "balanced", part)
    images = pixels.unsqueeze(1).to(torch.float32, memory_format=torch.contiguous_format)
    return Part(images.div_(255).sub_(MEAN).div_(STD), labels)


def train_mnist_fast(train: Part, test: Part, seed: int = 0) -> list[Epoch]:
    """One epoch, over images that were shuffled before."""
    torch.manual_seed(seed)
    order = torch.randperm(len(train.labels))
    train = Part(train.images[order], train.labels[order])
    model = FastNet()
    optimizer, scheduler = fast_steps(model, -(-len(train.labels) // 256))
    batches = zip(train.images.split(256), train.labels.split(256), strict=True)
    started = perf_counter()
    for images, labels in batches:
        step(model, images, labels, optimizer)
        scheduler.step()
    seconds = perf_counter() - started
    return [Epoch(accuracy_of(model, test), seconds)]


def fast_steps(model: nn.Module, num_steps: int) -> tuple[Optimizer, LRScheduler]:
    """The optimizer of train_mnist_fast, and its learning rate, which changes at each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.7, 0.9))
    scheduler = OneCycleLR(optimizer, max_lr=1e-2, total_steps=num_steps, cycle_momentum=False)
    return optimizer, scheduler


def pytorch_example(
    train: Part, test: Part, seed: int = 0, goal: float = 0.99, most_epochs: int = 8
) -> list[Epoch]:
    """Epochs until the goal is reached on the test set; images are shuffled at each of them."""
    torch.manual_seed(seed)
    model = ConvNet()
    optimizer, scheduler = example_steps(model)
    epochs: list[Epoch] = []
    seconds = 0.0
    while len(epochs) < most_epochs and not (epochs and epochs[-1].accuracy >= goal):
        model.train()
        started = perf_counter()
        for indices in torch.randperm(len(train.labels)).split(64):
            step(model, train.images[indices], train.labels[indices], optimizer)
        scheduler.step()
        seconds += perf_counter() - started
        epochs.append(Epoch(accuracy_of(model, test), seconds))
    return epochs


def example_steps(model: nn.Module) -> tuple[Optimizer, LRScheduler]:
    """The optimizer of PyTorch's example, and its learning rate, which changes at each epoch."""
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    return optimizer, StepLR(optimizer, step_size=1, gamma=0.7)


def step(model: nn.Module, images: Tensor, labels: Tensor, optimizer: Optimizer) -> None:
    optimizer.zero_grad()
    loss = functional.nll_loss(functional.log_softmax(model(images), dim=1), labels)
    loss.backward()
    optimizer.step()


@torch.no_grad()
def accuracy_of(model: nn.Module, test: Part) -> float:
    model.eval()
    batches = zip(test.images.split(1000), test.labels.split(1000), strict=True)
    num_right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in batches)
    return num_right / len(test.labels)


RECIPES = {"train_mnist_fast": train_mnist_fast, "pytorch_example": pytorch_example}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data_dir_root", default="./emnist_data")
    arguments = parser.parse_args()
    parts = (load(arguments.data_dir_root, part) for part in ("train", "test"))
    epochs = RECIPES[arguments.recipe](*parts, seed=arguments.seed)
    print(json.dumps([epoch._asdict() for epoch in epochs]))


if __name__ == "__main__":
    main()
