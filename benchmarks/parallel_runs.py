"""Runs in one folder that are trained at the same time, and killed and restarted at random.

Each must end as the run of its seed that was alone and never killed, with a model of its own.
"""

import signal
from pathlib import Path
from time import sleep

from numpy.random import Generator

from benchmarks.small_runs import SmallRun
from benchmarks.starts import Start

NUM_RUNS = 3
KILL_SECONDS = 0.5  # between two kills, at most


def train_in_parallel(reference: SmallRun, folder: Path, num_kills: int, rng: Generator) -> dict:
    """Train the runs while so many SIGKILLs hit them; return what was done, and what went wrong.

    Args:
        reference: a run on the data and for the steps that are to be trained.
        folder: for everything that is written.
        rng: chooses which run is killed, and when.
    """
    seeds = range(1, NUM_RUNS + 1)
    runs = [reference.another(folder / "together", f"seed{seed}", seed) for seed in seeds]
    failures = _train_killed(runs, folder, num_kills, rng)
    for seed, run in zip(seeds, runs, strict=True):
        alone = reference.another(folder / "alone", f"seed{seed}", seed)
        if code := _start(alone, folder).exit_code():
            raise RuntimeError(f"a run alone: exit code {code}")
        if not failures and (difference := run.difference(alone)):
            failures.append(f"parallel run seed{seed}: {difference}")
    return {"runs": NUM_RUNS, "kills": num_kills, "failures": failures}


def _train_killed(runs: list[SmallRun], folder: Path, num_kills: int, rng: Generator) -> list[str]:
    """Train until all runs have ended by themselves; return what went wrong."""
    failures = []
    starts = {run: _start(run, folder) for run in runs}
    while starts:
        if num_kills > 0:
            sleep(rng.uniform(0, KILL_SECONDS))
            starts[list(starts)[rng.integers(len(starts))]].send(signal.SIGKILL)
        for run, start in list(starts.items()):
            if not start.ends_within(0.01):
                continue
            del starts[run]
            code, failure = start.exit_code(), run.check()
            if code == -signal.SIGKILL:
                num_kills -= 1
            elif code:
                failure = f"exit code {code}: {start.errors.read_text()}"
            if failure:
                failures.append(f"parallel run {run.files.run_id}: {failure}")
            elif code or num_kills > 0:
                starts[run] = _start(run, folder)
    return failures


def _start(run: SmallRun, folder: Path) -> Start:
    return Start(run.words, folder / f"stderr of {run.files.run_id}")
