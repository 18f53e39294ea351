"""What a flag takes: the value that a text means, and whether it is in range."""

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from tinkering.errors import InputError

FILE_NAME = re.compile(r"\w[\w.+=@-]*")
PAIR = tuple[float, float]
BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


@dataclass(frozen=True)
class Flag:
    """What a parameter means and which values it takes."""

    help: str
    minimum: float = -math.inf
    maximum: float = math.inf
    above: float = -math.inf  # a bound that is itself out of range
    is_file_name: bool = False  # one name, with no folder in it
    instead_of: str = ""  # the flag that says the same in another way
    none_means: str = ""  # for the help


def read_value(name: str, text: str, type_: Any, flag: Flag) -> Any:
    """The value that a text means for the flag of that name.

    Raises:
        InputError: it means none, or one out of range.
    """
    if not text.strip():
        raise InputError(f"--{name} lacks its value: {kind_of(type_)}")
    value = _convert(name, text, type_)
    _check_range(name, value, flag)
    return value


def choices_of(type_: Any) -> list[str]:
    """The words of a Literal, or of the Literals in a union; timm:NAME stands for many."""
    if get_origin(type_) is Literal:
        return list(get_args(type_))
    return [choice for part in get_args(type_) for choice in choices_of(part)]


def scalar_of(type_: Any) -> type | None:
    """int, float, bool or str, where the type or a part of the union is one."""
    return next((part for part in (type_, *get_args(type_)) if part in _READERS), None)


def kind_of(type_: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}
    names |= {PAIR: "two numbers with a comma between"}
    choices, scalar = choices_of(type_), scalar_of(type_)
    parts = [names[scalar]] if scalar else []
    return " or ".join([*parts, *choices]) if scalar else "one of " + ", ".join(choices)


def _convert(name: str, text: str, type_: Any) -> Any:
    choices, scalar = choices_of(type_), scalar_of(type_)
    if text in choices or any(_is_one_of(choice, text) for choice in choices):
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
    raise InputError(f"--{name} {text}: it takes {kind_of(type_)}{hint}")


def _is_one_of(choice: str, text: str) -> bool:
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


_READERS: dict[type, Callable[[str], Any]] = {
    int: _read_int,
    float: _read_float,
    bool: _read_bool,
    str: str,
    PAIR: _read_pair,
}


def _check_range(name: str, value: Any, flag: Flag) -> None:
    if flag.is_file_name and not FILE_NAME.fullmatch(value):
        raise InputError(
            f"--{name} {value!r}: it takes the name of a file, without a folder or odd characters"
        )
    if isinstance(value, str):
        return
    for number in value if isinstance(value, tuple) else (value,):
        _check_number(name, number, flag)


def _check_number(name: str, value: float, flag: Flag) -> None:
    if value <= flag.above:
        raise InputError(f"--{name} {value}: it must be above {flag.above}")
    if not flag.minimum <= value <= flag.maximum:
        bounds = f"at least {flag.minimum}"
        if flag.maximum < math.inf:
            bounds = f"from {flag.minimum} to {flag.maximum}"
        raise InputError(f"--{name} {value}: it must be {bounds}")
