"""What the network sees of the training images, as a picture."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from tinkering.data.loader import StepSampler
from tinkering.reporting.plots import contact_sheet

NUM_BATCHES = 20  # that the images are taken from


def draw_samples(train_loader: DataLoader, classes: Sequence[str], path: Path) -> None:
    """Draws images of the first batches of a run, augmented as the network gets them.

    Args:
        train_loader: from tinkering.data.splits; the place it has in its data stays.
        classes: the name of each label.
        path: of the PNG to write.

    Raises:
        WriteError: it cannot be written.
    """
    dataset, own = train_loader.dataset, train_loader.batch_sampler
    sampler = StepSampler(own.num_samples, own.batch_size, own.seed)
    batches = [dataset.__getitems__(draw) for draw in itertools.islice(sampler, NUM_BATCHES)]
    images = torch.cat([images for images, _ in batches]).squeeze(1)  # (N, H, W)
    pixels = (255 * (images * dataset.std + dataset.mean)).round().clamp(0, 255)
    labels = torch.cat([labels for _, labels in batches])
    contact_sheet(pixels.to(torch.uint8).cpu().numpy(), labels.cpu().numpy(), classes, path)
