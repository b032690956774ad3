"""The modules of a Wide ResNet. Apart from its shape arithmetic, since this imports torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """BN-ReLU-conv-BN-ReLU-conv plus shortcut; a projection of the activated input where the channels change."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.projection = nn.Conv2d(before, channels, 1, stride, bias=False) if before != channels else None
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        """Map (batch, before, h, w) to (batch, channels, h / stride, w / stride), rounded up."""
        activated = F.relu(self.norm1(images))
        if self.projection is not None:
            shortcut: Tensor = self.projection(activated)
        else:
            # Equal channels across a stride occur in thin networks, where rounding gives two groups one width.
            shortcut = images[:, :, :: self.stride, :: self.stride]
        out: Tensor = self.conv2(F.relu(self.norm2(self.conv1(activated))))
        return out + shortcut


class WideResNetNetwork(nn.Module):
    """Stem, three groups of blocks with strides 1, 2 and 2, and a linear classifier.

    Args:
        channels: of the stem and of the three groups.
        blocks: number of blocks in each group.
        image_channels: channels of an image.
        classes: number of outputs.
    """

    def __init__(self, channels: Sequence[int], blocks: int, image_channels: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(image_channels, channels[0], 3, 1, 1, bias=False)
        self.groups = nn.Sequential()
        for before, after, stride in zip(channels, channels[1:], (1, 2, 2), strict=False):
            first = Block(before, after, stride)
            self.groups.append(nn.Sequential(first, *(Block(after, after, 1) for _ in range(blocks - 1))))
        self.norm = nn.BatchNorm2d(channels[-1])
        self.classifier = nn.Linear(channels[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map (batch, image_channels, h, w) to logits (batch, classes)."""
        features = F.relu(self.norm(self.groups(self.stem(images))))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits
