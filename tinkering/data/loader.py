"""Batches from images in memory, in an order that is a function of (seed, step)."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tinkering.runtime.distributed import SINGLE_PROCESS, Group

ORDER, AUGMENT = 0, 1  # second part of a generator's seed: what its numbers are for
NUM_AUGMENT_PARAMS = 6  # random numbers that an augmentation uses for an image
NUM_HASHED_IMAGES = 500  # whose pixels count in a data set's fingerprint


class BatchIndices(NamedTuple):
    """The samples of this process in the batch of one step."""

    step: int
    indices: Tensor  # int64 (N,)
    shard: slice  # where they stand in the batch of all processes
    num_total: int  # samples in the batch of all processes


class StepSampler(Sampler[BatchIndices]):
    """Yield the batches of one epoch, and of the next one when iterated again.

    Batch `step` is a pure function of (seed, step): epoch step // len(self) has a permutation
    of its own. The last batch of an epoch may be short.

    Args:
        num_samples: size of the data set.
        batch_size: samples in a batch of all processes together.
        seed: of the permutations; None keeps the samples in order.
        group: the processes that share each batch.
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
        """Make the next iteration begin at this step, possibly in the middle of an epoch."""
        self.next_step = step

    def num_samples_before(self, step: int) -> int:
        """Count the samples in the first `step` batches of a run, short ones as short."""
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

    def batch_indices(self, step: int) -> Tensor:
        """Indices of the samples in the batch of one step, of all processes, int64 (N,)."""
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
    """Images in memory as uint8, returned normalised and a batch at a time.

    Args:
        images: uint8 (N, H, W); may be a transposed view of a mapped file.
        labels: int64 (N,).
        mean, std: of the pixels, in units of 0..1.
        augment: (images float (N, 1, H, W) in 0..255, numbers float32 (N, NUM_AUGMENT_PARAMS) drawn
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

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return (1, *self.images.shape[1:])

    def to(self, device: torch.device | str) -> "ImageDataset":
        """Copy the images to a device; batches are indexed and augmented there."""
        images, labels = self.images.to(device), self.labels.to(device)
        return ImageDataset(
            images, labels, self.mean, self.std, self.augment, self.seed, self.subset
        )

    def fingerprint(self) -> str:
        """Hash what is trained or tested on: sizes, labels, normalisation, a sample of pixels.

        Equal data have equal fingerprints on every device and machine. The normalisation is of
        all training pixels, so that a change of any of them shows. 700,000 images take 10 ms.
        """
        positions = self.positions(torch.arange(len(self)))
        sample = positions[:: -(-len(positions) // NUM_HASHED_IMAGES) or 1]
        labels = self.labels[positions.to(self.labels.device)]
        pixels = self.images[sample.to(self.images.device)]
        content = hashlib.sha256(repr((len(self.images), self.mean, self.std)).encode())
        for tensor in (positions.int(), labels.int(), pixels):
            content.update(repr(tuple(tensor.shape)).encode())
            content.update(tensor.cpu().numpy().tobytes())
        return content.hexdigest()[:16]

    def select(self, indices: Tensor, augment: bool = True) -> "ImageDataset":
        """Make a data set of the samples at these indices, int64 (N,).

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
        """Positions in the file of the samples at these indices; both int64 (N,)."""
        return indices if self.subset is None else self.subset[indices]

    def __len__(self) -> int:
        return len(self.labels) if self.subset is None else len(self.subset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one sample, not augmented: image float32 (1, H, W) and its label."""
        images, labels = self._normalised(torch.tensor([range(len(self))[index]]))
        return images[0], labels[0]

    def __getitems__(self, batch: BatchIndices | list[int]) -> tuple[Tensor, Tensor] | list:
        """Return a batch to the DataLoader: images float32 (N, 1, H, W), labels int64 (N,).

        Indices from a sampler of torch's give a list of samples, which that loader collates.
        """
        if not isinstance(batch, BatchIndices):
            return [self[index] for index in batch]
        numbers = None
        if self.augment and len(batch.indices):
            rng = np.random.default_rng((self.seed, AUGMENT, batch.step))
            numbers = rng.uniform(-1, 1, (batch.num_total, NUM_AUGMENT_PARAMS))[batch.shard]
        return self._normalised(batch.indices, numbers)

    def _normalised(
        self, indices: Tensor, numbers: np.ndarray | None = None
    ) -> tuple[Tensor, Tensor]:
        indices = self.positions(indices).to(self.images.device, non_blocking=True)
        images = self.images.index_select(0, indices).unsqueeze(1)  # (N, 1, H, W)
        images = images.to(torch.float32, memory_format=torch.contiguous_format)
        if self.augment and numbers is not None:
            images = self.augment(images, torch.from_numpy(numbers.astype(np.float32)))
        images = images.sub_(255 * self.mean).div_(255 * self.std)
        return images, self.labels[indices]


class ImageLoader(DataLoader):
    """A DataLoader of whole batches, reshuffled each epoch if there is a seed.

    It starts no workers: the images are in memory, and sending a batch from process to process
    costs ten times what indexing it does.

    Args:
        dataset: the samples.
        batch_size: samples in a batch of all processes together.
        seed: of the order; None keeps the samples in order.
        group: the processes that share each batch.
    """

    dataset: ImageDataset
    batch_sampler: StepSampler  # type: ignore[assignment]

    def __init__(
        self,
        dataset: ImageDataset,
        batch_size: int,
        seed: int | None = None,
        group: Group = SINGLE_PROCESS,
    ):
        super().__init__(
            dataset,
            # A BatchIndices goes to __getitems__, whose batch is what the loader yields.
            batch_sampler=StepSampler(len(dataset), batch_size, seed, group),  # type: ignore[arg-type]
            collate_fn=_identity,  # type: ignore[arg-type]
            # A DataLoader draws a seed for its workers at every epoch; with a generator of its own
            # it leaves the global random state as it is.
            generator=torch.Generator(),
        )

    def micro_batch_sizes(self, micro_batch_size: int) -> set[int]:
        """Return the numbers of images in the micro-batches of an epoch, over all processes."""
        sampler, sizes = self.batch_sampler, set()
        last = sampler.num_samples % sampler.batch_size
        for num_images in (min(sampler.num_samples, sampler.batch_size), last):
            for rank in range(sampler.group.world_size):
                shard = replace(sampler.group, rank=rank).shard(num_images)
                num_own = shard.stop - shard.start
                sizes |= {min(num_own, micro_batch_size), num_own % micro_batch_size}
        return sizes - {0}

    def steps_in(self, num_epochs: float | None) -> int | None:
        """Return the number of steps in a number of epochs, rounded, at least 1; None for None."""
        return None if num_epochs is None else max(1, round(num_epochs * len(self)))


def _identity(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return batch


class Loaders(NamedTuple):
    """The loaders of a run: training, validation and test."""

    train: ImageLoader
    val: ImageLoader
    test: ImageLoader


def make_loaders(
    train_set: ImageDataset,
    val_set: ImageDataset,
    test_set: ImageDataset,
    batch_size: int,
    grad_accum_steps: int = 1,
    seed: int = 0,
    group: Group = SINGLE_PROCESS,
) -> Loaders:
    """Make the loaders of a run.

    Args:
        train_set, val_set, test_set: as make_splits returns them.
        batch_size: images of one process in a micro-batch.
        grad_accum_steps: micro-batches per optimizer step; a training batch has all images of
            a step.
        seed: of the order of the training images.
        group: the processes that share each batch.
    """
    num_images = batch_size * group.world_size
    return Loaders(
        ImageLoader(train_set, num_images * grad_accum_steps, seed, group),
        ImageLoader(val_set, num_images, None, group),
        ImageLoader(test_set, num_images, None, group),
    )
