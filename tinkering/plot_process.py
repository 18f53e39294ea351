"""A run's plots, drawn beside it in a process that takes only the time the run leaves."""

import os
import subprocess
import sys
from pathlib import Path

from tinkering.atomic import remove_parts

ROOT = Path(__file__).parent.parent


class PlotProcess:
    """Draws what metrics.csv has, over and over, one process at a time.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Begins to draw, unless it is still drawing what was there before."""
        if self._process:
            if self._process.poll() is None:
                return
            self._process.communicate()
        self._process = self._begin()
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, self._process.pid, 19)
        if hasattr(os, "SCHED_IDLE"):  # on Linux even less than the lowest priority
            os.sched_setscheduler(self._process.pid, os.SCHED_IDLE, os.sched_param(0))

    def finish(self) -> list[str]:
        """Draws a last time and waits for it; returns lines on what went wrong."""
        if self._process:  # whatever it draws is out of date
            self._kill()
        self._process = self._begin()
        try:
            _, errors = self._process.communicate()
        except BaseException:  # Ctrl-C: who asks for it does not want to wait
            self._kill()
            raise
        if self._process.returncode == 0:
            return []
        return [f"warning: no plots: {errors.strip().splitlines()[-1]}"]

    def _kill(self) -> None:
        self._process.kill()
        self._process.communicate()
        remove_parts(self.folder / "plots")

    def _begin(self) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "tinkering", "plot", str(self.folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that Ctrl-C reaches the run alone
        )
