"""Wide ResNet (Zagoruyko and Komodakis 2016), as the paper scales it in depth and width (Section 5)."""

from __future__ import annotations

import functools
import itertools
import math
from fractions import Fraction
from typing import TYPE_CHECKING

from shape_dnn.kinds import Architecture

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from shape_dnn.kinds import InputShape
    from shape_dnn.shape import Shape

BASE_CHANNELS = (16, 32, 64)
"""Channels of the three groups at width 1."""


class WideResNet(Architecture):
    """Depth 6N+4: a 3x3 stem, three groups of N pre-activation blocks of two 3x3 convolutions, and a linear layer.

    A width that gives no whole number of channels is rounded to the nearest one.

    Args:
        stem: ``scaled`` widens the first convolution like the first group, as in the paper; ``16`` leaves it at 16
            channels, as in the original network.
    """

    title = "Wide ResNet"
    depth_rule = "its depths are 6N+4 with N from 1"
    width_rule = "its widths are at least 1/32, which leaves one channel"
    default_depths = "10:29:6"
    default_widths = "1/4:9/8:1/8"

    def __init__(self, stem: str = "scaled") -> None:
        self.stem = stem

    def is_depth(self, depth: int) -> bool:
        """Tell whether depth is 6N+4."""
        return depth >= 10 and depth % 6 == 4

    def is_width(self, width: Fraction) -> bool:
        """Tell whether every convolution has a channel."""
        return width >= Fraction(1, 32)

    def channels(self, width: Fraction) -> tuple[int, int, int, int]:
        """Channels of the stem and of the three groups."""
        first, second, third = (math.floor(base * width + Fraction(1, 2)) for base in BASE_CHANNELS)
        return (first if self.stem == "scaled" else BASE_CHANNELS[0], first, second, third)

    def count_values(self, shape: Shape, input_shape: InputShape, classes: int) -> int:
        """Count parameters and batch-norm statistics; at one width they are linear in the number of blocks."""
        # Numerator and denominator, since hashing a Fraction takes longer than the rest of this function.
        width = shape.width
        fixed, per_block = _counts(self, width.numerator, width.denominator, input_shape[0], classes)
        return fixed + (shape.depth - 4) // 6 * per_block

    def build(self, shape: Shape, input_shape: InputShape, classes: int) -> torch.nn.Module:
        """Build the network, initialised as by He et al. (2015)."""
        from shape_dnn.builtin.architectures.wrn_network import WideResNetNetwork

        return WideResNetNetwork(self.channels(shape.width), (shape.depth - 4) // 6, input_shape[0], classes)

    def can_grow(self, shape: Shape, larger: Shape) -> bool:
        """Tell whether the larger one is nowhere smaller, and has a projection just where the other has one."""
        few, many = self.channels(shape.width), self.channels(larger.width)
        projects = [[a != b for a, b in itertools.pairwise(channels)] for channels in (few, many)]
        wider = all(a <= b for a, b in zip(few, many, strict=True))
        return shape.depth <= larger.depth and wider and projects[0] == projects[1]

    def grow(
        self,
        weights: Mapping[str, torch.Tensor],
        shape: Shape,
        larger: Shape,
        input_shape: InputShape,
        classes: int,
        seed: int,
    ) -> Mapping[str, torch.Tensor]:
        """Copy channels, and add blocks that change nothing."""
        from shape_dnn.builtin.architectures.wrn_growth import grow
        from shape_dnn.builtin.architectures.wrn_network import WideResNetNetwork

        network = self.build(larger, input_shape, classes)
        assert isinstance(network, WideResNetNetwork)  # noqa: S101 - build makes nothing else
        return grow(weights, network, seed)


@functools.lru_cache(maxsize=4096)
def _counts(wrn: WideResNet, numerator: int, denominator: int, image_channels: int, classes: int) -> tuple[int, int]:
    """Return how many values are stored whatever the depth, and how many more for each block per group."""
    stem, *groups = wrn.channels(Fraction(numerator, denominator))
    fixed = 9 * image_channels * stem + 4 * groups[-1] + (groups[-1] + 1) * classes
    per_block = 0
    before = stem
    for channels in groups:
        # A block stores two batch norms of 4 values per channel and two 3x3 convolutions. The first block of a
        # group has another number of channels before it, which the difference accounts for.
        per_block += 8 * channels + 18 * channels**2
        fixed += (4 + 9 * channels) * (before - channels)
        fixed += before * channels if before != channels else 0
        before = channels
    return fixed, per_block
