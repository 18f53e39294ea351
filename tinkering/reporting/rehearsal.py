"""A dry run: what a run would need, found out by two of its steps, with nothing written."""

import io
import itertools
import shutil
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeVar

import torch

from tinkering.reporting.console import RunConsole
from tinkering.reporting.plan import layer_table, make_plan
from tinkering.runs import checkpoint
from tinkering.runs.run import Run
from tinkering.runs.state import LoopState, content_of
from tinkering.runtime.memory import enough_memory, peak_memory
from tinkering.train import Criterion, run_train_iterations, run_validation

T = TypeVar("T")


def rehearse(
    console: RunConsole,
    run: Run,
    criterion: Criterion,
    device: torch.device,
    compiling: str,
    training: dict[str, Any],
    scoring: dict[str, Any],
) -> None:
    """Show the plan of a run and what it would need; nothing is written.

    Two optimizer steps are made and one validation batch is scored.

    Args:
        run: whose network is trained.
        compiling: what torch.compile came to; "" without it.
        training: keyword arguments of run_train_iterations.
        scoring: keyword arguments of run_validation.
    """
    console.table("plan", make_plan(run, device, compiling))
    if run.flags["summary"]:
        console.line(layer_table(run))

    def train(step: int) -> float:
        state = run.train_state
        model, optimizer = state.model, state.optimizer
        return run_train_iterations(
            model, run.loaders.train, optimizer, criterion, device, 1, step, **training
        )[0]

    def evaluate() -> float:
        batch = list(itertools.islice(run.loaders.val, 1))
        return run_validation(run.train_state.eval_model, batch, criterion, device, **scoring)[0]

    with enough_memory("a smaller --batch_size"):
        train(0)  # the first step includes preparations, so the second is measured
        step_seconds, loss = _timed(lambda: train(1))
        batch_seconds, val_loss = _timed(evaluate)
    console.table("dry run", _estimate(run, device, step_seconds, loss, batch_seconds, val_loss))


def _estimate(
    run: Run,
    device: torch.device,
    step_seconds: float,
    loss: float,
    batch_seconds: float,
    val_loss: float,
) -> dict[str, str]:
    """Describe what the whole run would need, by headings."""
    num_validations = -(-run.num_steps // run.flags["eval_interval_iters"])
    num_batches = num_validations * len(run.loaders.val) + len(run.loaders.test)
    seconds = run.num_steps * step_seconds + num_batches * batch_seconds
    free = shutil.disk_usage(run.files.existing_parent()).free
    memory = peak_memory(device)
    return {
        "step": f"loss {loss:.4f}, {1000 * step_seconds:.0f} ms",
        "validation batch": f"loss {val_loss:.4f}, {1000 * batch_seconds:.0f} ms",
        "time": f"about {_duration(seconds)} for {run.num_steps:,} steps and {num_validations:,} "
        "validations",
        "memory": f"{memory / 2**20:,.0f} MiB at most so far" if memory else "unknown",
        "disk": f"{_bytes_on_disk(run) / 2**20:,.1f} MiB of {free / 2**30:,.1f} GiB that are free",
        "written": "nothing",
    }


def _timed(function: Callable[[], T]) -> tuple[float, T]:
    started = perf_counter()
    value = function()
    return perf_counter() - started, value


def _bytes_on_disk(run: Run) -> int:
    """Estimate the model file and two generations of the state, which contain the model, too."""
    best = checkpoint.model_content(run.train_state.eval_model, **run.about)
    state = content_of(LoopState(run.flags, best=best), run.train_state)
    return _size(best) + 2 * _size(state)


def _size(content: dict[str, Any]) -> int:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.tell()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
