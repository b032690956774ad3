"""ResNet (He et al. 2016) and Wide ResNet for full-size images (Zagoruyko and Komodakis 2016), built by timm."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from shape_dnn import Shape
from shape_dnn_timm.family import RANDOM, Family, Sizes
from shape_dnn_timm.stages import Blocks, count, distribute, scale, width_of

if TYPE_CHECKING:
    import torch

    from shape_dnn.kinds import InputShape

CHANNELS = (64, 128, 256, 512)
STEM = 64
BASIC: tuple[Blocks, ...] = ((1, 1, 1, 1), (2, 2, 2, 2), (3, 4, 6, 3))
"""ResNet-10, 18 and 34."""
BOTTLENECK: tuple[Blocks, ...] = (*BASIC, (3, 4, 23, 3), (3, 8, 36, 3), (3, 24, 36, 3))
"""ResNet-14, 26, 50, 101, 152 and 200."""
BASIC_WEIGHTS = {Shape(18, Fraction(1)): "resnet18.a1_in1k", Shape(34, Fraction(1)): "resnet34.a1_in1k"}
BOTTLENECK_WEIGHTS = {
    Shape(26, Fraction(1)): "resnet26.bt_in1k",
    Shape(50, Fraction(1)): "resnet50.a1_in1k",
    Shape(50, Fraction(2)): "wide_resnet50_2.tv_in1k",
    Shape(101, Fraction(1)): "resnet101.a1_in1k",
    Shape(101, Fraction(2)): "wide_resnet101_2.tv_in1k",
    Shape(152, Fraction(1)): "resnet152.a1_in1k",
}
"""Weights that timm publishes, trained alike as far as there are such."""


class ResNet(Family):
    """A 7x7 stem with pooling, four stages of residual blocks, and a linear layer.

    Args:
        block: ``bottleneck``, three convolutions, of which the width scales the 3x3 one and so its input and output;
            or ``basic``, two 3x3 convolutions in stages whose channels the width scales.
        weights: what trainings start from.
    """

    title = "ResNet"
    depth_rule = "its depths are 3B+2 with bottleneck blocks and 2B+2 with basic ones, B from 4"
    width_rule = "its widths are at least 1/64, which leaves one channel, and 1/128 with basic blocks"
    default_depths = "14:51:12"
    default_widths = "1/2:5/2:1/2"
    stem, head = "conv1", "fc"

    def __init__(self, block: str = "bottleneck", weights: str = RANDOM) -> None:
        super().__init__(weights)
        self.block = block
        self.is_basic = block == "basic"
        self.convolutions = 2 if self.is_basic else 3
        self.networks = BASIC if self.is_basic else BOTTLENECK
        # Channels of bottlenecks are rounded down, as timm does, and others to the nearest number.
        self.shift = Fraction(1, 2) if self.is_basic else Fraction(0)

    @property
    def published(self) -> dict[Shape, str]:
        """Names of timm's weights of this family, by shape."""
        return BASIC_WEIGHTS if self.is_basic else BOTTLENECK_WEIGHTS

    def is_depth(self, depth: int) -> bool:
        """Tell whether the depth is that of whole blocks, one in each stage or more."""
        blocks, rest = divmod(depth - 2, self.convolutions)
        return blocks >= 4 and rest == 0

    def is_width(self, width: Fraction) -> bool:
        """Tell whether every convolution has a channel."""
        return width >= (Fraction(1, 128) if self.is_basic else Fraction(1, 64))

    def blocks(self, depth: int) -> Blocks:
        """Return the blocks of each stage."""
        return distribute((depth - 2) // self.convolutions, self.networks)

    def scaled(self, width: Fraction) -> tuple[int, ...]:
        """Return the channels that the width scales, of each stage."""
        return scale(CHANNELS, width, self.shift)

    def shape_of(self, sizes: Sizes) -> Shape | None:
        """Tell of which shape a network is by its tensors."""
        blocks = count(sizes, [f"layer{stage}." for stage in range(1, 5)])
        channels = tuple(sizes[f"layer{stage}.0.conv2.weight"][0] for stage in range(1, 5))
        depth, width = self.convolutions * sum(blocks) + 2, width_of(channels, CHANNELS, self.shift)
        return None if width is None or self.blocks(depth) != blocks else Shape(depth, width)

    def count_values(self, shape: Shape, input_shape: InputShape, classes: int) -> int:
        """Count parameters and batch-norm statistics; all blocks of a stage but the first are alike."""
        before = STEM
        values = 49 * input_shape[0] * STEM + 4 * STEM
        stages = zip(self.blocks(shape.depth), self.scaled(shape.width), CHANNELS, strict=True)
        for stage, (number, inner, channels) in enumerate(stages):
            after = inner if self.is_basic else 4 * channels
            values += self._block(before, inner, after) + (number - 1) * self._block(after, inner, after)
            if stage > 0 or before != after:
                values += before * after + 4 * after  # the projection of the first block
            before = after
        return values + (before + 1) * classes

    def _block(self, before: int, inner: int, after: int) -> int:
        if self.is_basic:
            return 9 * before * inner + 9 * inner * after + 4 * (inner + after)
        return before * inner + 9 * inner**2 + inner * after + 4 * (2 * inner + after)

    def build(self, shape: Shape, input_shape: InputShape, classes: int) -> torch.nn.Module:
        """Build timm's network, initialised by timm."""
        from timm.models import resnet

        make: Any = resnet.ResNet  # its annotations promise blocks and whole numbers where it takes classes and any
        blocks, channels = self.blocks(shape.depth), input_shape[0]
        if self.is_basic:
            network = make(resnet.BasicBlock, blocks, classes, channels, channels=self.scaled(shape.width))
        else:
            network = make(resnet.Bottleneck, blocks, classes, channels, base_width=STEM * float(shape.width))
        return cast("torch.nn.Module", network)
