"""Flags from files: what comes before what, and what is refused."""

import re
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from run_gradient_based import main
from tinkering.cli import run as cli
from tinkering.cli.configs import PRESETS, add_configs, config_text, read_config
from tinkering.cli.flags import read_flags
from tinkering.cli.values import Flag
from tinkering.errors import InputError


def config(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def merged(folder, text, *words):
    path = config(folder, text)
    return add_configs(main, read_flags(main, ["--config", str(path), *words]))


def test_a_flag_comes_before_the_config_and_the_config_before_the_preset(tmp_path):
    words = ["--preset", "pytorch-example", "--lr", "0.5"]
    found = merged(tmp_path, "lr: 0.25\nbatch_size: 32\n", *words)
    assert (found["lr"], found["batch_size"], found["arch"]) == (0.5, 32, "convnet")


def test_what_no_one_names_is_left_to_the_defaults(tmp_path):
    assert merged(tmp_path, "lr: 0.25\n").keys() == {"config", "lr"}


def test_steps_given_here_take_the_place_of_epochs_given_there(tmp_path):
    preset = ["--preset", "pytorch-example"]
    found = merged(tmp_path, "num_total_iterations: 5\n", *preset)
    assert found["num_total_iterations"] == 5
    assert "num_total_epochs" not in found
    found = merged(tmp_path, "num_total_iterations: 5\n", *preset, "--num_total_epochs", "2")
    assert found["num_total_epochs"] == 2
    assert "num_total_iterations" not in found


def test_null_takes_back_what_the_preset_says(tmp_path):
    assert merged(tmp_path, "patience: null\n", "--preset", "pipeline")["patience"] is None


UNDERSTOOD = {
    "lr: 1e-5": {"lr": 1e-5},
    "num_total_iterations: 1e3": {"num_total_iterations": 1000},
    "run_id: 2024_01": {"run_id": "2024_01"},
    "run_id: 3.10": {"run_id": "3.10"},
    "run_id: 'null'": {"run_id": "null"},
    "nesterov: yes": {"nesterov": True},
    "plots: false": {"plots": False},
    "betas: [0.7, 0.95]": {"betas": (0.7, 0.95)},
    "betas: 0.7,0.95": {"betas": (0.7, 0.95)},
    "batch-size: 8": {"batch_size": 8},
    "val_size: auto  # a remark": {"val_size": "auto"},
    "arch: timm:resnet10t": {"arch": "timm:resnet10t"},
    "": {},
    "# only a remark": {},
}


@pytest.mark.parametrize(("text", "values"), UNDERSTOOD.items(), ids=UNDERSTOOD)
def test_a_line_means_what_the_flag_would(tmp_path, text, values):
    assert read_config(main, config(tmp_path, text)) == values


REFUSED = {
    "lrr: 0.5": "line 1: unknown flag --lrr; did you mean --lr?",
    "seed: 1\nlr: abc": "line 2: --lr abc: expected a number",
    "seed: 1\n\nlr: 0": "line 3: --lr 0.0: it must be above 0",
    "dataset: MNIST": "line 1: --dataset MNIST: expected one of emnist, mnist",
    "lr:": "line 1: --lr needs a value",
    "lr: null": "line 1: --lr null: expected a number",
    "lr: 0.1\nlr: 0.2": "line 2: --lr is given twice",
    "lr: [0.1, 0.2]": "line 1: --lr 0.1,0.2: expected a number",
    "lr: {a: 1}": "line 1: --lr expects one value",
    "betas: [[1, 2], 3]": "line 1: --betas expects one value, or a list of numbers",
    "no_nesterov: true": "line 1: no_nesterov: write nesterov: false",
    "config: other.yaml": "line 1: --config belongs on the command line",
    "resume: never": "line 1: --resume belongs on the command line",
    "lr: 1\n  seed: 2": "line 2: mapping values are not allowed here",
    "lr: 'open": "line 1: found unexpected end of stream",
    "- lr": "line 1: a config has lines of the form flag: value",
    "lr 0.1": "line 1: a config has lines of the form flag: value",
    "num_total_epochs: 1\nnum_total_iterations: 5": "line 2: --num_total_epochs and "
    "--num_total_iterations set the same thing: give one of them",
    "? [a]\n: 1": "line 1: unknown flag",
    'save_path: "a\\0b"': "line 1: --save_path 'a\\x00b': a path has no null characters",
    "lr: \x07": "special characters are not allowed",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=REFUSED)
def test_a_wrong_line_is_refused_with_file_and_line(tmp_path, text, message):
    path = config(tmp_path, text)
    with pytest.raises(InputError) as refusal:
        read_config(main, path)
    assert str(refusal.value).startswith(str(path))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the config .*gone\.yaml: No such file"):
        read_config(main, tmp_path / "gone.yaml")
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"lr: \xff\xfe")
    with pytest.raises(InputError, match=r"mine\.yaml is not a text file"):
        read_config(main, path)


def test_values_nested_a_thousand_deep_are_refused(tmp_path):
    path = config(tmp_path, "lr: " + "[" * 1000)
    with pytest.raises(InputError, match=r"mine\.yaml: the values are nested too deeply"):
        read_config(main, path)


def test_the_program_names_the_line_of_a_config(tmp_path, capsys):
    path = config(tmp_path, "lrr: 1")
    with pytest.raises(SystemExit) as ending:
        cli.run(main, ["--config", str(path)])
    assert ending.value.code == 2
    assert capsys.readouterr().err == (
        f"error: {path}, line 1: unknown flag --lrr; did you mean --lr?\n"
    )


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*")), ids=lambda path: path.stem)
def test_every_preset_is_understood_and_opens_with_a_comment(path):
    assert read_config(main, path)
    assert path.read_text().startswith("# ")


def test_the_default_preset_is_the_defaults():
    for name, value in read_config(main, PRESETS / "default.yaml").items():
        assert main.__kwdefaults__[name] == value, name


def some(
    *,
    count: Annotated[int | None, Flag("a number", none_means="none")] = None,
    rate: Annotated[float, Flag("a rate")] = 0.1,
    pair: Annotated[tuple[float, float], Flag("two")] = (0.1, 0.2),
    amp: Annotated[bool, Flag("a switch")] = False,
    name: Annotated[str | None, Flag("text", none_means="none")] = None,
    kind: Annotated[Literal["a", "null", "1e5", "yes"], Flag("one of them")] = "a",
) -> None:
    """A function with flags of every type."""


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FLAGS = st.fixed_dictionaries(
    {
        "rate": NUMBERS,
        "pair": st.tuples(NUMBERS, NUMBERS),
        "amp": st.booleans(),
        "kind": st.sampled_from(["a", "null", "1e5", "yes"]),
    },
    optional={
        "count": st.integers(-(2**31) + 1, 2**31 - 1),
        "name": st.text(min_size=1).filter(str.strip),
    },
)


@given(flags=FLAGS)
@example(flags={"rate": 0.0, "pair": (0.0, 0.0), "amp": False, "kind": "a", "name": "0\x85"})
def test_the_config_of_a_run_gives_its_flags_exactly(tmp_path_factory, flags):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_bytes(config_text(some, flags).encode())
    assert read_config(some, path) == flags


def test_the_config_of_a_run_is_yaml_as_everyone_reads_it():
    flags = {"lr": 1e-5, "betas": (0.9, 0.99), "run_id": "2024_01", "patience": None}
    text = config_text(main, {"preset": "pipeline", "resume": "auto", **flags})
    assert yaml.safe_load(text) == {"lr": 1e-5, "betas": [0.9, 0.99], "run_id": "2024_01"}
    assert re.match(r"# The flags of this run", text)
