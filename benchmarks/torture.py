"""Kills training runs at random moments, and checks that each ends as if nothing had been.

    python benchmarks/torture.py [--kills 200] [--inputs 420] [--seed 0] [--json FILE]

A small run is started, and stopped: by SIGKILL at any moment, by SIGKILL inside a save, by
SIGTERM, by one SIGINT or by two. Its files are looked at, and it is started again with the
same command, until it ends by itself. Then it must have the weights, the optimizer's state,
the metrics and the results of a run that was never stopped. Then come runs in one folder that
are killed while they train at the same time (benchmarks/parallel_runs.py), runs whose disk is full
(benchmarks/full_disk.py), and damaged files (benchmarks/damage.py). The exit code is 1 if anything
failed.
"""

import argparse
import datetime
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter, sleep

os.environ["OMP_NUM_THREADS"] = "1"  # more could not be forked, and would wait for each other

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import damage
from benchmarks.full_disk import fill_up
from benchmarks.parallel_runs import train_in_parallel
from benchmarks.small_runs import SmallRun, write_mnist
from benchmarks.starts import FILES, SAVE_SECONDS, Start
from tinkering.runs import checkpoint

INSIDE, ANY_MOMENT = "SIGKILL inside a save", "SIGKILL at any moment"
TERM, INT, TWO_INTS = "SIGTERM", "SIGINT", "two SIGINTs"
DECK = [INSIDE] * 4 + [ANY_MOMENT] * 3 + [TERM, INT, TWO_INTS]  # dealt in a random order
CODES = {  # that a start may end with; a signal that comes before its handler ends it as such
    INSIDE: (-9, 0),
    ANY_MOMENT: (-9, 0),
    TERM: (143, -15, 0),
    INT: (130, 0),
    TWO_INTS: (130, 0),
    "": (0,),
}
MOST_SAVES_PASSED_OVER = 8


class Torture:
    """Runs that are stopped over and over, and the count of what came of it.

    Args:
        folder: for everything that is written.
        num_steps: of each run.
        seed: of what is done to the runs, and when.
    """

    def __init__(self, folder: Path, num_steps: int, seed: int):
        self.folder, self.errors = folder, folder / "stderr"
        self.rng = np.random.default_rng(seed)
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []
        self._deck: list[str] = []
        write_mnist(folder / "data")
        self.reference = SmallRun(folder / "reference", folder / "data", num_steps)
        started = perf_counter()
        if code := Start(self.reference.words, self.errors).exit_code():
            raise RuntimeError(f"the reference: exit code {code}: {self.errors.read_text()}")
        self.run_seconds = perf_counter() - started

    def stop_runs(self, num_kills: int) -> None:
        """Goes through one run after the other until so many SIGKILLs have hit, or one failed."""
        while self.counts["SIGKILL"] < num_kills and not self.failures:
            self.counts["runs"] += 1
            name = f"run {self.counts['runs']}"
            run = self.reference.another(self.folder / name)
            if failure := self._go_through(run, num_kills):
                self.failures.append(f"{name}, start {self.counts['starts']}: {failure}")
            else:
                self.counts["identical"] += 1
                shutil.rmtree(run.files.save_path)

    def _go_through(self, run: SmallRun, num_kills: int) -> str:
        """Starts a run until it has ended by itself; what went wrong, or ""."""
        code = None
        while code != 0:
            how = self._card() if self.counts["SIGKILL"] < num_kills else ""
            self.counts["starts"] += 1
            start = Start(run.words, self.errors)
            self._interrupt(start, how)
            code = start.exit_code()
            message = self.errors.read_text()
            if code not in CODES[how] or "Traceback" in message:
                return f"exit code {code} after {how or 'no stop'}: {message}"
            if failure := run.check():
                return f"after {how}: {failure}"
            if code == 0 and not start.window.num_saves:
                return "no save was seen: they are not made by the calls that are slowed"
            self._count(start, run, how, code)
        return run.difference(self.reference)

    def _card(self) -> str:
        """What to do to the next start; it stays on top of the deck until it has hit."""
        if not self._deck:
            self._deck = self.rng.permutation(DECK).tolist()
        return self._deck[-1]

    def _interrupt(self, start: Start, how: str) -> None:
        if how == INSIDE:
            start.wait_for_save(int(self.rng.integers(1, MOST_SAVES_PASSED_OVER)))
            sleep(self.rng.uniform(0, SAVE_SECONDS))
        elif how:
            start.ends_within(self.rng.uniform(0, self.run_seconds / 2))
        if how in (INSIDE, ANY_MOMENT):
            start.send(signal.SIGKILL)
        elif how == TERM:
            start.send(signal.SIGTERM)
        elif how in (INT, TWO_INTS):
            start.send(signal.SIGINT)
        if how == TWO_INTS:
            start.ends_within(self.rng.uniform(0, SAVE_SECONDS))
            start.send(signal.SIGINT)

    def _count(self, start: Start, run: SmallRun, how: str, code: int) -> None:
        if code == 0:
            return
        self._deck.pop()
        if code != -signal.SIGKILL:
            self.counts[how] += 1
            return
        self.counts["SIGKILL"] += 1
        if start.window.file:
            self.counts["inside"] += 1
            self.counts[start.window.file] += 1
        if not run.states:
            self.counts["before the first state"] += 1


def kills_table(torture: Torture, parallel: dict, full: dict) -> dict[str, int]:
    """What was done, and how often."""
    counts = torture.counts
    failures = [*torture.failures, *parallel["failures"], *full["failures"]]
    inside = {f"SIGKILL inside the save of {file}": counts[file] for file in FILES if file}
    return {
        "runs": counts["runs"],
        "runs that ended identical to one never stopped": counts["identical"],
        "starts of the program": counts["starts"],
        "SIGKILL": counts["SIGKILL"],
        "SIGKILL inside a save": counts["inside"],
        **inside,
        "SIGKILL before the first state was saved": counts["before the first state"],
        **{how: counts[how] for how in (TERM, INT, TWO_INTS)},
        "runs in one folder at the same time": parallel["runs"],
        "SIGKILL to one of these": parallel["kills"],
        f"runs that met a full disk ({full['how']})": full["runs"],
        "of these, told so and then ended identical": full["runs"] - len(full["failures"]),
        "failures": len(failures),
    }


def conditions(options: argparse.Namespace) -> dict[str, object]:
    """What the figures depend on."""
    return {
        "command": f"python benchmarks/torture.py --kills {options.kills} --inputs "
        f"{options.inputs} --seed {options.seed}",
        "date": datetime.date.today().isoformat(),
        "machine": torch.cpu.get_capabilities().get("cpu_name", "processor"),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="number of SIGKILLs")
    parser.add_argument("--inputs", type=int, default=420, help="number of damaged inputs")
    parser.add_argument("--seed", type=int, default=0, help="of what is done, and when")
    parser.add_argument("--steps", type=int, default=300, help="optimizer steps of a run")
    parser.add_argument("--full_disks", type=int, default=5, help="runs whose disk is full")
    parser.add_argument(
        "--disk",
        choices=("auto", "tmpfs", "limit"),
        default="auto",
        help="how it is full: a small disk in memory, which takes the right to mount one; a "
        "limit on the size of files; auto: the first if it can be had",
    )
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    return parser.parse_args()


def main() -> int:
    options = read_options()
    started = perf_counter()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        torture = Torture(Path(name), options.steps, options.seed)
        torture.stop_runs(options.kills)
        num_kills = options.kills // 5
        parallel = train_in_parallel(torture.reference, Path(name), num_kills, torture.rng)
        full = fill_up(torture.reference, options.disk, options.full_disks, torture.rng)
    table = kills_table(torture, parallel, full)
    for what, number in table.items():
        print(f"{what:<50}{number:>6}")
    failures = [*torture.failures, *parallel["failures"], *full["failures"]]
    for failure in failures:
        print(f"FAILED {failure}")
    outcomes = damage.feed(options.inputs, options.seed)
    damage.show(outcomes, options.seed)
    failures += [f"{o.kind}, input {o.number}: {o.verdict}" for o in damage.failures_of(outcomes)]
    if options.json:
        figures = {**conditions(options), "seconds": round(perf_counter() - started)}
        figures |= {"kills": table, "damage": damage.tabulate(outcomes), "failures": failures}
        checkpoint.save_results(options.json, figures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
