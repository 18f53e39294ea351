"""The command line: what is refused before any work, and what is understood."""

import contextlib
import inspect
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_gradient_based import main
from tests.conftest import run_program
from tinkering.errors import InputError
from tinkering.flags import Flag, read_flags

# The words of a command line, and what the one line about them must say.
REFUSED = [
    # unknown flags, with the nearest right name
    ("--lrr 0.5", "there is no flag --lrr; did you mean --lr?"),
    ("--learning_rate 0.5", "there is no flag --learning_rate"),
    ("--batchsize 32", "did you mean --batch_size?"),
    ("--batch 32", "did you mean --batch_size?"),
    ("--LR 0.1", "did you mean --lr?"),
    ("--num_iterations 10", "did you mean --num_total_iterations?"),
    ("--num-total-iteration 10", "did you mean --num_total_iterations?"),
    ("--eval_interval 10", "did you mean --eval_interval_iters?"),
    ("--weight-decay-rate 0", "did you mean --weight_decay?"),
    ("--split letters", "did you mean --emnist_split?"),
    ("--model resnet", "did you mean --model_name?"),
    ("--sead 1", "did you mean --seed?"),
    ("--xyzzy 1", "there is no flag --xyzzy; --help lists them all"),
    ("--hlep", "did you mean --help?"),
    ("--lrr=0.5", "did you mean --lr?"),
    ("--no-such", "there is no flag --no-such"),
    # stray words
    ("letters", "stray word 'letters'"),
    ("train --lr 0.1", "stray word 'train'"),
    ("--lr 0.1 0.2", "stray word '0.2'"),
    ("lr=0.1", "stray word 'lr=0.1'"),
    ("help", "stray word 'help': flags are written --name value; did you mean --help?"),
    ("-lr 0.1", "stray word '-lr': flags are written --name value; did you mean --lr?"),
    ("-b 3", "stray word '-b'"),
    ("--", "stray word '--'"),
    ("-", "stray word '-'"),
    ("--lr 0.1 -- --trace", "stray word '--'"),
    ("--=3", "stray word '--=3'"),
    # a flag twice
    ("--lr 0.1 --lr 0.2", "--lr is given twice"),
    ("--lr=0.1 --lr=0.1", "--lr is given twice"),
    ("--batch_size 8 --batch-size 8", "--batch_size is given twice"),
    # a missing value
    ("--lr", "--lr lacks its value: a number"),
    ("--lr=", "--lr lacks its value"),
    ("--lr --seed 1", "--lr lacks its value"),
    ("--seed 1 --batch_size", "--batch_size lacks its value: a whole number"),
    ("--dataset", "--dataset lacks its value: one of emnist, mnist"),
    ("--run_id=", "--run_id lacks its value"),
    # a wrong type
    ("--lr abc", "--lr abc: it takes a number"),
    ("--lr 0,01", "--lr 0,01: it takes a number; decimals are written with a point"),
    ("--lr 1e", "--lr 1e: it takes a number"),
    ("--lr nan", "--lr nan: it takes a number"),
    ("--lr inf", "--lr inf: it takes a number"),
    ("--lr -inf", "--lr -inf: it takes a number"),
    ("--lr None", "--lr None: it takes a number"),
    ("--lr (1)", "--lr (1): it takes a number"),
    ("--batch_size 6.5", "--batch_size 6.5: it takes a whole number"),
    ("--batch_size 64x", "--batch_size 64x: it takes a whole number"),
    ("--batch_size 1e-3", "--batch_size 1e-3: it takes a whole number"),
    ("--batch_size 1e999", "--batch_size 1e999: it takes a whole number"),
    ("--num_total_iterations 20,000", "thousands without a comma"),
    ("--num_total_iterations ten", "it takes a whole number"),
    ("--seed True", "--seed True: it takes a whole number"),
    ("--val_size some", "--val_size some: it takes a whole number or auto"),
    ("--val_size 0.1", "--val_size 0.1: it takes a whole number or auto"),
    # a value out of range
    ("--lr 0", "--lr 0.0: it must be above 0"),
    ("--lr -1", "--lr -1.0: it must be above 0"),
    ("--lr=-1e-3", "--lr -0.001: it must be above 0"),
    ("--batch_size 0", "--batch_size 0: it must be at least 1"),
    ("--batch_size -64", "--batch_size -64: it must be at least 1"),
    ("--num_total_iterations 0", "it must be at least 1"),
    ("--eval_interval_iters 0", "it must be at least 1"),
    ("--log_interval_iters -5", "it must be at least 1"),
    ("--num_workers -1", "it must be at least 0"),
    ("--weight_decay -0.1", "it must be at least 0"),
    ("--final_lr_factor 1.5", "it must be from 0 to 1"),
    ("--final_lr_factor -0.5", "it must be from 0 to 1"),
    ("--val_size -1", "it must be at least 0"),
    ("--width 0", "it must be from 1 to"),
    ("--seed -1", "it must be from 0 to"),
    ("--seed 4294967296", "it must be from 0 to 4294967295"),
    ("--model_name models/resnet.pt", "without a folder"),
    ("--model_name ..", "without a folder"),
    ("--run_id ../other", "without a folder"),
    ("--run_id /tmp/x", "without a folder"),
    # a choice that does not exist
    ("--dataset emist", "--dataset emist: it takes one of emnist, mnist"),
    ("--dataset MNIST", "did you mean mnist?"),
    ("--dataset fashion-mnist", "did you mean fashion_mnist?"),
    ("--emnist_split byletter", "it takes one of byclass, bymerge, balanced, letters"),
    ("--emnist_split letter", "did you mean letters?"),
    ("--arch resnet50", "--arch resnet50: it takes one of resnet4stage"),
    ("--arch resnet-18", "did you mean resnet18?"),
    ("--optimizer lion", "--optimizer lion: it takes one of adamw, adam, sgd"),
    ("--schedule poly", "--schedule poly: it takes one of linear, constant, step"),
    ("--loss mse", "--loss mse: it takes one of cross_entropy, nll"),
    ("--betas 0.9", "--betas 0.9: it takes two numbers with a comma between"),
    ("--betas 0.9,x", "--betas 0.9,x: it takes two numbers"),
    ("--betas 0.9,1.5", "--betas 1.5: it must be from 0 to 1"),
    ("--label_smoothing 2", "it must be from 0 to 1"),
    ("--nesterov maybe", "--nesterov maybe: it takes yes or no"),
    ("--device gpu", "--device gpu: it takes one of auto, cpu, cuda, mps"),
    ("--precision fp8", "--precision fp8: it takes one of auto, fp32, bf16, fp16"),
    ("--augment", "--augment lacks its value"),
    ("--augment yes", "--augment yes: it takes one of none, affine"),
    ("--no-augment", "--augment takes one of none, affine; it has no --no- form"),
    ("--nolr", "--lr takes a number; it has no --no- form"),
]


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory):
    """A folder that makes every import of torch fail."""
    folder = tmp_path_factory.mktemp("poison")
    (folder / "torch.py").write_text("raise SystemExit('torch was imported')")
    return str(folder)


def test_the_table_is_as_long_as_promised():
    assert len(REFUSED) >= 60


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=[words for words, _ in REFUSED])
def test_wrong_use_is_refused_in_one_line_before_any_work(tmp_path, without_torch, words, message):
    done = run_program(*words.split(" "), cwd=tmp_path, PYTHONPATH=without_torch)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", ["--help", "-h", "--lr 3 --help", "--help --lrr", "--run_id --help", "-- --help"]
)
def test_help_anywhere_shows_every_flag_with_its_default_before_any_work(
    tmp_path, without_torch, words
):
    done = run_program(*words.split(), cwd=tmp_path, PYTHONPATH=without_torch)
    assert done.returncode == 0
    assert done.stderr == ""
    for name, parameter in inspect.signature(main).parameters.items():
        assert f"--{name} " in done.stdout
        if parameter.default is not None:
            assert f"(default: {parameter.default})" in done.stdout
    assert "byclass, bymerge, balanced, letters, digits, mnist" in done.stdout
    assert list(tmp_path.iterdir()) == []


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
]


@pytest.mark.parametrize(("words", "values"), UNDERSTOOD, ids=[words for words, _ in UNDERSTOOD])
def test_what_a_person_means_is_understood(words, values):
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
    """A function with a switch, which the training program does not have yet."""


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
        ("--amp maybe", "--amp maybe: it takes yes or no"),
        ("--amp=", "--amp lacks its value"),
        ("--no-amp=true", "no --no- form"),
        ("--no-amp true", "stray word 'true'"),
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
