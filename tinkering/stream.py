"""Any loader's batches as one stream without an end, which the segments of a run share."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress

from torch import Tensor

Batch = tuple[Tensor, Tensor]  # images float (N, C, H, W), labels int64 (N,)


class BatchStream:
    """The batches of a loader for ever, and the step that the next of them belongs to.

    Every pass asks the loader for a fresh iterator, so a shuffling loader shuffles anew;
    `itertools.cycle` over the batches themselves would keep the first pass in memory and
    replay it. A loader whose batch sampler has `set_step` gives each step its own batch.
    """

    def __init__(self, dataloader: Iterable[Batch], step: int):
        self.step = step
        self._batches = self._cycle(dataloader)

    def take(self, num_batches: int) -> Iterator[Batch]:
        """The next num_batches batches; raises ValueError where the loader has none."""
        for batch in itertools.islice(self._batches, num_batches):
            self.step += 1
            yield batch

    def _cycle(self, dataloader: Iterable[Batch]) -> Iterator[Batch]:
        sampler = getattr(dataloader, "batch_sampler", None)
        for fresh_pass in itertools.cycle([dataloader]):
            if hasattr(sampler, "set_step"):
                sampler.set_step(self.step)
            empty = True
            for batch in fresh_pass:
                empty = False
                yield batch
            if empty:
                raise ValueError("the dataloader is empty: it gives no batch to train on")


def stream_of(dataloader: Iterable[Batch], step: int) -> BatchStream:
    """The stream that the segment before left at this step, or else a new one.

    It is kept on the loader, because the place in the data belongs to it and must not
    outlive it. An object that takes no attributes (a list) starts at its beginning.
    """
    stream = getattr(dataloader, "_stream", None)
    if stream is None or stream.step != step:
        stream = BatchStream(dataloader, step)
        with suppress(AttributeError):
            dataloader._stream = stream
    return stream
