"""Optimizers by name, and the exponential moving average (EMA) of the weights."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tinkering.errors import InputError


def make_optimizer(
    name: str,
    model: nn.Module,
    lr: float,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    betas: tuple[float, float] = (0.9, 0.999),
    nesterov: bool = False,
) -> Optimizer:
    """Make torch's optimizer of that name for the model's parameters.

    Weight decay applies to weights only, not to biases and the parameters of norms, whose size
    has nothing to do with overfitting.

    Args:
        name: a key of OPTIMIZERS.
        momentum: of sgd and rmsprop.
        betas: decay rates of the moment estimates of adam and adamw, each 0..1.
        nesterov: of sgd.

    Raises:
        InputError: the options contradict each other.
    """
    offered = {"momentum": momentum, "betas": betas, "nesterov": nesterov}
    constructor, options = OPTIMIZERS[name]
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others}]
    try:
        chosen = {option: offered[option] for option in options}
        return constructor(groups, lr=lr, weight_decay=0.0, **chosen)
    except ValueError as error:
        raise InputError(f"--optimizer {name}: {error}") from error


# name: torch's class, fused where it can be; those of our options that it has
OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], tuple[str, ...]]] = {
    "adamw": (partial(torch.optim.AdamW, fused=True), ("betas",)),
    "adam": (partial(torch.optim.Adam, fused=True), ("betas",)),
    "sgd": (partial(torch.optim.SGD, fused=True), ("momentum", "nesterov")),
    "adadelta": (torch.optim.Adadelta, ()),
    "rmsprop": (torch.optim.RMSprop, ("momentum",)),
}


def make_ema(model: nn.Module, decay: float | None) -> AveragedModel | None:
    """Make the EMA of a model's weights and buffers; None where decay is None.

    `decay` is the share of the average that an update keeps, 0..1.
    """
    if decay is None:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
