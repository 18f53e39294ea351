"""The order of the samples as a function of (seed, step), and whole batches from memory."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tinkering.runtime.distributed import SINGLE_PROCESS, Group

# What a random generator is for; keeps the draws of one seed apart.
ORDER, AUGMENT = 0, 1
NUM_DRAWS = 6  # random numbers that an augmentation has for an image


class BatchIndices(NamedTuple):
    """Which samples make this process's batch, the step it is drawn for, and its place there."""

    step: int
    indices: Tensor  # int64 (N,)
    shard: slice  # of all processes' samples of the step
    num_total: int


class StepSampler(Sampler[BatchIndices]):
    """The batches of one pass, and of the next one when asked again.

    Batch `step` is a pure function of (seed, step): pass number step // len(self) has a
    permutation of its own. The last batch of a pass may be short.

    Args:
        num_samples: how many there are to choose from.
        batch_size: samples in a batch of all processes together.
        seed: of the permutations; None keeps the samples in order.
        group: of which this process draws its own samples.
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        seed: int | None = None,
        group: Group = SINGLE_PROCESS,
    ):
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed
        self.group = group
        self.next_step = 0

    def __len__(self) -> int:
        return -(-self.num_samples // self.batch_size)

    def set_step(self, step: int) -> None:
        """Makes the next pass asked for begin at this step, in the middle of a pass if need be."""
        self.next_step = step

    def num_drawn(self, step: int) -> int:
        """Samples in the first `step` batches of a run, short ones counted as short."""
        epochs, batches = divmod(step, len(self))
        return epochs * self.num_samples + min(batches * self.batch_size, self.num_samples)

    def __iter__(self) -> Iterator[BatchIndices]:
        if not self.num_samples:
            return
        epoch = self.next_step // len(self)
        first, self.next_step = self.next_step, (epoch + 1) * len(self)
        order = self._order(epoch)
        for step in range(first, self.next_step):
            indices = order[self._slice(step)]
            shard = self.group.shard(len(indices))
            yield BatchIndices(step, indices[shard], shard, len(indices))

    def indices_at(self, step: int) -> Tensor:
        """The samples of the batch of one step, of all processes, int64 (N,)."""
        return self._order(step // len(self))[self._slice(step)]

    def _slice(self, step: int) -> slice:
        start = step % len(self) * self.batch_size
        return slice(start, start + self.batch_size)

    def _order(self, epoch: int) -> Tensor:
        if self.seed is None:
            return torch.arange(self.num_samples)
        rng = np.random.default_rng((self.seed, ORDER, epoch))
        return torch.from_numpy(rng.permutation(self.num_samples))


class ImageDataset(Dataset):
    """Images in memory as uint8, given out normalised and a batch at a time.

    Args:
        images: uint8 (N, H, W); may be a transposed view of a mapped file.
        labels: int64 (N,).
        mean, std: of the pixels, in units of 0..1.
        augment: (images float (N, 1, H, W) in 0..255, numbers float32 (N, NUM_DRAWS) drawn
            uniformly from -1..1) -> the same images, changed.
        seed: of the augmentation.
        subset: int64 indices of the samples that belong to this data set; None for all.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        mean: float,
        std: float,
        augment: Callable[[Tensor, Tensor], Tensor] | None = None,
        seed: int = 0,
        subset: Tensor | None = None,
    ):
        self.images, self.labels = images, labels
        self.mean, self.std = mean, std
        self.augment, self.seed = augment, seed
        self.subset = subset

    def to(self, device: torch.device | str) -> "ImageDataset":
        """The same images on a device; batches are drawn and augmented there."""
        images, labels = self.images.to(device), self.labels.to(device)
        return ImageDataset(
            images, labels, self.mean, self.std, self.augment, self.seed, self.subset
        )

    def select(self, indices: Tensor, augment: bool = True) -> "ImageDataset":
        """The samples at these indices, int64 (N,), as a data set of their own.

        Args:
            augment: whether to keep the augmentation.
        """
        return ImageDataset(
            self.images,
            self.labels,
            self.mean,
            self.std,
            self.augment if augment else None,
            self.seed,
            self.positions(indices),
        )

    def positions(self, indices: Tensor) -> Tensor:
        """Positions in the file of the samples at these indices, int64 (N,)."""
        return indices if self.subset is None else self.subset[indices]

    def __len__(self) -> int:
        return len(self.labels) if self.subset is None else len(self.subset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One sample, not augmented: image float32 (1, H, W) and its label."""
        images, labels = self._normalised(torch.tensor([range(len(self))[index]]))
        return images[0], labels[0]

    def __getitems__(self, batch: BatchIndices | list[int]) -> tuple[Tensor, Tensor] | list:
        """The batch of a draw, called by DataLoader: images float32 (N, 1, H, W), labels (N,).

        Indices from another sampler give the samples one by one, for that loader to collate.
        """
        if not isinstance(batch, BatchIndices):
            return [self[index] for index in batch]
        numbers = None
        if self.augment and len(batch.indices):
            rng = np.random.default_rng((self.seed, AUGMENT, batch.step))
            numbers = rng.uniform(-1, 1, (batch.num_total, NUM_DRAWS))[batch.shard]
        return self._normalised(batch.indices, numbers)

    def _normalised(self, indices: Tensor, numbers: np.ndarray | None = None):
        indices = self.positions(indices).to(self.images.device, non_blocking=True)
        images = self.images.index_select(0, indices).unsqueeze(1)  # (N, 1, H, W)
        images = images.to(torch.float32, memory_format=torch.contiguous_format)
        if numbers is not None:
            images = self.augment(images, torch.from_numpy(numbers.astype(np.float32)))
        images = images.sub_(255 * self.mean).div_(255 * self.std)
        return images, self.labels[indices]


def make_loader(
    dataset: ImageDataset, batch_size: int, seed: int | None = None, group: Group = SINGLE_PROCESS
) -> DataLoader:
    """A DataLoader over whole batches; shuffled anew each pass if there is a seed.

    Args as in StepSampler.

    It starts no workers: the images are in memory, and handing a batch from process to
    process costs ten times what drawing it does.
    """
    return DataLoader(
        dataset,
        batch_sampler=StepSampler(len(dataset), batch_size, seed, group),
        collate_fn=_as_it_is,
        # A DataLoader draws a seed for its workers at every pass; from here, so that the
        # global random state stays a function of the step.
        generator=torch.Generator(),
    )


def _as_it_is(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return batch


def make_loaders(
    train_set: ImageDataset,
    val_set: ImageDataset,
    test_set: ImageDataset,
    batch_size: int,
    grad_accum_steps: int = 1,
    seed: int = 0,
    group: Group = SINGLE_PROCESS,
) -> tuple[DataLoader, DataLoader, DataLoader]:
    """Make the loaders of a run: training, validation and test.

    Args:
        batch_size: images of one process in a micro-batch.
        grad_accum_steps: micro-batches per optimizer step; the training loader gives all
            images of a step at once.
        seed: of the order of the training images.
    """
    num_images = batch_size * group.world_size
    return (
        make_loader(train_set, num_images * grad_accum_steps, seed, group),
        make_loader(val_set, num_images, None, group),
        make_loader(test_set, num_images, None, group),
    )
