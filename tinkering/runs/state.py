"""What a run leaves on disk to go on from: all of its state, in two generations."""

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from tinkering.errors import DataError, InputError, NonFiniteLossError
from tinkering.runs import checkpoint
from tinkering.train import Meter, is_due

FORMAT = "state 2"  # of the state file, not the model file's; count it up when its keys change


@dataclass
class LoopState:
    """How far a run has come, and all of it that is not in the network or the optimizer."""

    flags: dict  # of the command line; precision as it was chosen
    step: int = 0
    validated_step: int = 0  # 0: not yet
    best_step: int = 0
    best_accuracy: float = -1.0
    best: dict = field(default_factory=dict)  # the content of the model file
    metrics: list[list] = field(default_factory=list)  # the rows of metrics.csv
    meter: Meter = field(default_factory=Meter)
    train_seconds: float = 0.0
    patience_accuracy: float = -1.0  # that has to be surpassed for patience to begin anew
    num_stale: int = 0  # validations since then
    num_in_step: int = 0  # images of an optimizer step, in all processes

    def validated(self, accuracy: float, min_delta: float = 0.0) -> bool:
        """Takes note of a validation of this step; returns whether it is the best so far.

        Args:
            accuracy: 0..1.
            min_delta: by how much an accuracy must be better to be one that patience waits for.
        """
        self.validated_step = self.step
        self.num_stale += 1
        if accuracy > self.patience_accuracy + min_delta:
            self.patience_accuracy, self.num_stale = accuracy, 0
        is_best = accuracy > self.best_accuracy
        if is_best:
            self.best_step, self.best_accuracy = self.step, accuracy
        return is_best

    def awaits_validation(self, interval: int, num_steps: int) -> bool:
        """Whether this step is one to validate at, and is not yet."""
        return is_due(self.step, interval, num_steps) and self.validated_step < self.step

    def is_finished(self, num_steps: int, patience: int | None) -> bool:
        """Whether the last step is validated, or patience is at an end; None: it has no end."""
        is_stale = patience is not None and self.num_stale >= patience
        return is_stale or self.validated_step == num_steps


@dataclass
class TrainState:
    """What an optimizer step changes."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LambdaLR
    scaler: torch.amp.GradScaler
    ema: AveragedModel | None = None

    @property
    def scored_model(self) -> nn.Module:
        """The network that is validated, tested and kept: the mean of the weights if there is."""
        return self.ema.module if self.ema else self.model


class LoadedState(NamedTuple):
    """A state read from the disk."""

    content: dict
    warning: str  # of a damaged newer one, else ""


class StateFile:
    """`<save_path>/checkpoint_<run_id>.pt` and, beside it, the one before.

    Reading takes the newest that is whole: every record of the file is checked against its
    CRC-32.

    Args:
        path: of the newer.
        may_write: else saving is left to another process.
    """

    def __init__(self, path: Path, may_write: bool = True):
        self.path, self.may_write = path, may_write
        self.previous = path.with_name(f"{path.stem}.previous{path.suffix}")
        self._newest: tuple[int, int] | None = None  # on the disk: step and validated_step

    def holds(self, progress: LoopState) -> bool:
        """Whether the newest generation, saved or loaded by this process, has come this far."""
        return self._newest == (progress.step, progress.validated_step)

    def exists(self) -> bool:
        return self.path.exists() or self.previous.exists()

    def save(self, progress: LoopState, learner: TrainState) -> None:
        """Writes a new generation, whole or not at all, and keeps the one before.

        Raises:
            WriteError: it cannot be written; both generations stay as they are.
            NonFiniteLossError: a weight is not finite, so the last good state stays.
        """
        content = content_of(progress, learner)
        if not all(tensor.isfinite().all() for tensor in content["model"].values()):
            lr = learner.optimizer.param_groups[0]["lr"]
            raise NonFiniteLossError(progress.step, lr, float("nan"))
        if self.may_write:
            checkpoint.save(self.path, content, keep=self.previous)
        self._newest = progress.step, progress.validated_step

    def load(self) -> LoadedState:
        """The newest generation that is whole.

        A damaged newest one is renamed, so that it never takes the place of a whole one.

        Raises:
            DataError: there is none that is whole.
        """
        found = self._load_newest_whole()
        progress = found.content["progress"]
        self._newest = progress["step"], progress["validated_step"]
        return found

    def _load_newest_whole(self) -> LoadedState:
        try:
            return LoadedState(checkpoint.load(self.path, FORMAT), "")
        except InputError as error:
            fault = error
        if not self.previous.exists():
            raise DataError(f"{fault}; --resume never moves it aside and starts anew") from fault
        try:
            content = checkpoint.load(self.previous, FORMAT)
        except InputError as error:
            raise DataError(
                f"{fault}; {error}; --resume never moves them aside and starts anew"
            ) from error
        if os.path.lexists(self.path):  # a link to nowhere, too
            self.path.replace(self.path.with_suffix(".damaged"))
        return LoadedState(content, f"{fault}; going on from the state before it, {self.previous}")


def content_of(progress: LoopState, learner: TrainState) -> dict:
    """What a state file holds: tensors and plain types."""
    return {
        "format": FORMAT,
        "progress": dataclasses.asdict(progress),
        "model": checkpoint.plain_state_dict(learner.model),
        "ema": learner.ema.state_dict() if learner.ema else {},
        "optimizer": learner.optimizer.state_dict(),
        "scheduler": learner.scheduler.state_dict(),
        "scaler": learner.scaler.state_dict(),
        "random": _random_states(),
    }


def restore(content: dict, learner: TrainState) -> LoopState:
    """Puts a loaded state into the network, the optimizer and the random generators."""
    learner.model.load_state_dict(content["model"])
    learner.optimizer.load_state_dict(content["optimizer"])
    learner.scheduler.load_state_dict(content["scheduler"])
    learner.scaler.load_state_dict(content["scaler"])
    if learner.ema:
        learner.ema.load_state_dict(content["ema"])
    # The learning rate is a function of the step, and of a number of steps that may have grown.
    for group, base_lr, factor in zip(
        learner.optimizer.param_groups,
        learner.scheduler.base_lrs,
        learner.scheduler.lr_lambdas,
        strict=True,
    ):
        group["lr"] = base_lr * factor(learner.scheduler.last_epoch)
    _set_random_states(content["random"])
    progress = content["progress"]
    return LoopState(**{**progress, "meter": Meter(**progress["meter"])})


def _random_states() -> dict:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_random_states(states: dict) -> None:
    torch.set_rng_state(states["cpu"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
