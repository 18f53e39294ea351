"""The networks, by name."""

import functools
import inspect
from collections.abc import Callable

import torch
from torch import nn

from tinkering.errors import InputError
from tinkering.models.resnet import PreactResNet20, ResNet4StageCustom, resnet18
from tinkering.models.small import ConvNet, FullyConnected, LeNet5, StrideNet, mlp
from tinkering.models.timm import make_timm_model

# name: called with those of num_classes, in_channels, image_size and width that it names
ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "resnet4stage": ResNet4StageCustom,
    "resnet18": resnet18,
    "preact20": PreactResNet20,
    "convnet": ConvNet,
    "lenet5": LeNet5,
    "stridenet": StrideNet,
    "mlp": mlp,
    "fcn": functools.partial(FullyConnected, [128, 256, 512, 128]),
}


def build(arch: str, arguments: dict[str, int], device: torch.device | None = None) -> nn.Module:
    """Build the network of this name, with new weights.

    Args:
        arch: a name in ARCHITECTURES, or timm:NAME.
        arguments: what arguments_of returned, now or when a checkpoint was written.
        device: to train on, where the weights are laid out with the channels last; None to leave
            the network as it is.

    Raises:
        InputError: there is no such network.
    """
    model = _constructor(arch)(**arguments)
    if device is None:
        return model
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def arguments_of(
    arch: str, num_classes: int, image_shape: tuple[int, int, int], width: int
) -> dict[str, int]:
    """Return those of the arguments that the network of this name has parameters for.

    Args:
        image_shape: channels, height and width.
        width: channels of the first stage, or units of the hidden layer.

    Raises:
        InputError: as in build.
    """
    offered = {"num_classes": num_classes, "in_channels": image_shape[0]}
    offered |= {"image_size": image_shape[2], "width": width}
    parameters = inspect.signature(_constructor(arch)).parameters
    return {name: value for name, value in offered.items() if name in parameters}


def _constructor(arch: str) -> Callable[..., nn.Module]:
    if arch.startswith("timm:"):
        return functools.partial(make_timm_model, arch.removeprefix("timm:"))
    if arch not in ARCHITECTURES:
        raise InputError(
            f"there is no network {arch!r}: choose one of {', '.join(ARCHITECTURES)}, timm:NAME"
        )
    return ARCHITECTURES[arch]
