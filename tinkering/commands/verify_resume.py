"""Trains a run twice, once without a break and once killed in the middle, and compares."""

import csv
import functools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from run_gradient_based import main
from tinkering.errors import InputError
from tinkering.runs.metrics import TIMED

PROGRAM = Path(sys.modules[main.__module__].__file__)
SHORT = {"num_total_iterations": 300, "eval_interval_iters": 100}  # where the flags name none
OURS = ("save_path", "run_id", "model_name", "resume", "max_minutes", "checkpoint_interval_iters")
NOT_PASSED_ON = ("config", "preset")  # whose flags are among those given


class DifferError(Exception):
    """The run that was killed did not end as the one that was not."""

    exit_code = 1


@functools.wraps(main, assigned=())  # the flags are main's, the words are not
def verify_resume(**flags: object) -> None:
    """Trains with these flags without a break, then again with a SIGKILL in the middle, and
    compares weights, optimizer, random states, metrics and best checkpoint bit by bit.

    usage: python -m tinkering verify-resume [--flag value | --flag=value] ...

    The flags are those of run_gradient_based.py, with 300 steps where they name no number. What
    is written goes into a temporary folder. Exit code 0: identical; 1: not.
    """
    flags = SHORT | {"plots": False} | _without_ours(flags)
    flags["checkpoint_interval_iters"] = max(1, flags["num_total_iterations"] // 5)
    with tempfile.TemporaryDirectory() as folder:
        straight, killed = Path(folder, "straight"), Path(folder, "killed")
        print(f"training {flags['num_total_iterations']} steps without a break", flush=True)
        _finish(_start(flags, straight))
        step = _kill_in_the_middle(_start(flags, killed), killed)
        print(f"killed a second run after step {step}; going on with it", flush=True)
        _finish(_start(flags, killed))
        if difference := first_difference(straight, killed):
            raise DifferError(f"not identical: {difference}")
    print("identical: weights, optimizer, random states, metrics and best checkpoint")


def _without_ours(flags: dict) -> dict:
    """The flags but for those that are chosen here; a preset or a config may name them."""
    taken = [name for name in OURS if name in flags]
    if taken and not (flags.get("preset") or flags.get("config")):
        raise InputError(f"--{taken[0]} is chosen by verify-resume itself")
    if flags.get("num_total_epochs"):
        raise InputError("verify-resume counts in steps: give it --num_total_iterations")
    return {name: value for name, value in flags.items() if name not in OURS}


def _start(flags: dict, save_path: Path) -> subprocess.Popen:
    given = {name: value for name, value in flags.items() if name not in NOT_PASSED_ON}
    words = [f"--{name}={value}" for name, value in given.items() if value is not None]
    command = [sys.executable, str(PROGRAM), *words, f"--save_path={save_path}", "--run_id=run"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _finish(process: subprocess.Popen) -> None:
    if process.wait() != 0:
        raise DifferError(f"a run ended with exit code {process.returncode}")


def _kill_in_the_middle(process: subprocess.Popen, save_path: Path) -> int:
    """Kills the run once it has saved its state twice; returns the last step on the disk."""
    while not Path(save_path, "checkpoint_run.previous.pt").exists():
        if process.poll() is not None:
            raise DifferError("the run ended before it could be killed")
        time.sleep(0.001)
    process.kill()
    process.wait()
    return load_state(save_path)["progress"]["step"]


def load_state(save_path: Path) -> dict:
    from tinkering.runs.state import StateFile

    return StateFile(Path(save_path, "checkpoint_run.pt")).load().content


def first_difference(one: Path, other: Path) -> str:
    """What differs first between the runs `run` in two folders, or "" if nothing does.

    Times and paths are not compared.
    """
    left, right = dict(_leaves(load_state(one))), dict(_leaves(load_state(other)))
    for name in {**left, **right}:  # in the order of the file
        if name not in left or name not in right or not _equal(left[name], right[name]):
            return name
    return "" if repeatable_metrics(one) == repeatable_metrics(other) else "metrics.csv"


def repeatable_metrics(save_path: Path) -> list[list[str]]:
    """The lines of the run's metrics.csv, its heads first, without the columns that tell times."""
    with Path(save_path, "run", "metrics.csv").open(newline="") as file:
        return [row[: -len(TIMED)] for row in csv.reader(file)]


def _leaves(tree: object, name: str = "") -> Iterator[tuple[str, object]]:
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
    import torch

    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    return left == right
