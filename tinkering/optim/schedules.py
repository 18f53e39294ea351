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
    final_lr_factor: float = 0.0,
    step_size: int = 1000,
    gamma: float = 0.1,
    warmup: int = 0,
) -> LambdaLR:
    """Make the learning-rate schedule of that name.

    The learning rate is a function of the step alone; plateau also depends on the validation
    losses, which are part of the scheduler's state. During the warm-up it rises linearly to the
    optimizer's lr; the schedule has the steps after.

    Args:
        name: linear: from lr to lr * final_lr_factor at the last step; constant; step: times
            gamma every step_size steps; cosine: half a wave from lr to lr * final_lr_factor;
            onecycle: up from lr / 25 in the first 0.3 of the steps, then down to almost 0 (Smith
            and Topin 2017, arXiv 1708.07120; the shape is torch's OneCycleLR); plateau: times
            gamma after step_size steps without a lower validation loss, see Plateau.
        optimizer: its current lr is the one that the factors apply to.
        num_steps: optimizer steps of the whole run.
        warmup: steps of the warm-up.

    Raises:
        InputError: the warm-up leaves no step.
    """
    if warmup >= num_steps:
        raise InputError(f"--warmup_iters {warmup} leaves none of the {num_steps:,} steps")
    if name == "plateau":
        return LambdaLR(optimizer, Plateau(gamma, step_size, warmup))
    last = max(1, num_steps - warmup - 1)
    shapes: dict[str, Callable[[int], float]] = {
        "linear": lambda step: 1 - (1 - final_lr_factor) * step / last,
        "constant": lambda step: 1.0,
        "step": lambda step: gamma ** (step // step_size),
        "cosine": lambda step: _cosine(1, final_lr_factor, step / last),
        "onecycle": lambda step: _onecycle(step, last),
    }

    def factor(step: int) -> float:
        if step < warmup:
            return _rise(step, warmup)
        # LambdaLR asks once more after the last step, hence the min.
        return shapes[name](min(step - warmup, last))

    return LambdaLR(optimizer, factor)


def depends_on_num_steps(name: str) -> bool:
    """Return whether the learning rates of a schedule change when a run gets more steps."""
    return name in ("linear", "cosine", "onecycle")


class Plateau:
    """The factor of a learning rate that drops when the validation loss stops falling.

    After step_size steps without a validation loss below 0.9999 times the best, the factor is
    multiplied by gamma: the rule of torch's ReduceLROnPlateau, counted in steps. LambdaLR keeps
    the attributes of this object in its state.
    """

    def __init__(self, gamma: float, step_size: int, warmup: int = 0):
        self.gamma, self.step_size, self.warmup = gamma, step_size, warmup
        self.factor = 1.0
        self.best_loss = math.inf
        self.last_change = 0  # the step of the best loss, or of the last drop

    def __call__(self, step: int) -> float:
        """Return the factor of this step, 0..1."""
        return self.factor * min(1.0, _rise(step, self.warmup))

    def step(self, val_loss: float, step: int) -> None:
        """Adapt the factor to the validation loss after this many steps."""
        if val_loss < self.best_loss * (1 - 1e-4):
            self.best_loss, self.last_change = val_loss, step
        elif step - self.last_change >= self.step_size:
            self.factor, self.last_change = self.factor * self.gamma, step


def step_with_validation(scheduler: LambdaLR, val_loss: float) -> None:
    """Adapt a plateau schedule to a validation; other schedules are left as they are."""
    plateau = scheduler.lr_lambdas[0]
    if not isinstance(plateau, Plateau):
        return
    plateau.step(val_loss, scheduler.last_epoch)
    factor = plateau(scheduler.last_epoch)
    for group, base_lr in zip(scheduler.optimizer.param_groups, scheduler.base_lrs, strict=True):
        group["lr"] = base_lr * factor


def _rise(step: int, warmup: int) -> float:
    """The factor of a step of the warm-up."""
    return (step + 1) / (warmup + 1)


def _cosine(start: float, end: float, progress: float) -> float:
    """A value between start and end on half a cosine wave; progress is 0..1."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _onecycle(step: int, last: int) -> float:
    """The factor of step 0..last."""
    start, end = 1 / 25, 1 / 25 / 1e4
    peak = 0.3 * (last + 1) - 1
    if step <= peak:
        return _cosine(start, 1, step / peak)
    return _cosine(1, end, (step - peak) / (last - peak))
