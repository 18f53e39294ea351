import contextlib
import importlib
import io
import re
import shlex
import string

import pytest
import torch

from docs.make_readme import PRESETS, preset_text, read_figures, readme
from run_gradient_based import main
from tests.helpers import ROOT
from tinkering.__main__ import COMMANDS as COMMANDS_AROUND
from tinkering.cli.flags import read_flags
from tinkering.models import ARCHITECTURES
from tinkering.runs import checkpoint

TEXT = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"(?:python|torchrun .*) run_gradient_based\.py ([^\n`|]*)", TEXT)


def test_its_tables_are_those_that_the_program_makes():
    assert readme() == TEXT, "run `make readme`"


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_understood(command):
    words = [word for word in shlex.split(command) if word not in ("...", "--help")]
    named = [name for name in re.findall(r"--(\w+)", command) if name != "help"]
    assert list(read_flags(main, words)) == named


@pytest.mark.parametrize(
    ("name", "words"), re.findall(r"python -m tinkering (\S+) ([^\n`|]*)", TEXT)
)
def test_its_commands_around_a_run_are_understood(name, words):
    module, function, _ = COMMANDS_AROUND[name]
    found = read_flags(getattr(importlib.import_module(module), function), shlex.split(words))
    values = [value if isinstance(value, tuple) else (value,) for value in found.values()]
    given = [word for word in shlex.split(words) if not word.startswith("--")]
    assert [str(one) for value in values for one in value] == given


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*")), ids=lambda path: path.stem)
def test_the_presets_say_what_they_reach_as_it_was_measured(path):
    assert path.read_text() == preset_text(path, read_figures("accuracy")), "run `make readme`"
    assert re.search(r"^# (Reaches .* % on the test set|Takes .* minutes)", path.read_text(), re.M)


def test_its_commands_were_found():
    assert len(COMMANDS) >= 6


def test_its_targets_of_make_are_there():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"(?:^    |`)make (\w+)", TEXT, re.MULTILINE))
    assert {"demo", "test"} <= named <= set(targets)


def test_its_links_lead_somewhere():
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#]+)\)", prose):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_its_lines_on_using_a_model_work_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = {"num_classes": 62, "in_channels": 1, "width": 2}
    content = checkpoint.model_content(
        ARCHITECTURES["resnet4stage"](**args),
        arch="resnet4stage",
        arch_args=args,
        classes=list(string.digits + string.ascii_letters),
        mean=0.17,
        std=0.33,
        step=500,
        val_accuracy=0.5,
    )
    checkpoint.save(tmp_path / "saved_models" / "resnet_emnist.pt", content)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), torch.no_grad():
        exec(compile(code, "README.md", "exec"), {})
    assert re.fullmatch(r"\w 500 0\.5\n", shown.getvalue())
