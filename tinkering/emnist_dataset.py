"""Which data sets there are, the classes and images of each, and loaders for them."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from tinkering.data import idx as sources
from tinkering.data.augment import AUGMENTATIONS
from tinkering.data.datasets import EMNIST_CLASSES, open_family
from tinkering.data.glyphs import draw_glyphs
from tinkering.data.loader import ImageDataset, make_loader
from tinkering.errors import DataError, InputError
from tinkering.runtime.device import has_room

DATASETS = ("emnist", "mnist", "fashion_mnist", "kmnist", "glyphs")

NUM_GLYPHS = {"train": 60_000, "test": 10_000}
GLYPHS_VERSION = 1  # in the names of the cached files: count it up when the drawing changes


def load_images(
    dataset: str, data_dir: Path | str, emnist_split: str, part: str, may_write: bool = True
) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """One part of a data set, as it is: not shuffled, not normalised.

    Args:
        dataset: one of DATASETS.
        data_dir: the folder of all data sets, each in a folder of its own, as torchvision has it.
        emnist_split: a key of EMNIST_CLASSES; for emnist and glyphs.
        part: "train" or "test".
        may_write: whether what is downloaded, unpacked or drawn may be kept; else there is no
            downloading.

    Returns:
        images: uint8 (N, H, W), upright, white on black; mapped from the file.
        labels: int64 (N,), 0..num_classes-1.
        classes: the character or name of each label.

    Raises:
        InputError: no such data set or split.
        DataError: the files are not to be had, or are damaged.
        WriteError: glyphs that were drawn cannot be kept.
    """
    root = Path(data_dir).expanduser()
    if dataset not in DATASETS:
        raise InputError(f"there is no data set {dataset!r}; there are {', '.join(DATASETS)}")
    if emnist_split not in EMNIST_CLASSES:
        splits = ", ".join(EMNIST_CLASSES)
        raise InputError(f"there is no emnist_split {emnist_split!r}; there are {splits}")
    if dataset == "glyphs":
        images, labels = _load_glyphs(root, emnist_split, part, may_write)
        classes = tuple(EMNIST_CLASSES[emnist_split])
    else:
        loaded = open_family(dataset, root, emnist_split, part == "train", may_write)
        images, labels, classes = loaded.data, loaded.targets, tuple(loaded.classes)
    _check(images, labels, len(classes), f"the {part} files of {dataset} in {root}")
    return images, labels, classes


def _check(images: Tensor, labels: Tensor, num_classes: int, where: str) -> None:
    if images.dim() != 3 or labels.dim() != 1:
        raise DataError(f"{where} are not images and labels: get them anew")
    if len(images) != len(labels):
        raise DataError(
            f"{where} do not belong together: {len(images):,} images, {len(labels):,} labels; "
            "get them anew"
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise DataError(
            f"{where} have labels from {low} to {high}, where 0 to {num_classes - 1} are "
            "possible: they are damaged or of another split"
        )


def _load_glyphs(root: Path, split: str, part: str, may_write: bool) -> tuple[Tensor, Tensor]:
    """Drawn at the first call, read from the cache afterwards."""
    stem = f"glyphs-v{GLYPHS_VERSION}-{split}-{part}"
    image_file, label_file = (
        root / "glyphs" / f"{stem}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")
    )
    if not (image_file.exists() and label_file.exists()):
        images, labels = _draw(split, part)
        if not may_write:
            return images, labels
        sources.save_idx(image_file, images)
        sources.save_idx(label_file, labels.to(torch.uint8))
    return sources.map_idx(image_file), sources.map_idx(label_file).long()


def _draw(split: str, part: str) -> tuple[Tensor, Tensor]:
    classes = EMNIST_CLASSES[split]
    # A class stands for both cases of its letter where the other case is no class itself.
    forms = [{c} if c.swapcase() in classes else {c, c.swapcase()} for c in classes]
    rng = np.random.default_rng((GLYPHS_VERSION, part == "test"))
    labels = rng.permutation(np.arange(NUM_GLYPHS[part]) % len(classes))
    characters = [rng.choice(sorted(forms[label])) for label in labels]
    pieces = []
    for start in tqdm(
        range(0, len(labels), 2000), desc=f"draw glyphs, {part}", unit_scale=2000, disable=None
    ):
        piece = characters[start : start + 2000]
        pieces.append(draw_glyphs(piece, seed=int(rng.integers(2**32))))
    return torch.cat(pieces), torch.from_numpy(labels)


def pixel_statistics(images: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of uint8 pixels, in units of 0..1."""
    total, squares = 0.0, 0.0
    for chunk in images.split(500):  # what the processor's cache holds
        pixels = chunk.double()  # whole numbers: the sums are exact, in whatever order
        total += pixels.sum().item()
        squares += pixels.square_().sum().item()
    mean = total / images.numel()
    return mean / 255, (squares / images.numel() - mean**2) ** 0.5 / 255


def load_datasets(
    dataset: str,
    data_dir: Path | str,
    emnist_split: str = "byclass",
    *,
    augment: str = "none",
    seed: int = 0,
    may_write: bool = True,
    data_on: str = "host",
    device: torch.device | str = "cpu",
) -> tuple[ImageDataset, ImageDataset, tuple[str, ...]]:
    """Load the whole training file and the whole test file of a data set.

    Both are normalised by the training file's pixels.

    Args:
        dataset: one of DATASETS.
        data_dir: the folder of all data sets; files that are missing are put there.
        emnist_split: a key of EMNIST_CLASSES; for emnist and glyphs.
        augment: a key of AUGMENTATIONS; for training images only.
        seed: of the augmentation.
        may_write: as in load_images.
        data_on: "host"; "device" for images that wait, and are augmented, on the device; "auto"
            for that if it is a CUDA device with enough free memory.
        device: the network's.

    Returns:
        training images, test images, and the character or name of each label.

    Raises:
        InputError: no such data set, split or augmentation.
        DataError: the files are missing or corrupt.
    """
    if augment not in AUGMENTATIONS:
        raise InputError(f"there is no augment {augment!r}; there are {', '.join(AUGMENTATIONS)}")
    images, labels, classes = load_images(dataset, data_dir, emnist_split, "train", may_write)
    test_images, test_labels, _ = load_images(dataset, data_dir, emnist_split, "test", may_write)
    mean, std = pixel_statistics(images)
    train_set = ImageDataset(images, labels, mean, std, AUGMENTATIONS[augment], seed)
    test_set = ImageDataset(test_images, test_labels, mean, std)
    if data_on == "auto":
        data_on = "device" if has_room(device, images.numel() + test_images.numel()) else "host"
    if data_on == "device":
        train_set, test_set = train_set.to(device), test_set.to(device)
    return train_set, test_set, classes


def get_emnist_dataloaders(
    data_dir: Path | str,
    batch_size: int = 64,
    num_workers: int = 4,
    emnist_split: str = "byclass",
    *,
    dataset: str = "emnist",
    augment: str = "none",
    seed: int = 0,
) -> tuple[DataLoader, DataLoader, int, dict[str, int]]:
    """Make loaders over the whole training file and the whole test file of a data set.

    Args:
        data_dir: the folder of all data sets; files that are missing are put there.
        batch_size: images in a batch.
        num_workers: no more worker processes than this; batches come from memory, so none start.
        emnist_split: a key of EMNIST_CLASSES; for emnist and glyphs.
        dataset: one of DATASETS.
        augment: a key of AUGMENTATIONS; for training images only.
        seed: of the order of the training images and of their augmentation.

    Returns:
        train_loader: images float32 (N, 1, H, W) and labels int64 (N,), shuffled at each pass.
        test_loader: the same, in the file's order.
        num_classes: length of a row of logits.
        class_to_idx: from a class's character ("A") or name to its label.

    Raises:
        InputError: no such data set, split or augmentation.
        DataError: the files are missing or corrupt.
    """
    train_set, test_set, classes = load_datasets(
        dataset, data_dir, emnist_split, augment=augment, seed=seed
    )
    return (
        make_loader(train_set, batch_size, seed),
        make_loader(test_set, batch_size),
        len(classes),
        {name: label for label, name in enumerate(classes)},
    )
