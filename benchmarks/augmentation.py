"""Images a second of random affine augmentation: whole batches, and torchvision's one by one."""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import torch

from tinkering.data.augment import ROTATION, SCALE, SHEAR, SHIFT, random_affine
from tinkering.data.loader import NUM_AUGMENT_PARAMS
from tinkering.extras import import_torchvision

BATCH_SIZE = 64
OURS, THEIRS = "random_affine, images/s", "torchvision's RandomAffine, images/s"


def speeds(seconds: float) -> dict[str, float]:
    """Images a second by name, of one round; leaves torch with a single thread.

    Args:
        seconds: how long each of the two is measured.
    """
    import_torchvision()
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (BATCH_SIZE, 1, 28, 28))).float()
    affine = v2.RandomAffine(
        ROTATION,
        translate=(SHIFT / 28, SHIFT / 28),
        scale=(1 - SCALE, 1 + SCALE),
        shear=SHEAR,
        interpolation=v2.InterpolationMode.BILINEAR,
    )
    return {
        OURS: _images_per_second(lambda: random_affine(images, _draws(rng)), seconds),
        THEIRS: _images_per_second(lambda: [affine(image) for image in images], seconds),
    }


def _draws(rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(-1, 1, (BATCH_SIZE, NUM_AUGMENT_PARAMS)).astype(np.float32))


def _images_per_second(change_batch: Callable[[], object], seconds: float) -> float:
    change_batch()  # the first call is slower than the others
    num_images, started = 0, perf_counter()
    while (passed := perf_counter() - started) < seconds:
        change_batch()
        num_images += BATCH_SIZE
    return num_images / passed
