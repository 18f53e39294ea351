"""Losses by name."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional


def make_criterion(name: str, label_smoothing: float = 0.0) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the loss of that name: (logits (N, num_classes), labels (N,)) -> mean loss, a scalar.

    Args:
        name: cross_entropy, or nll: the negative log-likelihood after log_softmax, which gives
            the same numbers in two steps, as PyTorch's MNIST example does.
        label_smoothing: share of the target that is spread over all classes, 0..1.
    """
    if name == "cross_entropy":
        return nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def nll(logits: Tensor, labels: Tensor) -> Tensor:
        log_probabilities = functional.log_softmax(logits.float(), dim=1)
        right = functional.nll_loss(log_probabilities, labels)
        return (1 - label_smoothing) * right - label_smoothing * log_probabilities.mean()

    return nll
