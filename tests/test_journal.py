import io
import re

import pytest
from rich.console import Console

from tinkering import journal
from tinkering.journal import Journal

ROWS = {"data set": "emnist byclass: 62 classes", "device": "cpu"}


def in_terminal(monkeypatch, width):
    """A journal whose terminal is a string."""
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(journal.sys, "stdout", screen)
    monkeypatch.setattr(
        journal, "Console", lambda: Console(file=screen, force_terminal=True, width=width)
    )
    return Journal(num_steps=10, batch_size=4), screen


def write_all(told):
    told.plan(ROWS)
    with told:
        for segment in (0, 5):
            with told.segment_bar(total=5, desc="train", mininterval=0) as bar:
                for step in range(5):
                    bar.update()
                    told.training(segment + step + 1, 0.5, 0.25, 1e-3)
            told.segment_done(segment + 5)
        for _ in told.progress_bar(range(3), desc="validate"):
            pass
        told.validation(10, 0.5, 0.25, "best so far")
    told.results(ROWS)


def test_without_a_terminal_there_are_plain_lines_and_nothing_else(capsys):
    write_all(Journal(num_steps=10, batch_size=4))
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.isascii()
    assert all(ord(character) >= 32 for line in captured.out.splitlines() for character in line)
    assert "step      7  train  loss 0.5000  accuracy  25.00%  lr 1.00e-03\n" in captured.out
    assert "step     10  valid  loss 0.5000  accuracy  25.00%  best so far\n" in captured.out
    assert captured.out.startswith("data set  emnist byclass: 62 classes\ndevice    cpu\n")


@pytest.mark.parametrize("width", [80, 120])
def test_in_a_terminal_no_line_is_wider_than_it_and_tqdm_writes_nothing_by_itself(
    monkeypatch, capsys, width
):
    told, screen = in_terminal(monkeypatch, width)
    write_all(told)
    assert capsys.readouterr() == ("", "")  # tqdm's own stream
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).replace("\r", "\n").split("\n")
    assert max(map(len, lines)) <= width
    assert sum("train  loss" in line for line in lines) == 10


def test_the_bar_of_the_run_moves_with_the_segments_bar_and_tells_images_a_second(monkeypatch):
    told, _ = in_terminal(monkeypatch, 100)
    told.segment_done(5)
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
