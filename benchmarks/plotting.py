"""Measures what the plots cost a run that draws them, and writes docs/plotting.json.

    python benchmarks/plotting.py [--data_dir_root ./emnist_data]
    python benchmarks/performance.py

The same run with and without --plots, in turn: a small network, so that the validations, after
each of which is drawn, follow each other in ten seconds or so. Five minutes on two cores.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.speeds import shown_by
from benchmarks.throughput import conditions_of
from tinkering import checkpoint

FIGURES = Path(__file__).parent.parent / "docs" / "plotting.json"
TRAINING, WHOLE = "seconds of training", "seconds of the whole command"


def run(plots: bool, num_steps: int, data_dir_root: str) -> dict[str, float]:
    """Seconds of one run, with a validation every 250 steps."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "--dataset",
            "mnist",
            "--width",
            "16",
            "--val_size",
            "640",
            "--eval_interval_iters",
        ]
        words += ["250", "--num_total_iterations", str(num_steps), "--save_path", folder]
        words += ["--data_dir_root", data_dir_root, "--plots", str(plots)]
        started = perf_counter()
        shown_by(["run_gradient_based.py", *words])
        seconds = perf_counter() - started
        (results,) = Path(folder).glob("*/results.json")
        training = json.loads(results.read_text())["train_seconds"]
    kind = "with plots" if plots else "without plots"
    return {f"{TRAINING}, {kind}": training, f"{WHOLE}, {kind}": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir_root", default="./emnist_data")
    parser.add_argument("--rounds", type=int, default=4, help="how often both are run")
    parser.add_argument("--num_steps", type=int, default=1000, help="of each run")
    parser.add_argument("--json", type=Path, default=FIGURES, help="write the figures here")
    options = parser.parse_args()
    data_dir_root = str(Path(options.data_dir_root).resolve())
    found = conditions_of("python benchmarks/plotting.py")
    started = perf_counter()
    rounds = []
    for number in range(options.rounds):
        runs = {plots: run(plots, options.num_steps, data_dir_root) for plots in _turns(number)}
        rounds.append({**runs[False], **runs[True]})
        print(rounds[-1], flush=True)
    found |= {"rounds": rounds, "seconds": round(perf_counter() - started)}
    checkpoint.save_results(options.json, found)


def _turns(number: int) -> tuple[bool, bool]:
    """Each comes first in every other round."""
    return (False, True) if number % 2 == 0 else (True, False)


if __name__ == "__main__":
    main()
