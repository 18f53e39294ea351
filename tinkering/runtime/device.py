"""Which device a run computes on, and in which precision."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

import torch

from tinkering.errors import InputError, OutOfMemoryError
from tinkering.runtime.allocator import keep_freed_memory
from tinkering.runtime.threads import limit_threads


class Precision(NamedTuple):
    """How the forward pass is computed; the weights are float32 always."""

    name: str  # fp32, bf16 or fp16
    autocast: AbstractContextManager  # around the forward pass
    scaler: torch.amp.GradScaler  # does nothing except in fp16


def choose_device(name: str) -> torch.device:
    """The device of that name (cpu, cuda, mps), or with "auto" the fastest there is.

    Raises:
        InputError: this machine, or this build of torch, does not have it.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available[name]:
        there = ", ".join(device for device, there in available.items() if there)
        raise InputError(f"--device {name}: torch finds no such device here; there is {there}")
    return torch.device(name)


def make_fast(device: torch.device, batch_size: int, local_rank: int = 0) -> None:
    """Sets what is slow when left alone: threads, freed memory, and a CUDA device's float32.

    Args:
        local_rank: which of the CUDA devices is this process's own.
    """
    limit_threads(batch_size)
    keep_freed_memory()
    if device.type == "cuda":
        torch.cuda.set_device(local_rank)
        torch.set_float32_matmul_precision("high")  # TF32, in convolutions too
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True


def has_room(device: torch.device | str, num_bytes: int) -> bool:
    """Whether a CUDA device has twice that much memory free; other devices are the host's."""
    device = torch.device(device)
    return device.type == "cuda" and 2 * num_bytes < torch.cuda.mem_get_info(device)[0]


def choose_precision(name: str, device: torch.device) -> Precision:
    """The precision of that name (fp32, bf16, fp16), or with "auto" bf16 where it is fast.

    Raises:
        InputError: fp16 on a device other than CUDA, where it is slow or loses small gradients.
    """
    if name == "auto":
        name = "bf16" if _has_fast_bf16(device) else "fp32"
    if name == "fp16" and device.type != "cuda":
        raise InputError(f"--precision fp16 needs a CUDA device, this is {device.type}; take bf16")
    dtype = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[name]
    autocast = torch.autocast(device.type, dtype) if dtype else nullcontext()
    return Precision(name, autocast, torch.amp.GradScaler(device.type, enabled=name == "fp16"))


def _has_fast_bf16(device: torch.device) -> bool:
    """By the hardware's own word: without such instructions bf16 is emulated, and far slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False


@contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """Turns the ways to run out of memory into one error, with advice on what to try next.

    Raises:
        OutOfMemoryError: what is inside wanted more than the device or the machine has.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        first_line = str(error).split("\n")[0]
        # A CPU's allocator raises a plain RuntimeError; a GPU's is torch.OutOfMemoryError.
        is_allocation = "allocate memory" in first_line
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not is_allocation:
            raise
        raise OutOfMemoryError(f"out of memory; try {advice}") from error
