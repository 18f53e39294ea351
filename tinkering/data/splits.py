"""Which images a run trains on, which it validates on and which it is tested on."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tinkering.data.loader import make_loader
from tinkering.errors import InputError
from tinkering.runtime.distributed import ALONE, Group

HELD_OUT_SEED = 0  # chooses the validation images; not the run's seed, which must not move them
SUBSET_SEED = 1  # chooses the images that a subset keeps


def choose(
    train_loader: DataLoader,
    test_loader: DataLoader,
    val_size: int | str = "auto",
    train_subset: int | None = None,
    test_subset: int | None = None,
    overfit_one_batch: bool = False,
    grad_accum_steps: int = 1,
    group: Group = ALONE,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Loaders of training, validation and test.

    Args:
        train_loader, test_loader: from get_emnist_dataloaders.
        val_size: as hold_out_validation has it.
        train_subset, test_subset: images to keep, after validation is held out; None for all.
        overfit_one_batch: train and score on the images of the first step and on no others.
        grad_accum_steps: times the batch size is what the training loader gives for a step.
        group: the processes that share the images of each batch.

    Raises:
        InputError: there are not so many images.
    """
    test_loader = keep(test_loader, test_subset, "test_subset")
    train_loader, val_loader = hold_out_validation(train_loader, test_loader, val_size)
    train_loader = keep(train_loader, train_subset, "train_subset")
    batch_size, seed = (
        group.size * train_loader.batch_sampler.batch_size,
        train_loader.batch_sampler.seed,
    )
    num_in_step = grad_accum_steps * batch_size
    if overfit_one_batch:
        indices = make_loader(train_loader.dataset, num_in_step, seed).batch_sampler.indices_at(0)
        val_loader = test_loader = only(train_loader, indices, for_training=False)
        train_loader = only(train_loader, indices)
    return (
        make_loader(train_loader.dataset, num_in_step, seed, group),
        make_loader(val_loader.dataset, batch_size, None, group),
        make_loader(test_loader.dataset, batch_size, None, group),
    )


def num_steps(train_loader: DataLoader, num_epochs: float) -> int:
    """Optimizer steps in so many passes over the training images, the nearest number, from 1."""
    return max(1, round(num_epochs * len(train_loader)))


def hold_out_validation(
    train_loader: DataLoader, test_loader: DataLoader, val_size: int | str = "auto"
) -> tuple[DataLoader, DataLoader]:
    """Takes a validation part out of the training images: the same ones for every seed.

    Args:
        train_loader, test_loader: from get_emnist_dataloaders.
        val_size: number of images; "auto" for as many as the test set has, but at most a
            tenth of the training file; 0 to validate on the test set, as older scripts do.

    Returns:
        a loader over the training images that are left, and one over the validation images,
        not shuffled and not augmented.

    Raises:
        InputError: val_size would leave nothing to train on.
    """
    num_images = len(train_loader.dataset)
    if val_size == "auto":
        val_size = max(1, min(len(test_loader.dataset), num_images // 10))
    if val_size == 0:
        return train_loader, test_loader
    if val_size >= num_images:
        raise InputError(
            f"val_size {val_size:,} leaves nothing to train on: there are {num_images:,} "
            "training images"
        )
    held_out, rest = _divide(num_images, val_size, HELD_OUT_SEED)
    return only(train_loader, rest), only(train_loader, held_out, for_training=False)


def keep(loader: DataLoader, num_images: int | None, flag: str) -> DataLoader:
    """A loader like this one over so many of its images, the same ones for every seed.

    Args:
        num_images: None for all of them.
        flag: that asks for it, for the error.

    Raises:
        InputError: there are not so many.
    """
    if num_images is None:
        return loader
    num_there = len(loader.dataset)
    if num_images > num_there:
        raise InputError(f"--{flag} {num_images:,}: there are {num_there:,} images to choose from")
    return only(loader, _divide(num_there, num_images, SUBSET_SEED)[0])


def only(loader: DataLoader, indices: Tensor, for_training: bool = True) -> DataLoader:
    """A loader like this one over the images at some indices of its own, int64 (N,).

    Args:
        for_training: shuffled and augmented where the loader is; else neither.
    """
    dataset, sampler = loader.dataset, loader.batch_sampler
    chosen = dataset.only(dataset.places(indices), augment=for_training)
    return make_loader(chosen, sampler.batch_size, sampler.seed if for_training else None)


def _divide(num_images: int, num_taken: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of some images by chance, and of the others, both in order."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(num_images))
    return order[:num_taken].sort().values, order[num_taken:].sort().values
