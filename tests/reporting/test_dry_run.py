import re

import pytest

from tests.helpers import run_program
from tests.test_run import MNIST, QUICK


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory):
    """A dry run in an empty folder."""
    folder = tmp_path_factory.mktemp("dry")
    words = ["--dataset", "glyphs", "--emnist_split", "digits", "--dry_run", "--summary"]
    return run_program(*words, "--eval_interval_iters", "100", *QUICK[:4], cwd=folder), folder


def test_it_writes_nothing(glyphs):
    done, folder = glyphs
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []


def test_it_tells_the_plan_and_what_the_run_will_need(glyphs):
    told = dict(re.findall(r"^(\w[\w ]*?)  +(.*)$", glyphs[0].stdout, re.MULTILINE))
    assert told["data set"].startswith("glyphs digits: 10 classes")
    assert re.fullmatch(r"loss \d+\.\d{4}, \d+ ms", told["step"])
    assert re.fullmatch(r"loss \d+\.\d{4}, \d+ ms", told["validation batch"])
    assert re.fullmatch(r"about .*\d s for 25 steps and 1 validations", told["time"])
    assert 100 < float(told["memory"].split()[0].replace(",", "")) < 10_000
    assert re.fullmatch(r"\d+\.\d MiB of [\d,.]+ GiB that are free", told["disk"])


def test_the_summary_has_layers_shapes_parameters_and_multiply_adds(glyphs):
    told = glyphs[0].stdout
    assert "Output Shape" in told
    assert "Mult-Adds" in told
    assert "[64, 4, 28, 28]" in told


def test_packed_files_are_left_packed(tmp_path, mnist_dir):
    before = sorted(mnist_dir.rglob("*"))
    done = run_program(*MNIST, *QUICK, "--dry_run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(mnist_dir.rglob("*")) == before
    assert sorted(tmp_path.iterdir()) == [mnist_dir]
    assert "step/s" not in done.stderr


def test_it_downloads_nothing(tmp_path):
    done = run_program("--dry_run", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "gzip.zip is not in emnist_data/EMNIST/raw; a run would download it" in done.stderr
    assert list(tmp_path.iterdir()) == []
