"""All of a run's state that is needed to continue it exactly, in two generations on disk."""

import dataclasses
import os
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from tinkering.errors import DataError, InputError, NonFiniteLossError
from tinkering.runs import checkpoint
from tinkering.train import Meter, is_due

FORMAT = "state 3"  # count it up when the keys of the state file change
FROM_SCRATCH = "to move it aside and train from scratch, use --resume never"


@dataclass
class LoopState:
    """State of the training loop: everything that is not in the network or the optimizer."""

    flags: dict  # of the command line; precision, run_id and model_name as they were chosen
    step: int = 0
    validated_step: int = 0  # 0: not yet
    best_step: int = 0
    best_accuracy: float = -1.0
    best: dict = field(default_factory=dict)  # the content of the model file
    metrics: list[list] = field(default_factory=list)  # the rows of metrics.csv
    meter: Meter = field(default_factory=Meter)
    train_seconds: float = 0.0
    patience_accuracy: float = -1.0  # to be surpassed for patience to start again
    num_stale: int = 0  # validations since then
    samples_per_step: int = 0  # in all processes
    data_hash: str = ""
    code_hash: str = ""

    def record_validation(self, accuracy: float, min_delta: float = 0.0) -> bool:
        """Note a validation of this step; return whether it is the best so far.

        Args:
            accuracy: 0..1; nan is never the best.
            min_delta: improvement of the accuracy that patience asks for.
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
        """Return whether this step has a validation that is not done yet."""
        return is_due(self.step, interval, num_steps) and self.validated_step < self.step

    def is_finished(self, num_steps: int, patience: int | None) -> bool:
        """Return whether the last step is validated or patience is exhausted (None: never)."""
        is_stale = patience is not None and self.num_stale >= patience
        return is_stale or self.validated_step == num_steps


@dataclass
class TrainState:
    """The objects that an optimizer step changes."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LambdaLR
    scaler: torch.amp.GradScaler
    ema: AveragedModel | None = None

    @property
    def eval_model(self) -> nn.Module:
        """The network that is validated, tested and kept: the mean of the weights if there is."""
        return self.ema.module if self.ema else self.model


class LoadedState(NamedTuple):
    """A state read from disk."""

    content: dict[str, Any]
    warning: str  # about a corrupt newer one, else ""


class StateFile:
    """A state file and the generation before it.

    Reading takes the newest that is whole: every record of a file is checked against its CRC-32.

    Args:
        path: of the newest generation.
        previous: of the one before.
    """

    def __init__(self, path: Path, previous: Path):
        self.path, self.previous = path, previous

    def exists(self) -> bool:
        return os.path.lexists(self.path) or os.path.lexists(self.previous)

    def save(self, loop: LoopState, train_state: TrainState) -> None:
        """Write a new generation, whole or not at all, and keep the one before.

        Raises:
            WriteError: it cannot be written; both generations stay as they are.
            NonFiniteLossError: a weight is not finite, so the last good state stays.
        """
        content = content_of(loop, train_state)
        if not all(tensor.isfinite().all() for tensor in content["model"].values()):
            lr = train_state.optimizer.param_groups[0]["lr"]
            raise NonFiniteLossError(loop.step, lr, float("nan"))
        checkpoint.save(self.path, content, keep=self.previous)

    def load(self) -> LoadedState:
        """Read the newest generation that is whole.

        A corrupt newest one is renamed, so that it never replaces a whole one.

        Raises:
            DataError: there is none that is whole, or one cannot be read at the moment.
        """
        try:
            return LoadedState(checkpoint.load(self.path, FORMAT), "")
        except InputError as error:
            fault = error
        if not self.previous.exists():
            raise DataError(f"{fault}; {FROM_SCRATCH}") from fault
        try:
            content = checkpoint.load(self.previous, FORMAT)
        except InputError as error:
            raise DataError(f"{fault}; {error}; {FROM_SCRATCH}") from error
        if os.path.lexists(self.path):  # a link to nowhere, too
            self.path.replace(self.path.with_suffix(".damaged"))
        return LoadedState(content, f"{fault}; continuing from the one before it, {self.previous}")


def content_of(loop: LoopState, train_state: TrainState) -> dict[str, Any]:
    """Collect what a state file holds: tensors and plain types."""
    return {
        "format": FORMAT,
        "loop": dataclasses.asdict(loop),
        "model": checkpoint.plain_state_dict(train_state.model),
        "ema": train_state.ema.state_dict() if train_state.ema else {},
        "optimizer": train_state.optimizer.state_dict(),
        "scheduler": train_state.scheduler.state_dict(),
        "scaler": train_state.scaler.state_dict(),
        "random": _random_states(),
    }


def restore(content: dict[str, Any], train_state: TrainState) -> LoopState:
    """Put a loaded state into network, optimizer and random generators.

    Raises:
        DataError: the state does not fit the network, or lacks a part.
    """
    try:
        return _restore(content, train_state)
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        reason = textwrap.shorten(str(error), 200)
        raise DataError(
            f"the saved state does not fit this program's network and optimizer ({reason}): the "
            f"code has changed since, or the file was edited; {FROM_SCRATCH}"
        ) from error


def _restore(content: dict[str, Any], train_state: TrainState) -> LoopState:
    train_state.model.load_state_dict(content["model"])
    train_state.optimizer.load_state_dict(content["optimizer"])
    train_state.scheduler.load_state_dict(content["scheduler"])
    train_state.scaler.load_state_dict(content["scaler"])
    if train_state.ema:
        train_state.ema.load_state_dict(content["ema"])
    # The learning rate is a function of the step, and of a number of steps that may have grown.
    for group, base_lr, factor in zip(
        train_state.optimizer.param_groups,
        train_state.scheduler.base_lrs,
        train_state.scheduler.lr_lambdas,
        strict=True,
    ):
        group["lr"] = base_lr * factor(train_state.scheduler.last_epoch)
    _set_random_states(content["random"])
    loop = content["loop"]
    return LoopState(**{**loop, "meter": Meter(**loop["meter"])})


def _random_states() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_random_states(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["cpu"])
    num_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for device, state in enumerate(states["cuda"][:num_devices]):
        torch.cuda.set_rng_state(state, device)
