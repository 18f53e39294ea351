"""Figures of images: some of each class, a column for each class."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from tinkering.data.loader import BatchIndices, ImageDataset
from tinkering.files import replace_file

IMAGES_PER_CLASS = 12


def draw_samples(dataset: ImageDataset, classes: Sequence[str], path: Path) -> None:
    """Draw the first images of each class as the network sees them, augmented each in its own way.

    Only the images that are drawn are augmented. Raises WriteError if the PNG cannot be written.
    """
    labels = dataset.labels.cpu()
    labels = labels if dataset.subset is None else labels[dataset.subset]
    indices = torch.from_numpy(np.concatenate([*_first_of_each(labels.numpy(), len(classes))]))
    images, labels = dataset.__getitems__(BatchIndices(0, indices, slice(None), len(indices)))
    pixels = 255 * (images.squeeze(1) * dataset.std + dataset.mean)  # (N, H, W)
    pixels = pixels.round().clamp(0, 255).to(torch.uint8)
    contact_sheet(pixels.cpu().numpy(), labels.cpu().numpy(), classes, path)


def contact_sheet(
    images: np.ndarray, labels: np.ndarray, classes: Sequence[str], path: Path
) -> None:
    """Draw the first images of each class in a column below the name of the class.

    Args:
        images: uint8 (N, H, W).
        labels: int (N,), the class of each.
        classes: the name of each label.
        path: of the PNG to write; WriteError is raised if that is impossible.
    """
    height, width = images.shape[1:]
    columns = []
    for indices in _first_of_each(labels, len(classes)):
        column = images[indices].reshape(-1, width)
        columns.append(np.pad(column, ((0, IMAGES_PER_CLASS * height - len(column)), (0, 0))))
    sheet = np.hstack(columns)
    scale = max(1, min(3, 1200 // sheet.shape[1]))  # a sheet of few classes is enlarged
    sheet = sheet.repeat(scale, axis=0).repeat(scale, axis=1)
    header = _header(classes, scale * width)
    with replace_file(path) as file:
        Image.fromarray(np.concatenate([header, sheet])).save(file, format="png")


def _first_of_each(labels: np.ndarray, num_classes: int) -> Iterator[np.ndarray]:
    """The indices of the first images of each class; fewer where the class has fewer."""
    for label in range(num_classes):
        yield np.flatnonzero(labels == label)[:IMAGES_PER_CLASS]


def _header(classes: Sequence[str], width: int) -> np.ndarray:
    """Class names above columns of this width: uint8 (height, len(classes) * width), on white.

    All are rotated by 90 degrees where one is too long for its column.
    """
    font = ImageFont.load_default(16)
    longest = math.ceil(max(map(font.getlength, classes)))
    rotated, total = longest > width - 4, len(classes) * width
    band = Image.new("L", (longest + 12, total) if rotated else (total, 28), 255)
    draw = ImageDraw.Draw(band)
    for label, name in enumerate(classes):
        middle = (label + 0.5) * width
        position, anchor = ((6, middle), "lm") if rotated else ((middle, 14), "mm")
        draw.text(position, name, fill=0, font=font, anchor=anchor)
    return np.asarray(band.rotate(90, expand=True) if rotated else band)
