"""Images a second of the program, of the bare step, and of the straightforward program.

Each is a process that has the machine to itself, with a terminal for its console, as a user
runs it.
"""

import csv
import os
import pty
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
BATCH_SIZE = 64
PROGRAM, AFFINE = "whole program", "whole program, augment affine"
BARE, STRAIGHTFORWARD = "bare step", "straightforward program"


class Size(NamedTuple):
    """A width of the network, and how long the program runs at it."""

    width: int
    num_steps: int
    log_interval: int  # the first line's steps are left out
    eval_interval: int
    bar: float  # times the straightforward program's images a second


def speeds(size: Size, data_dir_root: str, seconds: float) -> dict[str, float]:
    """Images a second by name, of one round.

    The bare step comes between the runs that are compared with it.

    Args:
        data_dir_root: the folder of the data sets.
        seconds: how long those are measured that are not the program.
    """
    others = ["--width", str(size.width), "--seconds", str(seconds)]
    baseline = [str(ROOT / "benchmarks" / "straightforward.py"), "--data_dir_root", data_dir_root]
    bare = [str(ROOT / "benchmarks" / "bare_step.py")]
    return {
        label(STRAIGHTFORWARD, size): last_number(shown_by([*baseline, *others])),
        label(PROGRAM, size): program_speed(size, data_dir_root, "none"),
        label(BARE, size): last_number(shown_by([*bare, *others])),
        label(AFFINE, size): program_speed(size, data_dir_root, "affine"),
    }


def label(what: str, size: Size) -> str:
    return f"{what}, width {size.width}, images/s"


def last_number(shown: str) -> float:
    return float(shown.split()[-1])


def program_speed(size: Size, data_dir_root: str, augment: str) -> float:
    """Images a second that one run of the program tells in its metrics.csv."""
    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "dataset": "mnist",
            "data_dir_root": data_dir_root,
            "augment": augment,
            "width": size.width,
            "num_total_iterations": size.num_steps,
            "log_interval_iters": size.log_interval,
            "eval_interval_iters": size.eval_interval,
            "val_size": 640,  # the time of scoring is not counted, but passes
            "test_subset": 640,
            "save_path": folder,
        }
        shown_by(["run_gradient_based.py", *(f"--{name}={value}" for name, value in flags.items())])
        (metrics,) = Path(folder).glob("*/metrics.csv")
        with metrics.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["train_loss"]]
    num_steps, seconds = (
        float(rows[-1][column]) - float(rows[0][column]) for column in ("step", "seconds")
    )
    return BATCH_SIZE * num_steps / seconds


def shown_by(words: list[str]) -> str:
    """What a Python program shows in a terminal of its own.

    Raises:
        RuntimeError: it failed; the error has the end of what it showed.
    """
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 80))
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
    ) as process:
        os.close(its)
        shown = b"".join(iter(lambda: _read(ours), b"")).decode(errors="replace")
    os.close(ours)
    if process.returncode:
        raise RuntimeError(f"{words[0]}: exit code {process.returncode}: {shown[-1000:]}")
    return shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that nobody is left to write
        return b""
