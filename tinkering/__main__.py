"""python -m tinkering COMMAND [flags]: what one does around a training run."""

import difflib
import importlib
import sys

from tinkering.cli import run as cli

# name: (module, function, what it does)
COMMANDS = {
    "compare": (
        "tinkering.commands.compare",
        "compare",
        "sets runs side by side: a table and a plot of validation accuracy",
    ),
    "plot": ("tinkering.commands.plot", "plot", "draws the metrics of runs anew"),
    "verify-resume": (
        "tinkering.commands.verify_resume",
        "verify_resume",
        "trains twice, once killed in the middle, and compares bit by bit",
    ),
}


def main(argv: list[str]) -> None:
    name = argv[0] if argv else "--help"
    if name in ("--help", "-h"):
        print("usage: python -m tinkering COMMAND [flags]; COMMAND --help shows its flags\n")
        for command, (_, _, what) in COMMANDS.items():
            print(f"  {command:<16} {what}")
        return
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        cli.fail(f"there is no command {name!r}; {hint}", 2)
    module, function, _ = COMMANDS[name]
    cli.run(getattr(importlib.import_module(module), function), argv[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
