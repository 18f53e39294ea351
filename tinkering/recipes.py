"""The learning rate as a function of the step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def linear_decay(optimizer: Optimizer, num_steps: int, final_factor: float) -> LambdaLR:
    """A straight line from the optimizer's lr at the first step to lr * final_factor at the last.

    Args:
        optimizer: its current lr is the one of the first step (step 0).
        num_steps: optimizer steps of the whole run; the last one is step num_steps - 1.
        final_factor: lr of the last step over lr of the first, 0..1.
    """
    last_step = max(1, num_steps - 1)

    def factor(step: int) -> float:
        # LambdaLR asks once more after the last step, hence the min.
        return 1 - (1 - final_factor) * min(step, last_step) / last_step

    return LambdaLR(optimizer, factor)
