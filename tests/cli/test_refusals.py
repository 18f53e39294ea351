"""The command line: what is refused before any work, and the help."""

import inspect

import pytest

from run_gradient_based import main
from tests.helpers import run_program
from tinkering.cli import run as cli

# The words of a command line, and what the one line about them must say.
REFUSED = [
    # unknown flags, with the nearest right name
    ("--lrr 0.5", "unknown flag --lrr; did you mean --lr?"),
    ("--learning_rate 0.5", "unknown flag --learning_rate"),
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
    ("--xyzzy 1", "unknown flag --xyzzy; --help lists them all"),
    ("--hlep", "did you mean --help?"),
    ("--lrr=0.5", "did you mean --lr?"),
    ("--no-such", "unknown flag --no-such"),
    # unexpected words
    ("letters", "unexpected word 'letters'"),
    ("train --lr 0.1", "unexpected word 'train'"),
    ("--lr 0.1 0.2", "unexpected word '0.2'"),
    ("lr=0.1", "unexpected word 'lr=0.1'"),
    ("help", "unexpected word 'help': flags are written --name value; did you mean --help?"),
    ("-lr 0.1", "unexpected word '-lr': flags are written --name value; did you mean --lr?"),
    ("-b 3", "unexpected word '-b'"),
    ("--", "unexpected word '--'"),
    ("-", "unexpected word '-'"),
    ("--lr 0.1 -- --trace", "unexpected word '--'"),
    ("--=3", "unexpected word '--=3'"),
    # a flag twice
    ("--lr 0.1 --lr 0.2", "--lr is given twice"),
    ("--lr=0.1 --lr=0.1", "--lr is given twice"),
    ("--batch_size 8 --batch-size 8", "--batch_size is given twice"),
    # a missing value
    ("--lr", "--lr needs a value: a number"),
    ("--lr=", "--lr needs a value"),
    ("--lr --seed 1", "--lr needs a value"),
    ("--seed 1 --batch_size", "--batch_size needs a value: a whole number"),
    ("--dataset", "--dataset needs a value: one of emnist, mnist"),
    ("--run_id=", "--run_id needs a value"),
    # a wrong type
    ("--lr abc", "--lr abc: expected a number"),
    ("--lr 0,01", "--lr 0,01: expected a number; decimals are written with a point"),
    ("--lr 1e", "--lr 1e: expected a number"),
    ("--lr nan", "--lr nan: expected a number"),
    ("--lr inf", "--lr inf: expected a number"),
    ("--lr -inf", "--lr -inf: expected a number"),
    ("--lr None", "--lr None: expected a number"),
    ("--lr (1)", "--lr (1): expected a number"),
    ("--batch_size 6.5", "--batch_size 6.5: expected a whole number"),
    ("--batch_size 64x", "--batch_size 64x: expected a whole number"),
    ("--batch_size 1e-3", "--batch_size 1e-3: expected a whole number"),
    ("--batch_size 1e999", "--batch_size 1e999: expected a whole number"),
    ("--num_total_iterations 20,000", "thousands without a comma"),
    ("--num_total_iterations ten", "expected a whole number"),
    ("--seed True", "--seed True: expected a whole number"),
    ("--val_size some", "--val_size some: expected a whole number or auto"),
    ("--val_size 0.1", "--val_size 0.1: expected a whole number or auto"),
    # a value out of range
    ("--lr 0", "--lr 0.0: it must be above 0"),
    ("--batch_size 1e19", "--batch_size 10000000000000000000: it must be at most 2147483647"),
    ("--num_total_iterations 1e300", "it must be at most 2147483647"),
    ("--max_minutes 1e9", "it must be above 0 and at most 43200"),
    ("--num_total_epochs 1e300", "it must be above 0 and at most"),
    ("--gamma 2", "--gamma 2.0: it must be above 0 and at most 1"),
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
    ("--dataset emist", "--dataset emist: expected one of emnist, mnist"),
    ("--dataset MNIST", "did you mean mnist?"),
    ("--dataset fashion-mnist", "did you mean fashion_mnist?"),
    ("--emnist_split byletter", "expected one of byclass, bymerge, balanced, letters"),
    ("--emnist_split letter", "did you mean letters?"),
    ("--arch resnet50", "--arch resnet50: expected one of resnet4stage"),
    ("--arch resnet-18", "did you mean resnet18?"),
    ("--optimizer lion", "--optimizer lion: expected one of adamw, adam, sgd"),
    ("--schedule poly", "--schedule poly: expected one of linear, constant, step"),
    ("--loss mse", "--loss mse: expected one of cross_entropy, nll"),
    ("--betas 0.9", "--betas 0.9: expected two numbers with a comma between"),
    ("--betas 0.9,x", "--betas 0.9,x: expected two numbers"),
    ("--betas 0.9,1.5", "--betas 1.5: it must be from 0 to 1"),
    ("--label_smoothing 2", "it must be from 0 to 1"),
    ("--nesterov maybe", "--nesterov maybe: expected yes or no"),
    ("--device gpu", "--device gpu: expected one of auto, cpu, cuda, mps"),
    ("--precision fp8", "--precision fp8: expected one of auto, fp32, bf16, fp16"),
    ("--augment", "--augment needs a value"),
    ("--augment yes", "--augment yes: expected one of none, affine"),
    ("--no-augment", "--augment expects one of none, affine; it has no --no- form"),
    ("--nolr", "--lr expects a number; it has no --no- form"),
    ("--arch timm:", "--arch timm:: expected one of resnet4stage"),
    ("--preset speed", "--preset speed: expected one of default, pytorch-example"),
    ("--preset speedrum", "did you mean speedrun?"),
    ("--config", "--config needs a value: text"),
    ("--config gone.yaml", "cannot read the config gone.yaml: No such file"),
    ("--num_total_epochs 0", "--num_total_epochs 0.0: it must be above 0"),
    ("--num_total_epochs 1 --num_total_iterations 9", "set the same thing: give one of them"),
    ("--grad_accum_steps 0", "it must be at least 1"),
    ("--ema_decay 1.5", "it must be from 0 to 1"),
    ("--patience 0", "it must be at least 1"),
    ("--min_delta -0.1", "it must be from 0 to 1"),
    ("--train_subset 0", "it must be at least 1"),
    ("--test_subset 0.5", "expected a whole number"),
    ("--dry_run perhaps", "--dry_run perhaps: expected yes or no"),
    ("--plots 2", "--plots 2: expected yes or no"),
    ("--compile fast", "--compile fast: expected yes or no or reduce-overhead"),
    ("--data_on gpu", "--data_on gpu: expected one of auto, host, device"),
]


# A name that fits by its characters, but not by its bytes.
LONG_NAME = "ä" * 91


@pytest.fixture
def without_torch(tmp_path_factory):
    """A folder that makes every import of torch fail."""
    folder = tmp_path_factory.mktemp("poison")
    (folder / "torch.py").write_text("raise SystemExit('torch was imported')")
    return str(folder)


@pytest.fixture
def refuse(capsys, tmp_path, monkeypatch):
    """Run the program with these words, in this process; returns the line of its refusal."""

    def run_refused(*words):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ending:
            cli.run(main, words)
        assert ending.value.code == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err.startswith("error: ")
        assert shown.err.count("\n") == 1
        assert list(tmp_path.iterdir()) == []
        return shown.err

    return run_refused


@pytest.mark.parametrize(("words", "message"), REFUSED, ids=[words for words, _ in REFUSED])
def test_wrong_use_is_refused_in_one_line_before_any_work(refuse, words, message):
    assert message in refuse(*words.split(" "))


@pytest.mark.parametrize("flag", ["--run_id", "--model_name"])
def test_a_name_too_long_for_the_files_of_a_run_is_refused(refuse, flag):
    assert "the name has 182 bytes, at most 180 are allowed" in refuse(flag, LONG_NAME)


@pytest.mark.parametrize("words", ["--lrr 0.5", "--batch_size 1e19", "--config gone.yaml"])
def test_the_real_program_refuses_before_it_imports_torch(tmp_path, without_torch, words):
    done = run_program(*words.split(), cwd=tmp_path, PYTHONPATH=without_torch)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", ["--help", "-h", "--lr 3 --help", "--help --lrr", "--run_id --help", "-- --help"]
)
def test_help_anywhere_shows_every_flag_with_its_default(capsys, words):
    with pytest.raises(SystemExit) as ending:
        cli.run(main, words.split())
    assert ending.value.code == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    for name, parameter in inspect.signature(main).parameters.items():
        assert f"--{name} " in shown.out
        if parameter.default is not None:
            assert f"(default: {parameter.default})" in shown.out
    assert "byclass, bymerge, balanced, letters, digits, mnist" in shown.out
    assert shown.out.isascii()


def test_the_real_program_shows_its_help_before_any_work(tmp_path, without_torch):
    done = run_program("--lr", "3", "--help", cwd=tmp_path, PYTHONPATH=without_torch)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--emnist_split " in done.stdout
    assert list(tmp_path.iterdir()) == []
