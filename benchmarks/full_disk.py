"""Runs whose disk is full when they save: a small disk in memory, or a limit on files' sizes.

A run that has saved twice is killed and started again with less space than a save needs. It
has to end with exit code 6 and one line, and leave its files as they were; with space again it
has to end as the run that was never killed.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from numpy.random import Generator

from benchmarks.small_runs import SmallRun
from benchmarks.starts import Start

DISK_SIZE = 16 << 20  # bytes
CAUSES = ("No space left on device\n", "File too large\n")


@contextmanager
def small_disk(folder: Path, wanted: str) -> Iterator[bool]:
    """Mounts a disk in memory at a folder.

    Args:
        folder: where to.
        wanted: "tmpfs": it must be; "limit": it is not; "auto": if this user may mount one.

    Yields:
        whether it is mounted.
    """
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(folder)]
    mounted = wanted != "limit" and _succeeds(command)
    if wanted == "tmpfs" and not mounted:
        raise PermissionError(f"cannot mount a disk in memory: {' '.join(command)}")
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def _succeeds(command: list[str]) -> bool:
    there = shutil.which(command[0]) is not None
    return there and subprocess.run(command, capture_output=True).returncode == 0


def fill_up(reference: SmallRun, wanted: str, count: int, rng: Generator) -> dict:
    """Has `count` runs meet a full disk; returns by what means, and what went wrong.

    Args:
        reference: the run that was never killed.
        wanted: as of small_disk.
        count: number of runs, each with its own space left, less than a save of the state needs.
        rng: chooses the space.
    """
    size = reference.files.state.stat().st_size
    with tempfile.TemporaryDirectory() as name:
        disk, errors = Path(name, "disk"), Path(name, "stderr")
        with small_disk(disk, wanted) as mounted:
            failures = []
            for number in range(count):
                run = reference.another(disk / str(number))
                space = int(rng.uniform(0.0, 0.9) * size)
                if failure := _meet_full_disk(run, reference, space, mounted, errors):
                    failures.append(f"full disk, {space} bytes left: {failure}")
    how = "a full tmpfs" if mounted else "RLIMIT_FSIZE"
    return {"how": how, "runs": count, "failures": failures}


def _meet_full_disk(
    run: SmallRun, reference: SmallRun, space: int, mounted: bool, errors: Path
) -> str:
    """What went wrong, or ""."""
    _kill_after_two_saves(Start(run.words, errors, slow=False), run)
    if failure := run.check():
        return failure
    before = run.files.state.read_bytes()
    if mounted:
        with _filled(run.files.save_path.parent, space):
            code = Start(run.words, errors, slow=False).exit_code()
    else:
        code = Start(run.words, errors, slow=False, largest_file=space).exit_code()
    message = errors.read_text()
    if code != 6 or len(message.splitlines()) != 1 or not message.endswith(CAUSES):
        return f"exit code {code}: {message}"
    if str(run.files.save_path) not in message:
        return f"no file is named: {message}"
    if failure := run.check():
        return failure
    if run.files.state.read_bytes() != before:
        return "the last good state was changed"
    if parts := list(run.files.save_path.rglob("*.part")):
        return f"left behind: {parts}"
    code = Start(run.words, errors, slow=False).exit_code()
    return f"exit code {code} with space" if code else run.difference(reference)


def _kill_after_two_saves(start: Start, run: SmallRun) -> None:
    while len(run.states) < 2 and not start.ends_within(0.001):
        pass
    start.send(signal.SIGKILL)
    start.exit_code()


@contextmanager
def _filled(disk: Path, space: int) -> Iterator[None]:
    """Leaves so many bytes on the disk, and frees the rest again."""
    free = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize - space))
    yield
    filler.unlink()
