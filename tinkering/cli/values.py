"""The value of one flag: its description, and the conversion from text with its checks."""

import difflib
import fnmatch
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args, get_origin

from tinkering.errors import InputError

FILE_NAME = re.compile(r"\w[\w.+=@-]*")
MAX_NAME_BYTES = 180  # of the 255 that file systems allow; a run adds dates and endings
MAX_INT = 2**31 - 1  # of flags without a maximum of their own
BOOLEANS = dict.fromkeys(("true", "yes", "on", "1"), True)
BOOLEANS |= dict.fromkeys(("false", "no", "off", "0"), False)


@dataclass(frozen=True)
class Flag:
    """The meaning, the range and the properties of a parameter of a command."""

    help: str
    minimum: float = -math.inf
    maximum: float = math.inf
    above: float = -math.inf  # an exclusive minimum
    is_file_name: bool = False  # one name, without a folder
    is_path: bool = False  # a leading ~ is the user's home folder
    none_means: str = "none"  # for the help
    free_on_resume: bool = False  # may differ when a run is resumed: the result stays the same
    in_config: bool = True  # may be set by a config, and is written into a run's config


def read_value(name: str, text: str, type_: Any, flag: Flag) -> Any:
    """Convert the text given for a flag, on a command line or in a config, and check it.

    Raises InputError if the text is no such value or is out of range; it starts with --name.
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
    """Return the key of SCALARS that is the type or a part of a union; None for a Literal."""
    return next((part for part in (type_, *get_args(type_)) if part in SCALARS), None)


def kind_of(type_: Any) -> str:
    """Describe the values of a type in a few words."""
    choices, scalar = choices_of(type_), scalar_of(type_)
    if scalar is None:
        return "one of " + ", ".join(choices)
    return " or ".join([SCALARS[scalar].kind, *choices])


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
    if any(fnmatch.fnmatchcase(text, choice.replace("NAME", "?*")) for choice in choices):
        return text
    try:
        if scalar:
            return SCALARS[scalar].read(text)
    except (ValueError, KeyError):
        pass
    hint = ""
    if near := difflib.get_close_matches(text.lower(), choices, n=1, cutoff=0.5):
        hint = f"; did you mean {near[0]}?"
    elif scalar in (int, float) and "," in text:
        hint = "; decimals are written with a point, and thousands without a comma"
    raise InputError(f"--{name} {text}: expected {kind_of(type_)}{hint}")


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


class Scalar(NamedTuple):
    """A type of values: its name in the help, its name in messages, and its conversion."""

    name: str
    kind: str
    read: Callable[[str], Any]


SCALARS: dict[Any, Scalar] = {
    int: Scalar("int", "a whole number", _read_int),
    float: Scalar("float", "a number", _read_float),
    bool: Scalar("yes or no", "yes or no", lambda text: BOOLEANS[text.lower()]),
    str: Scalar("text", "text", str),
    tuple[float, float]: Scalar("float,float", "two numbers with a comma between", _read_pair),
}


def _check_text(name: str, text: str, flag: Flag) -> str:
    """Return the text, with the home folder in a path filled in."""
    if flag.is_path:
        if "\0" in text:
            raise InputError(f"--{name} {text!r}: a path has no null characters")
        return os.path.expanduser(text)
    if flag.is_file_name and not FILE_NAME.fullmatch(text):
        expected = "a file name of letters, digits and . _ + = @ -, without a folder"
        raise InputError(f"--{name} {text!r}: expected {expected}")
    if flag.is_file_name and (num_bytes := len(text.encode())) > MAX_NAME_BYTES:
        problem = f"the name has {num_bytes} bytes, at most {MAX_NAME_BYTES} are allowed"
        raise InputError(f"--{name} {text[:20]}...: {problem}")
    return text


def _check_number(name: str, value: float, flag: Flag) -> None:
    if value <= flag.above or not flag.minimum <= value <= flag.maximum:
        raise InputError(f"--{name} {value}: it must be {range_of(flag)}")
    if isinstance(value, int) and flag.maximum == math.inf and abs(value) > MAX_INT:
        raise InputError(f"--{name} {value}: it must be at most {MAX_INT}")
