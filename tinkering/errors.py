"""The errors that end the program, each with its exit code."""

import os


class InputError(ValueError):
    """The user asked for something impossible; the message says what is possible."""

    exit_code = 2


class DataError(Exception):
    """Data, or a run to be continued, are missing or corrupt."""

    exit_code = 3


class NonFiniteLossError(ArithmeticError):
    """The loss of a step is infinite or not a number."""

    exit_code = 4

    def __init__(self, step: int, lr: float, loss: float, more: str = ""):
        super().__init__(step, lr, loss, more)
        self.step, self.lr, self.loss, self.more = step, lr, loss, more

    def __str__(self) -> str:
        text = f"the loss of step {self.step:,} is {self.loss}, at learning rate {self.lr:.3e}"
        return f"{text} {self.more}".rstrip()


class OutOfMemoryError(Exception):
    """The machine or the device has less memory than the run needs."""

    exit_code = 5


class WriteError(OSError):
    """A file cannot be written; its earlier content is unchanged."""

    exit_code = 6

    def __init__(self, path: str | os.PathLike, cause: OSError):
        super().__init__(cause.errno, cause.strerror or str(cause), str(path))

    def __str__(self) -> str:
        return f"cannot write {self.filename}: {self.strerror}"

    def __reduce__(self) -> tuple:
        return type(self), (self.filename, OSError(self.errno, self.strerror))
