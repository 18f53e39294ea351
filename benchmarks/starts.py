"""Starts of the program in forked processes, whose saves are slow enough to be hit.

A fork spares each start the seconds that importing torch takes. In the new process a save
writes its file in pieces and pauses between them, and around each flush and rename; a byte
that both processes share tells which file is being saved.
"""

import importlib
import io
import mmap
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

from run_gradient_based import main
from tinkering.cli import run as cli

PAUSE = 0.002  # seconds
NUM_PIECES = 8  # that a file is written in
SAVE_SECONDS = PAUSE * (NUM_PIECES + 8)  # two flushes, two renames, a pause before and after
POLL = 0.0005  # seconds
TIMEOUT = 120  # seconds that no start takes
STOPS = (signal.SIGINT, signal.SIGTERM)
MODEL = "the model file"  # whose name is the run's
FILES = (
    "",
    MODEL,
    "state.pt",
    "metrics.csv",
    "results.json",
    "lock.pid",
    "config.yaml",
    "report.md",
)

# What main imports late is there before the first fork.
for module in ("fire", "rich.traceback", "tinkering.extras", "tinkering.models"):
    importlib.import_module(module)
for module in ("emnist_dataset", "reporting.rehearsal", "reporting.journal", "runtime.compiling"):
    importlib.import_module(f"tinkering.{module}")


class Window:
    """What a process tells of its saves; survives it."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 2)

    @property
    def file(self) -> str:
        """Name of the file that is being saved, or ""."""
        return FILES[self._shared[0]]

    @property
    def num_saves(self) -> int:
        """Saves begun so far."""
        return self._shared[1]

    def enter(self, part: Path) -> None:
        self._shared[1] += 1
        name = Path(part.stem).stem.removeprefix(".")  # of .NAME.RANDOM.part
        self._shared[0] = FILES.index(name if name in FILES else MODEL)

    def leave(self) -> None:
        self._shared[0] = 0


class SlowFile(io.FileIO):
    """A file that is written in pieces, with pauses between them."""

    def write(self, content: bytes | memoryview) -> int:
        rest = memoryview(content).cast("B")
        size, piece = len(rest), max(1, len(rest) // NUM_PIECES)
        while rest:
            rest = rest[super().write(rest[:piece]) :]
            time.sleep(PAUSE)
        return size


class Start:
    """One start of the program.

    Args:
        words: its command line.
        errors: file that gets what it writes to stderr.
        slow: whether saves are slowed.
        largest_file: bytes; a write beyond fails, as on a full disk. None for no limit.
    """

    def __init__(
        self, words: list[str], errors: Path, slow: bool = True, largest_file: int | None = None
    ):
        self.errors = errors
        self.window = Window()
        self._exit_code: int | None = None
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until the new process is ready
        self.pid = os.fork()
        if self.pid == 0:
            _run_program(words, errors, self.window if slow else None, largest_file)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def ends_within(self, seconds: float) -> bool:
        """Waits for its end, but not longer than this."""
        deadline = time.monotonic() + seconds
        while self._poll() is None and time.monotonic() < deadline:
            time.sleep(POLL)
        return self._exit_code is not None

    def exit_code(self) -> int:
        """The exit code at its end, -N if signal N has ended it."""
        if not self.ends_within(TIMEOUT):
            self.send(signal.SIGKILL)
            self.ends_within(TIMEOUT)
            raise TimeoutError(f"a start hung, and was killed after {TIMEOUT} s: {self.errors}")
        return self._exit_code

    def wait_for_save(self, number: int) -> None:
        """Waits until its save of this number, counted from 1, is under way, or its end."""
        deadline = time.monotonic() + TIMEOUT
        while self.window.num_saves < number or not self.window.file:
            if self.ends_within(POLL) or time.monotonic() > deadline:
                return

    def send(self, number: int) -> None:
        if self._exit_code is None:
            os.kill(self.pid, number)

    def _poll(self) -> int | None:
        if self._exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._exit_code = os.waitstatus_to_exitcode(status) if pid else None
        return self._exit_code


def _run_program(
    words: list[str], errors: Path, window: Window | None, largest_file: int | None
) -> NoReturn:
    code = 130  # of a Ctrl-C that comes between the lines below
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if window is not None:
            _slow_down_saves(window)
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        with Path(os.devnull).open("w") as sys.stdout, errors.open("w", 1) as sys.stderr:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
            code = _exit_code_of(words)
    finally:
        os._exit(code)  # nothing of the parent's is flushed or cleaned up twice


def _exit_code_of(words: list[str]) -> int:
    sys.argv = ["run_gradient_based.py", *words]
    try:
        cli.run(main, words)
    except SystemExit as end:
        return end.code
    except Exception:
        traceback.print_exc()
        return 1


def _slow_down_saves(window: Window) -> None:
    """Replaces, in this process, the calls that tinkering.files saves files by."""
    fast_open, fast_replace, fast_unlink, fast_fsync = (
        Path.open,
        Path.replace,
        Path.unlink,
        os.fsync,
    )

    def slow_open(path: Path, mode: str = "r", *args: object, **kwargs: object) -> object:
        if path.suffix != ".part" or "x" not in mode:
            return fast_open(path, mode, *args, **kwargs)
        window.enter(path)
        return SlowFile(path, "x+")

    def slow_replace(path: Path, target: Path) -> Path:
        time.sleep(PAUSE)
        moved = fast_replace(path, target)
        time.sleep(PAUSE)
        return moved

    def unlink(path: Path, missing_ok: bool = False) -> None:
        fast_unlink(path, missing_ok)
        if path.suffix == ".part":  # the last thing that a save does
            window.leave()

    def slow_fsync(descriptor: int) -> None:
        time.sleep(PAUSE)
        fast_fsync(descriptor)
        time.sleep(PAUSE)

    Path.open, Path.replace, Path.unlink, os.fsync = slow_open, slow_replace, unlink, slow_fsync
