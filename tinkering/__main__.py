"""The commands of the program: `python -m tinkering COMMAND`, or `tinkering COMMAND`."""

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from tinkering import __version__
from tinkering.cli import process
from tinkering.errors import InputError

COMMANDS = {  # name: (module, function, what it does)
    "train": ("run_gradient_based", "main", "train a network, as run_gradient_based.py does"),
    "compare": ("tinkering.commands.compare", "compare", "compare runs: a table and a plot"),
    "plot": ("tinkering.commands.plot", "plot", "draw the metrics of runs"),
    "verify-resume": (
        "tinkering.commands.verify_resume",
        "verify_resume",
        "train twice, once killed and resumed, and compare bit by bit",
    ),
}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command that a command line (None: this process's own) names, and exit."""
    if argv is None:
        process.exit_at_ctrl_c()
    words = sys.argv[1:] if argv is None else argv
    process.run(lambda: _run_command(*words or ["--help"]))


def _run_command(name: str, *words: str) -> None:
    if name in COMMANDS:
        from tinkering.cli.run import run

        module, function, _ = COMMANDS[name]
        run(getattr(importlib.import_module(module), function), words)
    if name in ("--help", "-h"):
        print("usage: tinkering COMMAND [flags]; tinkering COMMAND --help lists the flags\n")
        for command, (_, _, purpose) in COMMANDS.items():
            print(f"  {command:<16} {purpose}")
    elif name == "--version":
        print(f"tinkering {__version__}")
    else:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the commands are {', '.join(COMMANDS)}"
        raise InputError(f"unknown command {name!r}; {hint}")


if __name__ == "__main__":
    main()
