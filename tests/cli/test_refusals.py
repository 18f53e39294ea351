"""The command line: what is refused before any work, and the help."""

import inspect

import pytest

from run_gradient_based import main
from tests.helpers import run_program

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
    ("--arch timm:", "--arch timm:: it takes one of resnet4stage"),
    ("--preset speed", "--preset speed: it takes one of default, pytorch-example"),
    ("--preset speedrum", "did you mean speedrun?"),
    ("--config", "--config lacks its value: text"),
    ("--config gone.yaml", "cannot read the config gone.yaml: No such file"),
    ("--num_total_epochs 0", "--num_total_epochs 0.0: it must be above 0"),
    ("--num_total_epochs 1 --num_total_iterations 9", "say the same: give one of them"),
    ("--grad_accum_steps 0", "it must be at least 1"),
    ("--ema_decay 1.5", "it must be from 0 to 1"),
    ("--patience 0", "it must be at least 1"),
    ("--min_delta -0.1", "it must be from 0 to 1"),
    ("--train_subset 0", "it must be at least 1"),
    ("--test_subset 0.5", "it takes a whole number"),
    ("--dry_run perhaps", "--dry_run perhaps: it takes yes or no"),
    ("--plots 2", "--plots 2: it takes yes or no"),
    ("--compile fast", "--compile fast: it takes yes or no or reduce-overhead"),
    ("--data_on gpu", "--data_on gpu: it takes one of auto, host, device"),
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
