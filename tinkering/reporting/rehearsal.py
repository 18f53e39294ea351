"""A dry run: what a run would need, found out by two of its steps, with nothing written."""

import io
import itertools
import shutil
from functools import partial
from time import perf_counter
from typing import Any

import torch

from tinkering.reporting.console import RunConsole
from tinkering.reporting.plan import layer_table, make_plan
from tinkering.runs import checkpoint
from tinkering.runs.run import Run
from tinkering.runs.state import LoopState, content_of
from tinkering.runtime.memory import enough_memory, peak_memory
from tinkering.train import Criterion, run_train_iterations, run_validation


def rehearse(
    console: RunConsole,
    run: Run,
    criterion: Criterion,
    device: torch.device,
    compiling: str,
    training: dict[str, Any],
    scoring: dict[str, Any],
) -> None:
    """Make two optimizer steps, score one validation batch, and show what the run would need.

    Nothing is written. The last arguments are of run_train_iterations and run_validation.
    """
    console.table("plan", make_plan(run, device, compiling))
    if run.flags["summary"]:
        console.line(layer_table(run))
    model, optimizer = run.train_state.model, run.train_state.optimizer
    batches, val_batches = run.loaders.train, itertools.islice(run.loaders.val, 1)
    train = partial(run_train_iterations, model, batches, optimizer, criterion, device, 1)
    with enough_memory("a smaller --batch_size"):
        train(0, **training)  # the first step includes preparations, so the second is measured
        started = perf_counter()
        loss, *_ = train(1, **training)
        trained = perf_counter()
        eval_model = run.train_state.eval_model
        val_loss, _ = run_validation(eval_model, val_batches, criterion, device, **scoring)
        step_seconds, batch_seconds = trained - started, perf_counter() - trained
    rows = {
        "step": f"loss {loss:.4f}, {1000 * step_seconds:.0f} ms",
        "validation batch": f"loss {val_loss:.4f}, {1000 * batch_seconds:.0f} ms",
    }
    console.table("dry run", rows | _estimate(run, device, step_seconds, batch_seconds))


def _estimate(
    run: Run, device: torch.device, step_seconds: float, batch_seconds: float
) -> dict[str, str]:
    """Describe what the whole run would need, by headings."""
    num_validations = -(-run.num_steps // run.flags["eval_interval_iters"])
    num_batches = num_validations * len(run.loaders.val) + len(run.loaders.test)
    time = _duration(run.num_steps * step_seconds + num_batches * batch_seconds)
    free = shutil.disk_usage(run.files.existing_parent()).free
    memory = peak_memory(device)
    return {
        "time": f"about {time} for {run.num_steps:,} steps and {num_validations:,} validations",
        "memory": f"{memory / 2**20:,.0f} MiB at most so far" if memory else "unknown",
        "disk": f"{_bytes_on_disk(run) / 2**20:,.1f} MiB of {free / 2**30:,.1f} GiB that are free",
        "written": "nothing",
    }


def _bytes_on_disk(run: Run) -> int:
    """Estimate the size of the model file and of two state files, which contain the model, too."""
    best = checkpoint.model_content(run.train_state.eval_model, **run.about)
    state = content_of(LoopState(run.flags, best=best), run.train_state)
    buffer = io.BytesIO()
    for content in (best, state, state):
        torch.save(content, buffer)
    return buffer.tell()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
