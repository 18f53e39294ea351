"""A run's plots, drawn beside it by a process that takes only the time the run leaves."""

import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tinkering.commands.plot import plot
from tinkering.errors import InputError, WriteError
from tinkering.files import remove_parts

ROOT = Path(__file__).parent.parent.parent


class PlotProcess:
    """Draws what metrics.csv has whenever it is asked to; it ends with the process that made it.

    One process draws all plots of a run, because importing matplotlib takes longer than drawing.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tinkering.reporting.plot_process", str(self.folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # So that Ctrl-C reaches the run alone. A session of its own would do that, too, but
            # gets as much time as the run's, however low its priority (sched(7), autogroups).
            process_group=0,
        )
        if hasattr(os, "setpriority"):
            # Where all cores are busy this is a hundredth of one; with SCHED_IDLE it came to
            # nothing for minutes.
            os.setpriority(os.PRIO_PROCESS, self._process.pid, 19)

    def draw(self) -> None:
        """Asks for the plots, and waits for nothing."""
        with suppress(BrokenPipeError):  # it has ended; finish says why
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()

    def finish(self) -> list[str]:
        """Has them drawn a last time and waits for it; returns lines on what went wrong."""
        self.draw()
        try:
            _, errors = self._process.communicate()
        except BaseException:  # Ctrl-C: who asks for it does not want to wait
            self.kill()
            raise
        if self._process.returncode == 0:
            return []
        lines = errors.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"drawing ended with {self._process.returncode}"
        return [f"warning: no plots: {reason}"]

    def kill(self) -> None:
        """Ends it at once; nothing half-drawn is left."""
        self._process.kill()
        self._process.communicate()
        remove_parts(self.folder / "plots")


def main(folder: str) -> None:
    """Draws at each word from the standard input, once for all that came while it was drawing."""
    error = None
    while os.read(sys.stdin.fileno(), 4096):
        wall, busy = time.monotonic(), time.process_time()
        error = None
        try:
            plot(folder)
        except (InputError, WriteError) as found:  # the next time it may work
            error = f"error: {found}"
        rest(time.monotonic() - wall - (time.process_time() - busy))
    sys.exit(error)


def rest(waited: float) -> None:
    """Rests for twice the seconds that a drawing had to wait for a core, or until the run ends.

    So a run on busy cores, which work beside it slows by two or three hundredths, is slowed for
    a third of the time at most; where a core is free there is no rest.
    """
    if waited > 0.1 and hasattr(select, "poll"):  # Windows has none, and goes on
        end = select.poll()
        end.register(sys.stdin, 0)  # for the end alone: a word may wait
        end.poll(2000 * waited)


if __name__ == "__main__":
    main(sys.argv[1])
