"""The device that a run computes on, its precision, its threads and its allocator."""

import ctypes
import math
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

from tinkering.errors import InputError

CGROUPS = Path("/sys/fs/cgroup")
# Names and numbers from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 * 2**20  # bytes; the most that glibc accepts on 64-bit machines
NEVER = 2**31 - 1


class Precision(NamedTuple):
    """How the forward pass is computed; the weights are always float32."""

    name: str  # fp32, bf16 or fp16
    autocast: AbstractContextManager  # around the forward pass
    scaler: torch.amp.GradScaler  # disabled except in fp16


def choose_device(name: str) -> torch.device:
    """Return the device of that name (cpu, cuda, mps), or with "auto" the fastest there is.

    Raises:
        InputError: this machine, or this build of torch, does not have it.
    """
    devices = ["cuda"] if torch.cuda.is_available() else []
    devices += ["mps", "cpu"] if torch.backends.mps.is_available() else ["cpu"]
    if name not in ("auto", *devices):
        raise InputError(f"--device {name}: not available; choose one of {', '.join(devices)}")
    return torch.device(devices[0] if name == "auto" else name)


def make_fast(device: torch.device, batch_size: int, local_rank: int = 0) -> None:
    """Set threads, allocator and, on a CUDA device, float32 arithmetic for speed.

    Args:
        batch_size: images of the largest batch.
        local_rank: number of the CUDA device that belongs to this process.
    """
    limit_threads(batch_size)
    keep_freed_memory()
    if device.type == "cuda":
        torch.cuda.set_device(local_rank)
        torch.set_float32_matmul_precision("high")  # TF32, in convolutions too
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True


def choose_precision(name: str, device: torch.device) -> Precision:
    """Return the precision of that name (fp32, bf16, fp16), or with "auto" bf16 where it is fast.

    Raises:
        InputError: fp16 on a device other than CUDA, where it is slow or loses small gradients.
    """
    if name == "auto":
        name = "bf16" if _has_fast_bf16(device) else "fp32"
    if name == "fp16" and device.type != "cuda":
        raise InputError(f"--precision fp16 needs a CUDA device, not {device.type}; choose bf16")
    dtype = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
    autocast = torch.autocast(device.type, dtype) if dtype else nullcontext()
    return Precision(name, autocast, torch.amp.GradScaler(device.type, enabled=name == "fp16"))


def limit_threads(batch_size: int) -> None:
    """Limit torch's threads to the cores that the process may use and to the images of a batch.

    More threads would only wait for each other. OMP_NUM_THREADS, if it is set, is the user's own
    choice and stays.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), num_allowed_cores(), batch_size))


def num_allowed_cores(cgroups: Path = CGROUPS) -> int:
    """Return how many cores this process may use, by its affinity and its container's quota."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _cores_of_container(cgroups))))


def keep_freed_memory() -> None:
    """Make glibc's malloc keep freed memory in the process, up to 32 MiB a piece.

    By default glibc returns the megabytes of a step's activations to the system, which clears
    them page by page when the next step allocates them again (mallopt(3)).
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Without a threshold of its own, everything over 128 KiB would be returned.
    if mallopt and mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT):
        mallopt(M_TRIM_THRESHOLD, NEVER)


def _has_fast_bf16(device: torch.device) -> bool:
    """Whether the hardware has bf16 instructions; emulated bf16 is far slower than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False


def _cores_of_container(cgroups: Path) -> float:
    """The processor time of the container, in cores; infinite where nothing limits it."""
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
