"""The networks, and one table from their names to their constructors."""

from collections.abc import Sequence

from torch import Tensor, nn


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


ARCHITECTURES = {"resnet4stage": ResNet4StageCustom}
