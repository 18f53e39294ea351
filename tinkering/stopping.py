"""Ways to end a run before its last step, without losing any of it."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

WORDS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Stopped(BaseException):
    """A stop was asked for while nothing was under way that must be finished."""


class Stopper:
    """A context in which SIGINT, SIGTERM and the end of the time allowed stop the run cleanly.

    Inside `finishing()` a request only sets `requested`; elsewhere it raises Stopped, at once.
    A second signal raises KeyboardInterrupt wherever the run is.

    Args:
        max_minutes: the time allowed; None for no limit.
    """

    def __init__(self, max_minutes: float | None = None):
        self.requested = ""  # by what
        self.exit_code = 0
        self._finishing = False
        self._time_is_up = False
        self._timer = threading.Timer(60 * (max_minutes or 0), self._end_of_time)
        self._timer.daemon = True
        self._limited = max_minutes is not None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in WORDS}
        if self._limited:
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is Stopped:
            print(f"stopped by {self.requested}; the same command goes on", file=sys.stderr)
            sys.exit(self.exit_code)

    def is_requested(self) -> bool:
        return bool(self.requested)

    def raise_if_requested(self) -> None:
        if self.requested:
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
        if self.requested:
            raise KeyboardInterrupt
        if self._time_is_up and number == signal.SIGTERM:
            self.requested = "the end of --max_minutes"
        else:
            self.requested, self.exit_code = WORDS[number], 128 + number
        if not self._finishing:
            raise Stopped
