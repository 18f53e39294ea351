import contextlib
import importlib
import inspect
import io
import re
import shlex
import string
from typing import Any

import pytest
import torch

from docs.make_readme import PAGES, PRESETS, pages, preset_text, read_figures
from run_gradient_based import main
from tests.helpers import ROOT
from tinkering.__main__ import COMMANDS as COMMANDS_AROUND
from tinkering.cli.configs import add_configs
from tinkering.cli.flags import read_flags
from tinkering.models import ARCHITECTURES
from tinkering.runs import checkpoint
from tinkering.runs.layout import run_names

TEXT = (ROOT / "README.md").read_text()
PROGRAM = r"(?:python run_gradient_based\.py|torchrun .* run_gradient_based\.py|tinkering train)"
COMMANDS = re.findall(rf"{PROGRAM} ([^\n`|]*)", TEXT)


def flags_given(command: str) -> dict[str, Any]:
    return read_flags(main, [word for word in shlex.split(command) if word != "--help"])


def flags_of_run(command: str) -> dict[str, Any]:
    """All flags of the run that a command starts, those of a config's file left out."""
    given = flags_given(command)
    given.pop("config", None)
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(main).parameters.items()
    }
    return {**defaults, **add_configs(main, given)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_and_figures_are_those_that_the_program_makes(page):
    assert pages()[page] == page.read_text(), "run `make readme`"


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_understood(command):
    named = [name for name in re.findall(r"--(\w+)", command) if name != "help"]
    assert list(flags_given(command)) == named


def test_its_commands_that_train_something_else_have_another_run_name():
    runs: dict[tuple[str, str], dict[str, Any]] = {}
    for command in set(COMMANDS) - {"--help"}:
        flags = flags_of_run(command)
        place = flags["save_path"], run_names(flags)[0]
        trained = {name: flags[name] for name in flags if name not in ("preset", "run_id")}
        assert runs.setdefault(place, trained) == trained, command
    assert len(runs) >= 14


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


def test_its_targets_of_make_are_there():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"(?:^    |`)make (\w+)", TEXT, re.MULTILINE))
    assert {"demo", "test"} <= named <= set(targets)


def test_its_tree_of_files_names_what_is_there():
    (tree,) = re.findall(r"```\n(run_gradient_based.*?)```", TEXT, re.DOTALL)
    folder = ""
    for indent, name in re.findall(r"^( *)(\S+)  ", tree, re.MULTILINE):
        folder = folder if indent else ""
        assert (ROOT / folder / name).exists(), name
        folder = folder or name
    package = {
        path.name for path in (ROOT / "tinkering").iterdir() if (path / "__init__.py").exists()
    }
    assert {f"{name}/" for name in package} <= set(re.findall(r"^    (\S+)", tree, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_links_lead_somewhere(page):
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#]+)\)", prose):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_its_lines_on_using_a_model_work_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    args = {"num_classes": 10, "in_channels": 1, "width": 2}
    content = checkpoint.model_content(
        ARCHITECTURES["resnet4stage"](**args),
        arch="resnet4stage",
        arch_args=args,
        classes=list(string.digits),
        mean=0.13,
        std=0.31,
        step=500,
        val_accuracy=0.5,
    )
    checkpoint.save(tmp_path / "saved_models" / "mnist-resnet4stage-w16.pt", content)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), torch.no_grad():
        exec(compile(code, "README.md", "exec"), {})
    assert re.fullmatch(r"\d 500 0\.5\n", shown.getvalue())
