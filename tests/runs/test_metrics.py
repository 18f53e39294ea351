import pytest

from tests.helpers import METRICS_HEADER, write_metrics
from tinkering.errors import InputError, WriteError
from tinkering.runs.metrics import COLUMNS, TIMED, MetricsFile, read_metrics

ROWS = ["10,0.1,0.001,2.5,0.25,,,1000.0,0.6", "20,0.2,0.001,1.5,0.5,,,1000.0,1.2"]
ROWS += ["20,0.2,,,,1.6,0.4,,1.2"]


@pytest.fixture
def metrics(tmp_path):
    return MetricsFile(tmp_path / "metrics.csv", [])


def test_each_row_has_every_column_and_is_empty_in_those_without_a_value(metrics):
    metrics.add(step=1, epoch=0.5, lr=0.001, train_loss=0.5, train_accuracy=0.25, seconds=2.0)
    metrics.add(step=1, epoch=0.5, val_loss=0.5, val_accuracy=0.25, seconds=2.0)
    assert metrics.path.read_text().splitlines() == [
        METRICS_HEADER,
        "1,0.5,0.001,0.5,0.25,,,,2.0",
        "1,0.5,,,,0.5,0.25,,2.0",
    ]


def test_the_columns_of_times_are_the_last():
    assert COLUMNS[-len(TIMED) :] == TIMED


def test_the_file_is_replaced_by_the_rows_of_the_state_and_then_added_to(tmp_path, metrics):
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


def test_the_rows_written_are_read(tmp_path, metrics):
    metrics.add(step=1, epoch=0.5, val_loss=float("nan"), val_accuracy=0.25, seconds=2.0)
    (row,) = read_metrics(tmp_path)
    assert row == dict(
        zip(COLUMNS, ["1", "0.5", "", "", "", "nan", "0.25", "", "2.0"], strict=True)
    )


def test_the_metrics_are_the_rows_of_the_file(tmp_path):
    rows = read_metrics(write_metrics(tmp_path / "run", *ROWS))
    assert [row["step"] for row in rows] == ["10", "20", "20"]
    assert [row["val_loss"] for row in rows] == ["", "", "1.6"]
    assert [row["train_accuracy"] for row in rows] == ["0.25", "0.5", ""]


@pytest.mark.parametrize("loss", ["nan", "inf", "-inf"])
def test_a_loss_that_is_not_finite_is_valid(tmp_path, loss):
    assert read_metrics(write_metrics(tmp_path / "run", f"10,0.1,0.001,{loss},0.25,,,1000.0,0.6"))


def test_an_additional_column_is_valid(tmp_path):
    rows = [f"{row},7" for row in ROWS]
    assert read_metrics(write_metrics(tmp_path / "run", *rows, header=f"{METRICS_HEADER},more"))


@pytest.mark.parametrize("name", ["", "no/such/folder", "file"])
def test_what_is_not_the_folder_of_a_run_is_refused(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"is not the folder of a run: it has no metrics\.csv"):
        read_metrics(tmp_path / name)


def test_metrics_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "metrics.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot read .*metrics\.csv: Is a directory"):
        read_metrics(tmp_path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "metrics.csv").touch()
    with pytest.raises(InputError, match=r"metrics\.csv is not a table of metrics: it lacks step"):
        read_metrics(tmp_path)


@pytest.mark.parametrize("header", ["", "step,loss", METRICS_HEADER.replace("val_loss,", "")])
def test_a_table_without_the_columns_of_metrics_is_refused(tmp_path, header):
    write_metrics(tmp_path / "run", header=header)
    with pytest.raises(InputError, match=r"not a table of metrics: it lacks .*val_loss"):
        read_metrics(tmp_path / "run")


@pytest.mark.parametrize(
    "row",
    [
        "30,0.3,0.001,1.4,0.",  # torn
        "30,0.3,0.001,1.4,0.5,,,1000.0,1.8,9",
        "thirty,0.3,0.001,1.4,0.5,,,1000.0,1.8",
        "30,,0.001,1.4,0.5,,,1000.0,1.8",
        "30,inf,0.001,1.4,0.5,,,1000.0,1.8",
        ",0.3,0.001,1.4,0.5,,,1000.0,1.8",
        "30,0.3,0.001,high,0.5,,,1000.0,1.8",
        "30,0.3,0.001,1.4,,,,1000.0,1.8",
        "\0\0\0\0",
    ],
)
def test_a_damaged_row_is_refused_with_its_line(tmp_path, row):
    write_metrics(tmp_path / "run", *ROWS, row)
    with pytest.raises(InputError, match=r"metrics\.csv is damaged in line 5"):
        read_metrics(tmp_path / "run")


def test_what_is_not_text_is_refused(tmp_path):
    (tmp_path / "metrics.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="is damaged"):
        read_metrics(tmp_path)
