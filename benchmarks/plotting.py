"""Measures what drawing plots costs the run that it is beside, and writes docs/plotting.json.

    python benchmarks/plotting.py
    python benchmarks/performance.py

The default network is trained on one batch, in turn for a moment alone and for a moment beside a
process that draws one plot after the other at the priority of a run's own. What is lost in the
moments beside it, and how much of a drawing was done in them, tell what a drawing costs; and that
is set against the steps between two validations. Five minutes on two cores.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.bare_step import BATCH_SIZE, NUM_WARM_UP, make_step
from benchmarks.throughput import conditions_of
from tinkering.runs import checkpoint
from tinkering.runs.metrics import MetricsFile

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "plotting.json"
WIDTHS = 64, 16
STEPS_BETWEEN = 500  # from validation to validation, by default
DRAWING = """
import sys, time
from tinkering.commands.plot import plot
while True:
    started = time.process_time()
    plot(sys.argv[1])
    print(time.process_time() - started, file=sys.stderr, flush=True)
"""


def write_metrics(folder: Path, num_steps: int = 20_000) -> None:
    """The metrics of a run of the default length, a line every 100 steps."""
    metrics = MetricsFile(folder / "metrics.csv", [])
    for step in range(100, num_steps + 1, 100):
        found = {"step": step, "epoch": step / 1000, "seconds": step / 4}
        metrics.add(**found, train_loss=100 / step, train_accuracy=1 - 30 / step)
        if step % STEPS_BETWEEN == 0:
            metrics.add(**found, val_loss=100 / step, val_accuracy=1 - 30 / step)


@contextmanager
def drawing(folder: Path) -> Iterator[tuple[subprocess.Popen, float]]:
    """A process that draws again and again, paused at first, and its seconds for one drawing."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRAWING, str(folder)],
        cwd=ROOT,
        process_group=0,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        seconds = [float(process.stderr.readline()) for _ in range(6)][1:]  # the first imports
        process.send_signal(signal.SIGSTOP)
        yield process, statistics.median(seconds)
    finally:
        process.kill()
        process.communicate()


def seconds_used(process: subprocess.Popen) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def speed(step: Callable[[], object], seconds: float) -> float:
    """Steps a second."""
    num_steps, started = 0, perf_counter()
    while perf_counter() - started < seconds:
        step()
        num_steps += 1
    return num_steps / (perf_counter() - started)


def measure(width: int, rounds: int, seconds: float, folder: Path) -> dict[str, float]:
    """What a drawing costs a run of this width."""
    step = make_step(width)
    for _ in range(NUM_WARM_UP):
        step()
    alone, beside, used = [speed(step, seconds)], [], 0.0
    with drawing(folder) as (process, seconds_of_drawing):
        for _ in range(rounds):
            used -= seconds_used(process)
            process.send_signal(signal.SIGCONT)
            beside.append(speed(step, seconds))
            process.send_signal(signal.SIGSTOP)
            used += seconds_used(process)
            alone.append(speed(step, seconds))
    slower = [1 - 2 * each / (alone[i] + alone[i + 1]) for i, each in enumerate(beside)]
    slow_down = statistics.mean(slower)
    wall = seconds_of_drawing * rounds * seconds / used
    between = STEPS_BETWEEN / statistics.median(alone)
    # After a drawing that took so long it rests for twice as long; see plot_process.rest.
    share = slow_down * wall / max(between, 3 * wall - 2 * seconds_of_drawing)
    return {
        "images/s alone": BATCH_SIZE * statistics.median(alone),
        "slower while it draws, %": 100 * slow_down,
        "standard error of that, %": 100 * statistics.stdev(slower) / rounds**0.5,
        "processor seconds of a drawing": seconds_of_drawing,
        "seconds from its beginning to its end": wall,
        f"seconds of {STEPS_BETWEEN} steps": between,
        "slower in all, %": 100 * share,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60, help="moments beside, and alone")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each moment")
    parser.add_argument("--json", type=Path, default=FIGURES, help="write the figures here")
    options = parser.parse_args()
    found = conditions_of("python benchmarks/plotting.py")
    started = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_metrics(Path(folder))
        found["widths"] = {
            str(width): measure(width, options.rounds, options.seconds, Path(folder))
            for width in WIDTHS
        }
    found["seconds"] = round(perf_counter() - started)
    for width, figures in found["widths"].items():
        for what, figure in figures.items():
            print(f"width {width:>3}  {what:<40} {figure:.3g}")
    checkpoint.save_results(options.json, found)


if __name__ == "__main__":
    main()
