"""Several processes that train one network together, as torchrun starts them.

https://docs.pytorch.org/docs/stable/elastic/run.html says what torchrun tells each of them.
"""

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # of those that wait for the first to download the data


@dataclass(frozen=True)
class Group:
    """The processes of a run, and which of them this is; what it does alone is nothing.

    Args:
        rank: 0 for the first, which alone tells and writes.
        world_size: number of processes.
        local_rank: 0 for the first on its machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_rank0(self) -> bool:
        return self.rank == 0

    def shard(self, num_samples: int) -> slice:
        """This process's samples of a step's: all have as many, or one more or less."""
        return slice(
            num_samples * self.rank // self.world_size,
            num_samples * (self.rank + 1) // self.world_size,
        )

    def all_reduce_sum(self, numbers: Tensor) -> Tensor:
        """The sum over the processes of a tensor of numbers; it is summed in place."""
        if self.world_size > 1:
            distributed.all_reduce(numbers)
        return numbers

    def all_reduce_max(self, number: int) -> int:
        """The largest of the processes' numbers."""
        if self.world_size == 1:
            return number
        largest = torch.tensor(number)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)

    def broadcast_from_rank0(self, make: Callable[[], T]) -> T:
        """What the first process makes, or raises, in all of them."""
        if self.world_size == 1:
            return make()
        made: list = [None, None]
        if self.is_rank0:
            try:
                made[0] = make()
            except Exception as error:
                made[1] = error
        distributed.broadcast_object_list(made)
        if made[1] is not None:
            raise made[1]
        return made[0]

    @contextmanager
    def rank0_first(self) -> Iterator[None]:
        """The first process of each machine goes through before the others do."""
        if self.world_size > 1 and self.local_rank > 0:
            distributed.barrier()
        yield
        if self.world_size > 1 and self.local_rank == 0:
            distributed.barrier()

    @torch.no_grad()
    def all_reduce_mean(self, tensors: list[Tensor], weight: float) -> None:
        """Each tensor becomes the mean of the processes' own, weighted; weights add up to 1."""
        if self.world_size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors]).mul_(weight)
        distributed.all_reduce(flat)
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def average_buffers(self, *models: nn.Module) -> None:
        """The running means of BatchNorm, which each process takes of its own images."""
        buffers = [b for model in models for b in model.buffers() if b.is_floating_point()]
        self.all_reduce_mean(buffers, 1 / self.world_size)

    def seed_by_rank(self, seed: int, step: int) -> None:
        """Gives each process but the first random numbers of its own, for dropout."""
        if not self.is_rank0:
            torch.manual_seed(seed + step * self.world_size + self.rank)


SINGLE_PROCESS = Group()


def join_group() -> Group:
    """Join the process group that torchrun has started; SINGLE_PROCESS without torchrun."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return SINGLE_PROCESS
    # Defaults of its functions are the group there is when they are defined. The first optimizer's
    # step would import it; then the group could not be taken down at exit, and one exit in ten
    # aborted because gloo's threads outlived the interpreter.
    from torch.distributed.nn import functional  # noqa: F401

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    atexit.register(distributed.destroy_process_group)
    return Group(distributed.get_rank(), size, int(os.environ["LOCAL_RANK"]))
