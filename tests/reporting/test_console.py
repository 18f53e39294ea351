import io
import re
import time

import pytest
from rich.console import Console

from tinkering.reporting import console as console_module
from tinkering.reporting.console import RunConsole

ROWS = {"data set": "emnist byclass: 62 classes", "device": "cpu"}


def in_terminal(monkeypatch, width):
    """A console whose terminal is a string."""
    shown = io.StringIO()
    shown.isatty = lambda: True
    monkeypatch.setattr(console_module.sys, "stdout", shown)
    monkeypatch.setattr(
        console_module, "Console", lambda: Console(file=shown, force_terminal=True, width=width)
    )
    return RunConsole(num_steps=10, images_per_step=4), shown


def without_codes(text):
    """What a terminal shows, without the codes for colours and the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def write_all(console):
    console.table("plan", ROWS)
    with console:
        for segment in (0, 5):
            with console.segment_bar(total=5, desc="train", mininterval=0) as bar:
                for step in range(5):
                    bar.update()
                    console.line(f"step {segment + step + 1}")
            console.at_step(segment + 5)
        for _ in console.progress_bar(range(3), desc="validate"):
            pass
    console.table("results", ROWS)


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
    console, shown = in_terminal(monkeypatch, width)
    write_all(console)
    assert capsys.readouterr() == ("", "")  # tqdm's own stream
    lines = re.split(r"[\r\n]", without_codes(shown.getvalue()))
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("step ") for line in lines) == 10


def test_the_bar_of_the_run_stands_above_that_of_the_segment_and_moves_with_it(monkeypatch):
    console, shown = in_terminal(monkeypatch, 100)
    console.at_step(5)
    deadline = time.monotonic() + 20
    with console, console.segment_bar(total=5, desc="train", mininterval=0) as bar:
        bar.update(3)
        while "8/10" not in shown.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)  # the bars are drawn four times a second
    text = without_codes(shown.getvalue())
    assert re.search(r"run .* 8/10 [1-9][\d,]* images/s, left .*\ntrain:  60%", text)
