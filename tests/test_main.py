import pytest

from tinkering.__main__ import COMMANDS, main


@pytest.fixture
def tinkering(capsys):
    """Runs `python -m tinkering` in this process; returns its exit code, output and errors."""

    def run(*words):
        code = 0
        try:
            main(list(words))
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


def test_the_commands_are_listed(tinkering):
    code, output, _ = tinkering()
    assert code == 0
    assert all(f"  {command} " in output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_help(tinkering, command):
    code, output, errors = tinkering(command, "--help")
    assert (code, errors) == (0, "")
    assert f"usage: python -m tinkering {command} " in output


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_refuses_an_unknown_flag_in_one_line(tinkering, command):
    code, _, errors = tinkering(command, "--lrr", "1")
    assert code == 2
    assert errors.startswith("error: there is no flag --lrr")
    assert errors.count("\n") == 1


def test_an_unknown_command_is_refused_with_the_nearest(tinkering):
    code, _, errors = tinkering("verify")
    assert code == 2
    assert errors == "error: there is no command 'verify'; did you mean verify-resume?\n"
