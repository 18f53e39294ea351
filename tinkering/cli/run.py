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
from tinkering.cli.values import SCALARS, Flag, choices_of, range_of, scalar_of


def run(main: Command, argv: Sequence[str] | None = None) -> NoReturn:
    """Check a command line (None: this process's own) against main's signature, call it, and exit.

    main is annotated as tinkering.cli.flags says.
    """
    words = sys.argv[1:] if argv is None else argv
    process.run(lambda: _run(main, words))


def _run(main: Command, argv: Sequence[str]) -> None:
    if "--help" in argv or "-h" in argv:
        print(help_text(main))
        return
    values = read_flags(main, argv)
    try:
        if values.keys() & {"config", "preset"}:
            from tinkering.cli.configs import add_configs

            values = add_configs(main, values)
        _call(main, values)
    except Exception as error:
        if values.get("traceback") and hasattr(error, "exit_code"):
            traceback.print_exc()
        raise


def _call(main: Command, values: dict[str, Any]) -> None:
    """Have Fire call main with checked values."""
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
    rows = []
    for name, (type_, flag) in parameters_of(main).items():
        if name != positional_of(main):
            default = inspect.signature(main).parameters[name].default
            shown = flag.none_means if default is None else str(default)
            rows.append(Row(name, shown, _values(type_, flag), flag.help))
    return rows


def _values(type_: Any, flag: Flag) -> str:
    """Describe the type and the range of a flag in a few characters."""
    scalar, choices = scalar_of(type_), choices_of(type_)
    if scalar is None:
        return ", ".join(choices)
    name = "file name" if flag.is_file_name else "path" if flag.is_path else SCALARS[scalar].name
    return " or ".join([f"{name} {range_of(flag)}".rstrip(), *choices])


def help_text(main: Command) -> str:
    """Return what --help prints: the purpose of the command, and every flag with its default."""
    lines = [inspect.getdoc(main) or "", "", "flags:"]
    for row in describe(main):
        lines.append(f"  --{row.name}  {row.values}  (default: {row.default})")
        lines += textwrap.wrap(row.help, 90, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)
