"""The modules of DenseNet-BC. Apart from its arithmetic, since this imports torch and timm."""

from __future__ import annotations

from collections.abc import Sequence

from timm.models.densenet import DenseBlock, DenseTransition
from torch import Tensor, nn


class DenseNetwork(nn.Module):
    """Stem, dense blocks with transitions between them, and a linear classifier.

    Args:
        growth: channels that each layer adds.
        layers: of each block in turn.
        image_channels: channels of an image.
        classes: number of outputs.
    """

    def __init__(self, growth: int, layers: Sequence[int], image_channels: int, classes: int) -> None:
        super().__init__()
        channels = 2 * growth
        self.stem = nn.Conv2d(image_channels, channels, 3, 1, 1, bias=False)
        self.blocks = nn.Sequential()
        for block, number in enumerate(layers):
            if block:
                self.blocks.append(DenseTransition(channels, channels // 2))
                channels //= 2
            self.blocks.append(DenseBlock(number, channels, bn_size=4, growth_rate=growth))
            channels += number * growth
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Map (batch, image_channels, h, w) to logits (batch, classes)."""
        features = self.norm(self.blocks(self.stem(images))).relu()
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits
