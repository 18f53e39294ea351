"""What stops a run, each with the exit code that the program ends with."""


class InputError(ValueError):
    """The user asked for something that cannot be; the message says what can."""

    exit_code = 2


class DataError(Exception):
    """The data are not to be had, or are not what their file's header says."""

    exit_code = 3
