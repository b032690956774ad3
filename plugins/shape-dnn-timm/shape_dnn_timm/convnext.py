"""ConvNeXt (Liu et al. 2022), built by timm."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from shape_dnn import Shape
from shape_dnn_timm.family import Family, Sizes
from shape_dnn_timm.stages import Blocks, count, distribute, scale, width_of

if TYPE_CHECKING:
    import torch

    from shape_dnn import Recipe
    from shape_dnn.kinds import InputShape

CHANNELS = (96, 192, 384, 768)
PATCH = 4
PUBLISHED: tuple[Blocks, ...] = ((1, 1, 1, 1), (2, 2, 6, 2), (3, 3, 9, 3), (3, 3, 27, 3))
"""Four blocks; atto, femto and pico; tiny; small, base and larger ones."""
NEAREST = Fraction(1, 2)
"""Shift with which channels are rounded to the nearest number."""

WEIGHTS = {
    Shape(12, Fraction(5, 12)): "convnext_atto.d2_in1k",
    Shape(12, Fraction(1, 2)): "convnext_femto.d1_in1k",
    Shape(12, Fraction(2, 3)): "convnext_pico.d1_in1k",
    Shape(14, Fraction(5, 6)): "convnext_nano.in12k_ft_in1k",
    Shape(18, Fraction(1)): "convnext_tiny.fb_in22k_ft_in1k",
    Shape(36, Fraction(1)): "convnext_small.fb_in22k_ft_in1k",
    Shape(36, Fraction(4, 3)): "convnext_base.fb_in22k_ft_in1k",
    Shape(36, Fraction(2)): "convnext_large.fb_in22k_ft_in1k",
    Shape(36, Fraction(8, 3)): "convnext_xlarge.fb_in22k_ft_in1k",
}
"""Weights that timm publishes, trained alike as far as there are such."""


class ConvNeXt(Family):
    """A stem of 4x4 patches, four stages of blocks with halvings of the image between them, and a linear layer.

    A width that gives no whole number of channels is rounded to the nearest one.
    """

    title = "ConvNeXt"
    depth_rule = "its depths are whole numbers from 4, the blocks of four stages"
    width_rule = "its widths are at least 1/96, which leaves one channel"
    smallest_image = 32
    default_depths = "4:19:7"
    default_widths = "1/6:7/6:1/6"
    stem, head = "stem.0", "head.fc"

    @property
    def published(self) -> dict[Shape, str]:
        """Names of timm's weights of this family, by shape."""
        return WEIGHTS

    def recipe(self, recipe: Recipe) -> Recipe:
        """Train by AdamW with a cosine after a warm-up.

        Momentum, beta 2 and weight decay are those of the paper (appendix A). The rate is half of that which it takes
        for batches of 4096, and the warm-up a little longer, since the trainings of a search are shorter.
        """
        own = replace(
            recipe,
            optimizer="adamw",
            lr=2e-3,
            schedule="cosine",
            warmup=0.1,
            momentum=0.9,
            beta2=0.999,
            weight_decay=0.05,
        )
        return super().recipe(own)

    def is_depth(self, depth: int) -> bool:
        """Tell whether every stage has a block."""
        return depth >= 4

    def is_width(self, width: Fraction) -> bool:
        """Tell whether every layer has a channel."""
        return width >= Fraction(1, CHANNELS[0])

    def blocks(self, depth: int) -> Blocks:
        """Return the blocks of each stage."""
        return distribute(depth, PUBLISHED)

    def channels(self, width: Fraction) -> tuple[int, ...]:
        """Return the channels of each stage."""
        return scale(CHANNELS, width, NEAREST)

    def shape_of(self, sizes: Sizes) -> Shape | None:
        """Tell of which shape a network is by its tensors."""
        blocks = count(sizes, [f"stages.{stage}.blocks." for stage in range(4)])
        channels = tuple(sizes[f"stages.{stage}.blocks.0.conv_dw.weight"][0] for stage in range(4))
        width = width_of(channels, CHANNELS, NEAREST)
        return None if width is None or self.blocks(sum(blocks)) != blocks else Shape(sum(blocks), width)

    def count_values(self, shape: Shape, input_shape: InputShape, classes: int) -> int:
        """Count parameters; there are no statistics, since layers are normalised by themselves."""
        channels = self.channels(shape.width)
        values = PATCH**2 * input_shape[0] * channels[0] + 3 * channels[0]
        # A block: a depth-wise 7x7 convolution, a norm, two linear layers of four times the channels, and a scale.
        values += sum(n * (8 * c**2 + 58 * c) for n, c in zip(self.blocks(shape.depth), channels, strict=True))
        values += sum(2 * before + 4 * before * after + after for before, after in pairwise(channels))
        return values + 2 * channels[-1] + (channels[-1] + 1) * classes

    def build(self, shape: Shape, input_shape: InputShape, classes: int) -> torch.nn.Module:
        """Build timm's network, initialised by timm."""
        from timm.models import convnext

        return convnext.ConvNeXt(
            in_chans=input_shape[0],
            num_classes=classes,
            depths=self.blocks(shape.depth),
            dims=self.channels(shape.width),
        )
