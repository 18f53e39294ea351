"""Batches from images in memory, in an order that is a function of (seed, step)."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
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


@dataclass(eq=False)
class StepSampler(Sampler[BatchIndices]):
    """Yield the batches of one epoch, and of the next one when iterated again.

    Batch `step` is a pure function of (seed, step): epoch step // len(self) has a permutation
    of its own. The last batch of an epoch may be short.
    """

    num_samples: int
    batch_size: int  # of all processes together
    seed: int | None = None  # of the permutations; None keeps the samples in order
    group: Group = SINGLE_PROCESS  # the processes that share each batch
    next_step: int = 0

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
        first, epoch = self.next_step, self.next_step // len(self)
        self.next_step = (epoch + 1) * len(self)
        order = self._order(epoch)
        for step in range(first, self.next_step):
            indices = self._part(order, step)
            shard = self.group.shard(len(indices))
            yield BatchIndices(step, indices[shard], shard, len(indices))

    def batch_indices(self, step: int) -> Tensor:
        """Indices of the samples in the batch of one step, of all processes, int64 (N,)."""
        return self._part(self._order(step // len(self)), step)

    def _order(self, epoch: int) -> Tensor:
        if self.seed is None:
            return torch.arange(self.num_samples)
        rng = np.random.default_rng((self.seed, ORDER, epoch))
        return torch.from_numpy(rng.permutation(self.num_samples))

    def _part(self, order: Tensor, step: int) -> Tensor:
        start = step % len(self) * self.batch_size
        return order[start : start + self.batch_size]


@dataclass(eq=False)
class ImageDataset(Dataset):
    """Images in memory as uint8, returned normalised and a batch at a time.

    `augment` maps images, float (N, 1, H, W) in 0..255, and numbers drawn uniformly from -1..1,
    float32 (N, NUM_AUGMENT_PARAMS), to images of the same shape.
    """

    images: Tensor  # uint8 (N, H, W); may be a transposed view of a mapped file
    labels: Tensor  # int64 (N,)
    mean: float  # of the pixels, in units of 0..1
    std: float
    augment: Callable[[Tensor, Tensor], Tensor] | None = None
    seed: int = 0  # of the augmentation
    subset: Tensor | None = None  # int64 indices of the samples that belong to it; None for all

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return (1, *self.images.shape[1:])

    def to(self, device: torch.device | str) -> "ImageDataset":
        """Copy the images to a device; batches are indexed and augmented there."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def fingerprint(self) -> str:
        """Hash what is trained or tested on: sizes, labels, normalisation, a sample of pixels.

        Equal data have equal fingerprints on every device. The normalisation is of all training
        pixels, so that a change of any of them shows. 700,000 images take 10 ms.
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
        """Make a data set of the samples at these indices, int64 (N,), augmented as here or not."""
        return replace(
            self, subset=self.positions(indices), augment=self.augment if augment else None
        )

    def positions(self, indices: Tensor) -> Tensor:
        """Positions in the file of the samples at these indices; both int64 (N,)."""
        return indices if self.subset is None else self.subset[indices]

    def __len__(self) -> int:
        return len(self.labels) if self.subset is None else len(self.subset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one sample, not augmented: image float32 (1, H, W) and its label."""
        images, labels = self._floats(torch.tensor([range(len(self))[index]]))
        return self._normalise(images)[0], labels[0]

    def __getitems__(self, batch: BatchIndices | list[int]) -> tuple[Tensor, Tensor] | list:
        """Return a batch to the DataLoader: images float32 (N, 1, H, W), labels int64 (N,).

        Indices from a sampler of torch's give a list of samples.
        """
        if not isinstance(batch, BatchIndices):
            return [self[index] for index in batch]
        images, labels = self._floats(batch.indices)
        if self.augment and len(images):
            rng = np.random.default_rng((self.seed, AUGMENT, batch.step))
            numbers = rng.uniform(-1, 1, (batch.num_total, NUM_AUGMENT_PARAMS))[batch.shard]
            images = self.augment(images, torch.from_numpy(numbers.astype(np.float32)))
        return self._normalise(images), labels

    def _floats(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        indices = self.positions(indices).to(self.images.device, non_blocking=True)
        images = self.images.index_select(0, indices).unsqueeze(1)  # (N, 1, H, W)
        images = images.to(torch.float32, memory_format=torch.contiguous_format)
        return images, self.labels[indices]

    def _normalise(self, images: Tensor) -> Tensor:
        return images.sub_(255 * self.mean).div_(255 * self.std)


class ImageLoader(DataLoader):
    """A DataLoader of whole batches, reshuffled each epoch if there is a seed.

    It starts no workers: the images are in memory, and sending a batch from process to process
    costs ten times what indexing it does. Args as in StepSampler.
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
            collate_fn=lambda batch: batch,
            # A DataLoader draws a seed for its workers at every epoch; with a generator of its own
            # it leaves the global random state as it is.
            generator=torch.Generator(),
        )

    def micro_batch_sizes(self, micro_batch_size: int) -> set[int]:
        """Return the numbers of images that the micro-batches of an epoch have."""
        sampler, sizes = self.batch_sampler, set()
        num_processes = sampler.group.world_size
        last = sampler.num_samples % sampler.batch_size
        for num_images in (min(sampler.num_samples, sampler.batch_size), last):
            # The shards of the processes differ by one image at most.
            for num_own in (num_images // num_processes, -(-num_images // num_processes)):
                sizes |= {min(num_own, micro_batch_size), num_own % micro_batch_size}
        return sizes - {0}

    def steps_in(self, num_epochs: float | None) -> int | None:
        """Return the number of steps in a number of epochs, rounded, at least 1; None for None."""
        return None if num_epochs is None else max(1, round(num_epochs * len(self)))


class Loaders(NamedTuple):
    """The loaders of a run."""

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
    """Make the loaders of a run from the parts that make_splits returns.

    `batch_size` is the number of images of one process in a micro-batch; a training batch has
    all images of an optimizer step. The seed is that of the order of the training images.
    """
    num_images = batch_size * group.world_size
    return Loaders(
        ImageLoader(train_set, num_images * grad_accum_steps, seed, group),
        ImageLoader(val_set, num_images, None, group),
        ImageLoader(test_set, num_images, None, group),
    )
