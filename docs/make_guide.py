"""Runs the commands of docs/guide.md, and fills in their output and the lines of code it links to.

python docs/make_guide.py
"""

import ast
import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs" / "guide.md"
CONFIG = ROOT / "docs" / "guide.yaml"
COMMANDS = re.compile(r"```sh\n(.*?)```\n\n```text\n.*?```", re.DOTALL)  # and their output
CODE_LINK = re.compile(r"\[`([\w/]+\.py):([\w.]+)`\]\([^)]*\)")


def link_code(text: str) -> str:
    """The text with every link [`file.py:symbol`](...) leading to the lines of that symbol."""

    def link(found: re.Match[str]) -> str:
        file, symbol = found.groups()
        first, last = lines_of(file, symbol)
        return f"[`{file}:{symbol}`](../{file}#L{first}-L{last})"

    return CODE_LINK.sub(link, text)


def lines_of(file: str, symbol: str) -> tuple[int, int]:
    """The first and the last line of a function, class, method or module constant.

    Args:
        file: path of a module, relative to the root of the repository.
        symbol: its name in the module, as "run_validation" or "Plateau.__init__".

    Raises:
        LookupError: the module defines no such name.
    """
    node: ast.AST = ast.parse((ROOT / file).read_text())
    for name in symbol.split("."):
        named = [child for child in ast.iter_child_nodes(node) if name in _names_defined(child)]
        if not named:
            raise LookupError(f"{file} defines no {symbol}: correct the link in docs/guide.md")
        node = named[0]
    return node.lineno, node.end_lineno


def _names_defined(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def run_commands(text: str) -> str:
    """The text with the output of its commands made anew; they run in the current folder."""

    def block(found: re.Match[str]) -> str:
        output = "".join(run_command(command) for command in found[1].splitlines())
        return f"```sh\n{found[1]}```\n\n```text\n{output}```"

    return COMMANDS.sub(block, text)


def run_command(command: str) -> str:
    """What a line of shell prints; `python` runs in this process, which has loaded torch already.

    Raises:
        RuntimeError: the command fails.
    """
    program, _, filters = command.partition(" | ")
    if not program.startswith("python "):
        return _run_shell(command)
    printed = _run_python(shlex.split(program)[1:])
    return _run_shell(filters, printed) if filters else printed


def _run_shell(command: str, stdin: str = "") -> str:
    done = subprocess.run(command, shell=True, input=stdin, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {command}")
    return done.stdout


def _run_python(words: list[str]) -> str:
    """What `python FILE ...` or `python -m tinkering ...` prints."""
    file = ROOT / words[0]
    if words[0] == "-m":
        words, file = words[1:], ROOT / words[1] / "__main__.py"
    printed = io.BytesIO()
    stdout = io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
    argv, excepthook = sys.argv, sys.excepthook
    sys.argv = words
    try:
        with contextlib.redirect_stdout(stdout):
            runpy.run_path(str(file), run_name="__main__")
    except SystemExit as error:
        if error.code:
            raise RuntimeError(f"exit code {error.code}: python {shlex.join(words)}") from error
    finally:
        sys.argv, sys.excepthook = argv, excepthook  # the program sets an excepthook
    return printed.getvalue().decode()


def main() -> None:
    text = link_code(GUIDE.read_text())
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("docs").mkdir()
        Path("docs", CONFIG.name).write_text(CONFIG.read_text())
        text = run_commands(text)
    GUIDE.write_text(text)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
