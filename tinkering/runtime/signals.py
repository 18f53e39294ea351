"""Ctrl-C, SIGTERM and the end of the allowed time: stopping a run without losing work."""

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from tinkering import PROCESS_STARTED
from tinkering.runtime.distributed import SINGLE_PROCESS, Group

# The reason of a stop is the number of a signal, or this one.
END_OF_TIME = 1
SIGNALS: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
NAMES = {**SIGNALS, END_OF_TIME: "the end of --max_minutes"}


class Stopped(BaseException):
    """A stop was requested while nothing was running that must be finished."""


class Interrupted(KeyboardInterrupt):
    """A second signal: the program ends at once, with the exit code of that signal."""

    def __init__(self, number: int):
        super().__init__(f"stopped by {NAMES[number]}")
        self.exit_code = 128 + number


class Stopper:
    """A context in which SIGINT, SIGTERM and the end of the allowed time stop the run cleanly.

    Inside `finishing()` a request is only noted; elsewhere it raises Stopped, at once. Left by
    Stopped, the context ends the program with one line and the exit code of the request. A second
    signal raises Interrupted wherever the run is.

    With several processes a request is only noted, until all of them check for requests together:
    the others would wait for a process that left alone, and torchrun repeats a signal that the
    terminal has sent already.

    The time allowed, None for no limit, counts from the start of the program.
    """

    def __init__(self, max_minutes: float | None = None, group: Group = SINGLE_PROCESS):
        self._group = group
        # The number of what requests the stop, or 0: of this process, and of any of them. They are
        # two, so that a signal that comes while the processes agree is not overwritten.
        self._requested = self._agreed = 0
        self._finishing = False
        self._time_is_up = False
        self._end = PROCESS_STARTED + 60 * (math.inf if max_minutes is None else max_minutes)

    def __enter__(self) -> Self:
        self._finishing = True  # an exception raised here would not reach __exit__
        self._handlers = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        seconds_left = self._end - time.monotonic()
        self._timer = threading.Timer(min(seconds_left, threading.TIMEOUT_MAX), self._end_of_time)
        self._timer.daemon = True
        self._main_thread = threading.get_ident()  # signals are handled in no other
        if seconds_left <= 0:
            self._requested = END_OF_TIME
        if self.is_requested():
            self.__exit__(Stopped)
        self._timer.start()
        self._finishing = False
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if kind is Stopped:
            if self._group.is_rank0:
                line = f"stopped by {self.requested}; the same command continues the run"
                print(line, file=sys.stderr)
            sys.exit(self.exit_code)

    @property
    def requested(self) -> str:
        """What requested the stop, in words; "" for no request."""
        return NAMES.get(self._agreed or self._requested, "")

    @property
    def exit_code(self) -> int:
        """0 at the end of the allowed time, else 128 and the signal's number."""
        number = self._agreed or self._requested
        return 0 if number == END_OF_TIME else 128 + number

    def is_requested(self) -> bool:
        """Return whether a stop is requested in any process; all of them must call this."""
        self._agreed = self._group.all_reduce_max(self._requested)
        return self._agreed > 0

    def raise_if_requested(self) -> None:
        """Raise Stopped if a stop is requested in any process; all of them must call this."""
        if self.is_requested():
            raise Stopped

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Let the code inside finish after a first request to stop."""
        self._finishing = True
        try:
            yield
        finally:
            self._finishing = False

    def _end_of_time(self) -> None:
        self._time_is_up = True
        if hasattr(signal, "pthread_kill"):  # wakes the main thread, whatever it waits for
            signal.pthread_kill(self._main_thread, signal.SIGTERM)
        else:
            signal.raise_signal(signal.SIGTERM)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._time_is_up and number == signal.SIGTERM:
            self._time_is_up = False
            if self._requested:
                return
            number = END_OF_TIME
        is_alone = self._group.world_size == 1
        if self._requested and is_alone:
            raise Interrupted(number)
        self._requested = self._requested or number
        if is_alone and not self._finishing:
            raise Stopped
