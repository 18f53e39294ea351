import os
import subprocess
import sys

import pytest
from PIL import Image

from tests.helpers import ROOT, write_metrics
from tinkering.commands.plot import plot
from tinkering.errors import InputError

ROWS = ["10,0.1,0.001,2.5,0.25,,,1000.0,0.6", "20,0.2,,,,1.6,0.4,,1.2"]


def test_both_plots_of_each_run_are_drawn_into_its_folder(tmp_path, capsys):
    runs = [write_metrics(tmp_path / name, *ROWS) for name in ("one", "other")]
    plot(*map(str, runs))
    for run in runs:
        assert sorted(os.listdir(run / "plots")) == ["batch_metrics.png", "epoch_metrics.png"]
        for file in (run / "plots").iterdir():
            with Image.open(file) as image:
                assert image.size == (2000, 840)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_run_that_has_just_begun_is_drawn(tmp_path):
    plot(str(write_metrics(tmp_path / "run")))
    assert (tmp_path / "run" / "plots" / "epoch_metrics.png").exists()


def test_neither_torch_nor_pyplot_is_loaded(tmp_path):
    run = write_metrics(tmp_path / "run", *ROWS)
    program = "import sys; from tinkering.commands.plot import plot; plot(sys.argv[1])"
    check = "; sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    command = [sys.executable, "-W", "error", "-c", program + check, str(run)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_there_must_be_a_run():
    with pytest.raises(InputError, match="name at least one run"):
        plot()


def test_nothing_is_drawn_if_one_of_the_folders_is_not_a_run(tmp_path):
    run = write_metrics(tmp_path / "run", *ROWS)
    with pytest.raises(InputError, match="is not the folder of a run"):
        plot(str(run), str(tmp_path))
    assert not (run / "plots").exists()
