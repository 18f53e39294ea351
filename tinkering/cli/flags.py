"""A command line, read strictly against a function's signature.

Each parameter is annotated `Annotated[type, Flag(...)]`; the type is int, float, bool, str, a pair
of floats, a Literal, or a union of one of them with a Literal or None. Parameters are keyword-only,
except for one `*names` that collects the words without a flag.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from tinkering.cli.values import Flag, kind_of, read_value, scalar_of
from tinkering.errors import InputError

Command = Callable[..., None]


def read_flags(main: Command, argv: Sequence[str]) -> dict[str, Any]:
    """Read the values that a command line sets, by parameter name, each of its parameter's type.

    Words without a flag are a tuple under the name of the parameter that collects them.

    Raises:
        InputError: one line that says what is wrong, and the nearest valid choice.
    """
    parameters = parameters_of(main)
    positional = positional_of(main)
    names = [name for name in parameters if name != positional]
    values: dict[str, Any] = {positional: ()} if positional else {}
    words = list(argv)
    while words:
        word = words.pop(0)
        given, equals, text = word.removeprefix("--").partition("=")
        if positional and word and not word.startswith("-"):
            values[positional] += (read_value(positional, word, *parameters[positional]),)
            continue
        if not word.startswith("--") or not given:
            raise InputError(
                f"unexpected word {word!r}: flags are written --name value"
                + _nearest(given.lstrip("-"), names)
            )
        name, negated = find_parameter(given, names)
        if name in values:
            raise InputError(f"--{name} is given twice")
        type_, flag = parameters[name]
        is_switch = scalar_of(type_) is bool
        if negated and (not is_switch or equals):
            raise InputError(f"--{given}: --{name} expects {kind_of(type_)}; it has no --no- form")
        has_value = words and not equals and not _is_flag(words[0])
        if is_switch and not equals and (negated or not has_value):
            values[name] = not negated
            continue
        if has_value:
            text = words.pop(0)
        values[name] = read_value(name, text, type_, flag)
    refuse_both(main, values)
    return values


def parameters_of(main: Command) -> dict[str, tuple[Any, Flag]]:
    """Return the type and the flag of each parameter."""
    parameters = inspect.signature(main).parameters.values()
    return {parameter.name: get_args(parameter.annotation) for parameter in parameters}


def positional_of(main: Command) -> str:
    """Return the name of the parameter that collects the words without a flag, or ""."""
    parameters = inspect.signature(main).parameters.values()
    return next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")


def refuse_both(main: Command, values: Mapping[str, Any]) -> None:
    """Raise InputError where two of the flags given set the same thing in two ways."""
    for name, other in alternatives(main).items():
        if values.get(name) is not None and values.get(other) is not None:
            raise InputError(f"--{name} and --{other} set the same thing: give one of them")


def alternatives(main: Command) -> dict[str, str]:
    """Return each flag that replaces another, and that other."""
    flags = {name: flag for name, (_, flag) in parameters_of(main).items()}
    return {name: flag.instead_of for name, flag in flags.items() if flag.instead_of}


def find_parameter(given: str, names: Sequence[str]) -> tuple[str, bool]:
    """Return the parameter that a flag names, and whether the flag negates it (--no-name).

    Raises:
        InputError: there is none; suggests the nearest.
    """
    name = given.replace("-", "_")
    if name in names:
        return name, False
    for negation in ("no_", "no"):
        if name.startswith(negation) and name.removeprefix(negation) in names:
            return name.removeprefix(negation), True
    raise InputError(f"unknown flag --{given}" + _nearest(name, names))


def _nearest(name: str, names: Sequence[str]) -> str:
    known_names, wanted = [*names, "help"], name.lower()
    containing = [known for known in known_names if len(wanted) > 2 and wanted in known]
    near = difflib.get_close_matches(wanted, containing, n=1, cutoff=0.0)
    near = near or difflib.get_close_matches(wanted, known_names, n=1, cutoff=0.5)
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
