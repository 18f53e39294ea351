"""From the shell to the first step on files of EMNIST byclass's size, and the memory of a run.

Memory is read from /proc, which Linux has.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch

from tinkering.data.idx import save_idx

ROOT = Path(__file__).parent.parent
BYCLASS = {"train": 697_932, "test": 116_323}  # images
IMPORT, FIRST_STEP = "import torch, s", "shell to first step, s"
PEAK = "peak memory of a run, GB"
TRAINING_LINE = re.compile(r"step +([\d,]+)  train")
SETTLED = 100  # steps after which a run's memory should grow no more


class Reading(NamedTuple):
    """A line of a run's console, when it came and what memory the run had then."""

    line: str
    seconds: float  # since the run was started
    resident: int  # bytes; 0 once the run has ended
    peak: int  # bytes, so far


def write_byclass(data: Path, num_images: dict[str, int]) -> None:
    """EMNIST byclass's files with random images, so many in each part."""
    generator = torch.Generator().manual_seed(0)
    for part, number in num_images.items():
        name = str(data / "EMNIST" / "raw" / f"emnist-byclass-{part}")
        size = (number, 28, 28)
        images = torch.randint(256, size, generator=generator, dtype=torch.uint8)
        save_idx(Path(f"{name}-images-idx3-ubyte"), images)
        save_idx(Path(f"{name}-labels-idx1-ubyte"), (torch.arange(number) % 62).to(torch.uint8))


def start(data: Path, width: int) -> dict[str, float]:
    """Seconds and memory by name, of one round: importing torch, then three steps and the scores.

    Args:
        data: where write_byclass has put the files.
        width: of the network.
    """
    started = perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    import_seconds = perf_counter() - started
    readings = list(run(data, width=width, num_total_iterations=3, log_interval_iters=1))
    return {
        IMPORT: import_seconds,
        FIRST_STEP: at_steps(readings)[1].seconds,
        PEAK: max(reading.peak for reading in readings) / 1e9,
    }


def growth(data: Path, num_steps: int) -> float:
    """Megabytes that a small network's run has at its last step beyond those at step 100."""
    flags = {"width": 4, "batch_size": 8, "num_total_iterations": num_steps}
    readings = at_steps(run(data, **flags, log_interval_iters=SETTLED))
    return (readings[num_steps].resident - readings[SETTLED].resident) / 1e6


def at_steps(readings: Iterator[Reading] | list[Reading]) -> dict[int, Reading]:
    """The readings at lines of training metrics, by their step."""
    found = ((TRAINING_LINE.match(reading.line), reading) for reading in readings)
    return {int(match[1].replace(",", "")): reading for match, reading in found if match}


def run(data: Path, **flags: int) -> Iterator[Reading]:
    """Runs the program on byclass, with little to score; raises RuntimeError if it fails."""
    flags |= {"data_dir_root": data, "val_size": 640, "test_subset": 640}
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--{name}={value}" for name, value in {**flags, "save_path": folder}.items()]
        started = perf_counter()
        with subprocess.Popen(
            [sys.executable, str(ROOT / "run_gradient_based.py"), *words],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            for line in process.stdout:
                yield Reading(line, perf_counter() - started, *_memory(process.pid))
    if process.returncode:
        raise RuntimeError(f"run_gradient_based.py: exit code {process.returncode}")


def _memory(pid: int) -> tuple[int, int]:
    """Bytes of memory that a process has now, and the most it has had; zeros if it has ended."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmRSS", "VmHWM"))
    return tuple(1024 * int(match[1]) if match else 0 for match in found)
