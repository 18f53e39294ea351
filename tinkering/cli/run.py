"""The strict front of Fire: every flag is checked before any work and any heavy import.

Fire calls a function first and complains of unknown flags afterwards (python-fire#168), and
it reads values as Python literals: `--lr 0,01` becomes a string, `--run_id 2024_01` a number.
So the command line is read by tinkering.cli.flags, and Fire is handed only what passed.
"""

import inspect
import math
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, get_args

from tinkering.cli.flags import positional_of, read_flags
from tinkering.cli.values import PAIR, Flag, choices_of, scalar_of


def run(main: Callable[..., None], argv: Sequence[str] | None = None) -> NoReturn:
    """Checks the command line against main's signature, calls main, and exits.

    The exit code is 0 when main returns, 2 for wrong use, 130 for Ctrl-C, 141 if nobody reads
    what is written, and else the one that the error carries (tinkering.errors). Other
    exceptions pass, as bugs.
    """
    argv = sys.argv[1:] if argv is None else argv
    values: dict[str, Any] = {}
    try:
        if "--help" in argv or "-h" in argv:
            print(help_text(main), flush=True)
            sys.exit(0)
        values = read_flags(main, argv)
        if values.keys() & {"config", "preset"}:
            from tinkering.cli.configs import add_configs

            values = add_configs(main, values)
        import fire
        import rich.traceback

        rich.traceback.install()
        words = values.pop(positional_of(main), ())
        fire.Fire(main, [*map(repr, words), *(f"--{k}={value!r}" for k, value in values.items())])
    except KeyboardInterrupt:
        fail("stopped by Ctrl-C", 130)
    except BrokenPipeError:  # who was reading, `| head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + 13)  # as a program ended by SIGPIPE
    except Exception as error:
        if not hasattr(error, "exit_code"):
            raise
        if values.get("traceback"):
            traceback.print_exc()
        fail(str(error), error.exit_code)
    sys.exit(0)


def fail(message: str, exit_code: int) -> NoReturn:
    rank = os.environ.get("RANK", "0")  # of the processes that torchrun has started
    place = f"process {rank}: " if rank != "0" else ""
    print(f"{place}error: {message}", file=sys.stderr)
    sys.exit(exit_code)


class Row(NamedTuple):
    """One flag as a person reads it."""

    name: str
    default: str
    values: str
    help: str


def describe(main: Callable[..., None]) -> list[Row]:
    """Every flag of main's signature, for the help and for the README."""
    rows = []
    for name, parameter in inspect.signature(main).parameters.items():
        if name == positional_of(main):
            continue
        type_, flag = get_args(parameter.annotation)
        default = flag.none_means if parameter.default is None else str(parameter.default)
        rows.append(Row(name, default, _values(type_, flag), flag.help))
    return rows


def _values(type_: Any, flag: Flag) -> str:
    """The type and range of a flag in a few characters."""
    names = {int: "int", float: "float", bool: "yes or no", str: "text", PAIR: "float,float"}
    scalar = scalar_of(type_)
    text = "file name" if flag.is_file_name else names.get(scalar, "")
    if flag.above > -math.inf:
        text += f" > {flag.above}" + (f", ≤ {flag.maximum}" if flag.maximum < math.inf else "")
    elif flag.maximum < math.inf:
        text += f" {flag.minimum}..{flag.maximum}"
    elif flag.minimum > -math.inf:
        text += f" ≥ {flag.minimum}"
    return (
        " or ".join(filter(None, [text, *choices_of(type_)]))
        if scalar
        else ", ".join(choices_of(type_))
    )


def help_text(main: Callable[..., None]) -> str:
    """What --help prints: what the program does, and every flag with its values and default."""
    lines = [inspect.getdoc(main) or "", "", "flags:"]
    for row in describe(main):
        lines.append(f"  --{row.name}  {row.values}  (default: {row.default})")
        lines += textwrap.wrap(row.help, 90, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)
