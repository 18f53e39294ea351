import pytest

from tinkering.errors import WriteError
from tinkering.runs.metrics import COLUMNS, TIMED, MetricsFile


@pytest.fixture
def metrics(tmp_path):
    return MetricsFile(tmp_path / "metrics.csv", [])


def test_each_row_has_every_column_and_those_that_it_has_no_word_on_are_empty(metrics):
    metrics.add(step=1, epoch=0.5, lr=0.001, train_loss=0.5, train_accuracy=0.25, seconds=2.0)
    metrics.add(step=1, epoch=0.5, val_loss=0.5, val_accuracy=0.25, seconds=2.0)
    assert metrics.path.read_text().splitlines() == [
        "step,epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,images_per_second,seconds",
        "1,0.5,0.001,0.5,0.25,,,,2.0",
        "1,0.5,,,,0.5,0.25,,2.0",
    ]


def test_the_columns_of_times_are_the_last_so_that_the_others_can_be_compared():
    assert COLUMNS[-len(TIMED) :] == TIMED


def test_they_are_written_anew_with_the_rows_of_the_state_and_then_added_to(tmp_path, metrics):
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
