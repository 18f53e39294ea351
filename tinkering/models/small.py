"""Networks of a few layers, for images small enough that few are needed."""

import itertools
from collections.abc import Sequence

from torch import nn


class ConvNet(nn.Sequential):
    """The network of PyTorch's MNIST example: two convolutions, two dropouts, two linear layers.

    https://github.com/pytorch/examples/tree/main/mnist
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: int = 28):
        side = (image_size - 4) // 2
        super().__init__(
            nn.Conv2d(in_channels, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(64 * side**2, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, num_classes),
        )


class LeNet5(nn.Sequential):
    """LeNet-5 (LeCun et al. 1998) with ReLU and max-pooling, as it is taught today."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: int = 28):
        side = (image_size // 2 - 4) // 2
        super().__init__(
            nn.Conv2d(in_channels, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * side**2, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )


class StrideNet(nn.Sequential):
    """Three convolutions made for speed: stride, pool and valid padding soon leave few pixels.

    Maps images, float (N, in_channels, image_size, image_size), to logits (N, num_classes);
    image_size is at least 19.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, image_size: int = 28):
        side = (image_size + 1) // 4 - 4
        super().__init__(
            nn.Conv2d(in_channels, 32, 7, stride=2, padding=3, bias=False),
            # Before the norm, which then has a quarter of the pixels to go through.
            nn.MaxPool2d(2),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),  # (N, 32, 7, 7) for 28x28
            nn.Conv2d(32, 48, 3, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(inplace=True),
            nn.Conv2d(48, 64, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(64 * side**2, num_classes),
        )


class FullyConnected(nn.Sequential):
    """Linear layers with ReLU between them, on the flattened image; `hidden` has their sizes."""

    def __init__(
        self,
        hidden: Sequence[int],
        num_classes: int = 10,
        in_channels: int = 1,
        image_size: int = 28,
    ):
        sizes = [in_channels * image_size**2, *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for num_in, num_out in itertools.pairwise(sizes):
            layers += [nn.Linear(num_in, num_out), nn.ReLU()]
        super().__init__(*layers, nn.Linear(sizes[-1], num_classes))


def mlp(
    num_classes: int = 10, in_channels: int = 1, image_size: int = 28, width: int = 64
) -> nn.Module:
    """One hidden layer of `width` units."""
    return FullyConnected([width], num_classes, in_channels, image_size)
