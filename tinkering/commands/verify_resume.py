"""Verify that a run killed in the middle ends bit for bit as one that was not interrupted."""

import csv
import functools
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run_gradient_based import main
from tinkering.cli.process import fail
from tinkering.errors import InputError
from tinkering.runs.metrics import TIMED

if TYPE_CHECKING:
    from tinkering.runs.layout import RunFiles

DEFAULTS = {"num_total_iterations": 300, "eval_interval_iters": 100, "plots": False}
CHOSEN = ("save_path", "run_id", "model_name", "resume", "max_minutes", "checkpoint_interval_iters")
RUN_ID = "run"


class VerificationError(Exception):
    """The killed run did not end as the other one, or a run could not be compared."""

    exit_code = 1


@functools.wraps(main, assigned=())  # it accepts the flags of main, but has its own docstring
def verify_resume(**flags: Any) -> None:
    """Train with these flags without interruption, then again with a SIGKILL in the middle, and
    compare weights, optimizer, random states, metrics and best checkpoint bit by bit.

    usage: python -m tinkering verify-resume [--flag value | --flag=value] ...

    The flags are those of run_gradient_based.py; the default is 300 steps. All files are written
    to a temporary folder. Exit code 0: identical; 1: not identical; that of a run that fails.
    """
    signal.signal(signal.SIGTERM, _end_by_signal)
    flags = DEFAULTS | _training_flags(flags)
    with tempfile.TemporaryDirectory() as folder:
        straight, killed = (run_files(Path(folder, name)) for name in ("straight", "killed"))
        print(f"training {flags['num_total_iterations']} steps without interruption", flush=True)
        _train(flags, straight)
        # Patience may have ended the run before its last step.
        flags["checkpoint_interval_iters"] = max(1, last_step(straight) // 2)
        _train_and_kill(flags, killed)
        print(f"killed a second run after step {last_step(killed)}; resuming it", flush=True)
        _train(flags, killed)
        if difference := first_difference(straight, killed):
            raise VerificationError(f"not identical: {difference}")
    print("identical: weights, optimizer, random states, metrics and best checkpoint")


def _end_by_signal(number: int, _frame: object) -> None:
    """Raise SystemExit, so that the training process is ended and the folder is removed."""
    fail("stopped by SIGTERM", 128 + number)


def _training_flags(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags to train with; those of a preset or a config are among the flags already.

    Raises:
        InputError: a flag leaves nothing to verify, or is chosen by verify-resume itself.
    """
    if flags.get("dry_run"):
        raise InputError("--dry_run does not train, so that nothing can be resumed; leave it out")
    chosen = [name for name in CHOSEN if name in flags]
    if chosen and not (flags.get("preset") or flags.get("config")):
        raise InputError(f"--{chosen[0]} is chosen by verify-resume itself; leave it out")
    if flags.get("num_total_epochs"):
        raise InputError("verify-resume counts in steps: give it --num_total_iterations")
    if flags.get("num_total_iterations", 2) < 2:
        raise InputError(
            "--num_total_iterations 1: verify-resume kills the run between two steps; "
            "give it at least 2"
        )
    return {name: flags[name] for name in flags if name not in (*CHOSEN, "config", "preset")}


def _train(flags: dict[str, Any], files: "RunFiles") -> None:
    """Train to the end in a process of its own."""
    with _training_process(flags, files) as process:
        _check_exit_code(process.wait())


def _train_and_kill(flags: dict[str, Any], files: "RunFiles") -> None:
    """Train in a process of its own, and kill it once it has saved its state."""
    with _training_process(flags, files) as process:
        while not files.state.exists() and process.poll() is None:
            time.sleep(0.001)
        if (exit_code := process.poll()) is not None:
            _check_exit_code(exit_code)
            raise VerificationError("the run ended before it could be killed; give it more steps")


@contextmanager
def _training_process(
    flags: dict[str, Any], files: "RunFiles"
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that trains with these flags; it is killed when the block ends."""
    flags = flags | {"save_path": files.save_path, "run_id": files.run_id}
    words = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    command = [sys.executable, "-m", main.__module__, *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _check_exit_code(exit_code: int) -> None:
    """End with the exit code of a run that failed; it has printed its error."""
    if exit_code < 0:
        raise VerificationError(f"a training run was ended by signal {-exit_code}")
    if exit_code > 0:
        sys.exit(exit_code)


def run_files(save_path: Path) -> "RunFiles":
    """Return the files of the run in one of the folders that are compared."""
    from tinkering.runs.layout import RunFiles

    return RunFiles(save_path, RUN_ID, f"{RUN_ID}.pt")


def load_state(files: "RunFiles") -> dict[str, Any]:
    """Read a run's newest state file that is whole."""
    from tinkering.runs.state import StateFile

    return StateFile(files.state, files.previous_state).load().content


def last_step(files: "RunFiles") -> int:
    """Return the number of steps completed in the newest state file."""
    step: int = load_state(files)["loop"]["step"]
    return step


def first_difference(one: "RunFiles", other: "RunFiles") -> str:
    """Return the name of the first entry in which two runs differ.

    Compared are the newest state files and metrics.csv, without times and flags.

    Returns:
        a name such as "model.conv1.weight" or "metrics.csv"; "" if nothing differs.
    """
    left, right = dict(_leaves(load_state(one))), dict(_leaves(load_state(other)))
    for name in {**left, **right}:  # in the order of the file
        if name not in left or name not in right or not _equal(left[name], right[name]):
            return name
    return "" if repeatable_metrics(one) == repeatable_metrics(other) else "metrics.csv"


def repeatable_metrics(files: "RunFiles") -> list[list[str]]:
    """Read the lines of metrics.csv, header first, without the columns of times."""
    with files.metrics.open(newline="") as file:
        return [row[: -len(TIMED)] for row in csv.reader(file)]


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
