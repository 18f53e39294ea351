"""Muon for a whole network: torch's Muon for the weights, AdamW for the rest."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer


class Muon(Optimizer):
    """Steps in which no direction of a weight matrix counts more than another.

    A weight's momentum is replaced by the nearest orthogonal matrix, about (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon/; torch.optim.Muon). A convolution's weight
    (out, in, h, w) is a matrix (out, in * h * w). Norms and biases are no matrices and go to
    torch.optim.AdamW. The steps of the two are of one size (Liu et al. 2025, arXiv 2502.16982),
    so one learning rate does for both.

    Parameters, options and state are this optimizer's own, those of torch's two are empty
    between steps. So scaler, scheduler and state dict find here what is really used.

    Args:
        groups: weights, of two dimensions or more, then norms and biases; each a dict of
            "params" and "weight_decay".
        lr: of both.
        momentum: of the weights.
        nesterov: of the weights.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self, groups: list[dict], lr: float = 1e-3, momentum: float = 0.95, nesterov: bool = True
    ):
        if momentum >= 1:  # torch's Muon takes it, and never moves
            raise ValueError(f"momentum should be < 1 but is: {momentum}")
        weights, others = groups
        self._muon = torch.optim.Muon(
            [{"params": []}],
            lr=lr,
            weight_decay=weights["weight_decay"],
            momentum=momentum,
            nesterov=nesterov,
            adjust_lr_fn="match_rms_adamw",
        )
        self._adamw = torch.optim.AdamW(
            [{"params": []}], lr=lr, weight_decay=others["weight_decay"]
        )
        groups = [{**self._muon.defaults, **weights}, {**self._adamw.defaults, **others}]
        super().__init__(groups, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Moves the parameters that have a gradient; returns what the closure does."""
        with torch.enable_grad():
            loss = closure() if closure else None
        weights, others = self.param_groups
        state = {}
        for weight in weights["params"]:
            if weight.grad is not None:
                matrix = _as_matrix(weight)
                matrix.grad = _as_matrix(_laid_out_like(weight, weight.grad))
                state[matrix] = {"momentum_buffer": _as_matrix(self._momentum_of(weight))}
        _step(self._muon, {**weights, "params": list(state)}, state)
        _step(self._adamw, others, self.state)
        return loss

    def _momentum_of(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        # A state that was saved may be of a network in another memory format.
        state["momentum_buffer"] = _laid_out_like(weight, state["momentum_buffer"])
        return state["momentum_buffer"]


def _laid_out_like(weight: Tensor, tensor: Tensor) -> Tensor:
    """The tensor, or a copy if its order in memory is not that of the weight."""
    if tensor.stride() == weight.stride():
        return tensor
    return torch.empty_like(weight).copy_(tensor)


def _as_matrix(tensor: Tensor) -> Tensor:
    """A tensor (out, ...) as (out, rest), in the same memory.

    The columns are in the order of memory, channels_last or other; Muon does not mind which.
    """
    order = sorted(range(1, tensor.dim()), key=tensor.stride, reverse=True)
    return tensor.permute(0, *order).view(len(tensor), -1)


def _step(optimizer: Optimizer, group: dict, state: dict) -> None:
    """Lets torch's optimizer make a step with parameters, options and state that are not its."""
    optimizer.param_groups, optimizer.state = [group], state
    optimizer.step()
    optimizer.param_groups, optimizer.state = [], {}  # or gradients would outlive zero_grad
