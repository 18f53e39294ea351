"""Training, validation and test part of a data set."""

import numpy as np
import torch
from torch import Tensor

from tinkering.data.loader import ImageDataset
from tinkering.errors import InputError

VALIDATION_SEED = 0  # chooses the validation images; the same for every seed of a run
SUBSET_SEED = 1  # chooses the images of a subset


def make_splits(
    train_set: ImageDataset,
    test_set: ImageDataset,
    val_size: int | str = "auto",
    train_subset: int | None = None,
    test_subset: int | None = None,
    overfit_images: int | None = None,
) -> tuple[ImageDataset, ImageDataset, ImageDataset]:
    """Split a data set into training, validation and test part, alike for every seed of a run.

    Args:
        train_set, test_set: the whole files.
        val_size: training images to hold out; "auto" for as many as the test set has, but at
            most a tenth of the training file; 0 to validate on the test set.
        train_subset, test_subset: images to keep, after validation is held out; None for all.
        overfit_images: train, validate and test on so many training images; None for a usual run.

    Returns:
        training, validation and test part; only the first is augmented.

    Raises:
        InputError: there are fewer images than asked for.
    """
    test_set = take_subset(test_set, test_subset, "test_subset")
    train_set, val_set = hold_out(train_set, test_set, val_size)
    train_set = take_subset(train_set, train_subset, "train_subset")
    if overfit_images is not None:
        train_set = take_subset(train_set, min(overfit_images, len(train_set)), "train_subset")
        val_set = test_set = train_set.select(torch.arange(len(train_set)), augment=False)
    return train_set, val_set, test_set


def hold_out(
    train_set: ImageDataset, test_set: ImageDataset, val_size: int | str
) -> tuple[ImageDataset, ImageDataset]:
    """Split the training images into training and validation part; see make_splits."""
    num_images = len(train_set)
    if val_size == "auto":
        val_size = max(1, min(len(test_set), num_images // 10))
    assert isinstance(val_size, int)
    if val_size == 0:
        return train_set, test_set
    if val_size >= num_images:
        available = f"there are {num_images:,} training images"
        raise InputError(f"val_size {val_size:,} leaves nothing to train on: {available}")
    validation, training = _random_split(num_images, val_size, VALIDATION_SEED)
    return train_set.select(training), train_set.select(validation, augment=False)


def take_subset(dataset: ImageDataset, num_images: int | None, flag: str) -> ImageDataset:
    """Choose images at random, None for all; `flag` is the user's name for their number."""
    if num_images is None:
        return dataset
    if num_images > len(dataset):
        available = f"there are {len(dataset):,} images to choose from"
        raise InputError(f"--{flag} {num_images:,}: {available}")
    return dataset.select(_random_split(len(dataset), num_images, SUBSET_SEED)[0])


def _random_split(num_images: int, num_taken: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of a random choice of images, and of the remaining ones, both sorted."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(num_images))
    return order[:num_taken].sort().values, order[num_taken:].sort().values
