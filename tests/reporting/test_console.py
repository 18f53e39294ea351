import io
import re

import pytest
from rich.console import Console

from tinkering.reporting import console as screen
from tinkering.reporting.console import RunConsole

ROWS = {"data set": "emnist byclass: 62 classes", "device": "cpu"}


def in_terminal(monkeypatch, width):
    """A screen whose terminal is a string."""
    shown = io.StringIO()
    shown.isatty = lambda: True
    monkeypatch.setattr(screen.sys, "stdout", shown)
    monkeypatch.setattr(
        screen, "Console", lambda: Console(file=shown, force_terminal=True, width=width)
    )
    return RunConsole(num_steps=10, images_per_step=4), shown


def write_all(told):
    told.table("plan", ROWS)
    with told:
        for segment in (0, 5):
            with told.segment_bar(total=5, desc="train", mininterval=0) as bar:
                for step in range(5):
                    bar.update()
                    told.line(f"step {segment + step + 1}")
            told.at_step(segment + 5)
        for _ in told.progress_bar(range(3), desc="validate"):
            pass
    told.table("results", ROWS)


def test_without_a_terminal_there_are_plain_lines_and_nothing_else(capsys):
    write_all(RunConsole(num_steps=10, images_per_step=4))
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.isascii()
    assert all(ord(character) >= 32 for line in captured.out.splitlines() for character in line)
    assert captured.out.startswith("data set  emnist byclass: 62 classes\ndevice    cpu\nstep 1\n")


@pytest.mark.parametrize("width", [80, 120])
def test_in_a_terminal_no_line_is_wider_than_it_and_tqdm_writes_nothing_by_itself(
    monkeypatch, capsys, width
):
    told, shown = in_terminal(monkeypatch, width)
    write_all(told)
    assert capsys.readouterr() == ("", "")  # tqdm's own stream
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue()).replace("\r", "\n").split("\n")
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("step ") for line in lines) == 10


def test_the_bar_of_the_run_moves_with_the_segments_bar(monkeypatch):
    told, _ = in_terminal(monkeypatch, 100)
    told.at_step(5)
    bar = told.segment_bar(total=5, mininterval=0)
    bar.update(3)
    told._render()
    assert told._progress.tasks[0].completed == 8
    assert told._progress.tasks[0].fields["speed"] > 0
    bar.close()


def test_the_line_of_tqdm_stands_under_the_bar_of_the_run(monkeypatch):
    told, _ = in_terminal(monkeypatch, 100)
    bar = told.segment_bar(total=5, desc="train", mininterval=0)
    bar.update(2)
    shown = io.StringIO()
    Console(file=shown, width=100).print(told._render())
    run, segment = shown.getvalue().splitlines()[:2]
    assert run.startswith("run")
    assert "10" in run
    assert segment.startswith("train:  40%")
    bar.close()
