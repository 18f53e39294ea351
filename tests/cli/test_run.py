import subprocess
import sys
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import ROOT
from tinkering.cli import run as cli
from tinkering.cli.values import Flag
from tinkering.errors import DataError

received = {}


def program(
    *,
    text: Annotated[str, Flag("any text")] = "x",
    rate: Annotated[float, Flag("a number", minimum=-1e9)] = 0.5,
) -> None:
    """Notes what it is called with."""
    received.update(text=text, rate=rate)
    if text == "no data":
        raise DataError("the data are gone")
    if text == "ctrl-c":
        raise KeyboardInterrupt
    if text == "bug":
        raise RuntimeError("a bug")


def exit_code(*words):
    with pytest.raises(SystemExit) as ending:
        cli.run(program, words)
    return ending.value.code


@given(text=st.text(min_size=1).filter(str.strip))
def test_fire_hands_over_every_text_exactly(text):
    if text in ("no data", "ctrl-c", "bug"):
        return
    assert exit_code(f"--text={text}") == 0
    assert received["text"] == text


@given(rate=st.floats(-1e9, 1e9))
def test_fire_hands_over_every_number_exactly(rate):
    assert exit_code(f"--rate={rate!r}") == 0
    assert received["rate"] == rate


def test_flags_that_are_not_given_have_their_defaults():
    assert exit_code() == 0
    assert received == {"text": "x", "rate": 0.5}


def test_each_way_to_end_has_its_exit_code_and_its_line(capsys):
    assert exit_code("--text", "no data") == 3
    assert exit_code("--text", "ctrl-c") == 130
    assert exit_code("--txt", "x") == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: the data are gone",
        "error: stopped by Ctrl-C",
        "error: there is no flag --txt; did you mean --text?",
    ]


def test_a_bug_is_not_dressed_up_as_the_users_fault():
    with pytest.raises(RuntimeError, match="a bug"):
        cli.run(program, ["--text", "bug"])


def test_the_help_shows_range_and_default():
    shown = cli.help_text(program)
    assert "Notes what it is called with." in shown
    assert "--rate  float ≥ -1000000000.0  (default: 0.5)" in shown


def test_a_reader_that_has_seen_enough_of_the_help_is_no_error():
    program = f"{sys.executable} {ROOT / 'run_gradient_based.py'} --help"
    command = f"{program} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode in (0, 141)
