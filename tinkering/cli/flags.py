"""A command line read strictly against a function's signature.

Each parameter is annotated `Annotated[type, Flag(...)]`; the type is int, float, bool, str, a pair
of floats, a Literal, or a union of one of them with a Literal or None. Parameters are keyword-only,
but for one `*words` that takes the words without a flag.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from tinkering.cli.values import kind_of, read_value, scalar_of
from tinkering.errors import InputError


def read_flags(main: Callable[..., None], argv: Sequence[str]) -> dict[str, Any]:
    """The values that a command line gives, by parameter name, each of its parameter's type.

    Words without a flag are a tuple under the name of the parameter that takes them.

    Raises:
        InputError: one line that says what is wrong, and the nearest that is right.
    """
    positional = positional_of(main)
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(main).parameters.items()
        if name != positional
    }
    values: dict[str, Any] = {positional: ()} if positional else {}
    words = list(argv)
    while words:
        word = words.pop(0)
        given, equals, text = word.removeprefix("--").partition("=")
        if positional and word and not word.startswith("-"):
            values[positional] += (word,)
            continue
        if not word.startswith("--") or not given:
            raise InputError(
                f"stray word {word!r}: flags are written --name value"
                + _nearest(given.lstrip("-"), parameters)
            )
        name, negated = parameter_named(given, parameters)
        if name in values:
            raise InputError(f"--{name} is given twice")
        type_, flag = get_args(parameters[name].annotation)
        is_switch = scalar_of(type_) is bool
        if negated and (not is_switch or equals):
            raise InputError(f"--{given}: --{name} takes {kind_of(type_)}; it has no --no- form")
        takes_next = words and not equals and not _is_flag(words[0])
        if is_switch and not equals and (negated or not takes_next):
            values[name] = not negated
            continue
        if takes_next:
            text = words.pop(0)
        values[name] = read_value(name, text, type_, flag)
    refuse_both(main, values)
    return values


def positional_of(main: Callable[..., None]) -> str:
    """Name of the parameter that takes the words without a flag, or ""."""
    parameters = inspect.signature(main).parameters.values()
    return next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")


def refuse_both(main: Callable[..., None], values: Mapping[str, Any]) -> None:
    """Raises InputError where two of the flags given say the same thing in two ways."""
    for name, other in alternatives(main).items():
        if values.get(name) is not None and values.get(other) is not None:
            raise InputError(f"--{name} and --{other} say the same: give one of them")


def alternatives(main: Callable[..., None]) -> dict[str, str]:
    """Each flag that stands in for another, and that other."""
    flags = {
        name: get_args(parameter.annotation)[1]
        for name, parameter in inspect.signature(main).parameters.items()
    }
    return {name: flag.instead_of for name, flag in flags.items() if flag.instead_of}


def parameter_named(given: str, parameters: Mapping[str, Any]) -> tuple[str, bool]:
    """The parameter that a flag means, and whether it says no to it.

    Raises:
        InputError: there is none; names the nearest.
    """
    name = given.replace("-", "_")
    if name in parameters:
        return name, False
    for negation in ("no_", "no"):
        if name.startswith(negation) and name.removeprefix(negation) in parameters:
            return name.removeprefix(negation), True
    raise InputError(f"there is no flag --{given}" + _nearest(name, parameters))


def _nearest(name: str, parameters: Mapping[str, Any]) -> str:
    names, wanted = [*parameters, "help"], name.lower()
    containing = [known for known in names if len(wanted) > 2 and wanted in known]
    near = difflib.get_close_matches(wanted, containing, n=1, cutoff=0.0)
    near = near or difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
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
