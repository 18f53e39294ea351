"""The value of one flag: its description, and the conversion from text with its checks."""

import difflib
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from tinkering.errors import InputError

FILE_NAME = re.compile(r"\w[\w.+=@-]*")
# File systems allow 255 bytes. The rest is for what a run appends to its names: a prefix, a date,
# an ending, the random part of a temporary name.
MAX_NAME_BYTES = 180
MAX_INT = 2**31 - 1  # of flags without a maximum of their own
PAIR = tuple[float, float]
KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "yes or no",
    str: "text",
    PAIR: "two numbers with a comma between",
}
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


@dataclass(frozen=True)
class Flag:
    """The meaning, the range and the properties of a parameter of a command."""

    help: str
    minimum: float = -math.inf
    maximum: float = math.inf
    above: float = -math.inf  # an exclusive minimum
    is_file_name: bool = False  # one name, without a folder
    is_path: bool = False  # a leading ~ is the user's home folder
    instead_of: str = ""  # the flag that sets the same thing in another way
    none_means: str = ""  # for the help
    free_on_resume: bool = False  # may differ when a run is resumed: the result stays the same
    in_config: bool = True  # may be set by a config, and is written into a run's config


def read_value(name: str, text: str, type_: Any, flag: Flag) -> Any:
    """Convert the text given for a flag to the flag's type, and check it.

    Args:
        name: of the flag, for messages.
        text: as on the command line or in a config.
        type_: int, float, bool, str, a pair of floats, a Literal, or a union with a Literal or
            None.
        flag: its range and properties.

    Raises:
        InputError: the text is no such value, or is out of range.
    """
    if not text.strip():
        raise InputError(f"--{name} needs a value: {kind_of(type_)}")
    value = _convert(name, text, type_)
    if isinstance(value, str):
        return _check_text(name, value, flag)
    for number in value if isinstance(value, tuple) else (value,):
        _check_number(name, number, flag)
    return value


def choices_of(type_: Any) -> list[str]:
    """List the words of a Literal, or of the Literals in a union.

    A choice that ends with ":NAME" stands for every text with that prefix.
    """
    if get_origin(type_) is Literal:
        return list(get_args(type_))
    return [choice for part in get_args(type_) for choice in choices_of(part)]


def scalar_of(type_: Any) -> Any:
    """Return the type, or the part of a union, that is int, float, bool, str or a pair.

    None where there is none, as in a Literal.
    """
    return next((part for part in (type_, *get_args(type_)) if part in _READERS), None)


def kind_of(type_: Any) -> str:
    """Describe the values of a type in a few words."""
    choices, scalar = choices_of(type_), scalar_of(type_)
    if scalar is None:
        return "one of " + ", ".join(choices)
    return " or ".join([KINDS[scalar], *choices])


def range_of(flag: Flag) -> str:
    """Describe the range of a flag's numbers in a few words; "" where it has no limits."""
    if flag.above > -math.inf:
        low = f"above {flag.above}"
        return f"{low} and at most {flag.maximum}" if flag.maximum < math.inf else low
    if flag.maximum < math.inf:
        return f"from {flag.minimum} to {flag.maximum}"
    return f"at least {flag.minimum}" if flag.minimum > -math.inf else ""


def _convert(name: str, text: str, type_: Any) -> Any:
    choices, scalar = choices_of(type_), scalar_of(type_)
    if text in choices or any(_has_prefix(choice, text) for choice in choices):
        return text
    try:
        if scalar:
            return _READERS[scalar](text)
    except ValueError:
        pass
    hint = ""
    if near := difflib.get_close_matches(text.lower(), choices, n=1, cutoff=0.5):
        hint = f"; did you mean {near[0]}?"
    elif scalar in (int, float) and "," in text:
        hint = "; decimals are written with a point, and thousands without a comma"
    raise InputError(f"--{name} {text}: expected {kind_of(type_)}{hint}")


def _has_prefix(choice: str, text: str) -> bool:
    prefix = choice.removesuffix("NAME")
    return prefix.endswith(":") and text.startswith(prefix) and text != prefix


def _read_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        number = float(text)  # 1e3
        if not number.is_integer():
            raise
        return int(number)


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _read_pair(text: str) -> tuple[float, float]:
    first, second = text.strip("()[]").split(",")
    return _read_float(first), _read_float(second)


def _read_bool(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise ValueError(text)
    return BOOLEANS[text.lower()]


_READERS: dict[Any, Callable[[str], Any]] = {
    int: _read_int,
    float: _read_float,
    bool: _read_bool,
    str: str,
    PAIR: _read_pair,
}


def _check_text(name: str, text: str, flag: Flag) -> str:
    """Return the text, with the home folder in a path filled in."""
    if flag.is_path:
        if "\0" in text:
            raise InputError(f"--{name} {text!r}: a path has no null characters")
        return os.path.expanduser(text)
    if flag.is_file_name and not FILE_NAME.fullmatch(text):
        raise InputError(
            f"--{name} {text!r}: expected a file name of letters, digits and . _ + = @ -, "
            "without a folder"
        )
    if flag.is_file_name and len(text.encode()) > MAX_NAME_BYTES:
        raise InputError(
            f"--{name} {text[:20]}...: the name has {len(text.encode())} bytes, "
            f"at most {MAX_NAME_BYTES} are allowed"
        )
    return text


def _check_number(name: str, value: float, flag: Flag) -> None:
    if value <= flag.above or not flag.minimum <= value <= flag.maximum:
        raise InputError(f"--{name} {value}: it must be {range_of(flag)}")
    if isinstance(value, int) and flag.maximum == math.inf and abs(value) > MAX_INT:
        raise InputError(f"--{name} {value}: it must be at most {MAX_INT}")
