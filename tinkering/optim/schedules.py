"""Learning-rate schedules by name."""

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from tinkering.errors import InputError


def make_scheduler(
    name: str,
    optimizer: Optimizer,
    num_steps: int,
    *,
    final_lr_factor: float = 0.0,
    step_size: int = 1000,
    gamma: float = 0.1,
    warmup: int = 0,
    eval_interval: int = 1,
) -> LambdaLR:
    """A learning rate that is a function of the step alone, so that resuming needs nothing; only
    plateau looks at the validation loss, and its state is the scheduler's.

    In the warm-up it rises in a straight line to the optimizer's lr; the schedule has the steps
    after that.

    Args:
        name: linear: a straight line from lr to lr * final_lr_factor at the last step; constant;
            step: times gamma every step_size steps; cosine: half a wave from lr to lr *
            final_lr_factor; onecycle: up from lr / 25 in the first 0.3 of the steps, then down
            to nothing (Smith and Topin 2017, arXiv 1708.07120; the shape is torch's OneCycleLR);
            plateau: a Plateau, which drops after step_size steps without a better loss.
        optimizer: its current lr is the one that factors are of.
        num_steps: optimizer steps of the whole run; the last one is step num_steps - 1.
        warmup: steps of the warm-up.
        eval_interval: steps from validation to validation, for plateau.

    Raises:
        InputError: the warm-up leaves no step.
    """
    if warmup >= num_steps:
        raise InputError(f"a warm-up of {warmup:,} steps leaves none of {num_steps:,}")
    if name == "plateau":
        return LambdaLR(optimizer, Plateau(gamma, -(-step_size // eval_interval) - 1, warmup))
    last = max(1, num_steps - warmup - 1)
    shapes: dict[str, Callable[[int], float]] = {
        "linear": lambda step: 1 - (1 - final_lr_factor) * step / last,
        "constant": lambda step: 1.0,
        "step": lambda step: gamma ** (step // step_size),
        "cosine": lambda step: _cosine(1, final_lr_factor, step / last),
        "onecycle": lambda step: _onecycle(step, last),
    }
    shape = shapes[name]

    def factor(step: int) -> float:
        if step < warmup:
            return _rise(step, warmup)
        # LambdaLR asks once more after the last step, hence the min.
        return shape(min(step - warmup, last))

    return LambdaLR(optimizer, factor)


class Plateau:
    """The factor of a learning rate that drops when the validation loss no longer falls.

    The rule is that of torch's ReduceLROnPlateau: after more than `patience` validations in a row
    whose loss is not below 0.9999 times the best, the factor is multiplied by gamma. LambdaLR
    keeps the attributes of this object in its state.
    """

    def __init__(self, gamma: float, patience: int, warmup: int = 0):
        self.gamma, self.patience, self.warmup = gamma, patience, warmup
        self.factor = 1.0
        self.best_loss = math.inf
        self.num_bad = 0  # validations in a row

    def __call__(self, step: int) -> float:
        return self.factor * min(1.0, _rise(step, self.warmup))

    def step(self, val_loss: float) -> None:
        """Takes note of one validation."""
        if val_loss < self.best_loss * (1 - 1e-4):
            self.best_loss, self.num_bad = val_loss, 0
            return
        self.num_bad += 1
        if self.num_bad > self.patience:
            self.factor *= self.gamma
            self.num_bad = 0


def step_with_validation(scheduler: LambdaLR, val_loss: float) -> None:
    """Lets a plateau schedule take note of a validation; the next step has its learning rate."""
    plateau = scheduler.lr_lambdas[0]
    if isinstance(plateau, Plateau):
        plateau.step(val_loss)
        for group, base_lr in zip(
            scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True
        ):
            group["lr"] = base_lr * plateau(scheduler.last_epoch)


def _rise(step: int, warmup: int) -> float:
    return (step + 1) / (warmup + 1)


def _cosine(start: float, end: float, part: float) -> float:
    """From start to end on half a wave; part of the way gone, 0..1."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _onecycle(step: int, last: int) -> float:
    start, end = 1 / 25, 1 / 25 / 1e4
    peak = 0.3 * (last + 1) - 1
    if step <= peak:
        return _cosine(start, 1, step / peak)
    return _cosine(1, end, (step - peak) / (last - peak))
