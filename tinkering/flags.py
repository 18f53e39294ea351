"""A command line read strictly against a function's signature.

Each parameter is keyword-only and annotated `Annotated[type, Flag(...)]`; the type is int,
float, bool, str, a Literal, or a union of one of them with a Literal or None.
"""

import difflib
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
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
    none_means: str = ""  # for the help


def read_flags(main: Callable[..., None], argv: Sequence[str]) -> dict[str, Any]:
    """The values that a command line gives, by parameter name, each of its parameter's type.

    Raises:
        InputError: one line that says what is wrong, and the nearest that is right.
    """
    parameters = inspect.signature(main).parameters
    values: dict[str, Any] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        given, equals, text = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not given:
            raise InputError(
                f"stray word {word!r}: flags are written --name value"
                + _nearest(given.lstrip("-"), parameters)
            )
        name, negated = _parameter_named(given, parameters)
        if name in values:
            raise InputError(f"--{name} is given twice")
        type_, flag = get_args(parameters[name].annotation)
        if negated and (type_ is not bool or equals):
            raise InputError(f"--{given}: --{name} takes {_kind(type_)}; it has no --no- form")
        takes_next = words and not equals and not _is_flag(words[0])
        if type_ is bool and not equals and (negated or not takes_next):
            values[name] = not negated
            continue
        if takes_next:
            text = words.pop(0)
        if not text.strip():
            raise InputError(f"--{name} lacks its value: {_kind(type_)}")
        values[name] = _convert(name, text, type_)
        _check_range(name, values[name], flag)
    return values


def _parameter_named(given: str, parameters: Mapping[str, Any]) -> tuple[str, bool]:
    """The parameter that a flag means, and whether it says no to it."""
    name = given.replace("-", "_")
    if name in parameters:
        return name, False
    for negation in ("no_", "no"):
        if name.startswith(negation) and name.removeprefix(negation) in parameters:
            return name.removeprefix(negation), True
    raise InputError(f"there is no flag --{given}" + _nearest(name, parameters))


def _nearest(name: str, parameters: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name.lower(), [*parameters, "help"], n=1, cutoff=0.5)
    return f"; did you mean --{near[0]}?" if near else "; --help lists them all"


def _is_flag(word: str) -> bool:
    """Whether a word begins a new flag; a negative number is a value."""
    if not word.startswith("-"):
        return False
    try:
        float(word)
    except ValueError:
        return True
    return False


def choices_of(type_: Any) -> list[str]:
    """The words of a Literal, or of the Literals in a union."""
    if get_origin(type_) is Literal:
        return list(get_args(type_))
    return [choice for part in get_args(type_) for choice in choices_of(part)]


def scalar_of(type_: Any) -> type | None:
    """int, float, bool or str, where the type or a part of the union is one."""
    return next((part for part in (type_, *get_args(type_)) if part in _READERS), None)


def _kind(type_: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}
    names |= {PAIR: "two numbers with a comma between"}
    choices, scalar = choices_of(type_), scalar_of(type_)
    parts = [names[scalar]] if scalar else []
    return " or ".join([*parts, *choices]) if scalar else "one of " + ", ".join(choices)


def _convert(name: str, text: str, type_: Any) -> Any:
    choices, scalar = choices_of(type_), scalar_of(type_)
    if text in choices:
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
    raise InputError(f"--{name} {text}: it takes {_kind(type_)}{hint}")


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
