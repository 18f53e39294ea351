import re

import pytest

from tests.helpers import MNIST, QUICK, run_main


@pytest.fixture
def rehearsed(tmp_path, mnist_dir):
    """A dry run on packed files, and the paths that were there before it."""
    before = sorted(tmp_path.rglob("*"))
    return run_main(*MNIST, *QUICK, "--dry_run", "--summary", cwd=tmp_path), before


def test_it_writes_and_unpacks_nothing(rehearsed, tmp_path):
    done, before = rehearsed
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_it_states_the_plan_and_what_the_run_will_need(rehearsed):
    shown = dict(re.findall(r"^(\w[\w ]*?)  +(.*)$", rehearsed[0].stdout, re.MULTILINE))
    assert shown["data set"].startswith("mnist: 10 classes")
    assert re.fullmatch(r"loss \d+\.\d{4}, \d+ ms", shown["step"])
    assert re.fullmatch(r"loss \d+\.\d{4}, \d+ ms", shown["validation batch"])
    assert re.fullmatch(r"about .*\d s for 20 steps and 2 validations", shown["time"])
    assert 100 < float(shown["memory"].split()[0].replace(",", "")) < 20_000
    assert re.fullmatch(r"\d+\.\d MiB of [\d,.]+ GiB that are free", shown["disk"])


def test_the_summary_has_layers_shapes_parameters_and_multiply_adds(rehearsed):
    shown = rehearsed[0].stdout
    assert "Output Shape" in shown
    assert "Mult-Adds" in shown
    assert "[16, 2, 28, 28]" in shown


@pytest.mark.parametrize("save_path", ["file", "file/runs"])
def test_it_refuses_what_the_run_would_refuse(tmp_path, mnist_dir, save_path):
    (tmp_path / "file").touch()
    done = run_main(*MNIST, *QUICK, "--dry_run", "--save_path", save_path, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot write {save_path}/mnist-resnet4stage-w2: ")
    assert done.stderr.count("\n") == 1


def test_it_downloads_nothing(tmp_path):
    done = run_main("--dry_run", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "gzip.zip is not in emnist_data/EMNIST/raw; a run would download it" in done.stderr
    assert list(tmp_path.iterdir()) == []
