"""Residual networks for small images."""

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


class SimpleResNet(nn.Module):
    """A ResNet for small images: a 3x3 stem that keeps the resolution, no pooling but at the end.

    Stage i has num_blocks_per_stage[i] blocks of width * 2**i channels; every stage but the
    first begins with stride 2.

    Args:
        block: called as block(in_channels, out_channels, stride).
        num_blocks_per_stage: one entry a stage, each at least 1.
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
        stages = []
        channels = width
        for stage, num_blocks in enumerate(num_blocks_per_stage):
            out_channels = width * 2**stage
            strides = [1 if stage == 0 else 2] + [1] * (num_blocks - 1)
            blocks = []
            for stride in strides:
                blocks.append(block(channels, out_channels, stride))
                channels = out_channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(channels, num_classes)

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
        blocks, channels = [], 16
        for stage in range(3):
            for block in range(3):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(PreactBlock(channels, 16 * 2**stage, stride))
                channels = 16 * 2**stage
        self.stem = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*blocks)
        self.bn = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.blocks(self.stem(x))).relu()
        return self.head(x.mean(dim=(2, 3)))


def resnet18(num_classes: int = 10, in_channels: int = 1) -> nn.Module:
    """torchvision's ResNet-18 with a stem for small images: 3x3, stride 1, no pooling."""
    model = import_torchvision().models.resnet18(num_classes=num_classes)
    model.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model
