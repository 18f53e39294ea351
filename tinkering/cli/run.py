"""The strict front of Fire: every flag is checked before any work and any heavy import.

Fire calls a function first and complains about unknown flags afterwards (python-fire#168), and
it reads values as Python literals: `--lr 0,01` becomes a string, `--run_id 2024_01` a number.
So the command line is read by tinkering.cli.flags, and Fire calls the function with the checked
values.
"""

import inspect
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from tinkering.cli import process
from tinkering.cli.flags import Command, parameters_of, positional_of, read_flags
from tinkering.cli.values import PAIR, Flag, choices_of, range_of, scalar_of


def run(main: Command, argv: Sequence[str] | None = None) -> NoReturn:
    """Check the command line against main's signature, call main, and exit.

    Args:
        main: annotated as tinkering.cli.flags says.
        argv: the words of the command line; None for this process's own.
    """
    words = sys.argv[1:] if argv is None else argv
    process.run(lambda: _run(main, words))


def _run(main: Command, argv: Sequence[str]) -> None:
    if "--help" in argv or "-h" in argv:
        print(help_text(main))
        return
    values = read_flags(main, argv)
    try:
        _call(main, values)
    except Exception as error:
        if values.get("traceback") and hasattr(error, "exit_code"):
            traceback.print_exc()
        raise


def _call(main: Command, values: dict[str, Any]) -> None:
    """Have Fire call main with checked values."""
    if values.keys() & {"config", "preset"}:
        from tinkering.cli.configs import add_configs

        values = add_configs(main, values)
    import fire
    import rich.traceback
    from fire.decorators import SetParseFn

    rich.traceback.install()
    words = values.pop(positional_of(main), ())
    # Each flag's text is its name, by which Fire gets the checked value; words stay as they are.
    SetParseFn(values.__getitem__, *values)(main)
    SetParseFn(str)(main)
    fire.Fire(main, [*words, *(f"--{name}={name}" for name in values)])


class Row(NamedTuple):
    """One flag, as the help and the README show it."""

    name: str
    default: str
    values: str
    help: str


def describe(main: Command) -> list[Row]:
    """Describe every flag of main's signature."""
    defaults = {name: p.default for name, p in inspect.signature(main).parameters.items()}
    return [
        Row(
            name,
            flag.none_means if defaults[name] is None else str(defaults[name]),
            _values(type_, flag),
            flag.help,
        )
        for name, (type_, flag) in parameters_of(main).items()
        if name != positional_of(main)
    ]


def _values(type_: Any, flag: Flag) -> str:
    """Describe the type and the range of a flag in a few characters."""
    names = {int: "int", float: "float", bool: "yes or no", str: "text", PAIR: "float,float"}
    scalar = scalar_of(type_)
    if scalar is None:
        return ", ".join(choices_of(type_))
    name = "file name" if flag.is_file_name else "path" if flag.is_path else names[scalar]
    text = f"{name} {range_of(flag)}".rstrip()
    return " or ".join([text, *choices_of(type_)])


def help_text(main: Command) -> str:
    """Return what --help prints: the purpose of the command, and every flag with its default."""
    lines = [inspect.getdoc(main) or "", "", "flags:"]
    for row in describe(main):
        lines.append(f"  --{row.name}  {row.values}  (default: {row.default})")
        lines += textwrap.wrap(row.help, 90, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)
