"""How a command is called with its flags, and how it ends."""

import os
import signal
import subprocess
import sys
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import ROOT
from tinkering.cli import run as cli
from tinkering.cli.configs import free_on_resume
from tinkering.cli.values import Flag
from tinkering.errors import DataError

received = {}


class Terminated(KeyboardInterrupt):
    exit_code = 143


ENDINGS = {
    "no data": DataError("the data are gone"),
    "ctrl-c": KeyboardInterrupt(),
    "sigterm": Terminated("stopped by SIGTERM"),
    "bug": RuntimeError("a bug"),
    "disk": OSError(28, "No space left on device"),
}


def program(
    *words: Annotated[str, Flag("any words")],
    text: Annotated[str, Flag("any text", free_on_resume=True)] = "x",
    rate: Annotated[float, Flag("a number", minimum=-1e9)] = 0.5,
    traceback: Annotated[bool, Flag("show it")] = False,
) -> None:
    """Notes what it is called with."""
    received.update(words=words, text=text, rate=rate)
    if text in ENDINGS:
        raise ENDINGS[text]


def exit_code(*words):
    with pytest.raises(SystemExit) as ending:
        cli.run(program, words)
    return ending.value.code


@given(text=st.text(min_size=1).filter(str.strip))
def test_a_command_gets_every_text_exactly(text):
    assert exit_code(f"--text={text}") == 0
    assert received["text"] == text


@given(rate=st.floats(-1e9, 1e9))
def test_a_command_gets_every_number_exactly(rate):
    assert exit_code(f"--rate={rate!r}") == 0
    assert received["rate"] == rate


def test_a_command_gets_its_words_as_they_are():
    assert exit_code("1e3", "text", "None", "--text", "rate", "a,b") == 0
    assert received == {"words": ("1e3", "text", "None", "a,b"), "text": "rate", "rate": 0.5}


def test_flags_that_are_not_given_have_their_defaults():
    assert exit_code("--rate", "1", "--text", "y") == 0
    assert exit_code() == 0
    assert received == {"words": (), "text": "x", "rate": 0.5}


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["--text", "no data"], 3, "the data are gone"),
        (["--text", "ctrl-c"], 130, "stopped by Ctrl-C"),
        (["--text", "sigterm"], 143, "stopped by SIGTERM"),
        (["--text", "disk"], 6, "cannot write the output: No space left on device"),
        (["--txt", "x"], 2, "unknown flag --txt; did you mean --text?"),
    ],
)
def test_each_way_to_end_has_its_exit_code_and_its_line(capsys, words, code, line):
    assert exit_code(*words) == code
    assert capsys.readouterr().err == f"error: {line}\n"


def test_processes_other_than_the_first_name_themselves(capsys, monkeypatch):
    monkeypatch.setenv("RANK", "2")
    assert exit_code("--text", "no data") == 3
    assert capsys.readouterr().err == "process 2: error: the data are gone\n"


def test_a_traceback_is_shown_on_request(capsys):
    assert exit_code("--text", "no data", "--traceback") == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "error: the data are gone"


def test_a_bug_is_not_reported_as_the_users_fault():
    with pytest.raises(RuntimeError, match="a bug"):
        cli.run(program, ["--text", "bug"])


def test_ctrl_c_means_afterwards_what_it_meant_before():
    before = signal.getsignal(signal.SIGINT)
    exit_code()
    assert signal.getsignal(signal.SIGINT) is before


def test_the_help_shows_range_and_default():
    shown = cli.help_text(program)
    assert "Notes what it is called with." in shown
    assert "--rate  float at least -1000000000.0  (default: 0.5)" in shown


def test_a_flag_says_whether_it_may_differ_on_resume():
    assert free_on_resume(program) == {"text"}


# A command as a process of its own, that prints what few encodings have.
PRINTING = """
import sys
from typing import Annotated
import rich
from tinkering.cli.run import run
from tinkering.cli.values import Flag

def main(
    *,
    text: Annotated[str, Flag("a text")] = "≥ ł",
    config: Annotated[str | None, Flag("a file", none_means="none")] = None,
) -> None:
    assert not sys.stdout.isatty()
    print(text)
    rich.print(text)

run(main)
"""


def start(tmp_path, arguments="", **environment):
    """Run the printing command with these words and redirections of the shell."""
    path = tmp_path / "printing.py"
    path.write_text(PRINTING, encoding="utf-8")
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} -W error {path} {arguments}; exit ${{PIPESTATUS[0]}}"],
        env=os.environ | {"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}, C_LOCALE],
    ids=["ascii", "cp1252", "C locale"],
)
def test_every_line_survives_every_encoding(tmp_path, environment):
    done = start(tmp_path, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "\\u2265 \\u0142\n" * 2
    config = tmp_path / "mine.yaml"
    config.write_bytes("text: plain  # ≥".encode())
    done = start(tmp_path, f"--config {config}", **environment)
    assert (done.returncode, done.stdout) == (0, "plain\n" * 2)


def test_bytes_of_an_argument_that_are_no_text_survive(tmp_path):
    done = start(tmp_path, r"--text $'\xff'")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "\\udcff\n" * 2


@pytest.mark.parametrize(
    ("redirection", "code", "error"),
    [
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
        ("<&- >&-", 0, ""),
        ("--txt x 2>&-", 2, ""),
        (">/dev/full", 6, "error: cannot write the output: No space left on device\n"),
        ("--txt x 2>/dev/full", 2, ""),
        ("--help >/dev/full", 6, "error: cannot write the output: No space left on device\n"),
        ("| true", 141, ""),
    ],
)
def test_a_stream_that_is_closed_full_or_without_a_reader_is_no_traceback(
    tmp_path, redirection, code, error
):
    done = start(tmp_path, redirection)
    assert done.stderr == error
    assert done.returncode in ((0, code) if "|" in redirection else (code,))


SLOW = """
import sys, time
print("importing", file=sys.stderr, flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    raise ImportError("as an extension module has it")
"""


@pytest.mark.parametrize("module", ["textwrap", "fire", "torch"])
def test_ctrl_c_while_a_module_is_imported_is_one_line(tmp_path, module):
    (tmp_path / f"{module}.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run_gradient_based.py"), "--dry_run"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "error: stopped by Ctrl-C\n"
    assert process.returncode == 130
