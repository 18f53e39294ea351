"""The commands of the program, by name."""

import pytest

from tests.helpers import ROOT
from tinkering import __version__
from tinkering.__main__ import COMMANDS, main


@pytest.fixture
def tinkering(capsys):
    """Run `python -m tinkering` in this process; returns its exit code, output and errors."""

    def run(*words):
        with pytest.raises(SystemExit) as ending:
            main(words)
        return ending.value.code, *capsys.readouterr()

    return run


def test_the_commands_are_listed(tinkering):
    code, output, _ = tinkering()
    assert code == 0
    assert all(f"  {command} " in output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_help(tinkering, command):
    code, output, errors = tinkering(command, "--help")
    assert (code, errors) == (0, "")
    assert "usage: python " in output


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_refuses_an_unknown_flag_in_one_line(tinkering, command):
    code, _, errors = tinkering(command, "--lrr", "1")
    assert code == 2
    assert errors.startswith("error: unknown flag --lrr")
    assert errors.count("\n") == 1


def test_an_unknown_command_is_refused_with_the_nearest(tinkering):
    code, _, errors = tinkering("verify")
    assert code == 2
    assert errors == "error: unknown command 'verify'; did you mean verify-resume?\n"


def test_train_has_the_flags_of_a_run(tinkering):
    assert "--num_total_iterations" in tinkering("train", "--help")[1]


def test_the_version_is_the_one_to_cite(tinkering):
    assert tinkering("--version") == (0, f"tinkering {__version__}\n", "")
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
