"""Loss and accuracy of the batches seen, as means over samples."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from tinkering.runtime.distributed import ALONE, Group


def _mean(values: list[Tensor], sizes: list[int]) -> float:
    """The mean over samples of per-batch means; waits for the device."""
    weights = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    return float(torch.stack(values).cpu().double() @ weights)


def accuracy_of(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of a batch that is right, a scalar; logits (N, num_classes), labels (N,)."""
    return (logits.argmax(dim=1) == labels).float().mean()


@dataclass
class Meter:
    """What the steps since the last line of metrics came to; goes on over segments and stops.

    The lists have one entry a batch. Losses and accuracies are scalar tensors, because reading
    a number makes a GPU wait.
    """

    losses: list[Tensor] = field(default_factory=list)
    accuracies: list[Tensor] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    num_skipped: int = 0  # batches left out in all, for a loss that is not finite
    num_skipped_in_a_row: int = 0

    def add(self, loss: Tensor, accuracy: Tensor, size: int) -> None:
        self.losses.append(loss)
        self.accuracies.append(accuracy)
        self.sizes.append(size)
        self.num_skipped_in_a_row = 0

    def means(self, group: Group = ALONE) -> tuple[float, float]:
        """Loss and accuracy over the samples of all processes; (0.0, 0.0) if there are none."""
        sums = torch.zeros(3, dtype=torch.float64)
        if self.sizes:
            num_samples = sum(self.sizes)
            num_right = round(_mean(self.accuracies, self.sizes) * num_samples)  # float32 is coarse
            sums += torch.tensor(
                [_mean(self.losses, self.sizes) * num_samples, num_right, num_samples]
            )
        loss, num_right, num_samples = group.total(sums).tolist()
        return (loss / num_samples, num_right / num_samples) if num_samples else (0.0, 0.0)

    def clear(self) -> None:
        self.losses, self.accuracies, self.sizes = [], [], []
