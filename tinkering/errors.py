"""What stops a run, each with the exit code that the program ends with."""

import os


class InputError(ValueError):
    """The user asked for something that cannot be; the message says what can."""

    exit_code = 2


class DataError(Exception):
    """Data, or a run to go on with, are not to be had or are damaged."""

    exit_code = 3


class NonFiniteLossError(ArithmeticError):
    """The loss of a step is infinite or not a number."""

    exit_code = 4

    def __init__(self, step: int, lr: float, loss: float, more: str = ""):
        super().__init__(f"the loss of step {step:,} is {loss}, at learning rate {lr:.3e} {more}")
        self.step, self.lr, self.loss = step, lr, loss


class OutOfMemoryError(Exception):
    """The machine, or the device, has not the memory that the run needs."""

    exit_code = 5


class WriteError(OSError):
    """A file cannot be written; what was there before is as it was."""

    exit_code = 6

    def __init__(self, path: str | os.PathLike, cause: OSError):
        super().__init__(cause.errno, cause.strerror or str(cause), str(path))

    def __str__(self) -> str:
        return f"cannot write {self.filename}: {self.strerror}"
