"""Measures how soon MNIST is learned to 99 %, and writes docs/time_to_accuracy.json.

    python benchmarks/time_to_accuracy.py [--data_dir_root ./emnist_data] [--seeds 10]

The program's preset speedrun is run in turn with train_mnist_fast's recipe, and at last PyTorch's
example, until it first passes 99 %; each run is a process that has the machine to itself. It
wants MNIST (downloaded otherwise), a machine with nothing else to do, and seven minutes on two
cores.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import accuracy
from benchmarks.bars import Bar
from benchmarks.throughput import conditions_of
from tinkering.runs import checkpoint

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "time_to_accuracy.json"
GOAL = 99.0  # per cent of the test set
SPEEDRUN, FAST, EXAMPLE = "--preset speedrun", "train_mnist_fast", "PyTorch's example"
HEADINGS = ("what", "test accuracy, %", "training, s", "least to most", "whole process, s")
HEADINGS += (f"times {FAST}",)


def speedrun(seed: int, data_dir_root: str) -> dict:
    """One run of the program, as a user runs it: seed, accuracy in per cent, and seconds."""
    run = accuracy.run(SPEEDRUN, seed, data_dir_root)
    return {
        "seed": seed,
        "accuracy": 100 * run["results"]["test_accuracy"],
        "train_seconds": run["results"]["train_seconds"],
        "seconds": run["seconds"],
    }


def baseline(recipe: str, seed: int, data_dir_root: str) -> dict:
    """The same of one of the baselines, in a process of its own, and the figures of each epoch."""
    command = [sys.executable, str(ROOT / "benchmarks" / "baselines.py"), recipe]
    command += ["--seed", str(seed), "--data_dir_root", data_dir_root]
    started = perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    seconds = perf_counter() - started
    epochs = json.loads(done.stdout)
    return {
        "seed": seed,
        "accuracy": 100 * epochs[-1]["accuracy"],
        "train_seconds": epochs[-1]["train_seconds"],
        "seconds": seconds,
        "epochs": epochs,
    }


def measure(
    data_dir_root: str, num_seeds: int, num_fast: int, num_example: int
) -> dict[str, list[dict]]:
    """The runs of each recipe, for so many seeds; those that are compared take turns."""
    runs: dict[str, list[dict]] = {SPEEDRUN: [], FAST: [], EXAMPLE: []}
    for seed in range(max(num_seeds, num_fast)):
        if seed < num_seeds:
            runs[SPEEDRUN].append(speedrun(seed, data_dir_root))
        if seed < num_fast:
            runs[FAST].append(baseline("train_mnist_fast", seed, data_dir_root))
        print(f"round {seed + 1} is done", flush=True)
    for seed in range(num_example):
        runs[EXAMPLE].append(baseline("pytorch_example", seed, data_dir_root))
    return runs


def bars(runs: dict[str, list[dict]]) -> list[Bar]:
    """What is claimed, with the figures it is claimed on.

    The speedrun's times are set against those of train_mnist_fast in the same rounds. An example
    that did not reach the goal counts with the time that it had.
    """
    error = 100 - statistics.mean(run["accuracy"] for run in runs[SPEEDRUN])
    seconds = {what: [run["train_seconds"] for run in those] for what, those in runs.items()}
    example = statistics.median(seconds[EXAMPLE])
    rounds = zip(seconds[SPEEDRUN], seconds[FAST], strict=False)
    shares = [ours / example for ours in seconds[SPEEDRUN]]
    what = f"test error of the speedrun, mean of {len(runs[SPEEDRUN])} seeds"
    return [
        Bar(what, [error], 100 - GOAL, False, "%"),
        Bar(f"speedrun / {FAST}, training", [ours / fast for ours, fast in rounds], 0.25, False),
        Bar(f"speedrun / {EXAMPLE} to {GOAL:g} %, training", shares, 0.01, False),
    ]


def median_of(runs: Sequence[dict], figure: str) -> float:
    return statistics.median(run[figure] for run in runs)


def rows(runs: dict[str, list[dict]]) -> list[tuple[str, ...]]:
    """The cells of the table under HEADINGS, a row for each recipe."""
    found = []
    for what, those in runs.items():
        percent = [run["accuracy"] for run in those]
        spread = f" ± {statistics.stdev(percent):.2f}" if len(percent) > 1 else ""
        seconds = [run["train_seconds"] for run in those]
        median = statistics.median(seconds)
        cells = (
            f"{what}, seeds {len(those)}",
            f"{statistics.mean(percent):.2f}{spread}",
            f"{median:.2f}",
            f"{min(seconds):.2f} to {max(seconds):.2f}",
            f"{median_of(those, 'seconds'):.1f}",
            f"{median / median_of(runs[FAST], 'train_seconds'):.3g}",
        )
        found.append(cells)
    return found


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (headings, *rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir_root", default="./emnist_data")
    parser.add_argument("--seeds", type=int, default=10, help="runs of the speedrun")
    parser.add_argument("--fast_seeds", type=int, default=5, help=f"runs of {FAST}")
    parser.add_argument("--example_seeds", type=int, default=1, help=f"runs of {EXAMPLE}")
    parser.add_argument("--json", type=Path, default=FIGURES, help="where the figures go")
    options = parser.parse_args()
    numbers = options.seeds, options.fast_seeds, options.example_seeds
    if min(numbers) < 1:
        parser.error("each recipe needs a seed at least")
    started = perf_counter()
    runs = measure(options.data_dir_root, *numbers)
    claims = bars(runs)
    figures = conditions_of(
        "python benchmarks/time_to_accuracy.py "
        f"--seeds {numbers[0]} --fast_seeds {numbers[1]} --example_seeds {numbers[2]}"
    )
    figures |= {
        "seconds": round(perf_counter() - started),
        "bars": [claim._asdict() for claim in claims],
        "runs": runs,
    }
    checkpoint.save_results(options.json, figures)
    print(table(HEADINGS, rows(runs)), end="\n\n")
    print(table(("what", "median", "least to most", "bar", ""), [bar.cells() for bar in claims]))


if __name__ == "__main__":
    main()
