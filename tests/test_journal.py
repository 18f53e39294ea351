import io
import re

import pytest
from rich.console import Console

from tinkering import journal
from tinkering.errors import WriteError
from tinkering.journal import Journal, MetricsFile

ROWS = {"data set": "emnist byclass: 62 classes", "device": "cpu"}


@pytest.fixture
def metrics(tmp_path):
    return MetricsFile(tmp_path / "metrics.csv", [])


def in_terminal(monkeypatch, metrics, width):
    """A journal whose terminal is a string."""
    screen = io.StringIO()
    screen.isatty = lambda: True
    monkeypatch.setattr(journal.sys, "stdout", screen)
    monkeypatch.setattr(
        journal, "Console", lambda: Console(file=screen, force_terminal=True, width=width)
    )
    return Journal(num_steps=10, batch_size=4, metrics=metrics), screen


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
        told.validation(10, 0.5, 0.25, is_best=True)
    told.results(ROWS)


def test_without_a_terminal_there_are_plain_lines_and_nothing_else(capsys, metrics):
    write_all(Journal(num_steps=10, batch_size=4, metrics=metrics))
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.isascii()
    assert all(ord(character) >= 32 for line in captured.out.splitlines() for character in line)
    assert "step      7  train  loss 0.5000  accuracy  25.00%  lr 1.00e-03\n" in captured.out
    assert "step     10  valid  loss 0.5000  accuracy  25.00%  best so far\n" in captured.out
    assert captured.out.startswith("data set  emnist byclass: 62 classes\ndevice    cpu\n")


@pytest.mark.parametrize("width", [80, 120])
def test_in_a_terminal_no_line_is_wider_than_it_and_tqdm_writes_nothing_by_itself(
    monkeypatch, capsys, metrics, width
):
    told, screen = in_terminal(monkeypatch, metrics, width)
    write_all(told)
    assert capsys.readouterr() == ("", "")  # tqdm's own stream
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue()).replace("\r", "\n").split("\n")
    assert max(map(len, lines)) <= width
    assert sum("train  loss" in line for line in lines) == 10


def test_the_bar_of_the_run_moves_with_the_segments_bar(monkeypatch, metrics):
    told, _ = in_terminal(monkeypatch, metrics, 100)
    told.segment_done(5)
    bar = told.segment_bar(total=5, mininterval=0)
    bar.update(3)
    told._render()
    assert told._progress.tasks[0].completed == 8
    assert told._progress.tasks[0].fields["speed"] > 0
    bar.close()


def test_the_line_of_tqdm_stands_under_the_bar_of_the_run(monkeypatch, metrics):
    told, _ = in_terminal(monkeypatch, metrics, 100)
    bar = told.segment_bar(total=5, desc="train", mininterval=0)
    bar.update(2)
    shown = io.StringIO()
    Console(file=shown, width=100).print(told._render())
    run, segment = shown.getvalue().splitlines()[:2]
    assert run.startswith("run")
    assert "10" in run
    assert segment.startswith("train:  40%")
    bar.close()


def test_the_metrics_have_a_row_for_each_line_with_empty_columns_for_what_it_does_not_say(metrics):
    write_all(Journal(num_steps=10, batch_size=4, metrics=metrics))
    lines = metrics.path.read_text().splitlines()
    assert lines[0] == "step,lr,train_loss,train_accuracy,val_loss,val_accuracy"
    assert lines[1] == "1,0.001,0.5,0.25,,"
    assert lines[11] == "10,,,,0.5,0.25"
    assert len(lines) == 12


def test_metrics_are_written_anew_with_the_rows_of_the_state_and_then_added_to(tmp_path, metrics):
    for step in (1, 2, 3):
        metrics.add(step=step, train_loss=1 / 3)
    text = metrics.path.read_text()
    again = MetricsFile(tmp_path / "metrics.csv", metrics.rows[:2])
    assert metrics.path.read_text().splitlines() == text.splitlines()[:-1]
    again.add(step=3, train_loss=1 / 3)
    assert metrics.path.read_text() == text


def test_metrics_that_cannot_be_written_are_named(metrics):
    metrics.path.unlink()
    metrics.path.mkdir()
    with pytest.raises(WriteError, match=r"metrics\.csv: Is a directory"):
        metrics.add(step=1)
