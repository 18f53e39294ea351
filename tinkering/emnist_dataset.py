"""The public door of the data: the two files of a data set, and loaders for them."""

from pathlib import Path

import torch
from torch.utils.data import DataLoader

from tinkering.data.augment import AUGMENTATIONS
from tinkering.data.datasets import check_choice, load_images, pixel_statistics
from tinkering.data.loader import ImageDataset, ImageLoader
from tinkering.errors import DataError
from tinkering.runtime.memory import fits_in_memory


def load_datasets(
    dataset: str,
    data_dir: Path | str,
    emnist_split: str = "byclass",
    augment: str = "none",
    seed: int = 0,
    may_write: bool = True,
    data_on: str = "host",
    device: torch.device | str = "cpu",
) -> tuple[ImageDataset, ImageDataset, tuple[str, ...]]:
    """Load the whole training file and the whole test file of a data set.

    Both are normalised by the training file's pixels.

    Args:
        dataset, data_dir, emnist_split, may_write: as in load_images.
        augment: a key of AUGMENTATIONS; for training images only.
        seed: of the augmentation.
        data_on: where the images are kept and augmented: "host", "device", or "auto" for the
            device if it is a CUDA device with enough free memory.
        device: of the network.

    Returns:
        training images, test images, and the character or name of each label.

    Raises:
        InputError: no such data set, split or augmentation.
        DataError: the files are missing or corrupt, or do not fit together.
    """
    check_choice("augment", augment, AUGMENTATIONS)
    images, labels, classes = load_images(dataset, data_dir, emnist_split, "train", may_write)
    test_images, test_labels, _ = load_images(dataset, data_dir, emnist_split, "test", may_write)
    if images.shape[1:] != test_images.shape[1:]:
        size, test_size = ("x".join(map(str, part.shape[1:])) for part in (images, test_images))
        sizes = f"{size} pixels in the training file, {test_size} in the test file"
        raise DataError(f"the images of {dataset} in {data_dir} differ in size: {sizes}")
    mean, std = pixel_statistics(images)
    if std == 0:
        fault = f"have no content: every pixel is {round(255 * mean)}"
        raise DataError(f"the training images of {dataset} in {data_dir} {fault}; replace them")
    train_set = ImageDataset(images, labels, mean, std, AUGMENTATIONS[augment], seed)
    test_set = ImageDataset(test_images, test_labels, mean, std)
    num_bytes = images.numel() + test_images.numel()
    if data_on == "device" or (data_on == "auto" and fits_in_memory(device, num_bytes)):
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

    Args as in load_datasets, and:
        batch_size: images in a batch.
        num_workers: no more worker processes than this; batches come from memory, so none start.
        seed: of the order of the training images, too.

    Returns:
        train_loader: images float32 (N, 1, H, W) and labels int64 (N,), shuffled at each pass.
        test_loader: the same, in the file's order.
        num_classes: length of a row of logits.
        class_to_idx: from a class's character ("A") or name to its label.

    Raises:
        InputError, DataError: as in load_datasets.
    """
    train_set, test_set, classes = load_datasets(dataset, data_dir, emnist_split, augment, seed)
    train_loader = ImageLoader(train_set, batch_size, seed)
    test_loader = ImageLoader(test_set, batch_size)
    class_to_idx = {name: label for label, name in enumerate(classes)}
    return train_loader, test_loader, len(classes), class_to_idx
