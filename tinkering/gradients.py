"""The gradient of one optimizer step, from parts of its batch and from several processes."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from tinkering.meter import accuracy_of
from tinkering.runtime.distributed import ALONE, Group
from tinkering.stream import Batch

# (images, labels) -> (logits, mean loss)
Forward = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def forward_of(model: nn.Module, criterion: Callable[[Tensor, Tensor], Tensor]) -> Forward:
    """(images, labels) -> (logits, loss): the model and its criterion as one function."""

    def forward(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(images)
        return logits, criterion(logits, labels)

    return forward


def compute_gradient(
    model: nn.Module,
    forward: Forward,
    batch: Batch,
    device: torch.device | str,
    autocast: AbstractContextManager,
    scaler: torch.amp.GradScaler,
    micro_batch_size: int | None = None,
    group: Group = ALONE,
) -> tuple[Tensor, Tensor, int]:
    """Adds to the parameters' gradients that of the mean loss over all processes' samples.

    Args:
        forward: of this model.
        batch: this process's own samples; there may be none where there are other processes.
        micro_batch_size: samples computed at once; None for all.

    Returns:
        that loss and the accuracy, scalar tensors, and the number of samples.
    """
    images, labels = batch
    num_own = len(labels)
    loss, accuracy = torch.zeros(2, device=device)
    size = micro_batch_size or max(1, num_own)
    for part, right in zip(images.split(size), labels.split(size), strict=True):
        if not len(right):  # what splitting nothing gives
            break
        part = part.to(device, non_blocking=True)
        right = right.to(device, non_blocking=True)
        share = len(right) / num_own
        with autocast:
            logits, part_loss = forward(part, right)
        part_loss = share * part_loss
        scaler.scale(part_loss).backward()
        loss += part_loss.detach()
        accuracy += share * accuracy_of(logits.detach(), right)
    if group.size == 1:
        return loss, accuracy, num_own
    num_samples = int(group.total(torch.tensor(num_own)))
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in model.parameters()]
    group.average([*gradients, loss, accuracy], num_own / num_samples)
    return loss, accuracy, num_samples
