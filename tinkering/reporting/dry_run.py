"""What a run would need, found out by a step and a batch of it; nothing is written."""

import io
import itertools
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import torch
from torch.utils.data import DataLoader

from tinkering.runs import checkpoint
from tinkering.runs.layout import RunFiles
from tinkering.runs.state import LoopState, TrainState, content_of


def rehearse(
    flags: dict,
    files: RunFiles,
    learner: TrainState,
    loaders: Sequence[DataLoader],
    learn: Callable[..., tuple[float, float, int]],
    score: Callable[..., tuple[float, float]],
) -> dict[str, str]:
    """One optimizer step and one validation batch, and an estimate for the whole run.

    Args:
        flags, files: of the run.
        learner: is trained.
        loaders: of training, validation and test.
        learn, score: run_train_iterations and run_validation but for what differs by call.

    Returns:
        what was found, by headings.
    """
    learn(1, 0)  # the first step also makes ready, and says little of the others
    step_seconds, (loss, _, _) = _timed(learn, 1, 1)
    batch_seconds, (val_loss, _) = _timed(score, list(itertools.islice(loaders[1], 1)))
    num_steps = flags["num_total_iterations"]
    num_validations = -(-num_steps // flags["eval_interval_iters"])
    num_batches = num_validations * len(loaders[1]) + len(loaders[2])
    seconds = num_steps * step_seconds + num_batches * batch_seconds
    disk = _bytes_on_disk(flags, learner)
    free = shutil.disk_usage(_existing(files.folder)).free
    return {
        "step": f"loss {loss:.4f}, {1000 * step_seconds:.0f} ms",
        "validation batch": f"loss {val_loss:.4f}, {1000 * batch_seconds:.0f} ms",
        "time": f"about {_duration(seconds)} for {num_steps:,} steps and {num_validations:,} "
        "validations",
        "memory": f"{_peak_memory() / 2**20:,.0f} MiB at most so far",
        "disk": f"{disk / 2**20:,.1f} MiB of {free / 2**30:,.1f} GiB that are free",
        "written": "nothing",
    }


def _timed(function: Callable, *args: object) -> tuple[float, tuple]:
    started = perf_counter()
    return_value = function(*args)
    return perf_counter() - started, return_value


def _bytes_on_disk(flags: dict, learner: TrainState) -> int:
    """Of the model file and of two generations of the state, which has the model in it, too."""
    best = checkpoint.model_content(learner.scored_model, flags=flags)
    state = content_of(LoopState(flags, best=best), learner)
    return _size(best) + 2 * _size(state)


def _size(content: dict) -> int:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.tell()


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.resolve().parents) if path.exists())


def _peak_memory() -> int:
    """Bytes of the device, or of this process where that is the CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
