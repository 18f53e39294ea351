"""How many threads torch computes with on a CPU."""

import math
import os
from pathlib import Path

import torch

CGROUPS = Path("/sys/fs/cgroup")


def limit_threads(batch_size: int) -> None:
    """Takes away threads that would only wait for each other.

    torch starts one a core of the machine. A process may be allowed fewer, by its affinity or as
    a container, and a batch has no work for more threads than it has images. OMP_NUM_THREADS, if
    it is set, is the user's own choice and stays.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        allowed = min(num_allowed_cores(), batch_size)
        torch.set_num_threads(min(torch.get_num_threads(), allowed))


def num_allowed_cores(cgroups: Path = CGROUPS) -> int:
    """The cores that this process may use: of the machine's, and in its container's time."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min(cores, _cores_of_container(cgroups))))


def _cores_of_container(cgroups: Path) -> float:
    """Processor time a container is given, in cores; infinite where nothing limits it."""
    try:
        if (cgroups / "cpu.max").exists():  # version 2: "200000 100000", or "max 100000"
            quota, period = (cgroups / "cpu.max").read_text().split()
        else:
            quota = (cgroups / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroups / "cpu" / "cpu.cfs_period_us").read_text()
        cores = int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf
    return cores if cores > 0 else math.inf  # version 1 writes -1
