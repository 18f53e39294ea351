"""Several processes that train one network together, as torchrun starts them.

Their environment variables: https://docs.pytorch.org/docs/stable/elastic/run.html
"""

import atexit
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from tinkering.errors import InputError

T = TypeVar("T")
TIMEOUT = timedelta(hours=2)  # of processes that wait while rank 0 downloads the data
HEAD_START = 0.5  # seconds in which rank 0 can report an error that all processes meet
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Group:
    """The processes of a run, and this process's place among them.

    The collective methods do nothing in a group of one process. In a larger one every process
    must call them, in the same order.
    """

    rank: int = 0  # of this process; rank 0 alone prints and writes
    world_size: int = 1  # number of processes
    local_rank: int = 0  # number of this process on its machine

    @property
    def is_rank0(self) -> bool:
        return self.rank == 0

    def shard(self, num_samples: int) -> slice:
        """Return this process's part of a step's samples; the parts differ by one at most."""
        start, end = (num_samples * i // self.world_size for i in (self.rank, self.rank + 1))
        return slice(start, end)

    def all_reduce_sum(self, numbers: Tensor) -> Tensor:
        """Sum a tensor over the processes, in place, and return it."""
        if self.world_size > 1:
            distributed.all_reduce(numbers)
        return numbers

    def all_reduce_max(self, number: int) -> int:
        """Return the largest of the processes' numbers."""
        if self.world_size == 1:
            return number
        largest = torch.tensor(number)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)

    @torch.no_grad()
    def all_reduce_mean(self, tensors: list[Tensor], weight: float) -> None:
        """Replace each tensor by its mean over the processes, whose weights add up to 1."""
        if self.world_size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors]).mul_(weight)
        distributed.all_reduce(flat)
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def average_buffers(self, *models: nn.Module) -> None:
        """Average the running means of BatchNorm, which each process computes on its own shard."""
        buffers = [b for model in models for b in model.buffers() if b.is_floating_point()]
        self.all_reduce_mean(buffers, 1 / self.world_size)

    def broadcast_from_rank0(self, make: Callable[[], T]) -> T:
        """Call a function in rank 0 and return its result, or raise its error, in every process."""
        if self.world_size == 1:
            return make()
        outcome: list = [None, None]  # the result, the error
        if self.is_rank0:
            try:
                outcome[0] = make()
            except Exception as error:
                outcome[1] = error
        distributed.broadcast_object_list(outcome)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    @contextmanager
    def rank0_first(self) -> Iterator[None]:
        """Run the code inside on the first process of each machine before the others."""
        if self.world_size > 1 and self.local_rank > 0:
            distributed.barrier()
        yield
        if self.world_size > 1 and self.local_rank == 0:
            distributed.barrier()

    def seed_by_rank(self, seed: int, step: int) -> None:
        """Seed torch's random numbers differently in each process but rank 0, for dropout."""
        if not self.is_rank0:
            torch.manual_seed(seed + step * self.world_size + self.rank)


SINGLE_PROCESS = Group()
_store: Store | None = None  # keys and values that the processes share, once they have joined


def join_group() -> Group:
    """Join the processes that torchrun has started; return SINGLE_PROCESS without torchrun.

    Raises:
        InputError: the environment variables of torchrun are incomplete or no numbers.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return SINGLE_PROCESS
    values = {name: os.environ.get(name, "") for name in VARIABLES}
    numbers = [value for name, value in values.items() if name != "MASTER_ADDR"]
    if not values["MASTER_ADDR"] or not all(number.isdecimal() for number in numbers):
        given = " ".join(f"{name}={value!r}" for name, value in values.items())
        raise InputError(
            f"the environment does not describe a group of processes: {given}; start the program "
            "with torchrun, or unset WORLD_SIZE to train in one process"
        )
    # Defaults of its functions are the group there is when they are defined. The first optimizer's
    # step would import it; then the group could not be destroyed at exit, and one exit in ten
    # aborted because gloo's threads outlived the interpreter.
    from torch.distributed.nn import functional  # noqa: F401

    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, rank, world_size = next(rendezvous("env://", timeout=TIMEOUT))
    store.set_timeout(TIMEOUT)
    distributed.init_process_group(
        backend, store=store, rank=rank, world_size=world_size, timeout=TIMEOUT
    )
    atexit.register(distributed.destroy_process_group)
    global _store
    _store = store
    return Group(rank, world_size, int(os.environ["LOCAL_RANK"]))


def exit_unless_first_to_fail(exit_code: int) -> None:
    """Exit silently if another process of the group has failed before this one.

    An error in one process lets the others meet a broken connection, or all meet the same one.
    The first alone is to be reported; all exit with its exit code. `exit_code` is of this
    process's own error.
    """
    if _store is None:
        return
    rank = distributed.get_rank()
    if rank:
        time.sleep(HEAD_START)
    try:
        first = _store.compare_set("failure", "", f"{rank} {exit_code}").split()
    except distributed.DistNetworkError:  # the process with the store has ended
        sys.exit(exit_code)
    if int(first[0]) != rank:
        sys.exit(int(first[1]))


def launch_command(without: Collection[str] = ()) -> str:
    """Return the shell command that started this program, without some flags and their values."""
    has_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    words = _torchrun_command() if has_torchrun else sys.orig_argv.copy()
    # A script on the search path needs neither its folder nor its interpreter.
    if len(words) > 1 and shutil.which(name := Path(words[1]).name) == words[1]:
        words = [name, *words[2:]]
    kept: list[str] = []
    while words:
        word = words.pop(0)
        name, equals, _ = word.removeprefix("--").partition("=")
        if not word.startswith("--") or name.replace("-", "_") not in without:
            kept.append(word)
        elif not equals and words:
            words.pop(0)
    return shlex.join(kept)


def _torchrun_command() -> list[str]:
    """The words of torchrun's own command, or of one for as many processes."""
    try:
        command = os.fsdecode(Path(f"/proc/{os.getppid()}/cmdline").read_bytes())
    except OSError:  # only Linux has such files
        command = ""
    if sys.argv[0] in (words := command.split("\0")[:-1]):
        return words
    sizes = {"nnodes": "GROUP_WORLD_SIZE", "nproc_per_node": "LOCAL_WORLD_SIZE"}
    options = [f"--{option}={os.environ[name]}" for option, name in sizes.items()]
    return ["torchrun", *options, *sys.argv]
