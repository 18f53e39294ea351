import contextlib
import io
import json
import runpy
import statistics
import sys

import pytest

from benchmarks import performance, speeds, straightforward, throughput
from benchmarks.bars import Bar
from tests.helpers import ROOT, random_part, write_part


@pytest.fixture
def mnist_of_the_usual_size(tmp_path):
    """A data folder with an MNIST that leaves enough to train on when some is held out."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_part(raw, "train", *random_part(1500, 10), packed=False)
    write_part(raw, "t10k", *random_part(700, 10, seed=1), packed=False)
    return str(tmp_path / "data")


@pytest.fixture
def one_process(monkeypatch):
    """Programs whose speed is measured run in this process, which has imported torch already."""

    def shown_by(words: list[str]) -> str:
        no_plots = ["--no-plots"] * (words[0] == "run_gradient_based.py")  # they take seconds
        monkeypatch.setattr(sys, "argv", [*words, *no_plots])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the program changes it
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")
        return shown.getvalue()

    monkeypatch.setattr(speeds, "shown_by", shown_by)


def test_the_straightforward_program_trains(mnist_of_the_usual_size):
    speed, losses = straightforward.train(
        mnist_of_the_usual_size, width=4, seconds=0.5, num_workers=0
    )
    assert speed > 0
    assert statistics.mean(losses[-10:]) < statistics.mean(losses[:10])


def test_a_program_runs_in_a_terminal():
    shown = speeds.shown_by(["-c", "import sys; print('Is it?', sys.stdout.isatty(), 2.5)"])
    assert "Is it? True" in shown
    assert speeds.last_number(shown) == 2.5


def test_a_program_that_fails_is_reported():
    with pytest.raises(RuntimeError, match=r"(?s)exit code 1.*no such luck"):
        speeds.shown_by(["-c", "raise OSError('no such luck')"])


@pytest.mark.filterwarnings("ignore")  # four workers are more than some machines like
def test_a_short_run_of_all_benchmarks_has_every_figure(
    one_process, mnist_of_the_usual_size, tmp_path, monkeypatch, capsys
):
    file = tmp_path / "throughput.json"
    words = ["--quick", "--data_dir_root", mnist_of_the_usual_size, "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["throughput.py", *words])
    throughput.main()
    figures = json.loads(file.read_text())
    assert len(figures["bars"]) == 7
    for name, number in figures["rounds"][0].items():
        assert number > 0, name
    shown = capsys.readouterr().out
    for bar in figures["bars"]:
        assert bar["what"] in shown
        assert len(bar["rounds"]) == 1
    for table in (performance.bars_table, performance.rounds_table):
        assert "width 2" in table(figures)


@pytest.mark.parametrize(
    ("rounds", "at_least", "is_met"),
    [
        ([0.9, 0.98, 0.99], True, True),
        ([0.9, 0.96, 0.99], True, False),
        ([0.9, 0.96, 0.99], False, True),
    ],
)
def test_a_bar_is_for_the_median(rounds, at_least, is_met):
    assert Bar("what", rounds, 0.97, at_least).is_met == is_met
