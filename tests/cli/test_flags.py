"""What the words of a command line mean."""

import contextlib
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_gradient_based import main
from tinkering.cli.flags import read_flags
from tinkering.cli.values import Flag
from tinkering.errors import InputError

UNDERSTOOD = [
    ("", {}),
    ("--lr 1e-5", {"lr": 1e-5}),
    ("--lr=1e-5", {"lr": 1e-5}),
    ("--lr 1", {"lr": 1.0}),
    ("--num_total_iterations 1e3", {"num_total_iterations": 1000}),
    ("--num_total_iterations 20_000", {"num_total_iterations": 20_000}),
    ("--num-total-iterations 5", {"num_total_iterations": 5}),
    ("--run_id 2024_01", {"run_id": "2024_01"}),
    ("--run_id 3.10", {"run_id": "3.10"}),
    ("--run_id None", {"run_id": "None"}),
    ("--run_id true", {"run_id": "true"}),
    ("--model_name 1e5.pt", {"model_name": "1e5.pt"}),
    ("--data_dir_root a#b", {"data_dir_root": "a#b"}),
    ("--data_dir_root=a=b", {"data_dir_root": "a=b"}),
    ("--data_dir_root it's", {"data_dir_root": "it's"}),
    ("--val_size auto", {"val_size": "auto"}),
    ("--val_size 1e3", {"val_size": 1000}),
    ("--val_size 0", {"val_size": 0}),
    ("--dataset mnist --seed 7", {"dataset": "mnist", "seed": 7}),
    ("--betas 0.7,0.95", {"betas": (0.7, 0.95)}),
    ("--betas=(0.7,0.95)", {"betas": (0.7, 0.95)}),
    ("--nesterov --lr 1", {"nesterov": True, "lr": 1.0}),
    ("--arch timm:resnet10t", {"arch": "timm:resnet10t"}),
    ("--no-plots --dry_run", {"plots": False, "dry_run": True}),
    ("--num_total_epochs 0.6", {"num_total_epochs": 0.6}),
    ("--compile --seed 1", {"compile": True, "seed": 1}),
    ("--compile=no", {"compile": False}),
    ("--no-compile", {"compile": False}),
    ("--save_path ~/runs", {"save_path": "/home/me/runs"}),
    ("--data_dir_root=~", {"data_dir_root": "/home/me"}),
    ("--config ~/mine.yaml", {"config": "/home/me/mine.yaml"}),
    ("--data_dir_root a~", {"data_dir_root": "a~"}),
    ("--compile reduce-overhead", {"compile": "reduce-overhead"}),
]


@pytest.mark.parametrize(("words", "values"), UNDERSTOOD, ids=[words for words, _ in UNDERSTOOD])
def test_what_a_person_means_is_understood(monkeypatch, words, values):
    monkeypatch.setenv("HOME", "/home/me")
    found = read_flags(main, words.split())
    assert found == values
    assert [type(value) for value in found.values()] == [type(value) for value in values.values()]


def switch(
    *,
    amp: Annotated[bool, Flag("mixed precision")] = False,
    lr: Annotated[float, Flag("rate")] = 0.1,
    name: Annotated[str | None, Flag("text", none_means="nothing")] = None,
    kind: Annotated[Literal["a", "b"], Flag("one of two")] = "a",
) -> None:
    """A function with a flag of each kind."""


@pytest.mark.parametrize(
    ("words", "value"),
    [("--amp", True), ("--amp --lr 1", True), ("--no-amp", False), ("--no_amp", False)]
    + [("--noamp", False)]
    + [(f"--amp {word}", True) for word in ("true", "True", "yes", "on", "1")]
    + [(f"--amp={word}", False) for word in ("false", "FALSE", "no", "off", "0")],
)
def test_a_switch_means_what_a_person_expects(words, value):
    assert read_flags(switch, words.split())["amp"] is value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--amp maybe", "--amp maybe: expected yes or no"),
        ("--amp=", "--amp needs a value"),
        ("--no-amp=true", "no --no- form"),
        ("--no-amp true", "unexpected word 'true'"),
        ("--amp --no-amp", "--amp is given twice"),
    ],
)
def test_a_switch_refuses_what_is_neither_yes_nor_no(words, message):
    with pytest.raises(InputError, match=message):
        read_flags(switch, words.split())


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_comes_through_exactly(value):
    assert read_flags(switch, ["--lr", repr(value)]) == {"lr": value}
    assert read_flags(switch, [f"--lr={value!r}"]) == {"lr": value}


@given(text=st.text(min_size=1).filter(str.strip))
def test_every_text_comes_through_exactly(text):
    assert read_flags(switch, [f"--name={text}"]) == {"name": text}


@given(words=st.lists(st.text() | st.sampled_from(["--lr", "--amp", "1", "--no-amp", "--", "="])))
def test_whatever_the_words_are_they_are_read_or_refused(words):
    with contextlib.suppress(InputError):
        assert set(read_flags(switch, words)) <= {"amp", "lr", "name", "kind"}


def gather(
    *runs: Annotated[str, Flag("folders", is_path=True)], top: Annotated[int, Flag("how many")] = 3
) -> None:
    """A function that collects words without a flag."""


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("", {"runs": ()}),
        ("a b", {"runs": ("a", "b")}),
        ("~/a", {"runs": ("/home/me/a",)}),
        ("a --top 2 2024_01", {"runs": ("a", "2024_01"), "top": 2}),
    ],
)
def test_words_without_a_flag_are_gathered_where_a_function_collects_them(
    monkeypatch, words, values
):
    monkeypatch.setenv("HOME", "/home/me")
    assert read_flags(gather, words.split()) == values


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--runs a", "unknown flag --runs"),
        ("a -x", "unexpected word '-x'"),
        ("a --tops 2", "did you mean --top?"),
    ],
)
def test_they_are_no_way_around_the_checks(words, message):
    with pytest.raises(InputError, match=message):
        read_flags(gather, words.split())
