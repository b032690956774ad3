"""NASNet-A (Zoph et al. 2018, Section 4.1): how its depth and width make its size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from shape_dnn import Architecture, Shape
from shape_dnn_nasnet.cell import Cell

if TYPE_CHECKING:
    import torch

    from shape_dnn.kinds import InputShape

FILTERS = 32
"""Filters of a normal cell in the first stage at width 1; its output has six times as many channels."""
STAGES = 3
STEM = 3
"""Channels of the stem, in filters of the first stage."""


class NASNetA(Architecture):
    """A 3x3 stem, three stages of N normal cells with reduction cells between them, and a linear layer."""

    title = "NASNet-A"
    depth_rule = "its depths are whole numbers from 1, the normal cells in each of three stages"
    width_rule = "its widths are at least 1/32, which makes two filters"
    default_depths = "1:4:1"
    default_widths = "1/8:5/8:1/8"

    def is_depth(self, depth: int) -> bool:
        """Tell whether every stage has a cell."""
        return depth >= 1

    def is_width(self, width: Fraction) -> bool:
        """Tell whether every operation has filters."""
        return self.filters(width) >= 2

    def filters(self, width: Fraction) -> int:
        """Return the filters of the first stage: an even number, since a cell halves them for its two paths."""
        return 2 * math.floor(FILTERS // 2 * width + Fraction(1, 2))

    def cells(self, shape: Shape) -> Iterator[Cell]:
        """Yield the cells in order."""
        filters = self.filters(shape.width)
        before = last = STEM * filters
        for stage in range(STAGES):
            if stage:
                filters *= 2
                cell = Cell(True, False, before, last, filters)
                yield cell
                before, last = last, cell.channels
            for number in range(shape.depth):
                cell = Cell(False, stage > 0 and number == 0, before, last, filters)
                yield cell
                before, last = last, cell.channels

    def count_values(self, shape: Shape, input_shape: InputShape, classes: int) -> int:
        """Count parameters and batch-norm statistics."""
        stem = STEM * self.filters(shape.width)
        values, channels = 9 * input_shape[0] * stem + 4 * stem, stem
        for cell in self.cells(shape):
            values, channels = values + cell.values, cell.channels
        return values + (channels + 1) * classes

    def build(self, shape: Shape, input_shape: InputShape, classes: int) -> torch.nn.Module:
        """Build the network, initialised as by He et al. (2015)."""
        from shape_dnn_nasnet.network import NASNetwork

        return NASNetwork(STEM * self.filters(shape.width), list(self.cells(shape)), input_shape[0], classes)
