"""The training loop as it is usually written: what the program's speed is compared with.

    python benchmarks/straightforward.py --data_dir_root ./emnist_data --width 64 --seconds 6

The same network on MNIST: torchvision's data set, whose images are made into tensors and
normalised one by one, a DataLoader with four workers, float32, the loss and the accuracy read
at each step, a bar redrawn at each step. Prints images a second.
"""

import argparse
import itertools
import sys
from pathlib import Path
from time import perf_counter

import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parent.parent))

from tinkering.extras import import_torchvision
from tinkering.models import ResNet4StageCustom

torchvision = import_torchvision()

BATCH_SIZE = 64
NUM_WARM_UP = 20  # steps before the time is taken


def train(
    data_dir_root: str, width: int, seconds: float, num_workers: int = 4
) -> tuple[float, list[float]]:
    """Trains for so many seconds after the first steps.

    Returns:
        images a second, without the first steps; the loss of each step.
    """
    from torchvision import transforms

    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    )
    dataset = torchvision.datasets.MNIST(data_dir_root, download=True, transform=transform)
    loader = DataLoader(dataset, batch_size=BATCH_SIZE, shuffle=True, num_workers=num_workers)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = ResNet4StageCustom(num_classes=10, width=width).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()

    losses, num_images = [], 0
    model.train()
    with tqdm(desc="train", unit="step") as bar:
        for images, labels in itertools.chain.from_iterable(itertools.cycle([loader])):
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            logits = model(images)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
            accuracy = (logits.argmax(dim=1) == labels).float().mean().item()
            losses.append(loss.item())
            bar.update()
            bar.set_postfix(loss=losses[-1], accuracy=accuracy)

            if len(losses) <= NUM_WARM_UP:
                started = perf_counter()
                continue
            num_images += len(labels)
            if perf_counter() - started >= seconds:
                return num_images / (perf_counter() - started), losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir_root", default="./emnist_data")
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long to measure")
    options = parser.parse_args()
    speed, _ = train(options.data_dir_root, options.width, options.seconds)
    print(speed)


if __name__ == "__main__":
    main()
