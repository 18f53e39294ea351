import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.reliability import DOCS, page
from tests.helpers import ROOT

CARELESS = """
import sys
from contextlib import contextmanager
from benchmarks import torture
from tinkering.runs import checkpoint

careful = checkpoint.replace_file

@contextmanager
def careless(path, keep=None):
    path.unlink(missing_ok=True)
    with careful(path) as file:
        yield file

checkpoint.replace_file = careless
sys.exit(torture.main())
"""


def torture(folder: Path, *command: str) -> tuple[int, dict, str]:
    """Exit code, figures and output; in a process of its own, because it forks."""
    file = folder / "figures.json"
    words = ["--steps", "120", "--inputs", "0", "--disk", "limit", "--json", str(file)]
    command = [sys.executable, "-W", "error", *command, *words]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert file.exists(), done.stderr
    return done.returncode, json.loads(file.read_text()), done.stdout + done.stderr


@pytest.fixture(scope="module")
def tortured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torture")
    return torture(folder, "benchmarks/torture.py", "--kills", "8", "--full_disks", "1")


def test_runs_that_are_killed_end_as_one_that_never_was(tortured):
    exit_code, figures, output = tortured
    assert figures["failures"] == [], output
    assert exit_code == 0
    kills = figures["kills"]
    assert kills["SIGKILL"] == 8
    assert kills["SIGKILL inside a save"] >= 3
    assert kills["runs that ended identical to one never stopped"] == kills["runs"] >= 1


def test_every_way_to_stop_a_run_is_tried(tortured):
    kills = tortured[1]["kills"]
    assert min(kills["SIGTERM"], kills["SIGINT"], kills["two SIGINTs"]) >= 1


def test_a_run_whose_disk_was_full_ends_as_one_that_had_room(tortured):
    kills = tortured[1]["kills"]
    assert kills["runs that met a full disk (RLIMIT_FSIZE)"] == 1
    assert kills["of these, told so and then ended identical"] == 1


def test_a_program_that_deletes_the_old_file_before_the_new_one_is_whole_is_found_out(tmp_path):
    exit_code, figures, output = torture(
        tmp_path, "-c", CARELESS, "--kills", "40", "--full_disks", "0"
    )
    assert exit_code == 1, output
    assert any("gone: " in failure for failure in figures["failures"])


def test_the_page_states_the_figures_that_were_measured():
    assert page() == (DOCS / "reliability.md").read_text()
    figures = json.loads((DOCS / "reliability.json").read_text())
    assert figures["failures"] == []
    assert figures["kills"]["SIGKILL"] >= 200
    assert figures["damage"][-1]["inputs"] >= 300
