"""DenseNet-BC (Huang et al. 2017, Section 3): how its depth and width make its size."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from shape_dnn import Architecture, Shape

if TYPE_CHECKING:
    import torch

    from shape_dnn.kinds import InputShape

GROWTH = 12
"""Growth rate at width 1."""
BLOCKS = 3


class DenseNetBC(Architecture):
    """A 3x3 stem, three dense blocks of N layers with transitions that halve channels and image, and a linear layer.

    A layer is two convolutions, BN-ReLU-1x1-BN-ReLU-3x3, the first with four times the channels of the second; so there
    are 6N convolutions in blocks, and the stem, two transitions and the linear layer make 6N+4.
    """

    title = "DenseNet-BC"
    depth_rule = "its depths are 6N+4 with N from 1"
    width_rule = "its widths are at least 1/24, which makes the growth rate 1"
    smallest_image = 4
    default_depths = "10:35:6"
    default_widths = "1/3:4/3:1/6"

    def is_depth(self, depth: int) -> bool:
        """Tell whether depth is 6N+4."""
        return depth >= 10 and depth % 6 == 4

    def is_width(self, width: Fraction) -> bool:
        """Tell whether every layer adds a channel."""
        return self.growth(width) >= 1

    def growth(self, width: Fraction) -> int:
        """Return the channels that each layer adds: the nearest whole number to 12 times the width."""
        return math.floor(GROWTH * width + Fraction(1, 2))

    def layers(self, depth: int) -> int:
        """Return the number of layers in each block."""
        return (depth - 4) // 6

    def count_values(self, shape: Shape, input_shape: InputShape, classes: int) -> int:
        """Count parameters and batch-norm statistics, summing the layers of a block in closed form."""
        growth, layers = self.growth(shape.width), self.layers(shape.depth)
        channels = 2 * growth
        values = 9 * input_shape[0] * channels
        for block in range(BLOCKS):
            # Layer i sees channels + i * growth: a norm of 4 values and a convolution to 4 * growth for each of them.
            seen = layers * channels + growth * layers * (layers - 1) // 2
            values += seen * (4 + 4 * growth) + layers * (16 * growth + 36 * growth**2)
            channels += layers * growth
            if block < BLOCKS - 1:
                values += 4 * channels + channels * (channels // 2)
                channels //= 2
        return values + 4 * channels + (channels + 1) * classes

    def build(self, shape: Shape, input_shape: InputShape, classes: int) -> torch.nn.Module:
        """Build the network, initialised as by He et al. (2015)."""
        from shape_dnn_densenet.network import DenseNetwork

        return DenseNetwork(self.growth(shape.width), [self.layers(shape.depth)] * BLOCKS, input_shape[0], classes)
