"""The shape of a network: depth and width."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Shape(NamedTuple):
    """The size of a network along its two free dimensions.

    Attributes:
        depth: number of layers, in the way the architecture counts them.
        width: exact factor on the channels of every convolution.
    """

    depth: int
    width: Fraction

    def __str__(self) -> str:
        return f"({self.depth}, {self.width})"


def by_width_then_depth(shape: Shape) -> tuple[Fraction, int]:
    """Sort key of the lexicographic order in which samplers see the shapes."""
    return shape.width, shape.depth
