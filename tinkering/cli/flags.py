"""A command line, read strictly against a function's signature.

Each parameter is annotated `Annotated[type, Flag(...)]`; the type is int, float, bool, str, a pair
of floats, a Literal, or a union of one of them with a Literal or None. Parameters are keyword-only,
except for one `*names` that collects the words without a flag.
"""

import difflib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from tinkering.cli.values import Flag, kind_of, read_value, scalar_of
from tinkering.errors import InputError

Command = Callable[..., None]
LENGTHS = ("num_total_epochs", "num_total_iterations")  # only one of them may be given


def read_flags(main: Command, argv: Sequence[str]) -> dict[str, Any]:
    """Read the values that a command line sets, by parameter name, each of its parameter's type.

    Words without a flag are a tuple under the name of the parameter that collects them. Raises
    InputError, whose line says what is wrong and names the nearest valid choice.
    """
    parameters, positional = parameters_of(main), positional_of(main)
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
            hint = "flags are written --name value" + _nearest(given.lstrip("-"), names)
            raise InputError(f"unexpected word {word!r}: {hint}")
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
    refuse_both(values)
    return values


def parameters_of(main: Command) -> dict[str, tuple[Any, Flag]]:
    """Return the type and the flag of each parameter."""
    return {p.name: get_args(p.annotation) for p in inspect.signature(main).parameters.values()}


def positional_of(main: Command) -> str:
    """Return the name of the parameter that collects the words without a flag, or ""."""
    parameters = inspect.signature(main).parameters.values()
    return next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")


def refuse_both(values: Mapping[str, Any]) -> None:
    """Raise InputError where the length of a run is given in two ways."""
    if all(values.get(name) is not None for name in LENGTHS):
        raise InputError(f"--{' and --'.join(LENGTHS)} set the same thing: give one of them")


def find_parameter(given: str, names: Sequence[str]) -> tuple[str, bool]:
    """Return the parameter that a flag names, and whether the flag negates it (--no-name).

    Raises InputError, which suggests the nearest, if there is none.
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
    """Whether a word begins a new flag; a negative number does not."""
    return re.match(r"-(?!\d|\.|inf|nan)", word, re.IGNORECASE) is not None
