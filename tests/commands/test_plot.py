import os
import subprocess
import sys

import pytest
from PIL import Image

from tests.helpers import ROOT
from tinkering.commands.plot import plot, read_metrics
from tinkering.errors import InputError

HEADER = "step,epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,images_per_second,seconds"
ROWS = ["10,0.1,0.001,2.5,0.25,,,1000.0,0.6", "20,0.2,0.001,1.5,0.5,,,1000.0,1.2"]
ROWS += ["20,0.2,,,,1.6,0.4,,1.2"]


def leave_run(folder, *rows, header=HEADER):
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("\n".join([header, *rows, ""]))
    return folder


def test_both_plots_of_each_run_are_drawn_into_its_folder(tmp_path, capsys):
    runs = [leave_run(tmp_path / name, *ROWS) for name in ("one", "other")]
    plot(*map(str, runs))
    for run in runs:
        assert sorted(os.listdir(run / "plots")) == ["batch_metrics.png", "epoch_metrics.png"]
        for file in (run / "plots").iterdir():
            with Image.open(file) as image:
                assert image.size == (2000, 840)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_run_that_has_just_begun_is_drawn(tmp_path):
    plot(str(leave_run(tmp_path / "run")))
    assert (tmp_path / "run" / "plots" / "epoch_metrics.png").exists()


def test_torch_is_not_loaded(tmp_path):
    run = leave_run(tmp_path / "run", *ROWS)
    program = "import sys; from tinkering.commands.plot import plot; plot(sys.argv[1])"
    check = "; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    command = [sys.executable, "-W", "error", "-c", program + check, str(run)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_module_of_the_plots_loads_neither_torch_nor_matplotlib():
    program = (
        "import sys, tinkering.reporting.plots; "
        "sys.exit(bool({'torch', 'matplotlib'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_the_metrics_are_the_rows_of_the_file(tmp_path):
    rows = read_metrics(leave_run(tmp_path / "run", *ROWS))
    assert [row["step"] for row in rows] == ["10", "20", "20"]
    assert [row["val_loss"] for row in rows] == ["", "", "1.6"]
    assert [row["train_accuracy"] for row in rows] == ["0.25", "0.5", ""]


def test_a_loss_that_is_no_number_is_no_damage(tmp_path):
    assert read_metrics(leave_run(tmp_path / "run", "10,0.1,0.001,nan,0.25,,,1000.0,0.6"))


def test_a_column_more_is_no_damage(tmp_path):
    rows = [f"{row},7" for row in ROWS]
    assert read_metrics(leave_run(tmp_path / "run", *rows, header=f"{HEADER},more"))


def test_there_must_be_a_run(tmp_path):
    with pytest.raises(InputError, match="name at least one run"):
        plot()


@pytest.mark.parametrize("name", ["", "no/such/folder", "file"])
def test_a_folder_that_is_no_run_is_refused_before_anything_is_drawn(tmp_path, name):
    run = leave_run(tmp_path / "run", *ROWS)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"is no folder of a run: it has no metrics\.csv"):
        plot(str(run), str(tmp_path / name))
    assert not (run / "plots").exists()


def test_metrics_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "metrics.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot read .*metrics\.csv: Is a directory"):
        read_metrics(tmp_path)


@pytest.mark.parametrize("header", ["", "step,loss", HEADER.replace("val_loss,", "")])
def test_a_table_without_the_columns_of_metrics_is_refused(tmp_path, header):
    leave_run(tmp_path / "run", header=header)
    with pytest.raises(InputError, match=r"no table of a run's metrics: it lacks .*val_loss"):
        read_metrics(tmp_path / "run")


@pytest.mark.parametrize(
    "row",
    [
        "30,0.3,0.001,1.4,0.",  # torn
        "30,0.3,0.001,1.4,0.5,,,1000.0,1.8,9",
        "thirty,0.3,0.001,1.4,0.5,,,1000.0,1.8",
        "30,,0.001,1.4,0.5,,,1000.0,1.8",
        ",0.3,0.001,1.4,0.5,,,1000.0,1.8",
        "30,0.3,0.001,high,0.5,,,1000.0,1.8",
        "30,0.3,0.001,1.4,,,,1000.0,1.8",
        "\0\0\0\0",
    ],
)
def test_a_damaged_row_is_refused_by_its_line(tmp_path, row):
    leave_run(tmp_path / "run", *ROWS, row)
    with pytest.raises(InputError, match=r"metrics\.csv is damaged in line 5"):
        read_metrics(tmp_path / "run")


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "metrics.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="is damaged"):
        read_metrics(tmp_path)
