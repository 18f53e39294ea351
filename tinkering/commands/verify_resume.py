"""Verify that a run killed in the middle ends bit for bit as one that was not interrupted."""

import functools
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from run_gradient_based import main
from tinkering.cli.process import fail
from tinkering.errors import InputError
from tinkering.runs.layout import RunFiles
from tinkering.runs.metrics import TIMED

DEFAULTS = {"num_total_iterations": 300, "eval_interval_iters": 100, "plots": False}
CHOSEN = ("save_path", "run_id", "model_name", "resume", "max_minutes", "checkpoint_interval_iters")
RUN_ID = "run"


class VerificationError(Exception):
    """The killed run did not end as the other one, or a run could not be compared."""

    exit_code = 1


@functools.wraps(main, assigned=())  # it accepts the flags of main, but has its own docstring
def verify_resume(**flags: Any) -> None:
    """Train with and without a SIGKILL in the middle, and compare the two runs bit by bit.

    Compared are weights, optimizer, random states, metrics and the best checkpoint.

    usage: python -m tinkering verify-resume [--flag value | --flag=value] ...

    The flags are those of run_gradient_based.py; the default is 300 steps. All files are written
    to a temporary folder. Exit code 0: identical; 1: not identical; that of a run that fails.
    """
    # SystemExit ends the training process and removes the folder.
    signal.signal(signal.SIGTERM, lambda number, _: fail("stopped by SIGTERM", 128 + number))
    flags = DEFAULTS | _training_flags(flags)
    with tempfile.TemporaryDirectory() as folder:
        straight, killed = (run_files(Path(folder, name)) for name in ("straight", "killed"))
        print(f"training {flags['num_total_iterations']} steps without interruption", flush=True)
        _train(flags, straight)
        # Patience may have ended the run before its last step.
        last_step = load_state(straight)["loop"]["step"]
        flags["checkpoint_interval_iters"] = max(1, last_step // 2)
        _train(flags, killed, kill=True)
        step = load_state(killed)["loop"]["step"]
        print(f"killed a second run after step {step}; resuming it", flush=True)
        _train(flags, killed)
        if difference := first_difference(straight, killed):
            raise VerificationError(f"not identical: {difference}")
    print("identical: weights, optimizer, random states, metrics and best checkpoint")


def _training_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags to train with; raises InputError if they leave nothing to verify."""
    if flags.get("dry_run"):
        raise InputError("--dry_run does not train, so that nothing can be resumed; leave it out")
    chosen = [name for name in CHOSEN if name in flags]
    if chosen and not (flags.get("preset") or flags.get("config")):
        raise InputError(f"--{chosen[0]} is chosen by verify-resume itself; leave it out")
    if flags.get("num_total_epochs"):
        raise InputError("verify-resume counts in steps: give it --num_total_iterations")
    if flags.get("num_total_iterations", 2) < 2:
        raise InputError("--num_total_iterations 1 leaves no step to resume; give it at least 2")
    # The flags of a preset or a config are among the flags already.
    return {name: flags[name] for name in flags if name not in (*CHOSEN, "config", "preset")}


def _train(flags: dict[str, Any], files: RunFiles, kill: bool = False) -> None:
    """Train in a process of its own, to the end or until it is killed at its first saved state."""
    flags = flags | {"save_path": files.save_path, "run_id": files.run_id}
    words = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    command = [sys.executable, "-m", main.__module__, *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while kill and not files.state.exists() and process.poll() is None:
                time.sleep(0.001)
            exit_code = process.poll() if kill else process.wait()
        finally:
            process.kill()
    if exit_code is None:
        return  # it has been killed
    if exit_code < 0:
        raise VerificationError(f"a training run was ended by signal {-exit_code}")
    if exit_code > 0:
        sys.exit(exit_code)  # the run has printed its error
    if kill:
        raise VerificationError("the run ended before it could be killed; give it more steps")


def run_files(save_path: Path) -> RunFiles:
    """Return the files of the run in one of the folders that are compared."""
    return RunFiles(save_path, RUN_ID, f"{RUN_ID}.pt")


def load_state(files: RunFiles) -> dict[str, Any]:
    """Read a run's newest state file that is whole."""
    from tinkering.runs.state import StateFile

    return StateFile(files.state, files.previous_state).load().content


def first_difference(one: RunFiles, other: RunFiles) -> str:
    """Return the first entry in which two runs differ, as "model.conv1.weight"; "" without any.

    Compared are the newest state files and metrics.csv, without times and flags.
    """
    left, right = dict(_leaves(load_state(one))), dict(_leaves(load_state(other)))
    for name in {**left, **right}:  # in the order of the file
        if name not in left or name not in right or not _equal(left[name], right[name]):
            return name
    return "" if repeatable_metrics(one) == repeatable_metrics(other) else "metrics.csv"


def repeatable_metrics(files: RunFiles) -> list[list[str]]:
    """Read the lines of metrics.csv, header first, without the columns of times."""
    lines = files.metrics.read_text().splitlines()
    return [line.split(",")[: -len(TIMED)] for line in lines]


def _leaves(tree: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield each value in nested dicts and lists by a dotted name, without times and flags."""
    if isinstance(tree, dict):
        for key, branch in tree.items():
            if key == "metrics":
                branch = [row[: -len(TIMED)] for row in branch]
            if key not in ("flags", "train_seconds"):
                yield from _leaves(branch, f"{name}.{key}".lstrip("."))
    elif isinstance(tree, list | tuple):
        for index, branch in enumerate(tree):
            yield from _leaves(branch, f"{name}[{index}]")
    else:
        yield name, tree


def _equal(left: object, right: object) -> bool:
    """Return whether two values of a state are the same; NaN equals NaN."""
    import torch

    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    return repr(left) == repr(right)
