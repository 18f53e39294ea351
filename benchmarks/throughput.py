"""Measures how fast the program is against what it could be, and writes docs/throughput.json.

    python benchmarks/throughput.py [--data_dir_root ./emnist_data]
    python benchmarks/performance.py

What is compared is measured in turn, and every claim is the ratio of two figures of the same
round. It wants MNIST (downloaded otherwise), Linux, a machine with nothing else to do, and
nine minutes on two cores. docs/performance.md says what the claims mean.
"""

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import augmentation, startup
from benchmarks.accuracy import machine
from benchmarks.bars import Bar
from benchmarks.speeds import (
    AFFINE,
    BARE,
    BATCH_SIZE,
    PROGRAM,
    STRAIGHTFORWARD,
    Size,
    label,
    speeds,
)
from tinkering.runs import checkpoint
from tinkering.runtime.device import choose_device, choose_precision, make_fast

FIGURES = Path(__file__).parent.parent / "docs" / "throughput.json"


class Extent(NamedTuple):
    """How much is measured."""

    sizes: Sequence[Size]
    rounds: int
    seconds: float  # for each figure that is not a run of the program
    byclass: dict[str, int]  # images
    growth_steps: int


FULL = Extent(
    sizes=(
        # At width 64 so few steps that no validation is among them, as in 490 of 500; at 16 one.
        Size(64, num_steps=50, log_interval=10, eval_interval=500, bar=2.0),
        Size(16, num_steps=400, log_interval=50, eval_interval=250, bar=1.5),
    ),
    rounds=3,
    seconds=6.0,
    byclass=startup.BYCLASS,
    growth_steps=10_000,
)
QUICK = Extent(
    sizes=(Size(2, num_steps=10, log_interval=5, eval_interval=500, bar=1.5),),
    rounds=1,
    seconds=0.1,
    byclass={"train": 2000, "test": 700},
    growth_steps=200,
)


def measure(extent: Extent, data_dir_root: str) -> tuple[list[dict[str, float]], float]:
    """The figures of each round by name, and the megabytes that a long run grows by."""
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        startup.write_byclass(data, extent.byclass)
        os.sync()  # or the disk would be busy during what is measured first
        for number in range(1, extent.rounds + 1):
            found = startup.start(data, extent.sizes[0].width)
            found |= augmentation.speeds(extent.seconds / 4)
            for size in extent.sizes:
                found |= speeds(size, data_dir_root, extent.seconds)
            rounds.append(found)
            print(f"round {number} of {extent.rounds} is done", flush=True)
        return rounds, startup.growth(data, extent.growth_steps)


def bars(rounds: list[dict[str, float]], growth: float, extent: Extent) -> list[Bar]:
    """What is claimed, with the figures it is claimed on."""

    def ratios(above: str, below: str) -> list[float]:
        return [found[above] / found[below] for found in rounds]

    claims = []
    for size in extent.sizes:
        for program, limit in ((PROGRAM, 0.97), (AFFINE, 0.93)):
            what = f"{program} / {BARE}, width {size.width}"
            claims.append(Bar(what, ratios(label(program, size), label(BARE, size)), limit))
    for size in extent.sizes:
        what = f"{PROGRAM} / {STRAIGHTFORWARD}, width {size.width}"
        times = ratios(label(PROGRAM, size), label(STRAIGHTFORWARD, size))
        claims.append(Bar(what, times, size.bar))
    what = "augmentation of batches / torchvision's one by one, one thread"
    claims.append(Bar(what, ratios(augmentation.OURS, augmentation.THEIRS), 10.0))
    waits = [found[startup.FIRST_STEP] - found[startup.IMPORT] for found in rounds]
    claims.append(Bar("shell to first step, beyond import torch", waits, 4.0, False, "s"))
    peaks = [found[startup.PEAK] for found in rounds]
    claims.append(Bar("peak memory of a run", peaks, 1.5, False, "GB"))
    what = f"growth of memory over {extent.growth_steps:,} steps"
    claims.append(Bar(what, [growth], 20.0, False, "MB"))
    return claims


def conditions_of(command: str) -> dict[str, object]:
    """What figures measured here and now depend on."""
    device = choose_device("auto")
    make_fast(device, BATCH_SIZE)  # sets the number of threads that the program takes
    return {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": choose_precision("auto", device).name,
        "torch": torch.__version__,
    }


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir_root", default="./emnist_data")
    parser.add_argument("--rounds", type=int, help="how often everything is measured")
    parser.add_argument("--quick", action="store_true", help="try this program: no figure is good")
    parser.add_argument("--json", type=Path, default=FIGURES, help="write the figures here")
    return parser.parse_args()


def main() -> None:
    options = read_options()
    extent = QUICK if options.quick else FULL
    extent = extent._replace(rounds=options.rounds or extent.rounds)
    rounds_asked = f" --rounds {options.rounds}" if options.rounds else ""
    quick = " --quick" if options.quick else ""
    found = conditions_of(f"python benchmarks/throughput.py{rounds_asked}{quick}")
    started = perf_counter()
    rounds, growth = measure(extent, str(Path(options.data_dir_root).resolve()))
    found["seconds"] = round(perf_counter() - started)
    claims = bars(rounds, growth, extent)
    for what, median, spread, bar, verdict in (claim.cells() for claim in claims):
        print(f"{what:<64} {median:>8} ({spread:<15})  {bar:<9} {verdict}")
    found["bars"] = [claim._asdict() for claim in claims]
    found["rounds"] = rounds
    checkpoint.save_results(options.json, found)


if __name__ == "__main__":
    main()
