"""Ways to end a run before its last step, without losing any of it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from tinkering.runtime.distributed import SINGLE_PROCESS, Group

# What asks for a stop: a signal's number, or this one.
END_OF_TIME = 1
WORDS = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "SIGTERM",
    END_OF_TIME: "the end of --max_minutes",
}
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A stop was asked for while nothing was under way that must be finished."""


class Stopper:
    """A context in which SIGINT, SIGTERM and the end of the time allowed stop the run cleanly.

    Inside `finishing()` a request is only noted; elsewhere it raises Stopped, at once. A second
    signal raises KeyboardInterrupt wherever the run is. With several processes a request is noted
    everywhere, until all look at it together: one that left alone would make the others wait; and
    torchrun repeats what the terminal has sent already.

    Args:
        max_minutes: the time allowed; None for no limit.
        group: the processes of the run.
    """

    def __init__(self, max_minutes: float | None = None, group: Group = SINGLE_PROCESS):
        self._group = group
        # The number of what asks for the stop, or 0: of this process, and of any of them. They are
        # two, so that a signal that comes while the processes agree is not written over.
        self._asked = self._agreed = 0
        self._finishing = False
        self._time_is_up = False
        self._timer = threading.Timer(60 * (max_minutes or 0), self._end_of_time)
        self._timer.daemon = True
        self._limited = max_minutes is not None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        if self._limited:
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is Stopped:
            if self._group.is_rank0:
                print(f"stopped by {self.requested}; the same command goes on", file=sys.stderr)
            sys.exit(self.exit_code)

    @property
    def requested(self) -> str:
        """By what, or ""."""
        return WORDS.get(self._agreed or self._asked, "")

    @property
    def exit_code(self) -> int:
        number = self._agreed or self._asked
        return 0 if number == END_OF_TIME else 128 + number

    def is_requested(self) -> bool:
        """Whether a stop is asked for, of any of the processes; each has to ask."""
        self._agreed = self._group.all_reduce_max(self._asked)
        return self._agreed > 0

    def raise_if_requested(self) -> None:
        """Raises Stopped if a stop is asked for, of any of the processes; each has to ask."""
        if self.is_requested():
            raise Stopped

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """What is inside goes on to an end of its own after a first request to stop."""
        self._finishing = True
        try:
            yield
        finally:
            self._finishing = False

    def _end_of_time(self) -> None:
        self._time_is_up = True
        if hasattr(signal, "pthread_kill"):  # wakes the main thread, whatever it waits for
            signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
        else:
            signal.raise_signal(signal.SIGTERM)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._asked and self._group.world_size == 1:
            raise KeyboardInterrupt
        is_end_of_time = self._time_is_up and number == signal.SIGTERM
        self._asked = self._asked or (END_OF_TIME if is_end_of_time else number)
        if not self._finishing and self._group.world_size == 1:
            raise Stopped
