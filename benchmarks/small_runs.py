"""The small training run that is killed over and over, and what is asked of its files."""

import csv
import json
from pathlib import Path

import torch

from tinkering.commands.verify_resume import first_difference, load_state
from tinkering.data.idx import save_idx
from tinkering.errors import DataError, InputError
from tinkering.runs import checkpoint, state
from tinkering.runs.layout import RunFiles
from tinkering.runs.metrics import COLUMNS

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
    """One run, over as many starts as it takes.

    Args:
        save_path: folder of the run's files, possibly with other runs.
        data: where write_mnist has put the images.
        num_steps: optimizer steps in all.
        run_id, seed: of the run.
    """

    def __init__(
        self, save_path: Path, data: Path, num_steps: int, run_id: str = "run", seed: int = 0
    ):
        self.data, self.num_steps = data, num_steps
        self.files = RunFiles(save_path, run_id, f"{run_id}.pt")
        flags = {**FLAGS, "num_total_iterations": num_steps, "data_dir_root": data}
        flags |= {"save_path": save_path, "run_id": run_id, "seed": seed}
        self.words = [f"--{name}={value}" for name, value in flags.items()]
        self._seen: set[Path] = set()
        self._step = 0  # the furthest that was found on the disk

    def another(self, save_path: Path, run_id: str = "run", seed: int = 0) -> "SmallRun":
        """A run on the same data, for as many steps."""
        return SmallRun(save_path, self.data, self.num_steps, run_id, seed)

    @property
    def states(self) -> list[Path]:
        """Its state files that exist."""
        return [p for p in (self.files.state, self.files.previous_state) if p.exists()]

    def check(self) -> str:
        """What is wrong with the files as a stop has left them, or "".

        All that exists must be whole, what existed once must exist still, and no saved step may
        be lost.
        """
        files = self.files
        found = {path for path in (files.model, files.metrics, files.results) if path.exists()}
        if self.states:
            found.add(files.state)
        if gone := self._seen - found:
            return f"gone: {', '.join(map(str, gone))}"
        self._seen = found
        try:
            if files.model.exists():
                checkpoint.load(files.model)
            saved = [checkpoint.load(path, state.FORMAT) for path in self.states]
        except (InputError, DataError) as error:
            return str(error)
        steps = [content["loop"]["step"] for content in saved]
        if max(steps, default=0) < self._step:
            return f"step {self._step} was saved, and the files are at {steps}"
        self._step = max(steps, default=0)
        return self._check_figures()

    def _check_figures(self) -> str:
        metrics, results = self.files.metrics, self.files.results
        if metrics.exists():
            with metrics.open(newline="") as file:
                rows = list(csv.reader(file))
            if any(len(row) != len(COLUMNS) for row in rows):
                return f"{metrics} has a row that is cut off"
        if results.exists():
            json.loads(results.read_text())
        return ""

    def difference(self, reference: "SmallRun") -> str:
        """What differs first between this run and one that was never killed, or ""."""
        if found := first_difference(reference.files, self.files):
            return found
        best = load_state(reference.files)["loop"]["best"]["model"]
        weights = checkpoint.load(self.files.model)["model"]
        if best.keys() != weights.keys() or not all(
            map(torch.equal, best.values(), weights.values())
        ):
            return str(self.files.model)
        ours, theirs = (json.loads(run.files.results.read_text()) for run in (self, reference))
        return next((name for name in FIGURES if ours[name] != theirs[name]), "")
