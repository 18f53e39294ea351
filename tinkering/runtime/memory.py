"""The memory there is, the memory used, and the error where it is not enough."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tinkering.errors import OutOfMemoryError

CGROUPS = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """Turn every way to run out of memory into one error that says what to try next.

    Raises:
        OutOfMemoryError: the code inside wanted more than the device or the machine has.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # A GPU's allocator raises torch.OutOfMemoryError, a CPU's a plain RuntimeError.
        is_known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not is_known and "allocate memory" not in str(error).split("\n")[0]:
            raise
        raise OutOfMemoryError(f"out of memory; try {advice}") from error


def available_memory(device: torch.device) -> int | None:
    """Return the free memory of a device in bytes; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    known = [free for free in (_free_on_host(), _free_in_container()) if free is not None]
    return min(known, default=None)


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes used so far, on a CUDA device or by this process; None for unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows has no such module
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def fits_in_memory(device: torch.device | str, num_bytes: int) -> bool:
    """Return whether a CUDA device has twice that much memory free; False for other devices."""
    device = torch.device(device)
    return device.type == "cuda" and 2 * num_bytes < torch.cuda.mem_get_info(device)[0]


def _free_on_host() -> int | None:
    """Bytes that Linux can still hand out, swap included; None on other systems."""
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}  # KiB
    return 1024 * (sizes["MemAvailable"] + sizes["SwapFree"])


def _free_in_container() -> int | None:
    """Bytes left of a container's limit, cached files not counted; None without a limit."""
    version2 = CGROUPS, "memory.max", "memory.current", ""
    version1 = CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"
    for folder, limit, usage, prefix in (version2, version1):
        try:
            free = int((folder / limit).read_text()) - int((folder / usage).read_text())
            lines = (folder / "memory.stat").read_text().splitlines()
        except (OSError, ValueError):  # no such version, or the limit is "max"
            continue
        counts = {name: int(count) for name, count in (line.split() for line in lines)}
        return free + sum(counts[f"{prefix}{kind}_file"] for kind in ("active", "inactive"))
    return None
