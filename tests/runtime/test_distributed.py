"""Two processes that train one network, as torchrun starts them."""

import csv
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers import ROOT, random_part, run_program, write_part
from tests.test_run import results_of
from tinkering.runtime.distributed import Group

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
TORCHRUN += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0"]
# The last batch of an epoch is a single image, so one of two processes has none.
RUN = ["--dataset", "mnist", "--data_dir_root", "data", "--train_subset", "241", "--val_size", "33"]
RUN += ["--precision", "fp32", "--augment", "affine", "--num_total_iterations", "40"]
RUN += ["--eval_interval_iters", "10", "--log_interval_iters", "1", "--run_id", "run"]
RUN += ["--plots", "no", "--arch", "mlp"]


def torchrun(*words, cwd):
    """The program in two processes."""
    command = [*TORCHRUN, str(ROOT / "run_gradient_based.py"), *words]
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    shown, errors = process.communicate(timeout=120)
    return process.returncode, shown, errors


def numbers_of(folder):
    """The rows of a run's metrics but for the times, as numbers."""
    with Path(folder, "run", "metrics.csv").open(newline="") as file:
        rows = [[cell or "nan" for cell in row[:7]] for row in list(csv.reader(file))[1:]]
    return torch.tensor([[float(cell) for cell in row] for row in rows])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With MNIST's files, and one run of a process in `one`."""
    folder = tmp_path_factory.mktemp("processes")
    raw = folder / "data" / "MNIST" / "raw"
    write_part(raw, "train", *random_part(300, 10))
    write_part(raw, "t10k", *random_part(71, 10, seed=1))
    one = ["--batch_size", "16", "--save_path", "one"]
    assert run_program(*RUN, *one, cwd=folder).returncode == 0
    return folder


def test_two_processes_of_half_the_batch_follow_one_step_for_step(folder):
    words = [*RUN, "--batch_size", "8", "--save_path", "two"]
    code, shown, errors = finish(torchrun(*words, cwd=folder))
    assert code == 0, errors
    assert "40 of 16 images (2 processes x 8)" in shown
    assert shown.count("test accuracy") == 1  # one process tells
    assert len(list((folder / "two" / "run").glob("run_*.log"))) == 1
    found, expected = numbers_of(folder / "two"), numbers_of(folder / "one")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True)
    one, two = (results_of_run(folder / name) for name in ("one", "two"))
    assert two["test_accuracy"] == one["test_accuracy"]  # summed exactly
    assert two["test_loss"] == pytest.approx(one["test_loss"], rel=1e-4)


def results_of_run(save_path):
    link = save_path / "saved_models"
    if not link.exists():
        link.symlink_to(save_path)
    return results_of(save_path, "run")


def test_a_signal_to_one_stops_all_and_one_process_goes_on(folder):
    long = {"--num_total_iterations": "3000", "--eval_interval_iters": "1000"}
    long |= {"--log_interval_iters": "50", "--save_path": "stopped"}
    flags = dict(zip(RUN[::2], RUN[1::2], strict=True)) | long
    words = [word for pair in flags.items() for word in pair]
    process = torchrun(*words, "--batch_size", "8", cwd=folder)
    for line in process.stdout:
        if "step    100" in line:
            break
    os.kill(pid_of_rank(1, process.pid), signal.SIGTERM)
    code, shown, _ = finish(process)
    assert code != 0, shown
    told = re.search(r"stopped by SIGTERM after step ([\d,]+); saved", shown)
    step = int(told[1].replace(",", ""))
    assert 100 <= step < 3000
    done = run_program(*words, "--batch_size", "16", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"going on with the run run at step {step:,}" in done.stdout
    rows = numbers_of(folder / "stopped")
    steps = rows[rows[:, 3].isfinite(), 0]  # of the lines of training
    assert steps.tolist() == list(range(50, 3001, 50))


def pid_of_rank(rank, parent):
    """Of the process with this rank, among the children of torchrun."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ranks = {}
    for child in children:
        environment = Path(f"/proc/{child}/environ").read_bytes().decode().split("\0")
        ranks |= {line: int(child) for line in environment if line.startswith("RANK=")}
    return ranks[f"RANK={rank}"]


def test_other_images_a_step_are_refused_in_one_line(folder):
    code, _, errors = finish(torchrun(*RUN, "--batch_size", "16", "--save_path", "one", cwd=folder))
    assert code != 0
    assert "error: the run run draws 16 images a step, this start would draw 32" in errors
    assert "process 1: error: the run run draws 16" in errors


SCRIPT = """
import atexit
import os
from pathlib import Path
import torch
from tests.test_train import samples, train, training
from tinkering.errors import NonFiniteLossError
from tinkering.runtime.distributed import join_group


def say(text):
    os.write(1, f"{group.rank} {text}\\n".encode())  # in one piece, beside the other's


def names_of_threads():
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


atexit.register(lambda: say(f"leaves {[n for n in names_of_threads() if 'gloo' in n]}"))
group = join_group()
assert not Path("/proc").exists() or [n for n in names_of_threads() if "gloo" in n]

data = samples(8 * (group.rank + 1)).tensors  # the second has twice as many
batches = [tuple(part.split(4 * (group.rank + 1)) for part in data)]
batches = list(zip(*batches[0]))
if group.rank == 1:
    batches[1][0][3] = float("nan")
model, optimizer, criterion = training()
before = [p.clone() for p in model.parameters()]
try:
    train(model, optimizer, criterion, batches, 2, group=group)
except NonFiniteLossError as error:
    say(f"stopped at {error.step}")
_, _, step = train(model, optimizer, criterion, batches, 2, 2, group=group, on_nonfinite="skip")
weights = torch.cat([p.detach().flatten() for p in model.parameters()])
buffers = torch.cat([b.flatten() for b in model.buffers() if b.is_floating_point()])
both = torch.cat([weights, buffers]).nan_to_num(7.0)
means = both.clone()
group.all_reduce_mean([means], 0.5)
say(f"same {torch.equal(means, both)} at {step}")
try:
    group.broadcast_from_rank0(lambda: 1 / 0)
except ZeroDivisionError:
    say(f"told {group.broadcast_from_rank0(lambda: 'so')} {group.all_reduce_max(group.rank)}")
"""


def test_a_loss_that_is_not_finite_in_one_stops_both_and_both_end_well(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [*TORCHRUN, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        line
        for rank in (0, 1)
        for line in (
            f"{rank} leaves []",
            f"{rank} same True at 4",
            f"{rank} stopped at 2",
            f"{rank} told so 1",
        )
    ]


@pytest.mark.parametrize(("num_samples", "size"), [(16, 2), (17, 2), (1, 3), (100, 7), (0, 2)])
def test_samples_are_shared_without_overlap_and_without_padding(num_samples, size):
    shares = [range(num_samples)[Group(rank, size).shard(num_samples)] for rank in range(size)]
    assert [index for share in shares for index in share] == list(range(num_samples))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
