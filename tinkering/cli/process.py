"""The process of a command: its reaction to Ctrl-C, its standard streams, and its exit."""

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from tinkering.errors import WriteError

CTRL_C = "stopped by Ctrl-C"
CTRL_C_EXIT_CODE = 128 + 2  # as a shell reports SIGINT
DISK_FAILURES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def exit_at_ctrl_c() -> None:
    """Make Ctrl-C end the process at once with one line, in place of a traceback.

    A program calls this before its other imports. Inside run, Ctrl-C raises KeyboardInterrupt.
    """
    signal.signal(signal.SIGINT, _exit)


def run(work: Callable[[], None]) -> NoReturn:
    """Call a function, and exit with the code that says how it ended.

    The code is 0 when it returns, 130 after Ctrl-C, 141 if the reader of the output is gone, and
    otherwise the one that the error carries (tinkering.errors). Other exceptions pass, as bugs.
    """
    _prepare_streams()
    try:
        handler = signal.signal(signal.SIGINT, _interrupt)  # so that work can clean up its files
        try:
            work()
        finally:
            signal.signal(signal.SIGINT, handler)
            sys.stdout.flush()
    except KeyboardInterrupt as stop:
        fail(str(stop) or CTRL_C, getattr(stop, "exit_code", CTRL_C_EXIT_CODE))
    except BrokenPipeError:  # the reader, `| head` for one, has seen enough
        _discard_broken_output()
        sys.exit(128 + 13)  # as a program ended by SIGPIPE
    except Exception as error:
        # An error of a file names the file; that of a standard stream has no name.
        if isinstance(error, OSError) and not error.filename and error.errno in DISK_FAILURES:
            fail(f"cannot write the output: {error.strerror}", WriteError.exit_code)
        exit_code = getattr(error, "exit_code", None)
        _exit_if_reported_elsewhere(exit_code or 1)
        if exit_code is None:
            raise
        fail(str(error), exit_code)
    sys.exit(0)


def _exit(*_: object) -> None:
    os.write(2, _last_line(CTRL_C).encode())
    os._exit(CTRL_C_EXIT_CODE)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; exit where that could come out as an ImportError or be lost."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            _exit()
        frame = frame.f_back
    raise KeyboardInterrupt


def _prepare_streams() -> None:
    """Escape what the encoding of a stream lacks; open the null device for a closed one (`>&-`)."""
    for name in ("stdin", "stdout", "stderr"):  # in this order, each gets its own descriptor
        stream = getattr(sys, name)
        if stream is None:
            null = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(null, "r" if name == "stdin" else "w", closefd=False))
        elif isinstance(stream, io.TextIOWrapper) and name != "stdin":
            stream.reconfigure(errors="backslashreplace")


def _discard_broken_output() -> None:
    """Redirect streams that cannot be written to the null device: exiting flushes them again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _exit_if_reported_elsewhere(exit_code: int) -> None:
    """Exit silently if another of the processes that torchrun has started reports the error."""
    distributed = sys.modules.get("torch.distributed")  # not imported for a mistyped flag
    if distributed and distributed.is_available() and distributed.is_initialized():
        from tinkering.runtime.distributed import exit_unless_first_to_fail

        exit_unless_first_to_fail(exit_code)
    elif "TORCHELASTIC_RUN_ID" in os.environ and os.environ["RANK"] != "0":
        sys.exit(exit_code)  # all meet the same errors before they join


def fail(message: str, exit_code: int) -> NoReturn:
    """Exit with a code and one line on standard error, which names the process if not the first."""
    with suppress(OSError):
        print(_last_line(message), end="", file=sys.stderr, flush=True)
    _discard_broken_output()
    sys.exit(exit_code)


def _last_line(message: str) -> str:
    rank = os.environ.get("RANK", "0")  # of the processes that torchrun has started
    return f"process {rank}: error: {message}\n" if rank != "0" else f"error: {message}\n"
