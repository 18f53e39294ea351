"""What tests share: small data sets in the real format, small runs, and the program itself."""

import contextlib
import gzip
import inspect
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from run_gradient_based import main
from tinkering.cli.run import run as run_cli
from tinkering.data.downloads import Download
from tinkering.data.idx import load_idx
from tinkering.data.loader import ImageDataset, make_loaders
from tinkering.optim.optimizers import make_ema, make_optimizer
from tinkering.optim.schedules import make_scheduler
from tinkering.runs.layout import RunFiles, run_names
from tinkering.runs.run import Run
from tinkering.runs.state import TrainState
from tinkering.train import run_train_iterations

ROOT = Path(__file__).parent.parent
METRICS_HEADER = (
    "step,epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,images_per_second,seconds"
)
REAL_DATA = ROOT.parent / "shared" / "data"  # beside some checkouts
CLOSED = "http://127.0.0.1:9"  # nobody listens on the discard port: every download fails at once
OFFLINE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), CLOSED)

# Flags of whole runs: on the data of the fixture mnist_dir; of a fraction of a second; and long
# enough to be stopped at every kind of moment.
MNIST = ("--dataset", "mnist", "--data_dir_root", "data", "--no-plots")
QUICK = ("--width", "2", "--num_total_iterations", "20", "--eval_interval_iters", "10")
QUICK += ("--log_interval_iters", "5", "--batch_size", "16")
MNIST_RUN_ID = "mnist-resnet4stage-w2"  # of MNIST with QUICK

EMNIST_NUM_CLASSES = {
    **{"byclass": 62, "bymerge": 47, "balanced": 47},
    **{"letters": 26, "digits": 10, "mnist": 10},
}
IDX_NAME = "train-images-idx3-ubyte"
IDX_ELEMENTS = np.arange(2 * 3 * 4).reshape(2, 3, 4)


def idx_bytes(elements: np.ndarray) -> bytes:
    """A uint8 array as an IDX file, by the format's description and not by our own writer."""
    header = struct.pack(">HBB", 0, 8, elements.ndim) + struct.pack(
        f">{elements.ndim}I", *elements.shape
    )
    return header + elements.astype(np.uint8).tobytes()


def write_part(folder: Path, prefix: str, images: np.ndarray, labels: np.ndarray, packed=True):
    """The two files of one part of a data set, as .gz or plain."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, elements in (("images-idx3", images), ("labels-idx1", labels)):
        content = idx_bytes(elements)
        if packed:
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / f"{prefix}-{kind}-ubyte").write_bytes(content)


def counted_images(num_images: int = 50, **kwargs: object):
    """A data set of 6x6 images whose labels count from 0."""
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (num_images, 6, 6), dtype=np.uint8))
    return ImageDataset(images, torch.arange(num_images), mean=0.25, std=0.5, **kwargs)


def random_part(num_images: int, num_classes: int, seed: int = 0, first_label: int = 0):
    """Images whose class can be learned, by their upright stripes, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(num_images) % num_classes
    images = rng.integers(0, 60, (num_images, 28, 28))
    for image, label in zip(images, labels, strict=True):
        image[:, label % 28 :: label % 5 + 2] = 250
    return images, labels + first_label


def write_metrics(folder: Path, *rows: str, header: str = METRICS_HEADER) -> Path:
    """A folder of a run with these rows in its metrics.csv; returns the folder."""
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("\n".join([header, *rows, ""]))
    return folder


def write_emnist(folder: Path, split: str, num_train=140, num_test=130, packed=True):
    """A split as NIST's files have it: lying on its side, letters counted from 1."""
    first = 1 if split == "letters" else 0
    for part, num_images, seed in (("train", num_train, 0), ("test", num_test, 1)):
        images, labels = random_part(num_images, EMNIST_NUM_CLASSES[split], seed, first)
        prefix = f"emnist-{split}-{part}"
        write_part(folder, prefix, images.transpose(0, 2, 1), labels, packed)


def zip_files(path: Path, members: Mapping[str | zipfile.ZipInfo, bytes], method=0) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def load_idx_from(
    folder: Path, filename=f"{IDX_NAME}.gz", addresses: Mapping[str, str] | None = None
) -> torch.Tensor:
    """load_idx of IDX_NAME; without addresses the download of `filename` fails."""
    addresses = addresses or {f"{CLOSED}/{filename}": "md5:0"}
    return load_idx(IDX_NAME, [folder], Download(filename, addresses))


def make_flags(**changes: object) -> dict:
    """The program's flags with their defaults, apart from these, as a start resolves them."""
    flags = {name: p.default for name, p in inspect.signature(main).parameters.items()}
    flags |= {"dataset": "mnist", "precision": "fp32", "plots": False, "num_total_iterations": 10}
    flags |= {"batch_size": 8, "run_id": "run", **changes}
    return flags | dict(zip(("run_id", "model_name"), run_names(flags), strict=True))


def make_train_state(num_steps: int = 10, seed: int = 0, schedule: str = "linear") -> TrainState:
    """A linear network for the images of counted_images, with its optimizer and its mean."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 50))
    optimizer = make_optimizer("adamw", model, lr=0.1)
    scheduler = make_scheduler(schedule, optimizer, num_steps, final_lr_factor=0.0, step_size=1)
    scaler = torch.amp.GradScaler(enabled=False)
    return TrainState(model, optimizer, scheduler, scaler, make_ema(model, 0.9))


def make_run(save_path: Path, **flags: object) -> Run:
    """A run on counted_images, 8 a step, whose folders are made."""
    all_flags = make_flags(**flags)
    images = counted_images()
    loaders = make_loaders(images, images, images, all_flags["batch_size"])
    files = RunFiles(save_path, all_flags["run_id"], all_flags["model_name"])
    files.prepare()
    num_steps = all_flags["num_total_iterations"]
    return Run(files, all_flags, make_train_state(num_steps), loaders, {}, ["a"] * 50)


def results_of(save_path: Path, run_id: str = MNIST_RUN_ID) -> dict:
    return json.loads((save_path / run_id / "results.json").read_text())


def run_main(*words: str, cwd: Path) -> subprocess.CompletedProcess:
    """The program with these words, in this process and in the folder cwd, without a network."""
    output, errors = io.StringIO(), io.StringIO()
    command = [sys.executable, str(ROOT / "run_gradient_based.py"), *words]
    with (
        mock.patch.object(sys, "orig_argv", command),
        mock.patch.object(sys, "excepthook", sys.excepthook),  # the program changes it
        mock.patch.dict(os.environ, OFFLINE),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            run_cli(main, words)
        except SystemExit as end:
            exit_code = end.code
    return subprocess.CompletedProcess(words, exit_code, output.getvalue(), errors.getvalue())


def start_program(*words: str, cwd: Path, **environment: str) -> subprocess.Popen:
    """`python run_gradient_based.py` with these words, in the folder cwd, without a network."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(ROOT / "run_gradient_based.py"), *words],
        cwd=cwd,
        env={**os.environ, **OFFLINE, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_program(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """start_program, to its end."""
    with start_program(*words, cwd=cwd, **environment) as process:
        output, errors = process.communicate(timeout=240)
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


class Network(torch.nn.Module):
    """Small, with a BatchNorm and a dropout, which behave differently in the two modes."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(9, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.Dropout(0.5),
            torch.nn.Linear(8, 3),
        )

    def forward(self, x):
        return self.layers(x)


def samples(num_samples):
    generator = torch.Generator().manual_seed(num_samples)
    images = torch.randn(num_samples, 1, 3, 3, generator=generator)
    return TensorDataset(images, torch.arange(num_samples) % 3)


def loader(num_samples, batch_size, **kwargs):
    return DataLoader(samples(num_samples), batch_size, **kwargs)


def training(lr=0.1):
    torch.manual_seed(7)
    model = Network()
    return model, torch.optim.SGD(model.parameters(), lr), torch.nn.CrossEntropyLoss()


def train(model, optimizer, criterion, batches, num_steps, step=0, **kwargs):
    return run_train_iterations(
        model, batches, optimizer, criterion, "cpu", num_steps, step, **kwargs
    )


class Recorder(Dataset):
    """Gives its index as the label, and writes down which indices were asked for."""

    def __init__(self, num_samples):
        self.num_samples, self.seen = num_samples, []

    def __len__(self):
        return self.num_samples

    def __getitem__(self, index):
        self.seen.append(index)
        return torch.zeros(1, 3, 3), index % 3
