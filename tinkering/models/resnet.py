"""Residual networks for small images."""

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from tinkering.extras import import_torchvision


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2015, arXiv 1512.03385, figure 2).

    The shortcut is the identity where the shape stays, else a 1x1 convolution.
    Maps (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + self.shortcut(x))


def make_stages(
    block: type[nn.Module], num_blocks_per_stage: Sequence[int], width: int
) -> list[nn.Sequential]:
    """Make the stages of a ResNet: stage i has num_blocks_per_stage[i] blocks, each at least 1.

    They have width * 2**i channels; every stage but the first begins with stride 2. `block` is
    called as block(in_channels, out_channels, stride).
    """
    stages, channels = [], width
    for i, num_blocks in enumerate(num_blocks_per_stage):
        blocks = []
        for j in range(num_blocks):
            blocks.append(block(channels, width * 2**i, 2 if i > 0 and j == 0 else 1))
            channels = width * 2**i
        stages.append(nn.Sequential(*blocks))
    return stages


class SimpleResNet(nn.Module):
    """A ResNet for small images: a 3x3 stem that keeps the resolution, no pooling but at the end.

    Args:
        block, num_blocks_per_stage: as in make_stages.
        num_classes: length of a row of logits.
        in_channels: 1 for grey images.
        width: channels of the first stage.

    Maps images, float (N, in_channels, H, W), to logits (N, num_classes).
    """

    def __init__(
        self,
        block: type[nn.Module],
        num_blocks_per_stage: Sequence[int],
        num_classes: int = 10,
        in_channels: int = 1,
        width: int = 64,
    ):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential(*make_stages(block, num_blocks_per_stage, width))
        self.head = nn.Linear(width * 2 ** (len(num_blocks_per_stage) - 1), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.stem(x))  # (N, 8 * width, 4, 4) for four stages on 28x28
        return self.head(x.mean(dim=(2, 3)))


class ResNet4StageCustom(SimpleResNet):
    """Four stages of one BasicBlock each: 4,928,766 parameters at width 64 and 62 classes."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1, width: int = 64):
        super().__init__(BasicBlock, [1, 1, 1, 1], num_classes, in_channels, width)


class PreactBlock(nn.Module):
    """BasicBlock with norm and ReLU before each convolution (He et al. 2016, arXiv 1603.05027).

    Maps (N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.bn1(x).relu()
        kept = x if self.shortcut is None else self.shortcut(active)
        return kept + self.conv2(self.bn2(self.conv1(active)).relu())


class PreactResNet20(nn.Module):
    """Three stages of three PreactBlocks with 16, 32 and 64 channels: 0.27 M parameters."""

    def __init__(self, num_classes: int = 10, in_channels: int = 1):
        super().__init__()
        stages = make_stages(PreactBlock, [3, 3, 3], width=16)
        self.stem = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*itertools.chain(*stages))
        self.bn = nn.BatchNorm2d(64)
        self.head = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.blocks(self.stem(x))).relu()
        return self.head(x.mean(dim=(2, 3)))


def resnet18(num_classes: int = 10, in_channels: int = 1) -> nn.Module:
    """torchvision's ResNet-18 with a stem for small images: 3x3, stride 1, no pooling."""
    model = import_torchvision().models.resnet18(num_classes=num_classes)
    model.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model
