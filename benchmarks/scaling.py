"""Measures what several processes bring, and writes docs/scaling.json.

    python benchmarks/scaling.py [--data_dir_root ./emnist_data]
    python benchmarks/performance.py

The cores of this machine are given to one process, or shared by several that torchrun starts,
each with its part of the same 64 images a step; one process on one core is what the others are
set against. Six minutes on two cores.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.speeds import BATCH_SIZE, ROOT
from benchmarks.throughput import conditions_of
from tinkering.runs import checkpoint

FIGURES = Path(__file__).parent.parent / "docs" / "scaling.json"
STEPS = {64: 30, 16: 200}  # of each width
TORCHRUN = ["-m", "torch.distributed.run", "--rdzv_backend", "c10d"]
TORCHRUN += ["--rdzv_endpoint", "127.0.0.1:0"]


def speed(num_processes: int, num_threads: int, width: int, data_dir_root: str) -> float:
    """Images a second of a run after its first steps; each process has so many threads."""
    num_steps = STEPS[width]
    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "dataset": "mnist",
            "data_dir_root": data_dir_root,
            "width": width,
            "batch_size": BATCH_SIZE // num_processes,
            "num_total_iterations": num_steps,
            "log_interval_iters": num_steps // 5,
            "val_size": 640,
            "test_subset": 640,
            "save_path": folder,
        }
        words = ["run_gradient_based.py", *(f"--{name}={value}" for name, value in flags.items())]
        launch = [*TORCHRUN, "--nproc_per_node", str(num_processes)] if num_processes > 1 else []
        subprocess.run(
            [sys.executable, *launch, *words],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": str(num_threads)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        (metrics,) = Path(folder).glob("*/metrics.csv")
        with metrics.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["train_loss"]]
    first, last = rows[0], rows[-1]
    steps, seconds = (float(last[name]) - float(first[name]) for name in ("step", "seconds"))
    return BATCH_SIZE * steps / seconds


def shares(num_cores: int) -> list[tuple[int, int]]:
    """Numbers of processes, and of threads in each, that share the cores; one core first."""
    sizes = [size for size in (1, 2, 4, 8, 16, 32) if size <= num_cores]
    return [(1, 1)] + [(size, num_cores // size) for size in sizes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir_root", default="./emnist_data")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run")
    parser.add_argument("--json", type=Path, default=FIGURES, help="write the figures here")
    options = parser.parse_args()
    data_dir_root = str(Path(options.data_dir_root).resolve())
    found = conditions_of(f"python benchmarks/scaling.py --rounds {options.rounds}")
    started = perf_counter()
    rounds = []
    for _ in range(options.rounds):
        rounds.append({})
        for width in STEPS:
            for processes, threads in dict.fromkeys(shares(os.cpu_count() or 1)):
                what = f"width {width}, processes x threads: {processes} x {threads}"
                rounds[-1][what] = speed(processes, threads, width, data_dir_root)
        print(rounds[-1], flush=True)
    found |= {"rounds": rounds, "seconds": round(perf_counter() - started)}
    checkpoint.save_results(options.json, found)


if __name__ == "__main__":
    main()
