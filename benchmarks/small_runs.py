"""The small training run that is killed over and over, and what is asked of its files."""

import csv
import json
from pathlib import Path

import torch

from tinkering.commands.verify_resume import first_difference
from tinkering.data.idx import save_idx
from tinkering.errors import DataError, InputError
from tinkering.runs import checkpoint, state
from tinkering.runs.metrics import COLUMNS
from tinkering.runs.state import StateFile

FLAGS = {
    "dataset": "mnist",
    "augment": "affine",
    "val_size": 40,
    "width": 2,
    "batch_size": 16,
    "eval_interval_iters": 60,
    "log_interval_iters": 20,
    "checkpoint_interval_iters": 25,
    "lr": 1e-2,
    "precision": "fp32",
    "device": "cpu",
    "plots": False,
    "run_id": "run",
    "model_name": "model.pt",
}
FIGURES = ("test_accuracy", "test_loss", "best_val_accuracy", "best_step")


def write_mnist(data: Path) -> None:
    """MNIST's files with 300 and 70 images, whose class shows in their upright stripes."""
    generator = torch.Generator().manual_seed(0)
    for part, num_images in (("train", 300), ("t10k", 70)):
        labels = torch.arange(num_images) % 10
        images = torch.randint(0, 200, (num_images, 28, 28), generator=generator)
        for image, label in zip(images, labels.tolist(), strict=True):
            image[:, label :: label % 5 + 2] = 250
        raw = data / "MNIST" / "raw"
        save_idx(raw / f"{part}-images-idx3-ubyte", images.to(torch.uint8))
        save_idx(raw / f"{part}-labels-idx1-ubyte", labels.to(torch.uint8))


class SmallRun:
    """One run in a folder of its own, over as many starts as it takes.

    Args:
        folder: where its files go.
        data: where write_mnist has put the images.
        num_steps: optimizer steps in all.
    """

    def __init__(self, folder: Path, data: Path, num_steps: int):
        self.folder, self.data, self.num_steps = folder, data, num_steps
        flags = {**FLAGS, "num_total_iterations": num_steps}
        flags |= {"data_dir_root": data, "save_path": folder}
        self.words = [f"--{name}={value}" for name, value in flags.items()]
        self.model = folder / "model.pt"
        self.state = StateFile(folder / "checkpoint_run.pt")
        self.metrics = folder / "run" / "metrics.csv"
        self.results = folder / "run" / "results.json"
        self._seen: set[Path] = set()
        self._step = 0  # the furthest that was found on the disk

    def another(self, folder: Path) -> "SmallRun":
        """The same run in another folder."""
        return SmallRun(folder, self.data, self.num_steps)

    def check(self) -> str:
        """What is wrong with the files as a stop has left them, or "".

        All that is there must be whole, what was there once must be there still, and no saved
        step may be lost.
        """
        there = {path for path in (self.model, self.metrics, self.results) if path.exists()}
        if self.state.exists():
            there.add(self.state.path)
        if gone := self._seen - there:
            return f"gone: {', '.join(map(str, gone))}"
        self._seen = there
        try:
            if self.model.exists():
                checkpoint.load(self.model)
            generations = [p for p in (self.state.path, self.state.previous) if p.exists()]
            saved = [checkpoint.load(path, state.FORMAT) for path in generations]
        except (InputError, DataError) as error:
            return str(error)
        steps = [content["progress"]["step"] for content in saved]
        if max(steps, default=0) < self._step:
            return f"step {self._step} was saved, and the files are at {steps}"
        self._step = max(steps, default=0)
        return self._check_figures()

    def _check_figures(self) -> str:
        if self.metrics.exists():
            with self.metrics.open(newline="") as file:
                rows = list(csv.reader(file))
            if any(len(row) != len(COLUMNS) for row in rows):
                return f"{self.metrics} has a row that is cut off"
        if self.results.exists():
            json.loads(self.results.read_text())
        return ""

    def difference(self, reference: "SmallRun") -> str:
        """What differs first between this run and one that was never killed, or ""."""
        if found := first_difference(reference.folder, self.folder):
            return found
        best = reference.state.load().content["progress"]["best"]["model"]
        weights = checkpoint.load(self.model)["model"]
        if best.keys() != weights.keys() or not all(
            map(torch.equal, best.values(), weights.values())
        ):
            return str(self.model)
        ours, theirs = (json.loads(run.results.read_text()) for run in (self, reference))
        return next((name for name in FIGURES if ours[name] != theirs[name]), "")
