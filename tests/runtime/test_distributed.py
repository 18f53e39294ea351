"""Two processes that train one network.

Once torchrun itself starts them; elsewhere they are forked, in the environment that torchrun
makes, from a process that has imported torch already.
"""

import csv
import json
import multiprocessing
import os
import pickle
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.distributed import TCPStore

from run_gradient_based import main
from tests.helpers import CLOSED, ROOT, random_part, samples, train, training, write_part
from tinkering.cli import process as cli_process
from tinkering.cli import run as cli
from tinkering.errors import DataError, InputError, NonFiniteLossError, WriteError
from tinkering.runtime.distributed import Group, join_group, launch_command

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch._dynamo", "torch.distributed.nn", "fire", "rich", "tqdm"])
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
TORCHRUN += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0"]
# The last batch of an epoch is a single image, so one of two processes has none.
RUN = ["--dataset", "mnist", "--data_dir_root", "data", "--train_subset", "241", "--val_size", "33"]
RUN += ["--precision", "fp32", "--augment", "affine", "--num_total_iterations", "40"]
RUN += ["--eval_interval_iters", "10", "--log_interval_iters", "1", "--run_id", "run"]
RUN += ["--plots", "no", "--arch", "mlp"]


class Forked:
    """function(*args) in so many processes, in a folder.

    Attributes:
        processes: in the order of their ranks.
    """

    def __init__(self, function, *args, folder, world_size=2):
        self.folder = folder
        # As torchrun's, the store outlives the processes.
        self.store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        self.processes = [
            FORKS.Process(
                target=run_rank, args=(rank, world_size, self.store.port, folder, function, args)
            )
            for rank in range(world_size)
        ]
        for process in self.processes:
            process.start()

    def shown(self, rank, stream="out"):
        path = self.folder / f"{rank}.{stream}"
        return path.read_text() if path.exists() else ""

    def wait(self):
        """Return their exit codes, and all that they wrote to stdout and to stderr."""
        for process in self.processes:
            process.join(timeout=120)
        codes = [process.exitcode for process in self.processes]
        ranks = range(len(codes))
        return codes, *("".join(self.shown(r, stream) for r in ranks) for stream in ("out", "err"))


def run_rank(rank, world_size, port, folder, function, args):
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world_size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= dict.fromkeys(("http_proxy", "https_proxy"), CLOSED)
    os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RUN_ID": "none"}
    os.environ |= {"GROUP_WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": str(world_size)}
    os.chdir(folder)
    for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
        os.dup2(os.open(f"{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    function(*args)


def program(*words):
    cli.run(main, words)


def numbers_of(folder):
    """The rows of a run's metrics but for the times, as numbers."""
    with Path(folder, "run", "metrics.csv").open(newline="") as file:
        rows = [[cell or "nan" for cell in row[:7]] for row in list(csv.reader(file))[1:]]
    return torch.tensor([[float(cell) for cell in row] for row in rows])


def results_of(folder):
    return json.loads((folder / "run" / "results.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with MNIST's files, and one run of a single process in `one`."""
    folder = tmp_path_factory.mktemp("processes")
    raw = folder / "data" / "MNIST" / "raw"
    write_part(raw, "train", *random_part(300, 10))
    write_part(raw, "t10k", *random_part(71, 10, seed=1))
    words = [*RUN, "--batch_size", "16", "--save_path", "one"]
    codes, _, errors = Forked(program, *words, folder=folder, world_size=1).wait()
    assert codes == [0], errors
    return folder


SCRIPT = """
import atexit, os, runpy, sys
from pathlib import Path
from tinkering.runtime.distributed import launch_command


def names_of_threads():
    return [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]


def say(text):
    os.write(1, f"{text}\\n".encode())  # in one piece, beside the other's


atexit.register(lambda: say(f"threads left: {[n for n in names_of_threads() if 'gloo' in n]}"))
say(f"launched by: {launch_command()}")
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def test_two_processes_of_half_the_batch_follow_one_step_for_step(folder):
    (folder / "script.py").write_text(SCRIPT)
    program = str(ROOT / "run_gradient_based.py")
    command = [*TORCHRUN, "script.py", program, *RUN, "--batch_size", "8", "--save_path", "two"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "40 of 16 images (2 processes x 8)" in done.stdout
    assert done.stdout.count("test accuracy") == 1  # one process prints
    assert done.stdout.count(f"launched by: {shlex.join(command)}\n") == 2
    assert done.stdout.count("threads left: []\n") == 2  # otherwise some exits abort
    assert len(list((folder / "two" / "run").glob("run_*.log"))) == 1
    found, expected = numbers_of(folder / "two"), numbers_of(folder / "one")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True)
    one, two = (results_of(folder / name) for name in ("one", "two"))
    assert two["test_accuracy"] == one["test_accuracy"]  # summed exactly
    assert two["test_loss"] == pytest.approx(one["test_loss"], rel=1e-4)


def test_a_signal_to_one_stops_all_and_one_process_goes_on(folder):
    flags = dict(zip(RUN[::2], RUN[1::2], strict=True))
    flags |= {"--num_total_iterations": "600", "--eval_interval_iters": "200"}
    flags |= {"--log_interval_iters": "50", "--save_path": "stopped"}
    words = [word for pair in flags.items() for word in pair]
    two = Forked(program, *words, "--batch_size", "8", folder=folder)
    while "step    100" not in two.shown(0) and two.processes[0].is_alive():
        time.sleep(0.01)
    os.kill(two.processes[1].pid, signal.SIGTERM)
    codes, shown, errors = two.wait()
    assert codes == [143, 143], errors
    match = re.search(r"stopped by SIGTERM after step ([\d,]+); saved", shown)
    step = int(match[1].replace(",", ""))
    assert 100 <= step < 600
    one = Forked(program, *words, "--batch_size", "16", folder=folder, world_size=1)
    codes, shown, errors = one.wait()
    assert codes == [0], errors
    assert f"at step {step:,}" in shown
    rows = numbers_of(folder / "stopped")
    steps = rows[rows[:, 3].isfinite(), 0]  # of the lines of training
    assert steps.tolist() == list(range(50, 601, 50))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--save_path", "one"], 2, "error: the run run .*draws 16 images a step.* would draw 32"),
        (["--data_dir_root", "none"], 3, "error: train-images-idx3-ubyte.gz"),
        (["--lr", "much"], 2, "error: --lr"),
    ],
)
def test_what_ends_a_run_is_reported_once_and_all_have_its_exit_code(folder, words, code, message):
    flags = dict(zip(RUN[::2], RUN[1::2], strict=True))
    flags |= {"--batch_size": "16", "--save_path": "new"}
    flags |= dict(zip(words[::2], words[1::2], strict=True))
    words = [word for pair in flags.items() for word in pair]
    codes, _, errors = Forked(program, *words, folder=folder).wait()
    assert codes == [code, code], errors
    assert re.match(message, errors.splitlines()[-1])
    assert errors.count("error: ") == 1


def fail_in(rank, error):
    def work():
        group = join_group()
        if group.rank == rank:
            raise error
        group.all_reduce_max(0)

    cli_process.run(work)


def test_what_a_process_other_than_rank_0_meets_is_reported_with_its_rank(tmp_path):
    forked = Forked(fail_in, 1, DataError("nothing on this machine"), folder=tmp_path)
    codes, _, errors = forked.wait()
    assert codes == [3, 3]
    assert errors == "process 1: error: nothing on this machine\n"


def test_a_bug_shows_its_traceback_once(tmp_path):
    codes, _, errors = Forked(fail_in, 0, KeyError("oops"), folder=tmp_path).wait()
    assert codes == [1, 1]
    assert errors.count("KeyError") == 1


@pytest.mark.parametrize(
    "error",
    [
        WriteError("folder/file", OSError(28, "No space left on device")),
        NonFiniteLossError(3, 0.1, float("inf"), "from images 1, 2"),
    ],
)
def test_an_error_is_the_same_in_another_process(error):
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
    assert vars(copy) == vars(error)


def train_with_a_nan():
    """Train on shards of two sizes; the loss of the second step is not finite in rank 1 alone."""
    group = join_group()
    size = 4 * (group.rank + 1)
    images, labels = (part.split(size) for part in samples(2 * size).tensors)
    if group.rank == 1:
        images[1][3] = float("nan")
    batches = list(zip(images, labels, strict=True))
    model, optimizer, criterion = training()
    with pytest.raises(NonFiniteLossError, match="step 2"):
        train(model, optimizer, criterion, batches, 2, group=group)
    skip = {"group": group, "on_nonfinite": "skip"}
    _, _, step = train(model, optimizer, criterion, batches, 2, 2, **skip)
    assert step == 4
    tensors = [t for t in model.state_dict().values() if t.is_floating_point()]
    floats = [tensor.nan_to_num(7.0) for tensor in tensors]
    means = [tensor.clone() for tensor in floats]
    group.all_reduce_mean(means, 0.5)
    torch.testing.assert_close(means, floats, rtol=0, atol=0)


def test_a_loss_that_is_not_finite_in_one_stops_or_skips_in_both_which_stay_the_same(tmp_path):
    codes, _, errors = Forked(train_with_a_nan, folder=tmp_path).wait()
    assert codes == [0, 0], errors


def share():
    group = join_group()
    with pytest.raises(WriteError, match=r"cannot write file: full"):
        group.broadcast_from_rank0(fail_to_write)
    assert group.broadcast_from_rank0(lambda: group.rank) == 0
    assert group.all_reduce_max(group.rank) == 1


def fail_to_write():
    raise WriteError("file", OSError(28, "full"))


def test_what_rank_0_returns_or_raises_comes_to_all(tmp_path):
    codes, _, errors = Forked(share, folder=tmp_path).wait()
    assert codes == [0, 0], errors


def test_the_launch_command_is_the_one_that_was_used(monkeypatch, tmp_path):
    command = [sys.executable, "-W", "error", "run.py", "--tag", "a b"]
    monkeypatch.setattr(sys, "orig_argv", command)
    assert launch_command() == shlex.join(command)

    monkeypatch.setattr(
        sys, "orig_argv", ["python", "run.py", "--run_id", "x", "--model-name=y", "-z"]
    )
    assert launch_command(without=("run_id", "model_name")) == "python run.py -z"

    console_script = tmp_path / "tinkering"
    console_script.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, str(console_script), "train", "--x"])
    assert launch_command() == "tinkering train --x"


def test_where_torchruns_command_cannot_be_read_one_for_as_many_processes_is_given(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "GROUP_WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setattr(sys, "argv", ["no such program.py", "--x"])
    expected = "torchrun --nnodes=2 --nproc_per_node=2 'no such program.py' --x"
    assert launch_command() == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WORLD_SIZE", ""), ("WORLD_SIZE", "two"), ("RANK", None), ("MASTER_PORT", None)],
)
def test_an_incomplete_group_in_the_environment_is_refused(monkeypatch, variable, value):
    complete = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    complete |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, content in (complete | {variable: value}).items():
        if content is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, content)
    with pytest.raises(InputError, match=f"{variable}='{value or ''}'.*torchrun") as caught:
        join_group()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("num_samples", "size"), [(16, 2), (17, 2), (1, 3), (100, 7), (0, 2)])
def test_samples_are_sharded_without_overlap_and_without_padding(num_samples, size):
    shards = [range(num_samples)[Group(rank, size).shard(num_samples)] for rank in range(size)]
    assert [index for shard in shards for index in shard] == list(range(num_samples))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
