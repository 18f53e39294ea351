"""Loading one part of a data set: published files, or glyphs that are drawn here.

The files lie as torchvision lays them: DATA_DIR/EMNIST/raw, DATA_DIR/MNIST/raw and so on.
A file of MNIST, Fashion-MNIST or KMNIST that has the size of the published one must have its
content; other sizes, and whatever is in EMNIST's format, are a user's own data.
"""

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from tinkering.data.downloads import Download
from tinkering.data.idx import Official, load_idx, read_idx, save_idx
from tinkering.data.sources import EMNIST_ARCHIVE, EMNIST_CLASSES, MNIST_SIZES, PUBLICATIONS
from tinkering.errors import DataError, InputError
from tinkering.files import make_folder

DATASETS = ("emnist", *PUBLICATIONS, "glyphs")

NUM_GLYPHS = {"train": 60_000, "test": 10_000}
GLYPHS_VERSION = 1  # in the names of the cached files: count it up when the drawing changes


def load_images(
    dataset: str, data_dir: Path | str, emnist_split: str, part: str, may_write: bool = True
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Load one part of a data set: not shuffled, not normalised.

    Args:
        dataset: one of DATASETS.
        data_dir: the folder of all data sets; `~` is the user's home.
        emnist_split: a key of EMNIST_CLASSES; for emnist and glyphs.
        part: "train" or "test".
        may_write: whether to download, and to keep what is unpacked or drawn.

    Returns:
        images: uint8 (N, H, W), upright, white on black.
        labels: int64 (N,), 0..num_classes-1.
        classes: the character or name of each label.

    Raises:
        InputError: no such data set or split.
        DataError: the files are missing or corrupt.
        WriteError: glyphs that were drawn cannot be kept.
    """
    root = Path(os.path.expanduser(data_dir))
    check_choice("data set", dataset, DATASETS)
    check_choice("emnist_split", emnist_split, EMNIST_CLASSES)
    classes = tuple(EMNIST_CLASSES[emnist_split])
    if dataset in PUBLICATIONS:
        images, labels = _load_published(dataset, root, part, may_write)
        classes = tuple(PUBLICATIONS[dataset].classes.split(","))
    else:
        load = _load_glyphs if dataset == "glyphs" else _load_emnist
        images, labels = load(root, emnist_split, part, may_write)
    _check(images, labels, len(classes), f"the {part} files of {dataset} in {root}")
    return images, labels, classes


def check_choice(what: str, choice: str, choices: Collection[str]) -> None:
    """Raise InputError if the choice is none of the choices."""
    if choice not in choices:
        raise InputError(f"there is no {what} {choice!r}; there are {', '.join(choices)}")


def pixel_statistics(images: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of uint8 pixels, in units of 0..1."""
    total, squares = 0.0, 0.0
    for chunk in images.split(500):  # what the processor's cache holds
        pixels = chunk.double()  # whole numbers: the sums are exact, in whatever order
        total += pixels.sum().item()
        squares += pixels.square_().sum().item()
    mean = total / images.numel()
    return mean / 255, (squares / images.numel() - mean**2) ** 0.5 / 255


def _load_published(dataset: str, root: Path, part: str, may_write: bool) -> tuple[Tensor, Tensor]:
    """Load a part of MNIST, Fashion-MNIST or KMNIST."""
    published = PUBLICATIONS[dataset]
    folders = [root / published.folder / "raw", root / published.folder]
    if dataset == "mnist":  # the other two have the same file names
        folders.append(root)
    prefix = "train" if part == "train" else "t10k"
    loaded = []
    checksums = zip(published.md5, published.sha256, strict=True)
    for (name, size), (md5, sha256) in zip(MNIST_SIZES.items(), checksums, strict=True):
        if name.startswith(prefix):
            addresses = {f"{mirror}{name}.gz": f"md5:{md5}" for mirror in published.mirrors}
            download, official = Download(f"{name}.gz", addresses), Official(size, sha256)
            loaded.append(load_idx(name, folders, download, official, may_write))
    images, labels = loaded
    return images, labels.long()


def _load_emnist(root: Path, split: str, part: str, may_write: bool) -> tuple[Tensor, Tensor]:
    """Load a part of EMNIST (Cohen et al. 2017, arXiv 1702.05373)."""
    folders = [root / "EMNIST" / "raw", root / "EMNIST", root]
    folders += [folder / "gzip" for folder in folders]  # as the archive unpacks
    images, labels = (
        load_idx(f"emnist-{split}-{part}-{kind}-ubyte", folders, EMNIST_ARCHIVE, None, may_write)
        for kind in ("images-idx3", "labels-idx1")
    )
    if images.dim() == 3:
        images = images.transpose(1, 2)  # every image in the files lies on its side
    first_label = 1 if split == "letters" else 0
    return images, labels.long() - first_label


def _load_glyphs(root: Path, split: str, part: str, may_write: bool) -> tuple[Tensor, Tensor]:
    """Load a part of the glyphs: drawn at the first call, read from the cache afterwards."""
    stem = f"glyphs-v{GLYPHS_VERSION}-{split}-{part}"
    image_file = root / "glyphs" / f"{stem}-images-idx3-ubyte"
    label_file = root / "glyphs" / f"{stem}-labels-idx1-ubyte"
    if not (os.path.exists(image_file) and os.path.exists(label_file)):
        if may_write:  # before a minute of drawing
            make_folder(image_file.parent)
        images, labels = _draw(split, part)
        if not may_write:
            return images, labels
        save_idx(image_file, images)
        save_idx(label_file, labels.to(torch.uint8))
    return read_idx(image_file), read_idx(label_file).long()


def _draw(split: str, part: str) -> tuple[Tensor, Tensor]:
    from tinkering.data.glyphs import draw_glyphs

    classes = EMNIST_CLASSES[split]
    # A class stands for both cases of its letter where the other case is no class itself.
    forms = [{c} if c.swapcase() in classes else {c, c.swapcase()} for c in classes]
    rng = np.random.default_rng((GLYPHS_VERSION, part == "test"))
    labels = rng.permutation(np.arange(NUM_GLYPHS[part]) % len(classes))
    characters = [rng.choice(sorted(forms[label])) for label in labels]
    starts = range(0, len(labels), 2000)
    bar = tqdm(starts, desc=f"draw glyphs, {part}", unit_scale=2000, disable=None)
    pieces = [draw_glyphs(characters[i : i + 2000], int(rng.integers(2**32))) for i in bar]
    return torch.cat(pieces), torch.from_numpy(labels)


def _check(images: Tensor, labels: Tensor, num_classes: int, files: str) -> None:
    if images.dim() != 3 or labels.dim() != 1:
        raise DataError(f"{files} are not images and labels; replace them")
    if len(images) != len(labels):
        numbers = f"{len(images):,} images, {len(labels):,} labels"
        raise DataError(f"{files} do not belong together: {numbers}; replace them")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise DataError(
            f"{files} have labels from {low} to {high}, where 0 to {num_classes - 1} are "
            "possible: they are damaged or of another split"
        )
